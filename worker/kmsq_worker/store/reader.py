"""Reads for the keyring and for List… operations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import NO_ACCOUNT_POLICY, AccountPolicyRow, AliasRow, DomainKeyRow, KeyRow, MaterialRow

_EPOCH = "SELECT coalesce(max(epoch), 0) FROM kmsq.change_log"
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
        Load aliases with their keys, keys with their current material, and the further materials asked for.

        The epoch is read first, in a statement of its own: rows may be newer than it says, never older.
        """
        with translated():
            epoch = int(await self._pool.fetchval(_EPOCH))
            policy = await self._pool.fetchrow("SELECT policy, revision, mac FROM kmsq.account_policy")
            alias_rows = [AliasRow(**row) for row in await self._aliases(aliases)]
            wanted_keys = {*key_ids, *(row.key_id for row in alias_rows)}
            key_rows = [KeyRow(**row) for row in await self._keys(wanted_keys)]
            wanted_materials = {*materials, *((row.key_id, row.current_material) for row in key_rows)}
            material_rows = [MaterialRow(**row) for row in await self._materials(wanted_materials)]
        policy_row = NO_ACCOUNT_POLICY if policy is None else AccountPolicyRow(**policy)
        return Loaded(epoch, policy_row, alias_rows, key_rows, material_rows)

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

    async def list_materials(self, key_id: str, after: int, limit: int) -> Sequence[MaterialRow]:
        """Return up to `limit` materials of a key by number, beyond `after`."""
        with translated():
            rows = await self._pool.fetch(
                """
                SELECT * FROM kmsq.key_material
                WHERE key_id = $1 AND material_number > $2 ORDER BY material_number LIMIT $3
                """,
                key_id,
                after,
                limit,
            )
        return [MaterialRow(**row) for row in rows]

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
        return await self._pool.fetch("SELECT * FROM kmsq.keys WHERE key_id = ANY($1)", list(key_ids))

    async def _materials(self, wanted: Collection[tuple[str, int]]) -> Sequence[asyncpg.Record]:
        if not wanted:
            return []
        key_ids, numbers = zip(*wanted, strict=True)
        return await self._pool.fetch(_MATERIALS, list(key_ids), list(numbers))
