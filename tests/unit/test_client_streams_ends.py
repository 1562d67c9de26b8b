"""How streams end: early, by a failure of one value, of a message, of their source."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from fakes.batches import FAILS, SOURCES, Held, Source, gather, results, settled, tidy, until_error, values
from kmsq import Client, ItemFailure
from kmsq.errors import (
    AccessDeniedException,
    DeadlineExceeded,
    DisabledException,
    InvalidRequest,
    NotFoundException,
)


@pytest.fixture
def held() -> Held:
    return Held(holding=True)


@pytest.fixture
async def client(held: Held) -> AsyncIterator[Client]:
    async with tidy(held.client()) as entered:
        yield entered


async def test_a_value_that_fails_is_raised_after_the_results_before_it(held: Held, client: Client) -> None:
    held.holding = False
    wanted = values(30)
    wanted[17] = FAILS
    found: list[bytes] = []
    error = await until_error(client.encrypt_many("k", wanted, items_per_message=5), found)
    assert isinstance(error, DisabledException)
    assert error.index == 17
    assert "index 17" in error.__notes__[0]
    assert found == results(17)


async def test_failures_come_in_their_places_when_asked_for(held: Held, client: Client) -> None:
    held.holding = False
    wanted = values(30)
    wanted[3] = wanted[17] = FAILS
    found = [result async for result in client.encrypt_many("k", wanted, items_per_message=5, errors="yield")]
    failures = {place: result for place, result in enumerate(found) if isinstance(result, ItemFailure)}
    assert {place: failure.index for place, failure in failures.items()} == {3: 3, 17: 17}
    assert all(isinstance(failure.error, DisabledException) for failure in failures.values())
    assert [result for place, result in enumerate(found) if place not in failures] == [
        result for place, result in enumerate(results(30)) if place not in failures
    ]


@pytest.mark.parametrize("error", [AccessDeniedException("no"), DeadlineExceeded("late"), NotFoundException("none")])
async def test_what_fails_a_message_is_raised_after_the_results_before_it(
    held: Held, client: Client, error: Exception
) -> None:
    held.failures[2] = error
    found: list[bytes] = []
    stream = client.encrypt_many("k", values(100), items_per_message=10, in_flight=4, errors="yield")
    taking = asyncio.create_task(until_error(stream, found))
    await settled()
    for number in (2, 3, 1, 0):
        held.answer(number)
        await settled()
    assert await taking is error
    assert found == results(20)
    assert held.cancelled == len(held.sent) - 4


async def test_what_the_source_raises_is_raised_after_the_results_before_it(held: Held, client: Client) -> None:
    held.holding = False

    def source() -> Iterator[bytes]:
        yield from values(23)
        raise LookupError

    async def asynchronous() -> AsyncIterator[bytes]:
        for value in source():
            yield value

    for values_given in (source(), asynchronous()):
        found: list[bytes] = []
        error = await until_error(client.encrypt_many("k", values_given, items_per_message=10), found)
        assert isinstance(error, LookupError)
        assert found == results(23)


async def test_a_source_of_which_something_was_cancelled_keeps_nobody_waiting(held: Held, client: Client) -> None:
    held.holding = False
    cancelled: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    cancelled.cancel()

    async def waited_for() -> AsyncIterator[bytes]:
        yield b"0."
        yield await cancelled

    def read_at_once() -> Iterator[bytes]:
        yield b"0."
        yield cancelled.result()

    for source in (waited_for(), read_at_once()):
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await gather(client.encrypt_many("k", source), [])


async def test_what_context_of_raises_is_raised_after_the_results_before_it(held: Held, client: Client) -> None:
    held.holding = False

    def context_of(index: int, value: bytes) -> dict[str, str]:
        if index == 12:
            raise LookupError
        return {"row": value.decode()}

    found: list[bytes] = []
    stream = client.encrypt_many("k", values(30), context_of=context_of, items_per_message=10)
    assert isinstance(await until_error(stream, found), LookupError)
    assert found == results(12)


async def test_what_is_not_bytes_is_raised_after_the_results_before_it(held: Held, client: Client) -> None:
    held.holding = False
    found: list[bytes] = []
    wanted: list[Any] = [*values(15), 17, *values(3)]
    error = await until_error(client.encrypt_many("k", wanted, items_per_message=10, errors="yield"), found)
    assert isinstance(error, InvalidRequest)
    assert "index 15" in str(error)
    assert found == results(15)


async def test_leaving_early_forgets_what_is_under_way(held: Held, client: Client) -> None:
    stream = client.encrypt_many("k", values(1000), items_per_message=10, in_flight=3)
    async with aclosing(stream):
        first = asyncio.ensure_future(anext(stream))
        await settled()
        held.answer(0)
        assert await first == results(1)[0]
        await settled()
        assert held.waiting == [1, 2, 3]
    assert held.cancelled == 3
    assert held.waiting == []
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_an_exception_of_who_takes_the_results_forgets_what_is_under_way(held: Held, client: Client) -> None:
    held.holding = False

    async def take() -> None:
        async with aclosing(client.encrypt_many("k", Source(1000).each(), items_per_message=10)) as stream:
            async for _ in stream:
                held.holding = True
                await settled()
                raise LookupError

    with pytest.raises(LookupError):
        await take()
    assert held.waiting == []


@pytest.mark.parametrize("source", SOURCES)
async def test_cancelling_who_takes_the_results_forgets_what_is_under_way(
    held: Held, client: Client, source: Callable[[Source], Any]
) -> None:
    taking = asyncio.create_task(gather(client.encrypt_many("k", source(Source(1000)), items_per_message=10), []))
    await settled(100)
    assert held.waiting
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert held.waiting == []


async def test_a_source_that_is_waited_for_is_ended_with_the_stream(client: Client) -> None:
    ended = []

    async def source() -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b"never"
        finally:
            ended.append(True)

    taking = asyncio.create_task(gather(client.encrypt_many("k", source()), []))
    await settled()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert ended == [True]


async def test_a_failure_that_nobody_waits_for_any_more_is_no_concern(held: Held, client: Client) -> None:
    held.failures = {1: DeadlineExceeded("late"), 2: AccessDeniedException("no")}
    stream = client.encrypt_many("k", values(1000), items_per_message=10, in_flight=3)
    async with aclosing(stream):
        first = asyncio.ensure_future(anext(stream))
        await settled()
        for number in (2, 1, 0):
            held.answer(number)
        await first
        await settled()


async def test_a_stream_that_is_dropped_ends_soon(held: Held, client: Client) -> None:
    held.holding = False
    async for _ in client.encrypt_many("k", values(1000), items_per_message=10):
        held.holding = True
        await settled()
        break
    await settled()
    assert held.waiting == []


async def test_a_stream_that_is_not_begun_reads_nothing(client: Client) -> None:
    source = Source(10)
    client.encrypt_many("k", source)
    stream = client.encrypt_many("k", source)
    await stream.aclose()
    await settled()
    assert source.read == 0


@pytest.mark.parametrize("items_per_message", [1, 2, 5])
async def test_values_denied_for_their_own_contexts_fail_alone_however_they_share_messages(
    held: Held, client: Client, items_per_message: int
) -> None:
    held.holding = False
    held.failures = {number: AccessDeniedException("no") for number in range(4 // items_per_message, 10)}
    stream = client.encrypt_many(
        "k",
        values(6),
        context_of=lambda index, _value: {"row": str(index)},
        items_per_message=items_per_message,
        errors="yield",
    )
    found = [item async for item in stream]
    denied = [item for item in found if isinstance(item, ItemFailure)]
    assert found[: 6 - len(denied)] == results(6 - len(denied))
    assert [item.index for item in denied] == list(range(6))[-len(denied) :]
    assert {str(item.error) for item in denied} == {"AccessDeniedException: no"}
