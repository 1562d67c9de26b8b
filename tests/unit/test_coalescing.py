"""Which calls travel together, and what their callers see of it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fakes.held import HeldTransport, blob, blobs, coalescer_over, start, turns
from kmsq.coalescing import Coalescer, group
from kmsq.errors import ClientClosed
from kmsq_schemas.models import DecryptRequest, EncryptionAlgorithm, ListKeysRequest
from kmsq_schemas.operations import Operation

ONE, MANY = Operation.ENCRYPT, Operation.BATCH_ENCRYPT


@pytest.fixture
def inner() -> HeldTransport:
    return HeldTransport()


@pytest.fixture
async def coalescer(inner: HeldTransport) -> AsyncGenerator[Coalescer]:
    async with coalescer_over(inner) as running:
        yield running


async def test_an_idle_client_sends_at_once_from_its_callers_task(inner: HeldTransport, coalescer: Coalescer) -> None:
    (call,) = start(coalescer, b"1")
    await asyncio.sleep(0)
    assert inner.operations == [ONE]
    assert inner.sent[0].task is call
    assert inner.sent[0].timeout_seconds == 30
    inner.answer_all()
    assert await blobs([call]) == [blob(b"1")]


async def test_calls_that_wait_together_travel_together_in_their_order(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, b"1", b"2", b"3", b"4", b"5")
    await turns()
    assert inner.operations == [ONE, ONE]
    inner.sent[0].answer()
    await turns()
    inner.sent[1].answer()
    await turns()
    assert inner.operations == [ONE, ONE, MANY, ONE]
    assert inner.sent[2].request.plaintexts == [b"3", b"4"]
    assert inner.sent[3].request.plaintext == b"5"
    inner.answer_all()
    assert await blobs(calls) == [blob(b"%d" % number) for number in range(1, 6)]


async def test_a_call_that_waits_by_itself_is_a_single_message_of_its_callers_task(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, b"1", b"2", b"3")
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.operations == [ONE, ONE, ONE]
    assert inner.sent[2].task is calls[2]
    inner.answer_all()
    await blobs(calls)


async def test_places_are_shared_so_that_workers_and_client_need_not_wait_for_each_other(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, *[b"%d" % number for number in range(1, 101)])
    await turns()
    for held in inner.sent[:2]:
        held.answer()
        await turns()
    assert [len(held.request.plaintexts) for held in inner.sent[2:]] == [50, 48]
    inner.answer_all()
    await blobs(calls)


async def test_nobody_waits_for_calls_with_another_key_or_of_another_operation(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, b"1", b"2")
    calls += start(coalescer, b"3", b"4", key_id="alias/y")
    calls += [
        asyncio.create_task(coalescer.call(operation, request, timeout_seconds=30))
        for operation, request in (
            (Operation.DECRYPT, DecryptRequest(ciphertext_blob=b"x")),
            (Operation.LIST_KEYS, ListKeysRequest()),
        )
    ]
    await turns()
    assert len(inner.sent) == 6
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize(
    "special",
    [
        {"dry_run": True},
        {"grant_tokens": ["token"]},
        {"encryption_algorithm": EncryptionAlgorithm.RSAES_OAEP_SHA_256},
    ],
)
async def test_what_a_batch_cannot_say_travels_alone(
    inner: HeldTransport, coalescer: Coalescer, special: dict[str, Any]
) -> None:
    calls = start(coalescer, b"1", b"2", b"3", **special)
    await turns()
    assert inner.operations == [ONE, ONE, ONE]
    inner.answer_all()
    await blobs(calls)


async def test_a_request_of_another_operation_is_passed_on_as_it_is(inner: HeldTransport, coalescer: Coalescer) -> None:
    request = DecryptRequest(ciphertext_blob=b"x")
    calls = [asyncio.create_task(coalescer.call(ONE, request, timeout_seconds=1)) for _ in range(3)]
    await turns()
    assert [held.request for held in inner.sent] == [request] * 3
    for call in calls:
        call.cancel()


async def test_an_encryption_context_of_all_is_said_once(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = start(coalescer, b"1", b"2", *[b"3"] * 4, encryption_context={"a": "b"})
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.sent[2].request.encryption_context == {"a": "b"}
    assert inner.sent[2].request.encryption_contexts is None
    inner.answer_all()
    await turns()
    inner.answer_all()
    await blobs(calls)


async def test_encryption_contexts_that_differ_stay_with_their_calls(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, b"1", b"2", b"3")
    calls += [start(coalescer, b"4", encryption_context={"n": str(number)})[0] for number in range(3)]
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.sent[2].request.encryption_context is None
    assert inner.sent[2].request.encryption_contexts == [None, {"n": "0"}, {"n": "1"}]
    inner.answer_all()
    await turns()
    inner.answer_all()
    await blobs(calls)


async def test_a_batch_ends_at_its_greatest_count(
    inner: HeldTransport, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ITEMS_MAX", 3)
    calls = start(coalescer, *[b"1"] * 12)
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.sent[2].request.plaintexts == [b"1"] * 3
    while not all(call.done() for call in calls):
        inner.answer_all()
        await turns()


async def test_a_batch_ends_at_its_greatest_length(
    inner: HeldTransport, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "REQUEST_MAX_BYTES", 2500)
    calls = start(coalescer, *[bytes(1000)] * 12)
    await turns()
    inner.sent[0].answer()
    await turns()
    assert len(inner.sent[2].request.plaintexts) == 2
    while not all(call.done() for call in calls):
        inner.answer_all()
        await turns()


async def test_one_that_is_too_long_to_travel_with_others_travels(
    inner: HeldTransport, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "REQUEST_MAX_BYTES", 10)
    calls = start(coalescer, *[bytes(1000)] * 5)
    await turns()
    while not all(call.done() for call in calls):
        inner.answer_all()
        await turns()
    assert inner.operations == [ONE] * 5


async def test_of_a_group_that_is_done_nothing_is_kept(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = [start(coalescer, b"1", key_id=f"alias/{number}")[0] for number in range(100)]
    calls += start(coalescer, *[b"2"] * 10)
    await turns()
    while not all(call.done() for call in calls):
        inner.answer_all()
        await turns()
    assert coalescer._groups == {}
    assert coalescer._flights == {}


async def test_closing_fails_who_waits_and_who_is_under_way(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = start(coalescer, *[b"1"] * 10)
    await turns()
    inner.sent[0].answer()
    await turns()
    assert inner.operations == [ONE, ONE, MANY]
    await coalescer.close()
    assert inner.sent[2].cancelled
    waiting = await asyncio.gather(*calls[2:], return_exceptions=True)
    assert [str(error) for error in waiting] == ["the client was closed before the reply came"] * 8
    assert len({id(error) for error in waiting}) == 8
    with pytest.raises(ClientClosed):
        await start(coalescer, b"late")[0]
    inner.answer_all()
    await blobs(calls[:2])


async def test_closing_before_the_first_step_of_a_batch_fails_its_calls(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = start(coalescer, *[b"1"] * 6)
    await turns()
    inner.sent[0].answer()
    await asyncio.sleep(0)
    assert [flight.task for flight in coalescer._flights.values()] == [None]
    await coalescer.close()
    outcomes = await asyncio.gather(*calls[2:], return_exceptions=True)
    assert all(isinstance(outcome, ClientClosed) for outcome in outcomes)
    inner.answer_all()
    await blobs(calls[:2])


async def test_nothing_that_waits_shows_its_plaintext(
    inner: HeldTransport, coalescer: Coalescer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    calls = start(coalescer, *[b"canary"] * 5)
    await turns()
    inner.sent[0].answer()
    await turns()
    (flight,) = coalescer._flights.values()
    shown = [repr(one) for one in (coalescer, flight, *flight.members, *coalescer._groups.values())]
    inner.sent[2].answer(RuntimeError("canary"))
    await turns()
    assert "canary" not in " ".join(shown) + caplog.text
    inner.answer_all()
    await turns()
    inner.answer_all()
    await blobs(calls)
