"""The statements of a change, all inside one transaction that holds the account's lock."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from kmsq_worker.audit import Chain
from kmsq_worker.errors import Unavailable
from kmsq_worker.store import chains
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import NO_ACCOUNT_POLICY, AccountPolicyRow
from kmsq_worker.store.tables import Tables

_LOCK = "SELECT pg_advisory_xact_lock(kmsq.account_lock())"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(kmsq.account_lock())"

_SELECT_OUTCOME = """
    SELECT digest, reply_type, reply_body, seal FROM kmsq.change_requests WHERE principal = $1 AND message_id = $2
"""
_UPDATE_OUTCOME = """
    UPDATE kmsq.change_requests SET reply_type = $3, reply_body = $4, seal = $5
    WHERE principal = $1 AND message_id = $2
"""
_FORGET_EXPIRED = """
    DELETE FROM kmsq.change_requests WHERE (principal, message_id) IN (
        SELECT principal, message_id FROM kmsq.change_requests
        WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
"""
FORGET_BATCH = 5_000  # claims; far less than a statement's time allows
_SITUATION = """
    SELECT clock_timestamp() AS clock, (SELECT coalesce(max(epoch), 0) FROM kmsq.change_log) AS epoch, policy.*
    FROM (SELECT true) AS always LEFT JOIN kmsq.account_policy AS policy ON true
"""


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """How a change ended when it was first asked for. `digest` recognises the request, `seal` covers it all."""

    digest: bytes
    reply_type: str
    reply_body: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Situation:
    """The database's clock, the account's epoch and its policy as a change finds them."""

    clock: datetime
    epoch: int
    account_policy: AccountPolicyRow


class Transaction(Tables):
    """One change's transaction. Every method raises `Unavailable`; the transaction is then rolled back."""

    def __init__(self, *, connection: asyncpg.Connection, chain: Chain) -> None:
        super().__init__(connection=connection)
        self._chain = chain

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """Undo what is inside if it raises, and keep the transaction."""
        with translated():
            async with self._connection.transaction():
                yield

    async def claim(
        self, principal: str, message_id: UUID, digest: bytes, expires_at: datetime
    ) -> StoredOutcome | None:
        """
        Claim `(principal, message_id)` for this change; return the stored outcome if it was claimed before.

        A concurrent claim of the same pair waits here until the other transaction has ended.
        """
        with translated():
            claimed = await self._connection.fetchval(
                """
                INSERT INTO kmsq.change_requests (principal, message_id, digest, expires_at) VALUES ($1, $2, $3, $4)
                ON CONFLICT DO NOTHING RETURNING true
                """,
                principal,
                message_id,
                digest,
                expires_at,
            )
            if claimed:
                return None
            row = await self._connection.fetchrow(
                _SELECT_OUTCOME,
                principal,
                message_id,
            )
        if row is None:  # nobody but this role deletes claims, and then only long after their deadline
            raise Unavailable("claim vanished")
        return StoredOutcome(**row)

    async def store_outcome(self, principal: str, message_id: UUID, outcome: StoredOutcome) -> None:
        """Store how the change ended."""
        with translated():
            await self._connection.execute(
                _UPDATE_OUTCOME, principal, message_id, outcome.reply_type, outcome.reply_body, outcome.seal
            )

    async def disclaim(self, principal: str, message_id: UUID) -> None:
        """Give up the claim: the outcome is a retryable error, and the next attempt starts anew."""
        with translated():
            await self._connection.execute(
                "DELETE FROM kmsq.change_requests WHERE principal = $1 AND message_id = $2", principal, message_id
            )

    async def situation(self) -> Situation:
        """Read what every change needs first. The epoch is final while this transaction holds the exclusive lock."""
        with translated():
            row = await self._connection.fetchrow(_SITUATION)
        if row is None:  # the query always returns its row
            raise Unavailable("situation")
        policy = NO_ACCOUNT_POLICY
        if row["policy"] is not None:
            policy = AccountPolicyRow(policy=row["policy"], revision=row["revision"], mac=row["mac"])
        return Situation(row["clock"], row["epoch"], policy)

    async def log_changes(self, epoch: int, subjects: Iterable[str]) -> None:
        """Raise the account's epoch to `epoch` and name what changed."""
        with translated():
            await self._connection.execute(
                "INSERT INTO kmsq.change_log (epoch, subject) SELECT $1, unnest($2::text[])", epoch, list(subjects)
            )

    async def append(self, record: bytes) -> None:
        """Append the change's audit record; the chain's head in memory moves when `committed` is called."""
        self._extension = self._chain.extend([record])
        with translated():
            await chains.append(self._connection, self._extension)

    def committed(self) -> None:
        """Move the chain's head in memory behind the record that is now committed."""
        self._chain.advance(self._extension)


class Changes:
    """The connection and the chain of the lane that makes changes, one at a time."""

    def __init__(self, *, connection: asyncpg.Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain

    @asynccontextmanager
    async def transaction(self, *, exclusive: bool) -> AsyncGenerator[Transaction]:
        """
        Hold a transaction and the account's lock: exclusive for what alters something, shared for what only adds.

        Raises `Unavailable`, also when the outcome of the commit is unknown: the claim decides when it comes again.
        """
        change = Transaction(connection=self._connection, chain=self._chain)
        with translated():
            transaction = self._connection.transaction()  # this alone raises, too, once the connection is closed
            await transaction.start()
            await self._connection.execute(_LOCK if exclusive else _LOCK_SHARED)
        try:
            yield change
        except Exception:
            # Not on CancelledError: the session is ending and its connection with it, which rolls back, too.
            with translated():
                await transaction.rollback()
            raise
        with translated():
            await transaction.commit()
        change.committed()

    async def forget_expired(self) -> None:
        """Delete claims whose time is over, a batch of them. Raises `Unavailable`."""
        with translated():
            await self._connection.execute(_FORGET_EXPIRED, FORGET_BATCH)
