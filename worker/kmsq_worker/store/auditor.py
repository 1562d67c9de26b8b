"""What an auditor reads: the whole audit log, and every row that it speaks of. Constant memory."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta

import asyncpg

from kmsq_worker import audit
from kmsq_worker.audit import StoredRecord
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, ChainRow, GrantRow, ImportedRow, KeyRow, MaterialRow

BATCH_ROWS = 1_000

_RECORDS = """
    SELECT sequence, record, mac FROM kmsq.audit_records
    WHERE sequence > $1 AND chain_id = $3 ORDER BY sequence LIMIT $2
"""
_REGISTRY_RECORDS = (
    "SELECT sequence, record, mac FROM kmsq.audit_registry WHERE sequence > $1 ORDER BY sequence LIMIT $2"
)
_ORPHANS = """
    SELECT count(*) FROM kmsq.audit_records AS record
    WHERE NOT EXISTS (SELECT FROM kmsq.audit_chains AS chain WHERE chain.chain_id = record.chain_id)
"""
_ALIAS_NAMES = """
    SELECT key_id, array_agg(alias_name ORDER BY alias_name) AS names FROM kmsq.aliases
    WHERE key_id = ANY($1) GROUP BY key_id
"""
_TAIL = """
    SELECT recorded_at, record FROM kmsq.audit_records WHERE recorded_at > clock_timestamp() - $2::interval
    ORDER BY recorded_at DESC, chain_id, sequence DESC LIMIT $1
"""
TAIL_WINDOWS = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=36_500))


class Auditor:
    """Reads with the auditor's role. Every method raises `Unavailable`."""

    def __init__(self, *, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Read everything as of one moment: workers go on writing meanwhile, and a head must fit its records."""
        with translated():
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                yield

    async def chains(self) -> Sequence[ChainRow]:
        """Return all chains, the registry first."""
        with translated():
            rows = await self._connection.fetch(
                "SELECT * FROM kmsq.audit_chains ORDER BY lane <> $1, opened_at", audit.REGISTRY_LANE
            )
        return [ChainRow(**row) for row in rows]

    async def records(self, chain: ChainRow) -> AsyncGenerator[Sequence[StoredRecord]]:
        """Yield a chain's records in order, in batches."""
        is_registry = chain.lane == audit.REGISTRY_LANE
        after = 0
        while True:
            with translated():
                if is_registry:
                    rows = await self._connection.fetch(_REGISTRY_RECORDS, after, BATCH_ROWS)
                else:
                    rows = await self._connection.fetch(_RECORDS, after, BATCH_ROWS, chain.chain_id)
            if not rows:
                return
            yield [StoredRecord(**row) for row in rows]
            after = rows[-1]["sequence"]

    async def orphaned_records(self) -> int:
        """Count records whose chain's row is gone."""
        with translated():
            return int(await self._connection.fetchval(_ORPHANS))

    async def has_month(self, month: date) -> bool:
        """Tell whether the partition of `month` is there: an operator may have dropped it."""
        with translated():
            return bool(
                await self._connection.fetchval(
                    "SELECT to_regclass($1) IS NOT NULL", f"kmsq.audit_records_{month:%Y_%m}"
                ),
            )

    async def tail(self, count: int) -> Sequence[dict[str, object]]:
        """Return the last records of all chains together, oldest first, each with the time it was recorded."""
        rows: Sequence[asyncpg.Record] = ()
        for window in TAIL_WINDOWS:  # a short one first: sorting a month to see its end takes its time
            with translated():
                rows = await self._connection.fetch(_TAIL, count, window)
            if len(rows) == count:
                break
        return [{"recorded_at": row["recorded_at"].isoformat(), **json.loads(row["record"])} for row in reversed(rows)]

    async def keys(self) -> AsyncGenerator[Sequence[KeyRow]]:
        """Yield all keys, in batches."""
        after = ""
        while rows := await self._batch("SELECT * FROM kmsq.keys WHERE key_id > $1 ORDER BY key_id LIMIT $2", after):
            yield [KeyRow(**row) for row in rows]
            after = rows[-1]["key_id"]

    async def materials(self, key_ids: Sequence[str]) -> Sequence[MaterialRow]:
        """Return all materials of these keys."""
        with translated():
            rows = await self._connection.fetch("SELECT * FROM kmsq.key_material WHERE key_id = ANY($1)", key_ids)
        return [MaterialRow(**row) for row in rows]

    async def grants(self, key_ids: Sequence[str]) -> Sequence[GrantRow]:
        """Return all grants of these keys."""
        with translated():
            rows = await self._connection.fetch("SELECT * FROM kmsq.grants WHERE key_id = ANY($1)", key_ids)
        return [GrantRow(**row) for row in rows]

    async def alias_names(self, key_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the names of the aliases of these keys, by key id."""
        with translated():
            rows = await self._connection.fetch(_ALIAS_NAMES, key_ids)
        return {row["key_id"]: row["names"] for row in rows}

    async def imported(self, key_ids: Sequence[str]) -> Sequence[ImportedRow]:
        """Return what is said of the imported material of these keys."""
        with translated():
            rows = await self._connection.fetch("SELECT * FROM kmsq.imported_material WHERE key_id = ANY($1)", key_ids)
        return [ImportedRow(**row) for row in rows]

    async def aliases(self) -> AsyncGenerator[Sequence[AliasRow]]:
        """Yield all aliases, in batches."""
        after = ""
        statement = "SELECT * FROM kmsq.aliases WHERE alias_name > $1 ORDER BY alias_name LIMIT $2"
        while rows := await self._batch(statement, after):
            yield [AliasRow(**row) for row in rows]
            after = rows[-1]["alias_name"]

    async def account_policy(self) -> AccountPolicyRow | None:
        """Return the account policy, unless it is gone."""
        with translated():
            row = await self._connection.fetchrow("SELECT policy, revision, mac FROM kmsq.account_policy")
        return None if row is None else AccountPolicyRow(**row)

    async def _batch(self, statement: str, after: str) -> Sequence[asyncpg.Record]:
        with translated():
            return await self._connection.fetch(statement, after, BATCH_ROWS)
