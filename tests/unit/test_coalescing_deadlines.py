"""Deadlines of calls that travel together, and callers who leave."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from fakes.held import HeldTransport, blob, blobs, coalescer_over, start, turns
from kmsq.coalescing import Coalescer
from kmsq.errors import DeadlineExceeded, NotConnected
from kmsq_schemas.models import Reply
from kmsq_schemas.operations import Operation

ONE, MANY = Operation.ENCRYPT, Operation.BATCH_ENCRYPT
NO_WORKER = r"no worker answered Encrypt within 0.1 s: are workers running\?"


@pytest.fixture
def inner() -> HeldTransport:
    return HeldTransport()


@pytest.fixture
async def coalescer(inner: HeldTransport) -> AsyncGenerator[Coalescer]:
    async with coalescer_over(inner) as running:
        yield running


async def occupied(inner: HeldTransport, coalescer: Coalescer) -> list[asyncio.Task[Reply]]:
    """Put two messages under way, so that others wait until one of them is answered."""
    calls = start(coalescer, b"1", b"2")
    await turns()
    assert inner.operations == [ONE, ONE]
    return calls


async def test_a_call_whose_time_is_over_before_it_leaves_is_not_sent(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    first = await occupied(inner, coalescer)
    late, patient = start(coalescer, b"late", timeout_seconds=0.1), start(coalescer, b"3", b"4")
    with pytest.raises(DeadlineExceeded, match=NO_WORKER):
        await late[0]
    inner.answer_all()
    await turns()
    inner.answer_all()
    assert await blobs(first + patient) == [blob(b"1"), blob(b"2"), blob(b"3"), blob(b"4")]
    assert b"late" not in [plaintext for held in inner.sent[2:] for plaintext in plaintexts(held.request)]


def plaintexts(request: object) -> list[bytes]:
    return getattr(request, "plaintexts", None) or [getattr(request, "plaintext", b"")]


async def test_a_call_that_has_expired_unnoticed_is_not_sent_either(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    late = start(coalescer, b"late", timeout_seconds=-1)
    inner.sent[0].answer()
    inner.sent[1].answer()
    with pytest.raises(DeadlineExceeded):
        await late[0]
    assert inner.operations == [ONE, ONE]
    await blobs(first)


async def test_a_call_under_way_keeps_its_own_deadline(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    hasty, patient = start(coalescer, b"3", timeout_seconds=0.1), start(coalescer, b"4", b"5")
    await turns()
    inner.answer_all()
    await turns()
    batch = inner.sent[2]
    assert batch.operation is MANY
    assert 29 < batch.timeout_seconds <= 30
    with pytest.raises(DeadlineExceeded, match=NO_WORKER):
        await hasty[0]
    assert not batch.cancelled
    inner.answer_all()
    assert await blobs(first + patient) == [blob(b"1"), blob(b"2"), blob(b"4"), blob(b"5")]


async def test_the_deadline_of_a_batch_speaks_of_the_call(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, *[b"3"] * 3, timeout_seconds=0.1)
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.operations == [ONE, ONE, MANY]
    assert inner.sent[2].timeout_seconds < 0.1
    errors = await asyncio.gather(*calls, return_exceptions=True)
    told = "no worker answered Encrypt (message id 17) within 0.1 s: are workers running?"
    assert [str(error) for error in errors[:2]] == [told] * 2
    assert errors[0] is not errors[1]
    inner.answer_all()
    await blobs(first)


async def test_the_deadline_of_a_call_that_waited_speaks_of_all_its_time(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, b"3", timeout_seconds=0.1)
    await asyncio.sleep(0.02)
    inner.sent[0].answer()
    await turns()
    assert inner.sent[2].timeout_seconds < 0.09
    with pytest.raises(DeadlineExceeded, match=r"Encrypt \(message id 17\) within 0\.1 s"):
        await calls[0]
    inner.answer_all()
    await blobs(first)


async def test_without_a_connection_the_deadline_says_why(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    inner.problem = NotConnected("is RabbitMQ there?")
    with pytest.raises(NotConnected, match=r"Encrypt was not answered within 0\.1 s, because there is no connection"):
        await start(coalescer, b"3", timeout_seconds=0.1)[0]
    inner.answer_all()
    await blobs(first)


async def test_each_of_many_deadlines_is_met(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    clock = asyncio.get_running_loop().time
    began = clock()
    lasted: dict[int, float] = {}
    calls = [start(coalescer, b"3", timeout_seconds=0.02 * number)[0] for number in (5, 1, 3, 4, 2)]

    async def lasts(number: int, call: asyncio.Task[Reply]) -> None:
        await asyncio.wait({call})
        lasted[number] = clock() - began

    await asyncio.gather(*map(lasts, (5, 1, 3, 4, 2), calls))
    assert list(lasted) == [1, 2, 3, 4, 5]
    assert all(seconds >= 0.02 * number - 0.005 for number, seconds in lasted.items())
    inner.answer_all()
    await blobs(first)


async def test_a_caller_who_leaves_while_waiting_is_not_sent(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, b"3", b"left", b"4")
    await turns()
    calls[1].cancel()
    await turns()
    inner.sent[0].answer()
    await turns()
    inner.answer_all()
    await turns()
    inner.answer_all()
    assert await blobs([*first, calls[0], calls[2]]) == [blob(b"1"), blob(b"2"), blob(b"3"), blob(b"4")]
    assert b"left" not in [plaintext for held in inner.sent for plaintext in plaintexts(held.request)]


async def test_a_thousand_callers_who_leave_are_forgotten(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, *[b"3"] * 1000)
    await turns()
    for call in calls[:-1]:
        call.cancel()
    await turns()
    (group,) = coalescer._groups.values()
    assert len(group._waiting) == 1
    inner.answer_all()
    await turns()
    inner.answer_all()
    await blobs([*first, calls[-1]])


async def test_a_caller_who_leaves_a_batch_harms_nobody(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, *[b"3"] * 6)
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.sent[2].operation is MANY
    calls[0].cancel()
    await turns()
    assert not inner.sent[2].cancelled
    inner.answer_all()
    await turns()
    inner.answer_all()
    assert len(await blobs(first + calls[1:])) == 7


async def test_a_batch_that_all_callers_have_left_is_given_up_and_its_place_is_free(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, *[b"3"] * 6)
    await turns()
    inner.sent[0].answer()
    await turns()
    gone = len(inner.sent[2].request.plaintexts)
    for call in calls[:gone]:
        call.cancel()
    await turns()
    assert inner.sent[2].cancelled
    inner.answer_all()
    await turns()
    inner.answer_all()
    assert len(await blobs(first + calls[gone:])) == 8 - gone


async def test_a_batch_whose_callers_leave_as_it_departs_is_given_up_too(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    first = await occupied(inner, coalescer)
    calls = start(coalescer, *[b"3"] * 2)
    await turns()
    inner.sent[0].answer()
    await asyncio.sleep(0)
    assert [flight.task for flight in coalescer._flights.values()] == [None]
    for call in calls:
        call.cancel()
    await turns()
    assert [held.cancelled for held in inner.sent[2:]] == [True]
    inner.sent[1].answer()
    assert len(await blobs(first)) == 2
    assert coalescer._groups == {}


async def test_a_caller_cancelled_between_its_word_and_its_step_gives_its_place_back(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    first = await occupied(inner, coalescer)
    (call,) = start(coalescer, b"3")
    await turns()
    inner.sent[0].answer()
    await asyncio.sleep(0)
    call.cancel()
    await turns()
    assert inner.operations == [ONE, ONE]
    inner.sent[1].answer()
    await blobs(first)
    assert coalescer._groups == {}


async def test_callers_whose_time_is_over_are_as_good_as_gone(inner: HeldTransport, coalescer: Coalescer) -> None:
    first = await occupied(inner, coalescer)
    hasty, patient = start(coalescer, b"3", timeout_seconds=0.05), start(coalescer, b"4")
    await turns()
    inner.answer_all()
    await turns()
    assert inner.sent[2].operation is MANY
    patient[0].cancel()
    with pytest.raises(DeadlineExceeded):
        await hasty[0]
    await turns()
    assert inner.sent[2].cancelled
    await blobs(first)


async def test_a_message_that_is_not_answered_keeps_others_waiting_for_a_moment_only(inner: HeldTransport) -> None:
    async with coalescer_over(inner, stall_seconds=0.1) as coalescer:
        calls = await occupied(inner, coalescer)
        calls += start(coalescer, b"3", b"4", b"5")
        await asyncio.sleep(0.02)
        assert inner.operations == [ONE, ONE]
        await asyncio.sleep(0.12)
        assert inner.operations == [ONE, ONE, MANY]
        calls += start(coalescer, b"6", b"7")
        await turns()
        assert inner.operations == [ONE, ONE, MANY, ONE]  # the places of the first two are others' now
        await asyncio.sleep(0.12)
        assert inner.operations == [ONE, ONE, MANY, ONE, ONE]
        inner.answer_all()
        assert await blobs(calls) == [blob(b"%d" % number) for number in range(1, 8)]
        assert coalescer._groups == {}
