"""Whatever stops, dies or goes away for a while: every request that the broker confirmed ends answered."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from integration import raw
from integration.evidence import (
    counted,
    dead_letters,
    metric,
    outcomes,
    queue_depths,
    running,
    sql,
    until,
)
from integration.raw import SUCCESS, Answer, Message, Producer
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest, EncryptRequest
from kmsq_schemas.models.enums import KeySpec, KeyUsage
from services.stack import PrivateStack
from services.worker import Worker

MANY = 1_500
IN_FLIGHT = 300  # waiting requests of one principal, below what throttles it


@pytest.fixture
async def key(lone: PrivateStack, boss: Producer) -> str:
    async with running(lone):
        return (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


class Load:
    """Requests on their way; `underway` is set once a fifth of them has been answered."""

    def __init__(self, producer: Producer, key: str, count: int = MANY) -> None:
        self.messages = [producer.message(EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(count)]
        self.underway = asyncio.Event()
        self.confirmed: list[Message] = []
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._producer = producer
        self._answered = 0

    async def run(self) -> Sequence[Answer]:
        """Send all and return all answers. Raises what a lost connection raises."""
        return await asyncio.gather(*map(self._ask, self.messages))

    async def _ask(self, message: Message) -> Answer:
        async with self._room:
            await self._producer.publish(message)
            self.confirmed.append(message)
            answer = await self._producer.answer(message, seconds=120)
        self._answered += 1
        if self._answered == len(self.messages) // 5:
            self.underway.set()
        return answer


@asynccontextmanager
async def loaded(load: Load) -> AsyncGenerator["asyncio.Task[Sequence[Answer]]"]:
    """Run the load beside what is done to the service."""
    task = asyncio.create_task(load.run())
    await load.underway.wait()
    yield task


async def none_ready(workers: Sequence[Worker]) -> bool:
    return not any([await asyncio.to_thread(worker.is_ready) for worker in workers])


async def all_ready(workers: Sequence[Worker]) -> bool:
    return all([await asyncio.to_thread(worker.is_ready) for worker in workers])


async def assert_nothing_is_left(lone: PrivateStack) -> None:
    """Without workers a queue's depth shows all of its messages, dead letters included."""
    assert set((await queue_depths(lone)).values()) == {0}


async def test_a_worker_that_is_told_to_stop_under_load_loses_nothing_and_exits_with_0(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    load = Load(boss, key)
    async with running(lone, 2) as (leaving, _staying), loaded(load) as answers:
        leaving.terminate()
        await asyncio.to_thread(leaving.daemon.stop)
        assert leaving.exit_status == 0
        assert '"event": "stopped"' in leaving.log.read_text()
        assert counted([answer.code for answer in await answers]) == {SUCCESS: MANY}
    assert len(boss.arrived) == MANY + 1  # each once: what the worker had taken on it finished or gave back untouched
    await assert_nothing_is_left(lone)


async def test_when_all_workers_stop_under_load_the_rest_waits_for_the_next_ones(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    load = Load(boss, key)
    async with running(lone, 2) as workers:
        async with loaded(load) as answers:
            await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers))
        assert [worker.exit_status for worker in workers] == [0, 0]
        assert sum((await queue_depths(lone)).values()) == len(load.confirmed) - len(boss.arrived) + 1
        async with running(lone):
            assert counted([answer.code for answer in await answers]) == {SUCCESS: MANY}
    await assert_nothing_is_left(lone)


