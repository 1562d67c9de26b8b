"""Streams: any number of values, in messages that are under way side by side."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from fakes.batches import SOURCES, Held, Source, gather, results, settled, tidy, until_error, values
from kmsq import Client
from kmsq.errors import (
    ClientClosed,
    InvalidReply,
    InvalidRequest,
)
from kmsq.testing import FakeKms
from kmsq_schemas.models import BatchEncryptReply, BatchGenerateMacReply


@pytest.fixture
def held() -> Held:
    return Held(holding=True)


@pytest.fixture
async def client(held: Held) -> AsyncIterator[Client]:
    async with tidy(held.client()) as entered:
        yield entered


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
async def test_results_come_in_the_order_of_the_values(
    held: Held, client: Client, source: Callable[[Source], Any], count: int
) -> None:
    held.holding = False
    found: list[bytes] = []
    await gather(client.encrypt_many("k", source(Source(count)), items_per_message=10, in_flight=3), found)
    assert found == results(count)
    assert [value for message in held.sent for value in message] == values(count)
    assert held.most_under_way <= 3


async def test_messages_leave_full_and_as_many_as_may_be_at_once(held: Held, client: Client) -> None:
    found: list[bytes] = []
    stream = client.encrypt_many("k", values(100), items_per_message=10, in_flight=3, timeout_seconds=7)
    taking = asyncio.create_task(gather(stream, found))
    await settled()
    assert held.waiting == [0, 1, 2]
    held.answer(1)
    held.answer(2)
    await settled()
    assert held.waiting == [0, 3]  # one more is ready, and with it as many as may be read
    assert found == []
    held.answer(0)
    await settled()
    assert held.waiting == [3, 4, 5]
    assert found == results(30)
    held.holding = False
    for number in held.waiting:
        held.answer(number)
    await taking
    assert found == results(100)
    assert [len(message) for message in held.sent] == [10] * 10
    assert set(held.timeouts) == {7}


@pytest.mark.parametrize("source", [iter, Source.each])
async def test_no_more_is_read_than_one_message_beyond_those_under_way(
    held: Held, client: Client, source: Callable[[Source], Any]
) -> None:
    held.holding = False
    values_read = Source(1000)
    stream = client.encrypt_many("k", source(values_read), items_per_message=10, in_flight=3)
    async with aclosing(stream):
        taken = 0
        async for _ in stream:
            taken += 1
            await settled()
            assert values_read.read - taken <= (3 + 1) * 10
            if taken == 60:
                break
    assert values_read.read < 110


async def test_a_result_does_not_wait_for_the_values_after_its_message(held: Held, client: Client) -> None:
    held.holding = False
    more = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        for value in values(10):
            yield value
        await more.wait()
        yield b"last"

    stream = client.encrypt_many("k", source(), items_per_message=10)
    async with aclosing(stream):
        assert [await anext(stream) for _ in range(10)] == results(10)
        more.set()
        assert [result async for result in stream] == [b"tsal"]


async def test_values_that_wait_for_earlier_results_travel_alone(held: Held, client: Client) -> None:
    held.holding = False
    answered: asyncio.Queue[bytes] = asyncio.Queue()

    async def source() -> AsyncIterator[bytes]:
        yield b"question"
        while (await answered.get()) != b"enough":
            yield b"hguone"

    stream = client.encrypt_many("k", source())
    found = []
    async with asyncio.timeout(10), aclosing(stream):
        async for result in stream:
            found.append(result)
            answered.put_nowait(result)
    assert found == [b"noitseuq", b"enough"]


async def test_values_that_come_while_messages_are_under_way_wait_for_company(held: Held, client: Client) -> None:
    found: list[bytes] = []
    stream = client.encrypt_many("k", Source(100).each_in_its_time(), items_per_message=30)
    taking = asyncio.create_task(gather(stream, found))
    await settled(500)
    assert [len(message) for message in held.sent] == [1, 30, 30, 30]
    held.holding = False
    for number in held.waiting:
        held.answer(number)
    await taking
    assert [len(message) for message in held.sent] == [1, 30, 30, 30, 9]
    assert found == results(100)


async def test_an_iterable_lets_the_event_loop_breathe_between_messages(held: Held, client: Client) -> None:
    held.holding = False
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    found: list[bytes] = []
    await gather(client.encrypt_many("k", values(100), items_per_message=5), found)
    ticking.cancel()
    await asyncio.wait({ticking})
    assert ticks >= 20


async def test_a_task_may_own_its_source(held: Held, client: Client) -> None:
    held.holding = False
    tasks = set()

    async def source() -> AsyncIterator[bytes]:
        async with asyncio.timeout(60):
            for value in values(25):
                tasks.add(asyncio.current_task())
                await asyncio.sleep(0)
                yield value

    found: list[bytes] = []
    await gather(client.encrypt_many("k", source(), items_per_message=10), found)
    assert found == results(25)
    assert len(tasks) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"in_flight": 0},
        {"items_per_message": 0},
        {"items_per_message": 10_001},
        {"errors": "ignore"},
    ],
)
async def test_what_no_stream_can_be_told_is_refused_at_once(client: Client, options: Any) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(options))):
        client.encrypt_many("k", [b"x"], **options)
    with pytest.raises(TypeError, match="no_such_option"):
        client.encrypt_many("k", [b"x"], no_such_option=1)  # type: ignore[call-overload]  # that is the point


async def test_a_reply_that_does_not_fit_is_invalid(held: Held, client: Client) -> None:
    for reply in (BatchEncryptReply, BatchGenerateMacReply):

        async def confused(*_: object, reply: Any = reply, **__: object) -> Any:
            return reply.model_construct(ciphertext_blobs=[b"x"], macs=[b"x"], failed=[])

        held.call = confused  # type: ignore[method-assign]  # a service that errs
        assert isinstance(await until_error(client.encrypt_many("k", [b"a", b"b"]), []), InvalidReply)


async def test_a_stream_needs_an_open_client() -> None:
    assert isinstance(await until_error(FakeKms().client().encrypt_many("k", [b"x"]), []), ClientClosed)


async def test_what_a_value_costs_here_is_little() -> None:
    held = Held()
    async with held.client() as client:
        started = time.perf_counter()
        count = 0
        async for _ in client.encrypt_many("k", values(20_000)):
            count += 1
        seconds = time.perf_counter() - started
    assert count == 20_000
    assert seconds < 1  # about 0.02 s here; a model or a task for each value would take as many times longer
