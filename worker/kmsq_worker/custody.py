"""
Who may vouch for a row: domain keys, row MACs, wrapped material.

Everything that comes out of the database passes through here before it is believed. What does not verify raises
`Tampered`, never a softer error: nothing but an edit by hand, a fault on disk or the wrong database explains it.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import TypeVar
from uuid import UUID

from kmsq_schemas.models.enums import KeyState
from kmsq_worker import aliased, envelope, granted
from kmsq_worker.arn import Account
from kmsq_worker.errors import LimitExceededException, MalformedPolicyDocumentException
from kmsq_worker.granted import NO_GRANTS, Granted
from kmsq_worker.policy.access import Value
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.rootkey import RootKey, RootKeyError
from kmsq_worker.rowmac import DOMAIN_KEY_ID_BYTES, MAC_BYTES, RowMacMismatch, mac_domain_key
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import (
    AccountPolicyRow,
    AliasRow,
    DomainKeyRow,
    GrantRow,
    ImportedRow,
    KeyRow,
    MaterialRow,
)
from kmsq_worker.wrapping import Binding, DomainKey, UnwrapError, wrapped_by

MATERIAL_PURPOSE = "key-material"
USABLE_STATES = frozenset({KeyState.ENABLED, KeyState.DISABLED})

Row = KeyRow | AliasRow | AccountPolicyRow | GrantRow | ImportedRow
AnyRow = TypeVar("AnyRow", KeyRow, AliasRow, AccountPolicyRow, GrantRow, ImportedRow)

_TABLES: Mapping[type[Row], str] = {
    KeyRow: "kmsq.keys",
    AliasRow: "kmsq.aliases",
    AccountPolicyRow: "kmsq.account_policy",
    GrantRow: "kmsq.grants",
    ImportedRow: "kmsq.imported_material",
}


class Tampered(Exception):
    """A row is not as this service wrote it. `subject` names it; nothing of its content is told."""

    def __init__(self, subject: str, what: str) -> None:
        super().__init__(f"{subject}: {what}")
        self.subject = subject
        self.what = what


@dataclass(frozen=True, slots=True)
class Key:
    """A key whose row was verified."""

    row: KeyRow
    arn: str
    policy: Policy
    conditions: Mapping[str, Value]
    """What policies may ask about the key (`ConditionKey`)."""
    grants: Granted = NO_GRANTS
    aliases: tuple[str, ...] | None = None
    """The names of its aliases; None if they are unknown, which every condition on them takes for the worst."""

    @property
    def key_id(self) -> str:
        """The key's id."""
        return self.row.key_id

    def as_of(self, moment: int) -> "Key":
        """
        Return the key as it is at `moment`, Unix milliseconds.

        With expired material it is pending import, before the scheduler has destroyed the material, too.
        """
        row = self.row
        if row.valid_to is None or row.valid_to.timestamp() * 1000 > moment or row.key_state not in USABLE_STATES:
            return self
        return replace(self, row=replace(row, key_state=KeyState.PENDING_IMPORT))


