"""
A change: an administrative request that alters a key, alias, grant or policy (DESIGN.md §3).

    1 decode      properties and body to a validated request
    2 prepare     key generation and wrapping, outside the transaction
    3 lock        the account's, exclusively: no turn commits meanwhile
    4 claim       (principal, message_id); the same request again gets the stored outcome
    5 authorize   on fresh rows
    6 effect      rows and their MACs
    7 log         what changed, at the next epoch
    8 audit       the record and the chain's head, last
    9 reply       after the commit
   10 ack

Steps 3 … 8 are one transaction. When the outcome of its commit is unknown, the request comes again and the claim
tells. CreateKey alters nothing that exists: it shares the lock and makes no epoch.
"""

import time
from collections.abc import Callable
from datetime import datetime

from kmsq_schemas.codec import encode
from kmsq_schemas.message import ERROR_TYPE
from kmsq_schemas.models import ErrorReply, Reply
from kmsq_worker.change_execution import ChangeExecution, Rules
from kmsq_worker.claim import Claim
from kmsq_worker.custody import Custody
from kmsq_worker.decode import Clock, Parsed, content_type_of, identify, parse, require_time_left
from kmsq_worker.errors import (
    ExpiredException,
    KmsError,
    Refused,
    Unavailable,
)
from kmsq_worker.execution import unexpected
from kmsq_worker.inbox import Inbox
from kmsq_worker.item import Item, lost_record
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations import CHANGE_OPERATIONS, ChangeOperation
from kmsq_worker.outbox import Outbox
from kmsq_worker.store.changes import Changes, Transaction
from kmsq_worker.suspects import Suspects
from kmsq_worker.telemetry import Telemetry

FORGET_EVERY = 1_000  # changes between two batches of forgotten claims: more are forgotten than made


class ChangeLoop:
    """The lane that makes changes, one at a time. `run` ends when its inbox is closed and empty."""

    def __init__(
        self,
        *,
        lane: str,
        inbox: Inbox,
        custody: Custody,
        changes: Changes,
        revisions: Revisions,
        rules: Rules,
        outbox: Outbox,
        suspects: Suspects,
        clock: Clock,
        telemetry: Telemetry,
        reached: Callable[[str], None],
    ) -> None:
        self._lane = lane
        self._inbox = inbox
        self._custody = custody
        self._changes = changes
        self._revisions = revisions
        self._rules = rules
        self._outbox = outbox
        self._suspects = suspects
        self._made = 0
        self._clock = clock
        self._telemetry = telemetry
        self._reached = reached

    async def run(self) -> None:
        """Make changes. Raises `Unavailable` when database or broker are lost."""
        while deliveries := await self._inbox.take(1):
            item = Item(deliveries[0])
            self._telemetry.waited(self._lane, item.delivery.arrived)
            await self._decode(item)  # (1)
            started = time.monotonic()
            committed_at = await (self._change(item) if item.is_executable else self._record(item))
            self._telemetry.turn(self._lane, 1, time.monotonic() - started)
            self._reached("committed")
            for lost in await self._outbox.reply([item], int(committed_at.timestamp() * 1000)):  # (9)
                await self._record_lost(lost.item, lost.why)
            await self._outbox.acknowledge([item])  # (10)
            await self._suspects.release(item.delivery)
            self._made += 1
            if self._made % FORGET_EVERY == 0:
                await self._changes.forget_expired()

    async def _decode(self, item: Item) -> None:
        try:
            await self._suspects.admit(item.delivery)
            item.caller = identify(item.delivery)
            item.parsed = parse(item.delivery, item.caller, self._clock())
        except (Refused, KmsError) as error:
            item.outcome = error
        else:
            item.is_executable = True

    async def _change(self, item: Item) -> datetime:
        caller, parsed = item.require_request()
        operation = CHANGE_OPERATIONS[caller.operation]
        prepared = await _prepare(caller.operation, operation, parsed, self._custody)  # (2)
        async with self._changes.transaction(exclusive=operation.exclusive) as transaction:  # (3)
            situation = await transaction.situation()
            epoch = situation.epoch
            claim = Claim.of(item, caller, parsed, self._custody)
            stored = await transaction.claim(claim.principal, claim.message_id, claim.digest, claim.expires_at)  # (4)
            if stored is not None:
                item.outcome = claim.answer(stored, self._custody, self._telemetry.tampered)
            else:
                execution = ChangeExecution(
                    custody=self._custody,
                    principal=caller.principal,
                    situation=situation,
                    transaction=transaction,
                    revisions=self._revisions,
                    rules=self._rules,
                    alarm=self._telemetry.tampered,
                )
                item.touched = execution.touched
                await self._execute(item, execution, operation, prepared)  # (5)(6)(7)
                await _settle_claim(transaction, claim, item, self._custody)
                epoch = execution.epoch if execution.changed else situation.epoch
            replayed = {"replayed": True} if stored is not None else {}
            await transaction.append(item.record(epoch=epoch, **replayed))  # (8)
        return situation.clock

    async def _execute(
        self, item: Item, execution: ChangeExecution, operation: ChangeOperation, prepared: object
    ) -> None:
        caller, parsed = item.require_request()
        if isinstance(prepared, KmsError):  # here and not before the claim, so that the refusal is stored
            item.outcome = prepared
            return
        try:
            require_time_left(parsed.deadline, execution.now)
            async with execution.transaction.savepoint():
                await execution.begin()
                item.outcome = await operation.run(execution, parsed.request, prepared)
                if execution.changed:
                    await execution.transaction.log_changes(execution.epoch, sorted(execution.changed))
                return
        except KmsError as error:
            item.outcome = error
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours is answered, too
            item.outcome = unexpected(caller.operation, error)
        execution.undo()

    async def _record(self, item: Item) -> datetime:
        """Audit a request that never came as far as a claim."""
        async with self._changes.transaction(exclusive=False) as transaction:
            situation = await transaction.situation()
            await transaction.append(item.record(epoch=situation.epoch))
        return situation.clock

    async def _record_lost(self, item: Item, why: str) -> None:
        async with self._changes.transaction(exclusive=False) as transaction:
            situation = await transaction.situation()
            await transaction.append(lost_record(item, why, {"epoch": situation.epoch}))


async def _prepare(operation_name: str, operation: ChangeOperation, parsed: Parsed, custody: Custody) -> object:
    """Return what the operation needs made beforehand, or the error that it is refused with."""
    try:
        return None if operation.prepare is None else await operation.prepare(custody, parsed.request)
    except KmsError as error:
        return error
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # as in `_execute`
        return unexpected(operation_name, error)


async def _settle_claim(transaction: Transaction, claim: Claim, item: Item, custody: Custody) -> None:
    """Store a final outcome for whoever asks again; give the claim up after one that another try may improve."""
    outcome, content_type = item.outcome, content_type_of(item.delivery)
    if isinstance(outcome, Reply):
        stored = claim.seal(custody, item.operation_name, encode(outcome, content_type))
    elif isinstance(outcome, KmsError) and not outcome.retryable and not isinstance(outcome, ExpiredException):
        answer = ErrorReply(code=outcome.code, message=outcome.message)
        stored = claim.seal(custody, ERROR_TYPE, encode(answer, content_type))
    else:
        await transaction.disclaim(claim.principal, claim.message_id)
        return
    await transaction.store_outcome(claim.principal, claim.message_id, stored)
