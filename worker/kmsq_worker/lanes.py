"""The lanes of a session, each with its own connection and audit chain, and what works in the background."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from kmsq_schemas.operations import Queue
from kmsq_worker.audit import Chain
from kmsq_worker.broker import Broker
from kmsq_worker.change import ChangeLoop
from kmsq_worker.change_execution import Rules
from kmsq_worker.custody import Custody
from kmsq_worker.decode import Clock
from kmsq_worker.health import Health
from kmsq_worker.inbox import Inbox
from kmsq_worker.keyring import Keyring, Revisions
from kmsq_worker.last_use import LastUses
from kmsq_worker.outbox import Outbox
from kmsq_worker.rootkey import RootKey
from kmsq_worker.scheduler import Scheduler
from kmsq_worker.settings import Settings
from kmsq_worker.store import chains
from kmsq_worker.store.chains import Committer
from kmsq_worker.store.changes import Changes
from kmsq_worker.store.connection import Connection, connected
from kmsq_worker.store.due import Due
from kmsq_worker.store.reader import Reader
from kmsq_worker.suspects import Suspects
from kmsq_worker.telemetry import Telemetry
from kmsq_worker.turn import TurnLoop

SLOW_TURN_MAX = 4  # requests: all of a turn wait for the last, and a key pair can take a second
BATCH_TURN_MAX = 4  # requests of up to 10,000 items: while one turn commits, the next is at work
BATCH_PRINCIPAL_MAX = 24  # of the batch queue's prefetch
SLOW_PRINCIPAL_MAX = 200  # of the slow queue's prefetch: nobody fills it alone, so that the inbox sees the others
SCHEDULER_LANE = "scheduler"


class Loop(Protocol):
    """A lane's work, which ends when its inbox is closed and empty; or work in the background, which never ends."""

    async def run(self) -> None:
        """Work. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What outlives sessions."""

    name: str
    settings: Settings
    root_key: RootKey
    revisions: Revisions
    clock: Clock
    telemetry: Telemetry
    health: Health
    reached: Callable[[str], None]


def inbox_of(queue: Queue, settings: Settings) -> Inbox:
    """Build the inbox of a queue."""
    most = {Queue.SLOW: SLOW_PRINCIPAL_MAX, Queue.BATCH: BATCH_PRINCIPAL_MAX}.get(queue, settings.principal_max)
    return Inbox(principal_max=min(most, settings.principal_max))


def turn_max_of(queue: Queue, settings: Settings) -> int:
    """Return how many requests of a queue share a turn."""
    most = {Queue.SLOW: SLOW_TURN_MAX, Queue.BATCH: BATCH_TURN_MAX}.get(queue, settings.turn_max)
    return min(most, settings.turn_max)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane's own connection and chain: each has one writer."""

    committer: Committer
    changes: Changes


@asynccontextmanager
async def lane(worker: Worker, queue: Queue, custody: Custody) -> AsyncGenerator[Lane]:
    """Hold a queue's connection and chain."""
    makes_changes = queue is Queue.ADMIN
    async with _connected(worker, changes=makes_changes) as connection:
        chain = await _chain(worker, custody, queue.name.lower(), connection)
        changes = Changes(connection=connection, chain=chain)
        if makes_changes:
            await changes.forget_expired()
        yield Lane(Committer(connection=connection, chain=chain), changes)


@asynccontextmanager
async def scheduler(worker: Worker, custody: Custody) -> AsyncGenerator[Scheduler]:
    """Hold a connection for the scheduler; its chain is opened once the scheduler's turn has come, if ever."""
    async with _connected(worker, changes=True) as connection:

        async def open_changes() -> Changes:
            return Changes(connection=connection, chain=await _chain(worker, custody, SCHEDULER_LANE, connection))

        yield Scheduler(
            due=Due(connection=connection),
            open_changes=open_changes,
            custody=custody,
            revisions=worker.revisions,
            telemetry=worker.telemetry,
            reached=worker.reached,
            interval_seconds=worker.settings.scheduler_seconds,
        )


@asynccontextmanager
async def _connected(worker: Worker, *, changes: bool) -> AsyncGenerator[Connection]:
    """Hold a connection, of the role that may change if it makes `changes`."""
    url = worker.settings.changes_database_url if changes else None
    async with connected(url or worker.settings.database_url) as connection:
        yield connection


async def _chain(worker: Worker, custody: Custody, lane_name: str, connection: Connection) -> Chain:
    registry = await chains.registry(connection)
    chain = await chains.open_chain(
        connection,
        domain_key=custody.current,
        registry_key=custody.domain_key(registry.domain_key_id),
        lane=lane_name,
        worker=worker.name,
    )
    await chains.begin(connection, chain, worker.name)
    return chain


def outbox(worker: Worker, broker: Broker) -> Outbox:
    """Build what answers, for all lanes of a session."""
    return Outbox(
        replies=broker, settler=broker, clock=worker.clock, telemetry=worker.telemetry, reached=worker.reached
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of a session share."""

    worker: Worker
    custody: Custody
    keyring: Keyring
    reader: Reader
    outbox: Outbox
    suspects: Suspects
    last_uses: LastUses

    def loop(self, queue: Queue, inbox: Inbox, mine: Lane) -> Loop:
        """Build the lane of a queue."""
        worker, settings = self.worker, self.worker.settings
        if queue is Queue.ADMIN:
            return ChangeLoop(
                lane=queue.name.lower(),
                inbox=inbox,
                custody=self.custody,
                changes=mine.changes,
                revisions=worker.revisions,
                rules=Rules(
                    administrators=frozenset(map(self.custody.account.user_arn, settings.administrators)),
                    on_demand_rotations=settings.on_demand_rotations,
                ),
                outbox=self.outbox,
                suspects=self.suspects,
                clock=worker.clock,
                telemetry=worker.telemetry,
                reached=worker.reached,
            )
        return TurnLoop(
            lane=queue.name.lower(),
            inbox=inbox,
            keyring=self.keyring,
            custody=self.custody,
            reader=self.reader,
            committer=mine.committer,
            outbox=self.outbox,
            suspects=self.suspects,
            clock=worker.clock,
            telemetry=worker.telemetry,
            turn_max=turn_max_of(queue, settings),
            used=self.last_uses.note,
            reached=worker.reached,
        )
