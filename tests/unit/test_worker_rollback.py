"""A key's row that was rolled back unnoticed, and then changed: `audit verify` finds it all the same."""

from datetime import timedelta

import pytest

from fakes.auditors import FakeAuditor, Log
from fakes.database import MOMENT, Database
from fakes.deliveries import request
from fakes.workers import change_lane, code_of
from kmsq_schemas.models import (
    CancelKeyDeletionRequest,
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    Request,
    ScheduleKeyDeletionRequest,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from kmsq_worker.change_execution import ChangeExecution, Rules
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations.lifecycle import delete_when_due
from kmsq_worker.scheduler import JOBS, _record
from kmsq_worker.verification import Verification


class Account:
    """Changes by workers that remember nothing, and the audit log that they leave."""

    def __init__(self) -> None:
        self.database = Database()
        self.log = Log(self.database)

    async def change(self, message: Request) -> object:
        lane = await change_lane(self.database)
        (reply,) = await lane.run(request(message))
        self.log.open(*(what for _, what in lane.events if isinstance(what, bytes)))
        return reply

    async def changes(self, *messages: Request) -> None:
        for message in messages:
            assert code_of(await self.change(message)) == type(message).__name__.replace("Request", "Reply")

    async def new_key(self) -> str:
        reply = await self.change(CreateKeyRequest())
        assert isinstance(reply, CreateKeyReply)
        return reply.key_metadata.key_id

    async def delete_when_due(self, key_id: str) -> None:
        """Do what the scheduler does a month later."""
        lane = await change_lane(self.database)
        async with lane.changes.transaction(exclusive=True) as transaction:
            execution = ChangeExecution(
                custody=lane.ring.custody,
                principal="kmsq-scheduler",
                situation=await transaction.situation(),
                transaction=transaction,
                revisions=Revisions(),
                rules=Rules(frozenset()),
                alarm=lane.ring.alarms.append,
            )
            key = await execution.locate_row(self.database.tables.keys[key_id])
            assert await delete_when_due(execution, key, MOMENT + timedelta(days=31))
            await transaction.log_changes(execution.epoch, sorted(execution.changed))
            self.log.open(_record(JOBS[0], execution, key_id, "Success"))

    async def problems(self) -> list[str]:
        custody = await self.database.custody()
        return (
            await Verification(auditor=FakeAuditor(self.log), custody=custody, progress=lambda *_: None).run()
        ).problems


@pytest.fixture
def account() -> Account:
    return Account()


async def test_changes_of_what_the_change_before_them_left_are_sound(account: Account) -> None:
    one, other = await account.new_key(), await account.new_key()
    await account.changes(
        UpdateKeyDescriptionRequest(key_id=one, description="x"),
        CreateAliasRequest(alias_name="alias/a", target_key_id=one),
        UpdateAliasRequest(alias_name="alias/a", target_key_id=other),
        DisableKeyRequest(key_id=one),
        ScheduleKeyDeletionRequest(key_id=other),
    )
    await account.delete_when_due(other)
    assert await account.problems() == []


async def test_a_change_of_a_row_that_was_rolled_back_does_not_make_it_sound(account: Account) -> None:
    key = await account.new_key()
    enabled = account.database.tables.keys[key]
    await account.changes(DisableKeyRequest(key_id=key))
    account.database.tables.keys[key] = enabled
    await account.changes(UpdateKeyDescriptionRequest(key_id=key, description="harmless"))
    expected = [f"key:{key}: a change was made of an older row than the newest (rolled back?)"]
    assert await account.problems() == expected
    await account.changes(DisableKeyRequest(key_id=key), EnableKeyRequest(key_id=key))
    assert await account.problems() == expected, "nor do further ones"


async def test_a_deletion_that_was_cancelled_and_done_after_a_rollback_is_reported(account: Account) -> None:
    key = await account.new_key()
    await account.changes(ScheduleKeyDeletionRequest(key_id=key))
    pending = account.database.tables.keys[key]
    await account.changes(CancelKeyDeletionRequest(key_id=key))
    account.database.tables.keys[key] = pending
    await account.delete_when_due(key)
    assert await account.problems() == [f"key:{key}: a change was made of an older row than the newest (rolled back?)"]
