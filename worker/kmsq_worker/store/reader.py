"""Reads for the keyring and for List… operations."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from kmsq_schemas import limits
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import (
    NO_ACCOUNT_POLICY,
    AccountPolicyRow,
    AliasRow,
    DomainKeyRow,
    GrantRow,
    ImportedRow,
    KeyRow,
    LastUseRow,
    MaterialRow,
)

_EPOCH = "SELECT coalesce(max(epoch), 0) FROM kmsq.change_log"
_KEY_COLUMNS = [field.name for field in dataclasses.fields(KeyRow)]
# In one statement, hence one snapshot: the key's row has digests of its grants and of the names of its aliases. More names
# than a key can have need not be read to see that somebody added some.
_KEYS = """
    SELECT key.*, ARRAY(
        SELECT granted FROM kmsq.grants AS granted WHERE granted.key_id = key.key_id ORDER BY granted.grant_id
    ) AS grants, ARRAY(
        SELECT alias.alias_name FROM kmsq.aliases AS alias WHERE alias.key_id = key.key_id
        ORDER BY alias.alias_name LIMIT $2
    ) AS alias_names
    FROM kmsq.keys AS key WHERE key.key_id = ANY($1)
"""
_MATERIALS = """
    SELECT material.* FROM kmsq.key_material AS material
    JOIN unnest($1::text[], $2::integer[]) AS wanted (key_id, material_number) USING (key_id, material_number)
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load found. Every row is at least as new as `epoch`."""

    epoch: int
    account_policy: AccountPolicyRow
    aliases: Sequence[AliasRow]
    keys: Sequence[KeyRow]
    materials: Sequence[MaterialRow]
    grants: Sequence[GrantRow] = ()
    alias_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each key, by its id."""