class Custody:
    """The domain keys of one session, and what they authenticate and unwrap."""

    def __init__(
        self,
        *,
        account: Account,
        root_key: RootKey,
        load: Callable[[Collection[UUID] | None], Awaitable[Sequence[DomainKeyRow]]],
    ) -> None:
        self.account = account
        self._root_key = root_key
        self._load = load
        self._domain_keys: dict[UUID, DomainKey] = {}
        self._current: DomainKey | None = None

    async def unlock(self) -> None:
        """Unwrap all domain keys; the newest wraps and authenticates from now on. Raises `RootKeyError`."""
        for row in await self._load(None):
            self._current = self._adopt(row)

    @property
    def current(self) -> DomainKey:
        """The domain key for what is written now."""
        if self._current is None:
            raise Tampered("domain-keys", "none")
        return self._current

    def domain_key(self, domain_key_id: UUID) -> DomainKey:
        """Return a domain key that `fetch_missing` made known. Raises `Tampered`."""
        found = self._domain_keys.get(domain_key_id)
        if found is None:
            subject = f"domain-key:{domain_key_id}"
            raise Tampered(subject, "unknown")
        return found

    async def fetch_missing(self, rows: Iterable[Row | MaterialRow]) -> None:
        """
        Load the domain keys that these rows name and nobody knows yet: another worker may have made one.

        One that the root key does not unwrap stays unknown, and `verify` refuses the rows that name it.
        """
        named = {domain_key_id for row in rows if (domain_key_id := _domain_key_of(row)) is not None}
        if missing := named - self._domain_keys.keys():
            for row in await self._load(missing):
                with suppress(RootKeyError):
                    self._adopt(row)

    def authenticate(self, row: AnyRow) -> AnyRow:
        """Return the row with its MAC."""
        return authenticate(self.current, row)

    def verify(self, row: Row, subject: str) -> None:
        """Raise `Tampered` unless the row's MAC is right."""
        domain_key_id = _domain_key_of(row)
        if domain_key_id is None:
            raise Tampered(subject, "no MAC")
        domain_key = self._domain_keys.get(domain_key_id)
        if domain_key is None:
            raise Tampered(subject, "unknown domain key")
        try:
            domain_key.verify_row_mac(row.mac, _TABLES[type(row)], row.columns())
        except RowMacMismatch as error:
            raise Tampered(subject, "row MAC") from error

    def open_key(self, row: KeyRow, grants: Sequence[GrantRow] = (), alias_names: Sequence[str] = ()) -> Key:
        """Return the verified key; `grants` and `alias_names` are all of its. Raises `Tampered`."""
        self.verify(row, key_subject(row.key_id))
        aliases = _open_aliases(row, alias_names)
        return Key(
            grants=self._open_grants(row, grants),
            row=row,
            arn=self.account.key_arn(row.key_id),
            policy=self._policy(row.policy, key_subject(row.key_id)),
            conditions=_conditions(row, aliases),
            aliases=aliases,
        )

    def _open_grants(self, row: KeyRow, grants: Sequence[GrantRow]) -> Granted:
        subject = key_subject(row.key_id)
        if granted.digest(grants) != row.grants_digest:
            raise Tampered(subject, "grants were added or removed")
        for grant in grants:
            self.verify(grant, subject)
        return Granted(grants) if grants else NO_GRANTS

    def open_account_policy(self, row: AccountPolicyRow) -> Policy:
        """Return the verified account policy. Raises `Tampered`."""
        self.verify(row, ACCOUNT_POLICY_SUBJECT)
        return self._policy(row.policy, ACCOUNT_POLICY_SUBJECT)

    def wrap(self, material: Secret, row: KeyRow, number: int) -> bytes:
        """Wrap a key's material `number` for storage."""
        return self.current.wrap(material, _binding(row, number))

    def unwrap(self, material: MaterialRow, row: KeyRow) -> Secret:
        """Unwrap a key's material. Raises `Tampered`."""
        if material.wrapped is None:
            raise Tampered(key_subject(row.key_id), f"material {material.material_number} is gone")
        try:
            domain_key = self.domain_key(wrapped_by(material.wrapped))
            secret = domain_key.unwrap(material.wrapped, _binding(row, material.material_number))
        except (UnwrapError, Tampered) as error:
            raise Tampered(key_subject(row.key_id), f"material {material.material_number} does not unwrap") from error
        if envelope.material_id(secret, row.key_id) != material.material_id:
            raise Tampered(key_subject(row.key_id), f"material {material.material_number} has another id")
        return secret

    def digest(self, request: bytes) -> bytes:
        """Return a keyed digest that recognises a request: domain key id (16 bytes) ‖ HMAC (32 bytes)."""
        return self.current.id.bytes + self.current.idempotency_mac(request)

    def is_digest(self, digest: bytes, request: bytes) -> bool:
        """Tell whether `digest` is that of `request`, whichever domain key it was made under."""
        if len(digest) != MAC_BYTES:
            return False
        domain_key = self._domain_keys.get(mac_domain_key(digest))
        return domain_key is not None and compare_digest(
            digest[DOMAIN_KEY_ID_BYTES:], domain_key.idempotency_mac(request)
        )

    def _adopt(self, row: DomainKeyRow) -> DomainKey:
        known = self._domain_keys.get(row.domain_key_id)
        if known is None:
            known = DomainKey(row.domain_key_id, self._root_key.unwrap(row.wrapped, row.domain_key_id))
            self._domain_keys[row.domain_key_id] = known
        return known

    @staticmethod
    def _policy(text: str, subject: str) -> Policy:
        try:
            return parse(text)
        except (MalformedPolicyDocumentException, LimitExceededException) as error:
            raise Tampered(subject, "policy does not parse") from error


ACCOUNT_POLICY_SUBJECT = "account-policy"


def authenticate(domain_key: DomainKey, row: AnyRow) -> AnyRow:
    """Return the row with its MAC under `domain_key`."""
    return replace(row, mac=domain_key.row_mac(_TABLES[type(row)], row.columns()))


def key_subject(key_id: str) -> str:
    """Name a key in the change log."""
    return f"key:{key_id}"


def imported_subject(row: ImportedRow) -> str:
    """Name what is said of imported material, in the audit log."""
    return f"imported:{row.key_id}/{row.material_number}"


def alias_subject(alias_name: str) -> str:
    """Name an alias in the change log."""
    return f"alias:{alias_name}"


def _open_aliases(row: KeyRow, names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names, which nobody has verified yet, if they are what the verified row says; None if it says nothing."""
    if not row.aliases_digest:
        return None
    if aliased.digest(names) != row.aliases_digest:
        raise Tampered(key_subject(row.key_id), "aliases were added or removed")
    return tuple(names)


def _conditions(row: KeyRow, aliases: tuple[str, ...] | None) -> Mapping[str, Value]:
    known: dict[str, Value] = {
        ConditionKey.KEY_SPEC: row.key_spec,
        ConditionKey.KEY_USAGE: row.key_usage,
        ConditionKey.KEY_ORIGIN: row.origin,
        ConditionKey.MULTI_REGION: row.multi_region,
        ConditionKey.RESOURCE_TAG: json.loads(row.tags),
    }
    if aliases is not None:
        known[ConditionKey.RESOURCE_ALIASES] = aliases
    return known


def _binding(row: KeyRow, number: int) -> Binding:
    return Binding(
        key_id=row.key_id,
        material_number=number,
        key_spec=row.key_spec,
        origin=row.origin,
        purpose=MATERIAL_PURPOSE,
    )


def _domain_key_of(row: Row | MaterialRow) -> UUID | None:
    """Return the domain key that a row names; None when its MAC or wrapped value is not even well formed."""
    try:
        if isinstance(row, MaterialRow):
            return None if row.wrapped is None else wrapped_by(row.wrapped)
        return mac_domain_key(row.mac)
    except (UnwrapError, RowMacMismatch):
        return None
