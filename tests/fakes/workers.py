"""Lanes of a worker, whole but for broker and database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fakes.database import ACCOUNT, Database
from fakes.deliveries import now
from fakes.keyrings import Ring, ring
from fakes.lanes import Events, FakeBroker, FakeChanges, FakeCommitter, FakeMarks
from kmsq_schemas.codec import ContentType, decode
from kmsq_schemas.models import ErrorReply, Reply
from kmsq_schemas.operations import SPECS, Operation
from kmsq_worker import turn
from kmsq_worker.change import ChangeLoop
from kmsq_worker.change_execution import Rules
from kmsq_worker.execution import TurnExecution
from kmsq_worker.inbox import Inbox
from kmsq_worker.item import Turn
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations import TURN_OPERATIONS, TurnOperation
from kmsq_worker.outbox import Outbox
from kmsq_worker.ports import Delivery, OutgoingReply
from kmsq_worker.suspects import Suspects
from kmsq_worker.telemetry import Telemetry
from kmsq_worker.turn import TurnLoop


@dataclass
class Lane:
    """What a lane is given, and what it did with it."""

    loop: TurnLoop | ChangeLoop
    inbox: Inbox
    broker: FakeBroker
    committer: FakeCommitter
    changes: FakeChanges
    ring: Ring
    marks: FakeMarks
    telemetry: Telemetry
    events: Events
    steps: list[str] = field(default_factory=list)
    """What `reached` was told."""
    used: list[Turn] = field(default_factory=list)
    """The turns that were committed."""

    async def run(self, *deliveries: Delivery) -> Sequence[Reply]:
        """Let the lane deal with these, and end; return the replies in the order of the requests."""
        for delivery in deliveries:
            self.inbox.put(delivery)
        self.inbox.close()
        await self.loop.run()
        return [self.reply_to(delivery) for delivery in deliveries]

    def reply_to(self, delivery: Delivery) -> Reply:
        """Return the reply to a request."""
        sent = [reply for reply in self.broker.replies if reply.correlation_id == delivery.correlation_id]
        if len(sent) != 1:
            message = f"{len(sent)} replies"
            raise AssertionError(message)
        return read(sent[0])

    @property
    def records(self) -> Sequence[dict[str, Any]]:
        """The audit records, in order."""
        return [json.loads(str(what, "utf-8")) for event, what in self.events if isinstance(what, bytes)]

    @property
    def outcomes(self) -> Sequence[str]:
        """The outcomes in the audit records, in order."""
        return [record["outcome"] for record in self.records if "outcome" in record]


def read(sent: OutgoingReply) -> Reply:
    """Read a reply as a client would."""
    model = ErrorReply if sent.type == "Error" else SPECS[Operation(sent.type)].reply
    return decode(model, sent.body, ContentType(sent.content_type))


def code_of(reply: object) -> str:
    """Return an error's code, or the name of the reply's type."""
    return reply.code if isinstance(reply, ErrorReply) else type(reply).__name__


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Operation]:
    """Return a list that every execution of a turn's operation is written into."""
    executed: list[Operation] = []

    def counting(name: Operation, operation: TurnOperation) -> TurnOperation:
        def run(execution: TurnExecution, asked: Any) -> Any:
            executed.append(name)
            return operation.run(execution, asked)

        return TurnOperation(operation.wants, run)

    table = {name: counting(name, operation) for name, operation in TURN_OPERATIONS.items()}
    monkeypatch.setattr(turn, "TURN_OPERATIONS", table)
    return executed


async def turn_lane(database: Database, *, turn_max: int = 256, principal_max: int = 500) -> Lane:
    """Return a lane of turns, of any queue's operations but the changes'."""
    return await _lane(database, turn_max=turn_max, principal_max=principal_max)


async def change_lane(
    database: Database, *, administrators: Sequence[str] = ("root",), revisions: Revisions | None = None
) -> Lane:
    """Return the lane of changes. `administrators` are the bootstrap ones."""
    lane = await _lane(database)
    lane.loop = ChangeLoop(
        lane="admin",
        inbox=lane.inbox,
        custody=lane.ring.custody,
        changes=lane.changes,
        revisions=revisions or Revisions(),
        rules=Rules(administrators=frozenset(map(ACCOUNT.user_arn, administrators))),
        outbox=_outbox(lane.broker, lane.telemetry, lane.steps),
        suspects=Suspects(marks=lane.marks, custody=lane.ring.custody),
        clock=now,
        telemetry=lane.telemetry,
        reached=lane.steps.append,
    )
    return lane


async def _lane(database: Database, *, turn_max: int = 256, principal_max: int = 500) -> Lane:
    events: Events = []
    broker, committer, marks, telemetry = FakeBroker(events), FakeCommitter(database, events), FakeMarks(), Telemetry()
    made, inbox, steps = await ring(database), Inbox(principal_max=principal_max), list[str]()
    used: list[Turn] = []
    loop = TurnLoop(
        lane="crypto",
        inbox=inbox,
        keyring=made.keyring,
        custody=made.custody,
        reader=database.reader,
        committer=committer,
        outbox=_outbox(broker, telemetry, steps),
        suspects=Suspects(marks=marks, custody=made.custody),
        clock=now,
        telemetry=telemetry,
        turn_max=turn_max,
        used=used.append,
        reached=steps.append,
    )
    changes = FakeChanges(database, events)
    return Lane(loop, inbox, broker, committer, changes, made, marks, telemetry, events, steps, used)


def _outbox(broker: FakeBroker, telemetry: Telemetry, steps: list[str]) -> Outbox:
    return Outbox(replies=broker, settler=broker, clock=now, telemetry=telemetry, reached=steps.append)