class Reader:
    """Reads with the crypto path's role. Every method raises `Unavailable`."""

    def __init__(self, *, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def epoch(self) -> int:
        """Return the account's epoch: 0 before the first change."""
        with translated():
            return int(await self._pool.fetchval(_EPOCH))

    async def load(
        self, aliases: Collection[str], key_ids: Collection[str], materials: Collection[tuple[str, int]]
    ) -> Loaded:
        """
        Load aliases with their keys, keys with their current material, grants and the names of all their aliases, and the
        further materials asked for.

        The epoch is read first, in a statement of its own: rows may be newer than it says, never older.
        """
        with translated():
            epoch = int(await self._pool.fetchval(_EPOCH))
            policy = await self._pool.fetchrow("SELECT policy, revision, mac FROM kmsq.account_policy")
            alias_rows = [AliasRow(**row) for row in await self._aliases(aliases)]
            wanted_keys = {*key_ids, *(row.key_id for row in alias_rows)}
            found = await self._keys(wanted_keys)
            key_rows = [KeyRow(**{name: row[name] for name in _KEY_COLUMNS}) for row in found]
            grant_rows = [GrantRow(**granted) for row in found for granted in row["grants"]]
            alias_names = {row["key_id"]: row["alias_names"] for row in found}
            wanted_materials = {*materials, *((row.key_id, row.current_material) for row in key_rows)}
            material_rows = [MaterialRow(**row) for row in await self._materials(wanted_materials)]
        policy_row = NO_ACCOUNT_POLICY if policy is None else AccountPolicyRow(**policy)
        return Loaded(epoch, policy_row, alias_rows, key_rows, material_rows, grant_rows, alias_names)

    async def domain_keys(self, domain_key_ids: Collection[UUID] | None = None) -> Sequence[DomainKeyRow]:
        """Return the named domain keys, or all of them; oldest first."""
        with translated():
            rows = await self._pool.fetch(
                "SELECT * FROM kmsq.domain_keys WHERE $1::uuid[] IS NULL OR domain_key_id = ANY($1) ORDER BY created_at",
                None if domain_key_ids is None else list(domain_key_ids),
            )
        return [DomainKeyRow(**row) for row in rows]

    async def list_keys(self, after: str, limit: int) -> Sequence[str]:
        """Return up to `limit` key ids in order, beyond `after`."""
        with translated():
            rows = await self._pool.fetch(
                "SELECT key_id FROM kmsq.keys WHERE key_id > $1 ORDER BY key_id LIMIT $2", after, limit
            )
        return [row["key_id"] for row in rows]

    async def list_aliases(self, key_id: str | None, after: str, limit: int) -> Sequence[AliasRow]:
        """Return up to `limit` aliases (of one key, if given) by name, beyond `after`."""
        with translated():
            rows = await self._pool.fetch(
                """
                SELECT * FROM kmsq.aliases
                WHERE alias_name > $2 AND ($1::text IS NULL OR key_id = $1) ORDER BY alias_name LIMIT $3
                """,
                key_id,
                after,
                limit,
            )
        return [AliasRow(**row) for row in rows]

    async def list_materials(
        self, key_id: str, after: int, limit: int, *, rotations_only: bool
    ) -> Sequence[MaterialRow]:
        """Return up to `limit` materials of a key (or those that a rotation made) by number, beyond `after`."""
        with translated():
            rows = await self._pool.fetch(
                """
                SELECT * FROM kmsq.key_material
                WHERE key_id = $1 AND material_number > $2 AND (rotation_type IS NOT NULL OR NOT $4)
                ORDER BY material_number LIMIT $3
                """,
                key_id,
                after,
                limit,
                rotations_only,
            )
        return [MaterialRow(**row) for row in rows]

    async def list_retirable(self, retiring_principal: str, after: str, limit: int) -> Sequence[GrantRow]:
        """Return up to `limit` grants that a principal may retire, by id, beyond `after`."""
        with translated():
            rows = await self._pool.fetch(
                """
                SELECT * FROM kmsq.grants
                WHERE retiring_principal = $1 AND grant_id > $2 ORDER BY grant_id LIMIT $3
                """,
                retiring_principal,
                after,
                limit,
            )
        return [GrantRow(**row) for row in rows]

    async def imported(self, key_id: str) -> Sequence[ImportedRow]:
        """Return what is said of a key's imported material, by number."""
        with translated():
            rows = await self._pool.fetch(
                "SELECT * FROM kmsq.imported_material WHERE key_id = $1 ORDER BY material_number", key_id
            )
        return [ImportedRow(**row) for row in rows]

    async def last_use(self, key_id: str) -> LastUseRow | None:
        """Return the newest use of a key that is on record."""
        with translated():
            row = await self._pool.fetchrow(
                """
                SELECT operation, used_at, request_id FROM kmsq.key_last_use
                WHERE key_id = $1 ORDER BY used_at DESC LIMIT 1
                """,
                key_id,
            )
        return None if row is None else LastUseRow(**row)

    async def usage_tracked_since(self) -> datetime:
        """Return since when uses of keys are recorded at all."""
        with translated():
            since: datetime = await self._pool.fetchval("SELECT usage_tracked_since FROM kmsq.account")
        return since

    async def note_last_use(self, slot: int, uses: Mapping[str, LastUseRow]) -> None:
        """Record uses, by key id; an older one than is on record changes nothing."""
        with translated():
            await self._pool.execute(
                "SELECT kmsq.note_last_use($1, $2, $3, $4, $5)",
                slot,
                list(uses),
                [use.operation for use in uses.values()],
                [use.used_at for use in uses.values()],
                [use.request_id for use in uses.values()],
            )

    async def mark_suspect(self, digest: bytes) -> int:
        """Mark a request that is about to run alone; return how many marks it has."""
        with translated():
            return int(await self._pool.fetchval("SELECT kmsq.mark_suspect($1)", digest))

    async def clear_suspects(self, digests: Collection[bytes]) -> None:
        """Take marks back."""
        with translated():
            await self._pool.execute("SELECT kmsq.clear_suspects($1)", list(digests))

    async def _aliases(self, names: Collection[str]) -> Sequence[asyncpg.Record]:
        if not names:
            return []
        return await self._pool.fetch("SELECT * FROM kmsq.aliases WHERE alias_name = ANY($1)", list(names))

    async def _keys(self, key_ids: Collection[str]) -> Sequence[asyncpg.Record]:
        if not key_ids:
            return []
        return await self._pool.fetch(_KEYS, list(key_ids), limits.ALIASES_PER_KEY + 1)

    async def _materials(self, wanted: Collection[tuple[str, int]]) -> Sequence[asyncpg.Record]:
        if not wanted:
            return []
        key_ids, numbers = zip(*wanted, strict=True)
        return await self._pool.fetch(_MATERIALS, list(key_ids), list(numbers))
