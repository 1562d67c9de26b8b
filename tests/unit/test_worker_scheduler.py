"""What is due is done for each key by itself; what is not urgent may fail."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from fakes.database import MOMENT, Database
from fakes.lanes import Events, FakeChanges
from kmsq_schemas.models.enums import KeyState
from kmsq_worker import scheduler as scheduler_module
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key
from kmsq_worker.errors import Unavailable
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations import lifecycle
from kmsq_worker.scheduler import CHORES_SECONDS, Job, Scheduler
from kmsq_worker.store.due import Due
from kmsq_worker.telemetry import Telemetry


class FakeDue(Due):
    """Its chores fail while `chores_fail`."""

    def __init__(self) -> None:
        self.chores_fail = False
        self.chores: list[str] = []

    async def clock(self) -> datetime:
        return MOMENT

    async def forget_changes(self, _keep_days: int, _limit: int) -> None:
        self._chore("forget")

    async def ensure_partitions(self) -> None:
        self._chore("partitions")

    def _chore(self, name: str) -> None:
        self.chores.append(name)
        if self.chores_fail:
            raise Unavailable("LockNotAvailableError") from TimeoutError()


class Scheduling:
    """A scheduler over a database in memory, which knows one job: `run`, on keys whose deletion is due."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.events: Events = []
        self.due = FakeDue()
        self.changes = FakeChanges(database, self.events)
        self.run = lifecycle.delete_when_due

        async def find(_due: Due, now: datetime, limit: int) -> Sequence[str]:
            rows = database.tables.keys.values()
            return [row.key_id for row in rows if row.deletion_date is not None and row.deletion_date <= now][:limit]

        async def run(execution: ChangeExecution, key: Key, now: datetime) -> bool:
            return await self.run(execution, key, now)

        monkeypatch.setattr(scheduler_module, "JOBS", (Job("KeyDeleted", find, run),))

    async def scheduler(self) -> Scheduler:
        async def open_changes() -> FakeChanges:
            return self.changes

        return Scheduler(
            due=self.due,
            open_changes=open_changes,
            custody=await self.database.custody(),
            revisions=Revisions(),
            telemetry=Telemetry(),
            reached=lambda _step: None,
            interval_seconds=10,
        )


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def scheduling(database: Database, monkeypatch: pytest.MonkeyPatch) -> Scheduling:
    return Scheduling(database, monkeypatch)


def due_for_deletion(database: Database) -> str:
    past = MOMENT - timedelta(days=1)
    return database.add_key(key_state=KeyState.PENDING_DELETION, deletion_date=past, pending_window_days=7).key_id


async def test_a_chore_that_fails_is_put_off_and_what_is_due_is_done_all_the_same(
    database: Database, scheduling: Scheduling
) -> None:
    scheduling.due.chores_fail = True
    scheduler = await scheduling.scheduler()
    await scheduler.tick(scheduling.changes)
    assert scheduling.due.chores == ["forget", "partitions"], "one that fails does not take the other along"
    key = due_for_deletion(database)
    await scheduler.tick(scheduling.changes)
    assert key not in database.tables.keys
    assert len(scheduling.due.chores) == 2, f"the next time is in {CHORES_SECONDS} seconds"


async def test_a_job_that_fails_unexpectedly_leaves_the_other_keys_their_jobs(
    database: Database, scheduling: Scheduling
) -> None:
    broken, sound = due_for_deletion(database), due_for_deletion(database)

    async def delete(execution: ChangeExecution, key: Key, now: datetime) -> bool:
        done = await lifecycle.delete_when_due(execution, key, now)
        if key.key_id == broken:
            raise LookupError
        return done

    scheduling.run = delete
    scheduler = await scheduling.scheduler()
    for _ in range(3):
        await scheduler.tick(scheduling.changes)
    assert set(database.tables.keys) == {broken}, "what the failed job had done is undone"
    assert sound not in database.tables.keys
    assert len(scheduling.events) == 3, (
        "it is tried again after the chores, which come with the first look, and no more"
    )
