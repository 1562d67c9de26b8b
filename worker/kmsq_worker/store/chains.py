"""Audit chains: opening them, and committing turns to them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

import asyncpg

from kmsq_worker import audit
from kmsq_worker.audit import Chain, Extension
from kmsq_worker.errors import Unavailable
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import ChainRow
from kmsq_worker.wrapping import DomainKey

PARTITION_MONTHS_AHEAD = 3

_COMMIT = "SELECT outcome, epoch, changed, committed_at FROM kmsq.commit_turn($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_OPEN = "SELECT kmsq.open_chain($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
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
        self._lock = asyncio.Lock()

    async def commit(
        self, *, epoch: int, subjects: Sequence[str], deadline: datetime | None, records: Sequence[bytes]
    ) -> Commit:
        """Write the records of a turn decided at `epoch`, unless a subject changed since or `deadline` has passed."""
        async with self._lock:
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
    for _attempt in range(_OPEN_ATTEMPTS):
        registry_row = await registry(connection)
        with translated():
            month: date = await connection.fetchval("SELECT kmsq.audit_month()")
        record = audit.opening_record(chain_id=chain.chain_id, lane=lane, month=month, worker=worker)
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
                month,
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


async def begin(connection: asyncpg.Connection, chain: Chain, worker: str) -> None:
    """Write the chain's first record. Raises `Unavailable`."""
    first = chain.extend([audit.encode_record({"event": audit.SESSION_BEGAN, "worker": worker})])
    with translated():
        await append(connection, first)
    chain.advance(first)


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
