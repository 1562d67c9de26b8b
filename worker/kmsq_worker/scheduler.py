"""
What is done when its time comes: keys are deleted, rotated, and lose imported material that expires.

One worker at a time does it: whoever holds a lock of the database, which ends with that worker's connection. Each job is
a change like any other (`change`): one transaction under the account's lock, on fresh rows, at a new epoch, with its
audit record. A worker that dies leaves the job undone and still due, for the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kmsq_worker import audit
from kmsq_worker.change_execution import ChangeExecution, Rules
from kmsq_worker.custody import Custody, Key
from kmsq_worker.errors import KmsError, Unavailable
from kmsq_worker.execution import unexpected
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations import importing, lifecycle, rotation
from kmsq_worker.store.changes import Changes, Transaction
from kmsq_worker.store.due import Due
from kmsq_worker.telemetry import LOGGER, Telemetry

PRINCIPAL = "kmsq-scheduler"
BATCH = 1_000  # keys found at once; the rest is found next time
CHORES_SECONDS = 3_600
KEEP_CHANGES_DAYS = 7  # of the change log: a worker that was away for longer starts with an empty keyring
FORGET_EPOCHS = 100_000  # at once: more than come in an hour
SILENT_INTERVALS = 6  # without a look, after which the database lets another worker have the lock

Now = Callable[[], Awaitable[datetime]]


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does it to one key, and tells whether it was still due; `event` names it in the audit log."""

    event: str
    find: Callable[[Due, datetime, int], Awaitable[Sequence[str]]]
    run: Callable[[ChangeExecution, Key, datetime], Awaitable[bool]]


JOBS = (
    Job("KeyDeleted", Due.deletions, lifecycle.delete_when_due),
    Job("KeyMaterialExpired", Due.expiries, importing.expire_when_due),
    Job("KeyRotated", Due.rotations, rotation.rotate_when_due),
)


class Scheduler:
    """`now` is the database's clock unless a test says otherwise: a worker's own may be wrong, and deletion is final."""

    def __init__(
        self,
        *,
        due: Due,
        open_changes: Callable[[], Awaitable[Changes]],
        custody: Custody,
        revisions: Revisions,
        telemetry: Telemetry,
        reached: Callable[[str], None],
        interval_seconds: float,
        now: Now | None = None,
    ) -> None:
        self._due = due
        self._open_changes = open_changes
        self._custody = custody
        self._revisions = revisions
        self._telemetry = telemetry
        self._reached = reached
        self._interval_seconds = interval_seconds
        self._now = now or due.clock
        self._next_chores: float = 0
        self._refused: set[tuple[str, str]] = set()
        """Jobs on keys that were edited by hand: reported, and tried again with the next chores."""

    async def run(self) -> None:
        """Look for what is due, for ever. Raises `Unavailable`."""
        while not await self._due.take_lock(SILENT_INTERVALS * self._interval_seconds):  # noqa: ASYNC110  # no event
            await asyncio.sleep(self._interval_seconds)
        LOGGER.info("scheduling")
        changes = await self._open_changes()
        while True:
            await self.tick(changes)
            await asyncio.sleep(self._interval_seconds)

    async def tick(self, changes: Changes) -> None:
        """Do what is due now. Raises `Unavailable`."""
        now = await self._now()
        for job in JOBS:
            for key_id in await job.find(self._due, now, BATCH):
                if (job.event, key_id) not in self._refused:
                    await self._do(changes, job, key_id, now)
        await self._chores()

    async def _do(self, changes: Changes, job: Job, key_id: str, now: datetime) -> None:
        async with changes.transaction(exclusive=True) as transaction:
            situation = await transaction.situation()
            execution = ChangeExecution(
                custody=self._custody,
                principal=PRINCIPAL,
                situation=situation,
                transaction=transaction,
                revisions=self._revisions,
                rules=Rules(frozenset()),
                alarm=self._telemetry.tampered,
            )
            outcome = await self._run(job, execution, key_id, now)
            await transaction.append(_record(job, execution, key_id, outcome))
        self._telemetry.job(job.event, outcome)
        self._reached("scheduled")

    async def _run(self, job: Job, execution: ChangeExecution, key_id: str, now: datetime) -> str:
        try:
            async with execution.transaction.savepoint():
                key = await _locate(execution, execution.transaction, key_id)
                if key is None or not await job.run(execution, key, now):
                    return "NotDue"
                await execution.transaction.log_changes(execution.epoch, sorted(execution.changed))
                return "Success"
        except KmsError as error:  # its row was edited, which `locate_row` has reported
            refusal = error
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours: the other keys do not wait for its end
            refusal = unexpected(job.event, error)
        execution.undo()
        self._refused.add((job.event, key_id))
        return refusal.code

    async def _chores(self) -> None:
        clock = asyncio.get_running_loop().time()
        if clock < self._next_chores:
            return
        self._next_chores = clock + CHORES_SECONDS
        self._refused.clear()
        await _attempt(self._due.forget_changes(KEEP_CHANGES_DAYS, FORGET_EPOCHS))
        await _attempt(self._due.ensure_partitions())


async def _attempt(chore: Awaitable[None]) -> None:
    """
    Do a chore, or leave it for the next time: none is urgent.

    Whoever reads the audit log (`audit verify`, `pg_dump`) is in the way of a new partition for as long as that takes. If
    the connection is lost instead, the next look says so.
    """
    try:
        await chore
    except Unavailable as error:
        LOGGER.warning("chore put off", extra={"reason": type(error.__cause__).__name__})


async def _locate(execution: ChangeExecution, transaction: Transaction, key_id: str) -> Key | None:
    row = await transaction.key(key_id)
    return None if row is None else await execution.locate_row(row)


def _record(job: Job, execution: ChangeExecution, key_id: str, outcome: str) -> bytes:
    facts: dict[str, object] = {
        "event": job.event,
        "principal": None,  # nobody asked: it was due
        "epoch": execution.epoch if execution.changed else execution.epoch - 1,
        "outcome": outcome,
        "keys": [key_id],
        "revisions": [],
    }
    return audit.encode_record(facts | execution.touched.facts())
