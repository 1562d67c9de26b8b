"""A private PostgreSQL node."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from services.daemon import Account, Daemon, ServiceError
from services.node import Node, Settings
from services.ports import HOST, accepts

DEBIAN_VERSIONS = Path("/usr/lib/postgresql")
START_SECONDS = 60
STOP_SECONDS = 30
PSQL_SECONDS = 60

# Durability stays as in production: fsync and synchronous_commit are on, or crash tests would prove nothing.
CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
fsync = on
synchronous_commit = on
shared_buffers = 256MB
max_connections = 200
max_wal_size = 2GB
checkpoint_timeout = 15min
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
"""

ALLOW_LOGIN = "ALTER ROLE :\"role\" LOGIN PASSWORD :'password';"


def binaries_folder() -> Path:
    """Find PostgreSQL's server programs, the newest first. Raises `ServiceError` where there are none."""
    versions = [folder for folder in DEBIAN_VERSIONS.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path is None:
        message = "PostgreSQL's server is not installed: run ./dev setup"
        raise ServiceError(message)
    return Path(on_path).resolve().parent


def server_account() -> Account | None:
    """Return whom to run PostgreSQL as: it refuses root; anyone else runs it as themselves (None)."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    message = "root cannot run PostgreSQL, and there is neither a user postgres nor a user nobody"
    raise ServiceError(message)


def is_reachable(folder: Path, account: Account) -> bool:
    """Whether `account` may enter `folder`: one parent with mode 0700 is enough to keep it out."""
    test = subprocess.run(
        ["test", "-x", folder], user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False
    )
    return test.returncode == 0


class PostgresNode(Node):
    """PostgreSQL in `folder`: TCP on loopback only, SCRAM passwords, no Unix socket."""

    SUPERUSER = "postgres"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings = Settings(self.folder / "node.json")
        self._account = server_account()
        self.daemon = Daemon("postgres", self.folder, account=self._account)

    @property
    def port(self) -> int:
        """The TCP port, the same for the node's whole life."""
        return self._settings.port("port")

    @property
    def superuser_url(self) -> str:
        """URL of the superuser, for the database `postgres`."""
        return self.url(self.SUPERUSER, "postgres")

    def password(self, role: str) -> str:
        """Return the password of `role`, drawn the first time."""
        return self._settings.secret(f"role {role}")

    def url(self, role: str, database: str) -> str:
        """URL of `database` for `role`."""
        return f"postgres://{role}:{quote(self.password(role), safe='')}@{HOST}:{self.port}/{database}?sslmode=disable"

    def start(self) -> None:
        """Start the server, making its data folder the first time, and return when it answers. Idempotent."""
        if self.is_running:
            return
        data = self._data_folder()
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # a crash leaves it; the process is known to be gone
        self.daemon.spawn([binaries_folder() / "postgres", "-D", data], env=self._environment(), cwd=data)
        self.daemon.wait_ready(self._answers, START_SECONDS)

    def stop(self) -> None:
        """Shut down at once but orderly, breaking open connections ("fast"). Idempotent."""
        self.daemon.stop(signal.SIGINT, grace_seconds=STOP_SECONDS)

    def crash_stop(self) -> None:
        """Stop without a checkpoint ("immediate"): the next start recovers from the log."""
        self.daemon.stop(signal.SIGQUIT, grace_seconds=STOP_SECONDS)

    def remove(self) -> None:
        """Stop, and remove the data."""
        self.stop()
        data = self._settings.get("data")
        if data is not None:
            shutil.rmtree(data, ignore_errors=True)

    def provide(self, database: str, owner: str) -> None:
        """Create `database` and its `owner`, who may create roles, unless they exist."""
        self.sql(
            "SELECT format('CREATE ROLE %I CREATEROLE', :'owner')"
            " WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \\gexec\n"
            "SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'owner')"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec",
            name=database,
            owner=owner,
        )
        self.allow_login(owner)

    def allow_login(self, role: str) -> None:
        """Let the existing `role` log in, with a password of its own."""
        self.sql(ALLOW_LOGIN, role=role, password=self.password(role))

    def sql(self, script: str, *, database: str = "postgres", **variables: str) -> str:
        """Run a psql script as the superuser; `:'name'` in it stands for a variable, quoted. Returns bare rows."""
        return psql(self.url(self.SUPERUSER, database), script, **variables)

    def _data_folder(self) -> Path:
        """Return the data folder: inside `folder` where the server's user can go, else under /tmp."""
        known = self._settings.get("data")
        if known is not None and Path(known).exists():
            return Path(known)
        data = self.folder / "data"
        if self._account is not None and not is_reachable(self.folder, self._account):
            data = Path(tempfile.mkdtemp(prefix="kmsq-postgres-"))
        data.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            os.chown(data, self._account.uid, self._account.gid)
        self._settings.set("data", str(data))
        return data

    def _initialise(self, data: Path) -> None:
        options = ["--username", self.SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]
        with tempfile.NamedTemporaryFile("w", prefix="kmsq-") as password_file:
            password_file.write(self.password(self.SUPERUSER) + "\n")
            password_file.flush()
            if self._account is not None:
                os.fchown(password_file.fileno(), self._account.uid, self._account.gid)
            done = subprocess.run(
                [binaries_folder() / "initdb", "-D", data, *options, "--pwfile", password_file.name, "--no-sync"],
                env=self._environment(),
                cwd=data,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            shutil.rmtree(data)
            raise ServiceError(done.stderr)
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION.format(host=HOST, port=self.port))

    def _answers(self) -> bool:
        if not accepts(self.port):
            return False
        try:
            self.sql("SELECT 1")
        except ServiceError:  # it listens already while it recovers
            return False
        return True

    @staticmethod
    def _environment() -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def psql(url: str, script: str, **variables: str) -> str:
    """Run a psql script against `url` and return bare rows, values split by `|`. Raises `ServiceError`."""
    # Passwords go through the environment and standard input: a command line shows in `ps`.
    settings = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port or 5432}"))
    done = subprocess.run(
        [binaries_folder() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", address],
        env={
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PGCONNECT_TIMEOUT": "10",
            "PGPASSWORD": unquote(parts.password or ""),
        },
        cwd="/",
        input=settings + script + "\n",
        capture_output=True,
        text=True,
        timeout=PSQL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        message = f"psql: {done.stderr.strip()}"
        raise ServiceError(message)
    return done.stdout.strip()
