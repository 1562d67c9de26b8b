"""The one module that reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from kmsq_schemas import limits
from kmsq_schemas.message import is_principal
from kmsq_schemas.operations import Queue

PREFIX = "KMSQ_"
FILE_SUFFIX = "_FILE"
REDACTED = "***"
_POSTGRES = ("postgresql", "postgres")
_PASSWORD_PARAMETER = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ACCOUNT_QUEUES = ",".join(queue.name.lower() for queue in Queue)


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker is told. Each field is `KMSQ_<NAME>`; URLs may be in files named by `KMSQ_<NAME>_FILE`."""

    amqp_url: str = field(repr=False)
    """The broker, as the worker's user."""
    database_url: str = field(repr=False)
    """The database, as a member of kmsq_crypto."""
    changes_database_url: str | None = field(repr=False)
    """The database, as a member of kmsq_change; needed to serve the admin queue."""
    root_key_file: Path
    administrators: tuple[str, ...]
    """Principals that always may put the account policy and that default key policies let administer."""
    queues: tuple[Queue, ...]
    """Which queues to serve: crypto, slow, batch, read, admin."""
    turn_max: int
    """Requests a turn, at most."""
    principal_max: int
    """Requests of one principal that may wait in a worker; beyond it they get ThrottlingException."""
    on_demand_rotations: int
    """How often one key may be rotated on demand."""
    scheduler_seconds: float
    """How often to look for keys whose deletion, rotation or expiry is due; in workers that serve the admin queue."""
    drain_seconds: float
    """How long SIGTERM waits for what is in flight."""
    health_port: int
    """Where /livez, /readyz and /metrics are served; process n of several adds n. 0 switches them off."""
    health_host: str
    log_level: str

    def redacted(self) -> dict[str, object]:
        """Return all settings as text fit for eyes: passwords of URLs are hidden."""
        shown: dict[str, object] = {}
        for name in (known.name for known in fields(self)):
            value = getattr(self, name)
            shown[PREFIX + name.upper()] = _redact(value) if name.endswith("_url") else _plain(value)
        return shown


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises `SettingsError`."""
    source = Source(environment)
    settings = Settings(
        amqp_url=source.amqp_url(),
        database_url=source.database_url(),
        changes_database_url=source.optional_url("CHANGES_DATABASE_URL", schemes=_POSTGRES),
        root_key_file=source.root_key_file(),
        administrators=source.administrators(),
        queues=source.queues("QUEUES"),
        turn_max=source.integer("TURN_MAX", 256, least=1, most=1_000),
        principal_max=source.integer("PRINCIPAL_MAX", 500, least=1, most=1_000),
        on_demand_rotations=source.integer(
            "ON_DEMAND_ROTATIONS", limits.ON_DEMAND_ROTATIONS_PER_KEY, least=1, most=1_000_000
        ),
        scheduler_seconds=source.integer("SCHEDULER_SECONDS", 10, least=1, most=600),
        drain_seconds=source.integer("DRAIN_SECONDS", 20, least=1, most=600),
        health_port=source.integer("HEALTH_PORT", 8080, least=0, most=65_000),
        health_host=source.text("HEALTH_HOST", "127.0.0.1"),
        log_level=source.choice("LOG_LEVEL", "INFO", _LEVELS),
    )
    if Queue.ADMIN in settings.queues and settings.changes_database_url is None:
        message = (
            "KMSQ_CHANGES_DATABASE_URL is needed to serve the admin queue (or set KMSQ_QUEUES=crypto,slow,batch,read)"
        )
        raise SettingsError(message)
    return settings


class Source:
    """Typed access to variables, and to the files that hold secret ones."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def amqp_url(self) -> str:
        """Return the broker's URL."""
        return self.url("AMQP_URL", schemes=("amqp", "amqps"))

    def database_url(self) -> str:
        """Return the database's URL."""
        return self.url("DATABASE_URL", schemes=_POSTGRES)

    def root_key_file(self) -> Path:
        """Return the path of the root key file."""
        return Path(self.text("ROOT_KEY_FILE"))

    def administrators(self) -> tuple[str, ...]:
        """Return the names of the bootstrap administrators."""
        return self.principals("ADMINISTRATORS")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a variable's value. Raises `SettingsError` if it is not set and has no default."""
        value = self._find(name) or default
        if value is None:
            message = f"{PREFIX}{name} is not set (or {PREFIX}{name}{FILE_SUFFIX}, the path of a file that holds it)"
            raise SettingsError(message)
        return value

    def url(self, name: str, *, schemes: tuple[str, ...]) -> str:
        """Return a URL of one of `schemes`."""
        value = self.text(name)
        try:
            scheme = urlsplit(value).scheme
        except ValueError:
            scheme = ""  # its message would quote user and password
        if scheme not in schemes or "://" not in value:
            message = f"{PREFIX}{name} must be a URL that begins with {schemes[0]}://"
            raise SettingsError(message)
        return value

    def optional_url(self, name: str, *, schemes: tuple[str, ...]) -> str | None:
        """Return a URL, or None if it is not set."""
        return None if self._find(name) is None else self.url(name, schemes=schemes)

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within its range."""
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            message = f"{PREFIX}{name} must be a whole number from {least} to {most}"
            raise SettingsError(message)
        return int(value)

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Return one of `choices`."""
        value = self.text(name, default).upper()
        if value not in choices:
            message = f"{PREFIX}{name} must be one of {', '.join(choices)}"
            raise SettingsError(message)
        return value

    def principals(self, name: str) -> tuple[str, ...]:
        """Return names of broker users, separated by commas."""
        names = tuple(part.strip() for part in self.text(name, "").split(",") if part.strip())
        if not all(map(is_principal, names)):
            message = f"{PREFIX}{name} must be broker users (a-z 0-9 -), separated by commas"
            raise SettingsError(message)
        return names

    def queues(self, name: str) -> tuple[Queue, ...]:
        """Return queues, by default all."""
        names = {part.strip().upper() for part in self.text(name, _ACCOUNT_QUEUES).split(",")}
        if not names <= Queue.__members__.keys():
            message = f"{PREFIX}{name} must be some of {_ACCOUNT_QUEUES}"
            raise SettingsError(message)
        return tuple(queue for queue in Queue if queue.name in names)

    def _find(self, name: str) -> str | None:
        value = self._environment.get(PREFIX + name)
        path = self._environment.get(PREFIX + name + FILE_SUFFIX)
        if not path:
            return value or None
        if value:
            message = f"{PREFIX}{name} and {PREFIX}{name}{FILE_SUFFIX} are both set"
            raise SettingsError(message)
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            message = f"{PREFIX}{name}{FILE_SUFFIX}: {error.strerror}"
            raise SettingsError(message) from error
        except UnicodeDecodeError:
            message = f"{PREFIX}{name}{FILE_SUFFIX}: not a text"
            raise SettingsError(message) from None


def _redact(url: str | None) -> str | None:
    """Hide passwords: before the last @, whatever they hold unescaped, and in parameters, where Postgres takes them."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    user_info, at, host = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    hidden = f"{user}{colon}{REDACTED if colon else ''}{at}{host}"
    return scheme + separator + _PASSWORD_PARAMETER.sub(rf"\1{REDACTED}", hidden)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return ",".join(part.name.lower() if isinstance(part, Queue) else str(part) for part in value)
    return str(value) if isinstance(value, Path) else value