async def test_every_request_is_answered_although_a_worker_is_killed_under_load(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    load = Load(boss, key)
    async with running(lone, 2) as (victim, _survivor), loaded(load) as answers:
        await asyncio.to_thread(victim.kill)
        assert counted([answer.code for answer in await answers]) == {SUCCESS: MANY}
    await assert_nothing_is_left(lone)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_after_an_outage_of_the_broker_under_load_every_confirmed_request_is_answered(
    lone: PrivateStack, key: str, how: str
) -> None:
    async with running(lone, 2) as workers:
        async with raw.connected(lone.administrator_url) as before:
            load = Load(before, key)
            async with loaded(load) as answers:
                await asyncio.to_thread(getattr(lone.broker, how))
                await until(lambda: none_ready(workers))
                answers.cancel()
                await asyncio.wait([answers])
        await asyncio.to_thread(lone.broker.start)
        await until(lambda: all_ready(workers))
        async with raw.connected(lone.administrator_url) as after:
            # What a client does: the same requests again, to be answered here.
            open_ones = [message for message in load.messages if not before.answers_so_far(message)]
            assert open_ones
            again = [replace(message, reply_to=after.reply_to) for message in open_ones]
            room = asyncio.Semaphore(IN_FLIGHT)

            async def ask(message: Message) -> str:
                async with room:
                    return (await after.ask(message)).code

            assert counted(await asyncio.gather(*map(ask, again))) == {SUCCESS: len(again)}
        assert len(load.confirmed) > len(load.messages) - len(open_ones)
        await all_are_audited(lone, load.confirmed)
        assert all(metric(worker, "kmsq_sessions_lost_total") >= 1 for worker in workers)
    await assert_nothing_is_left(lone)


@pytest.mark.parametrize("how", ["stop", "crash_stop"])
async def test_after_an_outage_of_the_database_under_load_every_request_is_answered_unaided(
    lone: PrivateStack, boss: Producer, key: str, how: str
) -> None:
    load = Load(boss, key)
    async with running(lone, 2) as workers, loaded(load) as answers:
        await asyncio.to_thread(getattr(lone.database, how))
        await until(lambda: none_ready(workers))
        assert [worker.exit_status for worker in workers] == [None, None]
        assert [worker.health("/livez") for worker in workers] == [200, 200]
        change = boss.message(CreateKeyRequest(description="during the outage"))
        await boss.publish(change)
        await asyncio.to_thread(lone.database.start)
        await until(lambda: all_ready(workers))
        assert counted([answer.code for answer in await answers]) == {SUCCESS: MANY}
        assert (await boss.answer(change)).code == SUCCESS
        assert await outcomes(lone, change.message_id) == [SUCCESS]
        await all_are_audited(lone, load.messages)
    await assert_nothing_is_left(lone)


async def all_are_audited(lone: PrivateStack, messages: Sequence[Message]) -> None:
    rows = await sql(lone, "SELECT convert_from(record, 'UTF8')::json ->> 'message_id' AS id FROM kmsq.audit_records")
    assert {message.message_id for message in messages} <= {row["id"] for row in rows}


async def test_a_worker_that_loses_its_database_while_it_makes_a_key_pair_lives_on(
    lone: PrivateStack, boss: Producer
) -> None:
    pair = CreateKeyRequest(key_spec=KeySpec.RSA_4096, key_usage=KeyUsage.SIGN_VERIFY)
    async with running(lone) as (worker,):
        creating = [asyncio.create_task(boss.code(pair)) for _ in range(3)]
        await asyncio.sleep(0.3)
        await sql(lone, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kmsq-worker'")
        assert await asyncio.gather(*creating) == [SUCCESS] * 3
        assert worker.exit_status is None


async def test_while_the_audit_log_cannot_be_written_no_result_leaves_and_nothing_is_given_up(
    lone: PrivateStack, boss: Producer, key: str
) -> None:
    requests = [boss.message(EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(50)]
    change = boss.message(CreateKeyRequest())
    answered = len(boss.arrived)
    keys = (await sql(lone, "SELECT count(*) AS number FROM kmsq.keys"))[0]["number"]
    async with running(lone, 2) as workers, dead_letters(lone) as letters:
        await sql(lone, "REVOKE INSERT ON kmsq.audit_records FROM kmsq_owner")
        await asyncio.gather(*map(boss.publish, [*requests, change]))
        await until(lambda: each_lost_sessions(workers, 3))
        # They wait in the broker: workers that cannot write do not take them, which would use up their deliveries.
        assert sum((await queue_depths(lone)).values()) == len(requests) + 1
        assert len(boss.arrived) == answered
        assert (await sql(lone, "SELECT count(*) AS number FROM kmsq.keys"))[0]["number"] == keys
        await sql(lone, "GRANT INSERT ON kmsq.audit_records TO kmsq_owner")
        assert counted([(await boss.answer(message)).code for message in requests]) == {SUCCESS: 50}
        assert (await boss.answer(change)).code == SUCCESS
        assert letters.empty()
    await assert_nothing_is_left(lone)


async def each_lost_sessions(workers: Sequence[Worker], count: int) -> bool:
    lost = [await asyncio.to_thread(metric, worker, "kmsq_sessions_lost_total") for worker in workers]
    return all(number >= count for number in lost)
