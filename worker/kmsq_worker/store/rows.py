"""Rows as they lie in the tables. `columns()` is what a row's MAC covers."""

import dataclasses
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


class _Authenticated:
    """A row with a `mac` over all its other columns."""

    __slots__ = ()

    def columns(self) -> dict[str, object]:
        """Everything the MAC covers: every column except `mac` itself."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "mac"}  # type: ignore[arg-type]  # every subclass is a dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow(_Authenticated):
    """kmsq.keys."""

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
    multi_region: bool = False
    custom_key_store_id: str | None = None
    grants_digest: bytes = b""
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
    wrapped: bytes
    rotation_type: str | None = None
    created_at: datetime


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
