"""
Make the secrets of compose.yaml: `docker compose run --rm make-secrets`, once, before the first start.

It needs root (to give each file to the one user that reads it) and overwrites nothing. Passwords are random; RabbitMQ
gets salted hashes of them, with the permissions of `kmsq_schemas.access`, as a definitions file.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

from kmsq_schemas.access import Access, administrator_access, topology_access, worker_access
from kmsq_worker.rootkey import create_root_key_file

KMSQ = 10001  # the users that compose.yaml runs containers as
POSTGRES = 999
RABBITMQ = 999

PRIVATE = 0o400
SHARED = 0o440  # the URLs that postgres-init.sql reads the passwords of roles from: their group is that of Postgres

ROLES = ("owner", "crypto", "change", "auditor")
ACCESS = {"worker": worker_access(), "topology": topology_access(), "admin": administrator_access("admin")}
USERS = {"worker": "kmsq-worker", "topology": "kmsq-topology", "admin": "admin"}
PASSWORD_BYTES = 24
SALT_BYTES = 4  # of rabbit_password_hashing_sha256


class Folder:
    """Where the secrets go."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.owner = path.stat().st_uid

    def put(self, name: str, text: str, *, user: int, group: int, mode: int = PRIVATE) -> None:
        """Write a new file. Raises `FileExistsError`."""
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            os.fchown(descriptor, user, group)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)

    def put_root_key(self) -> None:
        """Create the root key. Raises `RootKeyError`."""
        path = self._path / "root.key"
        create_root_key_file(path)
        os.chown(path, KMSQ, KMSQ)


def password() -> str:
    """Return a random password that needs no quoting in a URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(word: str) -> str:
    """Return what RabbitMQ keeps of a password: base64 of salt ‖ SHA-256(salt ‖ password)."""
    salt = secrets.token_bytes(SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + word.encode()).digest()).decode()


def definitions(passwords: dict[str, str]) -> str:
    """Return RabbitMQ's definitions: the virtual host, three users without tags, and what each may do."""
    given: dict[str, Access] = {USERS[role]: access for role, access in ACCESS.items()}
    return json.dumps(
        {
            "vhosts": [{"name": "/"}],
            "users": [
                {
                    "name": USERS[role],
                    "password_hash": hashed(word),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": [],
                }
                for role, word in passwords.items()
            ],
            "permissions": [
                {
                    "user": user,
                    "vhost": "/",
                    "configure": access.permissions.configure,
                    "write": access.permissions.write,
                    "read": access.permissions.read,
                }
                for user, access in given.items()
            ],
            "topic_permissions": [
                {"user": user, "vhost": "/", "exchange": topic.exchange, "write": topic.write, "read": topic.read}
                for user, access in given.items()
                for topic in access.topics
            ],
        },
        indent=2,
    )


def make(folder: Folder) -> None:
    """Write all secrets."""
    words = {role: password() for role in USERS}
    for role in ("worker", "topology"):
        url = f"amqp://{USERS[role]}:{words[role]}@rabbitmq:5672/"
        folder.put(f"amqp-{role}-url", url, user=KMSQ, group=KMSQ)
    # For a person at the host, where compose.yaml publishes the broker's port.
    url = f"amqp://{USERS['admin']}:{words['admin']}@localhost:5672/"
    folder.put("amqp-admin-url", url, user=folder.owner, group=0)
    folder.put("rabbitmq-definitions.json", definitions(words), user=RABBITMQ, group=RABBITMQ)

    folder.put("postgres-password", password(), user=POSTGRES, group=POSTGRES)
    for role in ROLES:
        url = f"postgresql://kmsq_{role}:{password()}@postgres:5432/kmsq?sslmode=disable"
        folder.put(f"database-{role}-url", url, user=KMSQ, group=POSTGRES, mode=SHARED)
        if role == "owner":
            folder.put("dbmate.env", f"DATABASE_URL={url}", user=KMSQ, group=KMSQ)
    folder.put_root_key()


def main(path: Path) -> int:
    """Make the secrets in `path`, which must not hold any."""
    os.umask(0o077)
    found = sorted(entry.name for entry in path.iterdir() if entry.name != ".gitignore")
    if found:
        print(f"{path} holds secrets already ({', '.join(found)}): nothing was written", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print("run this as root: each file is given to the user that reads it", file=sys.stderr)
        return 1
    path.chmod(0o700)
    make(Folder(path))
    print("Made. Keep a copy of root.key where the database's backups are not: without it every key is lost.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
