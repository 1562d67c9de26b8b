"""The rows of a database in memory."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, GrantRow, ImportedRow, KeyRow, LastUseRow, MaterialRow


@dataclass
class Tables:
    """Everything that a change alters."""

    account_policy: AccountPolicyRow
    keys: dict[str, KeyRow] = field(default_factory=dict)
    aliases: dict[str, AliasRow] = field(default_factory=dict)
    materials: dict[tuple[str, int], MaterialRow] = field(default_factory=dict)
    imported: dict[tuple[str, int], ImportedRow] = field(default_factory=dict)
    grants: dict[str, GrantRow] = field(default_factory=dict)
    last_uses: dict[tuple[str, int], LastUseRow] = field(default_factory=dict)
    change_log: list[tuple[int, str]] = field(default_factory=list)
    claims: dict[tuple[str, UUID], dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """Return tables that can be altered without altering these."""
        tables = Tables(*(copy(getattr(self, table.name)) for table in fields(self)))
        tables.claims = {pair: dict(claim) for pair, claim in self.claims.items()}
        return tables

    def aliases_of(self, key_id: str) -> Sequence[AliasRow]:
        """Return the aliases that point at a key, by name."""
        rows = sorted(self.aliases.values(), key=lambda row: row.alias_name)
        return [row for row in rows if row.key_id == key_id]

    def alias_names(self, key_ids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return the names of the aliases of these keys."""
        return {key_id: [row.alias_name for row in self.aliases_of(key_id)] for key_id in key_ids}
