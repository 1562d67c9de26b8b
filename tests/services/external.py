"""Services that someone else runs, named by `KMSQ_AMQP_URL` and `KMSQ_DATABASE_URL`: used, never started or stopped."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from services.node import Settings
from services.postgres import ALLOW_LOGIN, psql


class ExternalBroker:
    """A broker whose users are not ours to make: the one we were given is administrator, worker and producer in one."""

    def __init__(self, url: str) -> None:
        self.administrator_url = url

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours to stop."""

    def user(self, _wanted: str) -> str:
        """Return the one user that there is."""
        return unquote(urlsplit(self.administrator_url).username or "")

    def admit(self, _user: str, _commands: Iterable[str]) -> str:
        """Return the one URL there is."""
        return self.administrator_url


class ExternalDatabase:
    """A database whose URL belongs to its owner, who may create roles; those get passwords drawn here."""

    def __init__(self, url: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._url = url
        self._owner = ""
        self._settings = Settings(folder / "node.json")

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours to stop."""

    def provide(self, _database: str, owner: str) -> None:
        """Take the given database and its owner for what is wanted."""
        self._owner = owner

    def url(self, role: str, _database: str) -> str:
        """URL of the given database for `role`."""
        if role == self._owner:
            return self._url
        parts = urlsplit(self._url)
        address = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{self._settings.secret(f'role {role}')}@{address}"))

    def allow_login(self, role: str) -> None:
        """Let the existing `role` log in, with a password of its own."""
        psql(self._url, ALLOW_LOGIN, role=role, password=self._settings.secret(f"role {role}"))
