"""Commit, then reply, then acknowledge: what a crash between them leaves behind."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from integration.crashing_worker import CRASHED
from integration.evidence import audit_records, outcomes, queue_depths, running, sql, until
from integration.raw import SUCCESS, Message, Producer
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    EncryptReply,
    EncryptRequest,
    UpdateKeyDescriptionRequest,
)
from services.stack import PrivateStack

CRASHING = (sys.executable, Path(__file__).with_name("crashing_worker.py"))


@pytest.fixture
async def key(lone: PrivateStack, boss: Producer) -> str:
    async with running(lone):
        return (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


@asynccontextmanager
async def crashed(lone: PrivateStack, boss: Producer, message: Message, step: str) -> AsyncGenerator[None]:
    """Let the only worker crash on `message` at `step`."""
    async with running(lone, command=CRASHING, environment={"KMSQ_TEST_CRASH_AT": step}) as (worker,):
        await boss.publish(message)

        async def gone() -> bool:
            return worker.exit_status is not None

        await until(gone)
        assert worker.exit_status == CRASHED
        yield


async def is_settled(lone: PrivateStack) -> bool:
    """Whether no message is left; only without workers does a queue's depth show all."""
    return set((await queue_depths(lone)).values()) == {0}


async def test_after_a_crash_between_commit_and_reply_the_record_is_there_and_another_worker_answers(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    message = boss.message(EncryptRequest(key_id=key, plaintext=b"x"))
    async with crashed(lone, boss, message, "committed"):
        assert await outcomes(lone, message.message_id) == [SUCCESS]
        assert boss.answers_so_far(message) == []
        async with running(lone):
            assert (await boss.answer(message)).reply(EncryptReply).key_id.endswith(key)
    records = await audit_records(lone, message_id=message.message_id)
    assert [record.facts["outcome"] for record in records] == [SUCCESS] * 2
    assert len({record.chain for record in records}) == 2
    assert len(boss.answers_so_far(message)) == 1
    assert await is_settled(lone)


async def test_after_a_crash_between_reply_and_acknowledgement_the_request_is_executed_and_audited_again(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    message = boss.message(EncryptRequest(key_id=key, plaintext=b"x"))
    async with crashed(lone, boss, message, "replied"):
        assert (await boss.answer(message)).code == SUCCESS
        assert await outcomes(lone, message.message_id) == [SUCCESS]
        async with running(lone):
            first, second = await boss.answers(message, 2)
    assert first.message_id != second.message_id
    # Both are good; a client takes the first.
    assert [answer.reply(EncryptReply).key_id[-36:] for answer in (first, second)] == [key, key]
    assert await outcomes(lone, message.message_id) == [SUCCESS, SUCCESS]
    assert await is_settled(lone)


async def test_a_change_that_crashed_between_commit_and_reply_is_made_once_and_its_outcome_sent_again(
    lone: PrivateStack, boss: Producer
) -> None:
    message = boss.message(CreateKeyRequest(description="crashed before the reply"))
    keys_before = await count_keys(lone)
    async with crashed(lone, boss, message, "committed"):
        assert boss.answers_so_far(message) == []
        assert await count_keys(lone) == keys_before + 1
        async with running(lone):
            made = (await boss.answer(message)).reply(CreateKeyReply).key_metadata
            shown = (await boss.call(DescribeKeyRequest(key_id=made.key_id), DescribeKeyReply)).key_metadata
    assert made == shown
    assert await count_keys(lone) == keys_before + 1
    assert await outcomes(lone, message.message_id) == [SUCCESS, "ReplayedCreateKey"]
    assert await is_settled(lone)


async def test_a_change_that_crashed_between_reply_and_acknowledgement_is_made_once_and_answered_alike(
    lone: PrivateStack, boss: Producer
) -> None:
    message = boss.message(CreateKeyRequest(description="crashed after the reply"))
    keys_before = await count_keys(lone)
    async with crashed(lone, boss, message, "replied"):
        await boss.answer(message)
        async with running(lone):
            first, second = await boss.answers(message, 2)
    assert first.body == second.body
    assert await count_keys(lone) == keys_before + 1
    assert await outcomes(lone, message.message_id) == [SUCCESS, "ReplayedCreateKey"]
    assert await is_settled(lone)


async def test_a_change_of_a_key_that_crashed_raises_the_epoch_once(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    message = boss.message(UpdateKeyDescriptionRequest(key_id=key, description="once"))
    (before,) = await sql(lone, "SELECT coalesce(max(epoch), 0) AS epoch FROM kmsq.change_log")
    async with crashed(lone, boss, message, "committed"), running(lone):
        assert (await boss.answer(message)).code == SUCCESS
    (after,) = await sql(lone, "SELECT max(epoch) AS epoch FROM kmsq.change_log")
    assert after["epoch"] == before["epoch"] + 1
    assert await outcomes(lone, message.message_id) == [SUCCESS, "ReplayedUpdateKeyDescription"]


@pytest.mark.parametrize("is_change", [False, True])
async def test_after_the_acknowledgement_a_dead_worker_leaves_nothing_to_do_again(
    lone: PrivateStack, boss: Producer, key: str, *, is_change: bool
) -> None:
    messages = [
        boss.message(CreateKeyRequest() if is_change else EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(20)
    ]
    async with running(lone) as (worker,):
        await asyncio.gather(*map(boss.ask, messages))
        await until(lambda: nothing_unacknowledged(lone))
        await asyncio.to_thread(worker.kill)
    assert await is_settled(lone)
    assert [len(boss.answers_so_far(message)) for message in messages] == [1] * 20
    for message in messages:
        assert await outcomes(lone, message.message_id) == [SUCCESS]


async def count_keys(lone: PrivateStack) -> int:
    return int((await sql(lone, "SELECT count(*) AS number FROM kmsq.keys"))[0]["number"])


async def nothing_unacknowledged(lone: PrivateStack) -> bool:
    listed = await asyncio.to_thread(lone.broker.ctl, "list_queues", "--no-table-headers", "messages_unacknowledged")
    return set(listed.split()) == {"0"}
