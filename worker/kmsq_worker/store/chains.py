"""Audit chains: opening them, committing turns to them, reading them back."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

import asyncpg

from kmsq_worker import audit
from kmsq_worker.audit import Chain, Extension, StoredRecord
from kmsq_worker.errors import Unavailable
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import ChainRow
from kmsq_worker.wrapping import DomainKey

PARTITION_MONTHS_AHEAD = 3
READ_BATCH_RECORDS = 1_000

_COMMIT = "SELECT outcome, epoch, changed, committed_at FROM kmsq.commit_turn($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_OPEN = "SELECT kmsq.open_chain($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_RECORDS = """
    SELECT sequence, record, mac FROM kmsq.audit_records
    WHERE sequence > $1 AND chain_id = $3 ORDER BY sequence LIMIT $2
"""
_REGISTRY_RECORDS = "SELECT sequence, record, mac FROM kmsq.audit_registry WHERE sequence > $1 ORDER BY sequence LIMIT $2"
_ORPHANS = """
    SELECT count(*) FROM kmsq.audit_records AS record
    WHERE NOT EXISTS (SELECT FROM kmsq.audit_chains AS chain WHERE chain.chain_id = record.chain_id)
"""
_OPEN_ATTEMPTS = 100  # each lost attempt means that another worker opened its chain: a whole fleet can start at once


@dataclass(frozen=True, slots=True)
class Commit:
    """What `kmsq.commit_turn` answered (migrations/: its outcomes)."""

    outcome: str
    epoch: int
    changed: Sequence[str]
    committed_at: datetime


class Committer:
    """One lane's connection and chain. Every method raises `Unavailable`; after that the committer is of no use."""

    def __init__(self, *, connection: asyncpg.Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain

    async def commit(
        self, *, epoch: int, subjects: Sequence[str], deadline: datetime | None, records: Sequence[bytes]
    ) -> Commit:
        """Write the records of a turn decided at `epoch`, unless a subject changed since or `deadline` has passed."""
        new = self._chain.extend(records)
        with translated():
            row = await self._connection.fetchrow(_COMMIT, epoch, subjects, deadline, *_arguments(new))
        if row is None:  # a function with OUT parameters always returns its row
            raise Unavailable("commit_turn")
        if row["outcome"] == "committed":
            self._chain.advance(new)
        return Commit(row["outcome"], row["epoch"], row["changed"] or (), row["committed_at"])


def _arguments(new: Extension) -> tuple[UUID, int, bytes, Sequence[bytes], Sequence[bytes], bytes]:
    return new.chain_id, new.expected_sequence, new.expected_mac, new.records, new.macs, new.seal


async def append(connection: asyncpg.Connection, new: Extension) -> None:
    """
    Append records inside the caller's transaction.

    Raises `Unavailable` if the head is not the expected one or the chain's month is over: a new session opens a new one.
    """
    appended = await connection.fetchval("SELECT kmsq.append_audit($1, $2, $3, $4, $5, $6)", *_arguments(new))
    if not appended:
        raise Unavailable("audit chain closed")


async def open_chain(
    connection: asyncpg.Connection, *, domain_key: DomainKey, registry_key: DomainKey, lane: str, worker: str
) -> Chain:
    """Open a new chain for `lane` and record that in the registry chain. Raises `Unavailable`."""
    chain = Chain.begin(domain_key=domain_key, chain_id=uuid4())
    record = audit.encode_record(
        {"event": "ChainOpened", "chain": str(chain.chain_id), "lane": lane, "worker": worker},
    )
    for _attempt in range(_OPEN_ATTEMPTS):
        registry_row = await registry(connection)
        head = Chain(
            domain_key=registry_key,
            chain_id=registry_row.chain_id,
            sequence=registry_row.head_sequence,
            mac=registry_row.head_mac,
        )
        new = head.extend([record])
        with translated():
            opened = await connection.fetchval(
                _OPEN,
                chain.chain_id,
                lane,
                chain.domain_key_id,
                chain.mac,
                chain.seal,
                new.expected_sequence,
                new.expected_mac,
                record,
                new.macs[0],
                new.seal,
            )
        if opened:
            return chain
    raise Unavailable("registry chain")


async def registry(connection: asyncpg.Connection) -> ChainRow:
    """Return the registry chain's row. Raises `Unavailable`."""
    with translated():
        row = await connection.fetchrow("SELECT * FROM kmsq.audit_chains WHERE lane = $1", audit.REGISTRY_LANE)
    if row is None:
        raise Unavailable("registry chain missing")
    return ChainRow(**row)


async def ensure_partitions(connection: asyncpg.Connection) -> None:
    """Make the audit log's partitions of the months to come. Raises `Unavailable`."""
    with translated():
        await connection.execute("SELECT kmsq.ensure_audit_partitions($1)", PARTITION_MONTHS_AHEAD)


async def chains(connection: asyncpg.Connection) -> Sequence[ChainRow]:
    """Return all chains, the registry first. Raises `Unavailable`."""
    with translated():
        rows = await connection.fetch("SELECT * FROM kmsq.audit_chains ORDER BY lane <> $1, opened_at", audit.REGISTRY_LANE)
    return [ChainRow(**row) for row in rows]


async def records(connection: asyncpg.Connection, chain: ChainRow) -> AsyncGenerator[Sequence[StoredRecord]]:
    """Yield a chain's records in order, in batches. Raises `Unavailable`."""
    is_registry = chain.lane == audit.REGISTRY_LANE
    after = 0
    while True:
        with translated():
            if is_registry:
                rows = await connection.fetch(_REGISTRY_RECORDS, after, READ_BATCH_RECORDS)
            else:
                rows = await connection.fetch(_RECORDS, after, READ_BATCH_RECORDS, chain.chain_id)
        if not rows:
            return
        yield [StoredRecord(**row) for row in rows]
        after = rows[-1]["sequence"]


async def orphaned_records(connection: asyncpg.Connection) -> int:
    """Count records whose chain's row is gone. Raises `Unavailable`."""
    with translated():
        return int(await connection.fetchval(_ORPHANS))


async def month_exists(connection: asyncpg.Connection, month: date) -> bool:
    """Tell whether the partition of `month` is there: an operator may have dropped it. Raises `Unavailable`."""
    with translated():
        return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"kmsq.audit_records_{month:%Y_%m}"))
