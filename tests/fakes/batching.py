"""Keys of every state and policy, blobs good and bad, and what one user gets for them: one by one, or as a batch."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import uuid4

from fakes.database import ACCOUNT, Database
from fakes.deliveries import request
from fakes.workers import turn_lane
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import ErrorReply, FailedItem, Reply, Request
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage
from kmsq_worker import envelope
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.secret import Secret

BOB: Final = ACCOUNT.user_arn("bob")
Context = dict[str, str]
Failure = tuple[str, str]
"""Code and message."""

_ALLOW: Final = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "kms:*", "Resource": "*"}
_APP: Final = "kms:EncryptionContext:app"
_NAMES: Final = "kms:EncryptionContextKeys"


def when(effect: str, operator: str, key: str, value: str) -> dict[str, Any]:
    """Return a statement on bob with a condition."""
    return {**_ALLOW, "Effect": effect, "Condition": {operator: {key: value}}}


def policy(*statements: Mapping[str, Any]) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


RULES: Final[Mapping[str, str]] = {
    "allowed": policy(_ALLOW),
    "not allowed": policy({**_ALLOW, "Action": "kms:DescribeKey"}),
    "allowed to encrypt": policy({**_ALLOW, "Action": ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptTo"]}),
    "app x allowed": policy(when("Allow", "StringEquals", _APP, "x")),
    "app x denied": policy(_ALLOW, when("Deny", "StringEquals", _APP, "x")),
    "app missing allowed": policy(when("Allow", "Null", _APP, "true")),
    "app named allowed": policy(when("Allow", "ForAnyValue:StringEquals", _NAMES, "app")),
    "stage named denied": policy(_ALLOW, when("Deny", "ForAnyValue:StringEquals", _NAMES, "stage")),
    "on same key denied": policy(_ALLOW, when("Deny", "Bool", "kms:ReEncryptOnSameKey", "true")),
    "on another key denied": policy(_ALLOW, when("Deny", "Bool", "kms:ReEncryptOnSameKey", "false")),
    "by alias allowed": policy(when("Allow", "StringLike", "kms:RequestAlias", "alias/*")),
    "left to the account": policy({**_ALLOW, "Principal": {"AWS": ACCOUNT.root_arn}}),
}
ACCOUNT_POLICIES: Final = (
    policy({**_ALLOW, "Action": "kms:ListKeys"}),
    policy(when("Allow", "StringEquals", _APP, "x"), when("Deny", "StringEquals", _APP, "y")),
)
GRANTED: Final = ("", "{}", '{"EncryptionContextEquals":{"app":"x"}}', '{"EncryptionContextSubset":{"app":"x"}}')
STATES: Final[Mapping[str, Mapping[str, Any]]] = {
    "enabled": {},
    "rotated": {"current_material": 2},
    "disabled": {"key_state": KeyState.DISABLED},
    "pending deletion": {"key_state": KeyState.PENDING_DELETION},
    "for MACs": {"key_spec": KeySpec.HMAC_256, "key_usage": KeyUsage.GENERATE_VERIFY_MAC},
}
SPOILT: Final = ("", "tag", "commitment", "version", "short", "long", "empty", "unknown key", "unknown material")


class Kind(NamedTuple):
    """One key: of `STATES`, `RULES` and `GRANTED`."""

    state: str = "enabled"
    rule: str = "allowed"
    granted: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it can encrypt."""
        return self.state in {"enabled", "rotated"}


class Sealed(NamedTuple):
    """One blob: sealed under a key's first or latest material, then spoilt as one of `SPOILT`."""

    kind: Kind
    context: Context
    spoilt: str = ""
    latest: bool = False


@dataclass
class World:
    """Keys, made when asked for, and their material."""

    database: Database
    _made: dict[Kind, str] = field(default_factory=dict)

    @classmethod
    def under(cls, account_policy: str) -> "World":
        """Return one with this account policy and no keys."""
        database = Database()
        database.change_account_policy(account_policy)
        return cls(database)

    def key_id(self, kind: Kind) -> str:
        """Return the key of a kind. Its alias is `alias/` and its id."""
        if kind not in self._made:
            row = self.database.add_key(policy=RULES[kind.rule], **STATES[kind.state])
            self._made[kind] = row.key_id
            self.database.add_alias(f"alias/{row.key_id}", row.key_id)
            if kind.granted:
                operations = ("Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
                self.database.add_grant(row.key_id, "bob", *operations, constraints=kind.granted)
        return self._made[kind]

    def blob(self, sealed: Sealed, plaintext: bytes = b"x") -> bytes:
        """Return a blob as it was sealed long ago."""
        key_id = self.key_id(sealed.kind)
        number = self.database.tables.keys[key_id].current_material if sealed.latest else 1
        header, secret = BlobHeader(key_id, number), self._secret(key_id, number)
        if sealed.spoilt == "unknown key":
            header = BlobHeader(str(uuid4()), 1)
        if sealed.spoilt == "unknown material":
            header = BlobHeader(key_id, 7)
        return _spoilt(envelope.seal(secret, header, plaintext, sealed.context), sealed.spoilt)

    def opened(self, blob: bytes | None, context: Context) -> bytes:
        """Return what is in a blob that must be of a key here, and its latest material, in this context."""
        assert blob is not None
        header = envelope.parse_header(blob)
        assert header.material_number == self.database.tables.keys[header.key_id].current_material
        return envelope.open_blob(self._secret(header.key_id, header.material_number), blob, context)

    async def ask(self, *messages: Request, content_type: ContentType = ContentType.CBOR) -> Sequence[Reply]:
        """Return what a worker that has nothing cached answers to bob."""
        lane = await turn_lane(self.database)
        return await lane.run(*(request(message, principal="bob", content_type=content_type) for message in messages))

    def _secret(self, key_id: str, number: int) -> Secret:
        custody = asyncio.run(self.database.custody())
        return custody.unwrap(self.database.tables.materials[key_id, number], self.database.tables.keys[key_id])


def failure(reply: Reply) -> Failure | None:
    """Return why a request failed, None if it did not."""
    return (reply.code, reply.message) if isinstance(reply, ErrorReply) else None


def failures(failed: Sequence[FailedItem], count: int) -> Sequence[Failure | None]:
    """Return why each of `count` items failed, None where it did not; every failure must be told once, in order."""
    assert [item.index for item in failed] == sorted({item.index for item in failed})
    found = {item.index: (item.code, item.message) for item in failed}
    return [found.get(index) for index in range(count)]


def _spoilt(blob: bytes, how: str) -> bytes:
    places = {"tag": -1, "commitment": 50, "version": 0}
    if how in places:
        changed = bytearray(blob)
        changed[places[how]] ^= 1
        return bytes(changed)
    return {"short": blob[:98], "long": blob + bytes(7000), "empty": b""}.get(how, blob)
