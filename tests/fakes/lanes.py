"""What a lane writes to and answers through, in memory. Everything that happens is told to a list, in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

from fakes.database import MOMENT, Database
from fakes.tables import FakeTables
from kmsq_worker.audit import Chain
from kmsq_worker.errors import Unavailable
from kmsq_worker.ports import Delivery, Fate, OutgoingReply
from kmsq_worker.store.chains import Commit, Committer
from kmsq_worker.store.changes import Changes, Situation, StoredOutcome, Transaction

Events = list[tuple[str, object]]
"""(what, of what): `committed` record, `replied` correlation id, `buried` tag, `acknowledged` tag."""


class FakeCommitter(Committer):
    """
    Commits as `kmsq.commit_turn` does.

    `before` are called one by one, each before a commit is tried: they may change the database, or raise. `outcomes`
    come instead of a commit: `behind`, `expired` or `closed`.
    """

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self.before: deque[Callable[[], object]] = deque()
        self.outcomes: deque[str] = deque()
        self.clock = MOMENT
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(
        self, *, epoch: int, subjects: Sequence[str], deadline: datetime | None, records: Sequence[bytes]
    ) -> Commit:
        """Commit, or say why not."""
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.before:
            self.before.popleft()()
        changed = self._database.changed_since(epoch)
        outcome = "committed"
        if self.outcomes:
            outcome = self.outcomes.popleft()
        elif set(changed) & set(subjects):
            outcome = "stale"
        elif deadline is not None and self.clock > deadline:
            outcome = "expired"
        if outcome == "committed":
            self._events += [("committed", record) for record in records]
        await asyncio.sleep(0)
        return Commit(outcome, max(epoch, self._database.epoch), () if outcome == "behind" else changed, self.clock)


class FakeBroker:
    """Takes replies, dead letters and acknowledgements. `undeliverable` are routing keys that nobody listens to."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.replies: list[OutgoingReply] = []
        self.buried: list[tuple[Delivery, str]] = []
        self.acknowledged: list[int] = []
        self.undeliverable: set[str] = set()
        self.is_away = False
        self.takes = asyncio.Event()
        """Cleared, the broker lets everybody wait for their confirms."""
        self.takes.set()

    async def publish(self, replies: Sequence[OutgoingReply]) -> Sequence[Fate]:
        """Publish: each reply takes a moment."""
        fates = []
        await self.takes.wait()
        for reply in replies:
            await asyncio.sleep(0)
            if self.is_away:
                raise Unavailable("away")
            self.replies.append(reply)
            self._events.append(("replied", reply.correlation_id))
            fates.append(Fate.UNDELIVERABLE if reply.routing_key in self.undeliverable else Fate.DELIVERED)
        await asyncio.sleep(0)
        return fates

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Publish a dead letter."""
        await asyncio.sleep(0)
        self.buried.append((delivery, reason))
        self._events.append(("buried", delivery.tag))

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge."""
        await asyncio.sleep(0)
        for delivery in deliveries:
            self.acknowledged.append(delivery.tag)
            self._events.append(("acknowledged", delivery.tag))


class FakeMarks:
    """Marks of suspects."""

    def __init__(self) -> None:
        self.marks: dict[bytes, int] = {}

    async def mark_suspect(self, digest: bytes) -> int:
        """Add a mark."""
        self.marks[digest] = self.marks.get(digest, 0) + 1
        return self.marks[digest]

    async def clear_suspects(self, digests: Collection[bytes]) -> None:
        """Take marks back."""
        for digest in digests:
            self.marks.pop(digest, None)


class FakeChanges(Changes):
    """Transactions one after the other; what raises inside one leaves the tables as they were."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._chain = Chain.begin(domain_key=database.domain_key, chain_id=uuid4())
        self.exclusive: list[bool] = []

    @asynccontextmanager
    async def transaction(self, *, exclusive: bool) -> AsyncGenerator[Transaction]:
        """Hold a transaction."""
        self.exclusive.append(exclusive)
        before = self._database.tables.copy()
        change = FakeTransaction(self._database)
        try:
            await asyncio.sleep(0)
            yield change
            await asyncio.sleep(0)
        except BaseException:
            self._database.tables = before
            raise
        self._events += [("committed", record) for record in change.records]

    async def forget_expired(self) -> None:
        """Forget nothing."""


class FakeTransaction(FakeTables, Transaction):
    """Alters the tables at once; savepoints put them back."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.records: list[bytes] = []

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """Undo what is inside if it raises."""
        before = self._database.tables.copy()
        try:
            yield
        except BaseException:
            self._database.tables = before
            raise

    async def claim(
        self, principal: str, message_id: UUID, digest: bytes, expires_at: datetime
    ) -> StoredOutcome | None:
        """Claim, or return what was stored."""
        claims = self._database.tables.claims
        found = claims.setdefault((principal, message_id), {"digest": digest, "expires_at": expires_at})
        if "type" not in found:
            return None
        return StoredOutcome(found["digest"], found["type"], found["body"], found["seal"])

    async def store_outcome(self, principal: str, message_id: UUID, outcome: StoredOutcome) -> None:
        """Store an outcome."""
        stored = {"type": outcome.reply_type, "body": outcome.reply_body, "seal": outcome.seal}
        self._database.tables.claims[principal, message_id] |= stored

    async def disclaim(self, principal: str, message_id: UUID) -> None:
        """Give up a claim."""
        del self._database.tables.claims[principal, message_id]

    async def situation(self) -> Situation:
        """Return how things stand."""
        return Situation(MOMENT, self._database.epoch, self._database.tables.account_policy)

    async def log_changes(self, epoch: int, subjects: Iterable[str]) -> None:
        """Raise the epoch."""
        self._database.tables.change_log += [(epoch, subject) for subject in subjects]

    async def append(self, record: bytes) -> None:
        """Keep the record until the commit."""
        self.records.append(record)
