"""What the fake knows: keys, aliases, policies; and how requests name them."""

import json
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from kmsq.errors import (
    DisabledException,
    InvalidArnException,
    InvalidMarkerException,
    KMSInvalidStateException,
    NotFoundException,
)
from kmsq_schemas.models import KeyState, RotationType

ACCOUNT = "000000000000"
REGION = "local"
ARN_PREFIX = f"arn:kmsq:kms:{REGION}:{ACCOUNT}:"
SECRET_BYTES = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FakeMaterial:
    """One key material, and how it came about."""

    created_at: datetime
    rotation: RotationType | None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(SECRET_BYTES), repr=False)
    material_id: str = field(default_factory=lambda: secrets.token_hex(32))


@dataclass(slots=True)
class FakeKey:
    """A symmetric key."""

    key_id: str
    created_at: datetime
    policy: str
    description: str = ""
    state: KeyState = KeyState.ENABLED
    deletion_at: datetime | None = None
    materials: list[FakeMaterial] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    rotation_period_days: int | None = None
    """None: it does not rotate on a schedule."""
    rotation_enabled_at: datetime | None = None

    @property
    def arn(self) -> str:
        """Its full name."""
        return f"{ARN_PREFIX}key/{self.key_id}"

    @property
    def material_id(self) -> str:
        """The id of its current material."""
        return self.materials[-1].material_id

    def require_enabled(self) -> None:
        """Raise unless the key may be used."""
        self.require_kept()
        if self.state is not KeyState.ENABLED:
            message = f"{self.arn} is disabled."
            raise DisabledException(message)

    def require_kept(self) -> None:
        """Raise when the key waits for its deletion."""
        if self.state is KeyState.PENDING_DELETION:
            message = f"{self.arn} is pending deletion."
            raise KMSInvalidStateException(message)


@dataclass(slots=True)
class FakeAlias:
    """A name for a key."""

    name: str
    key_id: str
    created_at: datetime
    updated_at: datetime

    @property
    def arn(self) -> str:
        """Its full name."""
        return ARN_PREFIX + self.name


class World:
    """All that one fake holds."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.keys: dict[str, FakeKey] = {}
        self.aliases: dict[str, FakeAlias] = {}
        self.account_policy = json.dumps({"Version": "2012-10-17", "Statement": []})

    def new_key(self, policy: str, description: str) -> FakeKey:
        """Create a key with its first material."""
        now = self.now()
        key = FakeKey(str(uuid.uuid4()), now, policy, description, materials=[FakeMaterial(now, None)])
        self.keys[key.key_id] = key
        return key

    def locate(self, name: str) -> FakeKey:
        """Find the key that a key id, key ARN, alias name or alias ARN names."""
        local = self._local(name)
        if not local.startswith("alias/"):
            return self.locate_by_id(name)
        alias = self.aliases.get(local)
        if alias is None:
            message = f"Alias {ARN_PREFIX}{local} is not found."
            raise NotFoundException(message)
        return self.keys[alias.key_id]

    def locate_by_id(self, name: str) -> FakeKey:
        """Find the key that a key id or key ARN names."""
        local = self._local(name)
        if local.startswith("alias/"):
            message = f"Invalid keyId {name}"
            raise NotFoundException(message)
        key = self.keys.get(local.removeprefix("key/"))
        if key is None:
            message = f"Key '{ARN_PREFIX}key/{local.removeprefix('key/')}' does not exist"
            raise NotFoundException(message)
        return key

    def locate_alias(self, name: str) -> FakeAlias:
        """Find an alias by its name."""
        alias = self.aliases.get(name)
        if alias is None:
            message = f"Alias {ARN_PREFIX}{name} is not found."
            raise NotFoundException(message)
        return alias

    @staticmethod
    def _local(name: str) -> str:
        if name.startswith("arn:") and not name.startswith(ARN_PREFIX):
            message = f"Invalid arn '{name}'"
            raise InvalidArnException(message)
        return name.removeprefix(ARN_PREFIX)


def page(entries: Sequence[T], marker: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Cut one page out of `entries`; return it with the marker of the next. Raises `InvalidMarkerException`."""
    start = 0
    if marker is not None:
        if not marker.isascii() or not marker.isdecimal() or int(marker) > len(entries):
            raise InvalidMarkerException("Invalid marker")
        start = int(marker)
    end = start + limit
    return entries[start:end], str(end) if end < len(entries) else None
