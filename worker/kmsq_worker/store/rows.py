"""Rows as they lie in the tables. `columns()` is what a row's MAC covers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

_NONE_LATER: Mapping[str, object] = MappingProxyType({})


class _Authenticated:
    """A row with a `mac` over all its other columns."""

    __slots__ = ()

    LATER: ClassVar[Mapping[str, object]] = _NONE_LATER
    """Columns that came later, with their defaults."""

    def columns(self) -> dict[str, object]:
        """
        Everything the MAC covers: every column except `mac` itself.

        A column that came later is left out while it holds its default, so that older rows stay authentic. Nothing is
        ambiguous: the default is never encoded.
        """
        names = (field.name for field in dataclasses.fields(self) if field.name != "mac")  # type: ignore[arg-type]  # every subclass is a dataclass
        covered = {name: getattr(self, name) for name in names}
        return {name: value for name, value in covered.items() if name not in self.LATER or value != self.LATER[name]}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow(_Authenticated):
    """kmsq.keys."""

    LATER: ClassVar[Mapping[str, object]] = MappingProxyType(
        {
            "tags": "{}",
            "rotation_period_days": None,
            "next_rotation_date": None,
            "expiration_model": None,
            "valid_to": None,
            "aliases_digest": b"",
        }
    )

    key_id: str
    key_spec: str
    key_usage: str
    origin: str
    key_state: str
    description: str
    policy: str
    creation_date: datetime
    deletion_date: datetime | None = None
    pending_window_days: int | None = None
    current_material: int
    """0 while a key waits for its first import."""
    multi_region: bool = False
    custom_key_store_id: str | None = None
    grants_digest: bytes = b""
    tags: str = "{}"
    """A JSON object: `operations/tags.py` reads and writes it."""
    rotation_period_days: int | None = None
    """None: no automatic rotation."""
    next_rotation_date: datetime | None = None
    expiration_model: str | None = None
    valid_to: datetime | None = None
    """When the first of the imported materials that it needs expires."""
    aliases_digest: bytes = b""
    """Of the names of its aliases (`aliased`); empty in a row that was last written before there was one."""
    revision: int
    mac: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow(_Authenticated):
    """kmsq.aliases."""

    alias_name: str
    key_id: str
    creation_date: datetime
    last_updated_date: datetime
    revision: int
    mac: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPolicyRow(_Authenticated):
    """kmsq.account_policy."""

    policy: str
    revision: int
    mac: bytes = b""


NO_ACCOUNT_POLICY = AccountPolicyRow(policy="", revision=0)
"""What stands for a policy that was deleted by hand: it has no MAC, so nobody believes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialRow:
    """kmsq.key_material. Its secret is authenticated by its wrapping, which binds everything but the dates."""

    key_id: str
    material_number: int
    material_id: str
    wrapped: bytes | None
    """None once imported material was deleted or has expired."""
    rotation_type: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow(_Authenticated):
    """kmsq.imported_material: beside each material of a key of origin EXTERNAL."""

    key_id: str
    material_number: int
    material_id: str
    import_state: str
    expiration_model: str
    valid_to: datetime | None = None
    description: str = ""
    revision: int
    mac: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow(_Authenticated):
    """kmsq.grants. The key's row holds a digest of the MACs of all its grants."""

    grant_id: str
    key_id: str
    name: str | None = None
    grantee_principal: str
    retiring_principal: str | None = None
    operations: list[str]
    constraints: str
    """A JSON object as in the API."""
    creation_date: datetime
    mac: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUseRow:
    """The newest of a key's rows in kmsq.key_last_use."""

    operation: str
    used_at: datetime
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainKeyRow:
    """kmsq.domain_keys."""

    domain_key_id: UUID
    root_key_id: str
    wrapped: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """kmsq.audit_chains."""

    chain_id: UUID
    lane: str
    month: date | None
    domain_key_id: UUID
    opened_at: datetime
    head_sequence: int
    head_mac: bytes
    head_seal: bytes
