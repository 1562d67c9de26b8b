"""Errors of calls that travel together."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest

from fakes.held import ARN, MATERIAL, SYMMETRIC, HeldTransport, blob, blobs, coalescer_over, sealed, start, turns
from kmsq.coalescing import Coalescer, pauses
from kmsq.errors import (
    AccessDeniedException,
    DisabledException,
    InvalidCiphertextException,
    InvalidReply,
    KmsqError,
    NotFoundException,
    RequestRefused,
    ServiceError,
    ThrottlingException,
    TopologyMissing,
    UnsupportedOperationException,
    UnsupportedVersionException,
    ValidationException,
)
from kmsq_schemas.models import BatchEncryptReply, EncryptReply, FailedItem, ListKeysReply, Reply
from kmsq_schemas.operations import Operation

ONE, MANY = Operation.ENCRYPT, Operation.BATCH_ENCRYPT
REFUSALS = [
    RequestRefused("no permission for BatchEncrypt"),
    TopologyMissing("no queue for BatchEncrypt"),
    UnsupportedOperationException("BatchEncrypt is unknown"),
    UnsupportedVersionException(""),
    ValidationException("too long"),
]


@pytest.fixture
def inner() -> HeldTransport:
    return HeldTransport()


@pytest.fixture
async def coalescer(inner: HeldTransport) -> AsyncGenerator[Coalescer]:
    async with coalescer_over(inner) as running:
        yield running


async def together(inner: HeldTransport, coalescer: Coalescer, count: int = 3) -> list[asyncio.Task[Reply]]:
    """Put a batch of so many calls under way, as the last that was sent, with nothing beside it."""
    first = start(coalescer, b"first", b"second")
    await turns()
    calls = start(coalescer, *[b"%d" % number for number in range(count)])
    # Two who hold the other half of the places, so that the batch gets the others whole.
    waiting = start(coalescer, *[b"left"] * (count - 2))
    await turns()
    inner.sent[-2].answer()
    await turns()
    for call in waiting:
        call.cancel()
    inner.sent[-2].answer()
    await asyncio.gather(*first)
    await turns()
    assert inner.sent[-1].operation is MANY
    assert inner.sent[-1].request.plaintexts == [b"%d" % number for number in range(count)]
    return calls


async def errors_of(calls: list[asyncio.Task[Reply]]) -> list[object]:
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def test_an_error_of_the_batch_is_each_callers_own(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(DisabledException("is disabled.", message_id="17"))
    errors = await errors_of(calls)
    for error in errors:
        assert isinstance(error, DisabledException)
        assert (error.code, error.message, error.message_id) == ("DisabledException", "is disabled.", "17")
        error.add_note("mine")
    assert len({id(error) for error in errors}) == 3
    assert all(error.__notes__ == ["mine"] for error in errors if isinstance(error, DisabledException))


async def test_an_error_of_an_unknown_code_keeps_it(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(ServiceError("what?", code="NewException"))
    assert [str(error) for error in await errors_of(calls)] == ["NewException: what?"] * 3


async def test_items_fail_alone(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer, 4)
    denied = FailedItem(index=1, code="AccessDeniedException", message="not you")
    broken = FailedItem(index=2, code="InvalidCiphertextException", message="")
    inner.sent[-1].answer(sealed(inner.sent[-1].request, denied, broken))
    first, second, third, fourth = await errors_of(calls)
    assert isinstance(first, EncryptReply)
    assert isinstance(second, AccessDeniedException)
    assert second.message == "not you"
    assert isinstance(third, InvalidCiphertextException)
    assert isinstance(fourth, EncryptReply)
    assert fourth.ciphertext_blob == blob(b"3")


async def test_an_item_that_may_succeed_later_goes_on_by_itself(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(
        sealed(inner.sent[-1].request, FailedItem(index=1, code=ThrottlingException.code, message=""))
    )
    await turns()
    assert inner.sent[-1].operation is ONE
    assert inner.sent[-1].request.plaintext == b"1"
    inner.answer_all()
    assert await blobs(calls) == [blob(b"0"), blob(b"1"), blob(b"2")]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
async def test_calls_of_a_refused_batch_are_sent_alone_and_so_are_later_ones(
    inner: HeldTransport, coalescer: Coalescer, refusal: KmsqError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="kmsq.coalescing")  # commands that ran before may have silenced `kmsq`
    calls = await together(inner, coalescer)
    sent = len(inner.sent)
    inner.sent[-1].answer(refusal)
    await turns()
    assert inner.operations[sent:] == [ONE] * 3
    calls += start(coalescer, *[b"later"] * 3)
    calls += start(coalescer, *[b"other"] * 3, key_id="alias/y")
    await turns()
    assert inner.operations[sent:] == [ONE] * 9
    inner.answer_all()
    assert await blobs(calls) == [blob(b"0"), blob(b"1"), blob(b"2"), *[blob(b"later")] * 3, *[blob(b"other")] * 3]
    assert [record.levelno for record in caplog.records if record.name == "kmsq.coalescing"] == [logging.WARNING]


async def test_who_waits_when_batches_are_refused_is_sent_alone(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    calls += start(coalescer, *[b"later"] * 5)
    await turns()
    sent = len(inner.sent)
    inner.sent[sent - 2].answer(RequestRefused("no"))
    await turns()
    assert MANY not in inner.operations[sent:]
    inner.answer_all()
    assert len(await blobs(calls)) == 8


async def test_each_caller_of_a_refused_batch_gets_its_own_refusal(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(RequestRefused("no permission for BatchEncrypt"))
    await turns()
    for held in inner.sent[-3:]:
        held.answer(RequestRefused("no permission for Encrypt"))
    assert [str(error) for error in await errors_of(calls)] == ["no permission for Encrypt"] * 3


async def test_a_refused_batch_is_tried_again_after_a_while(
    inner: HeldTransport, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "PAUSE_SECONDS", 0.02)
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(RequestRefused("no"))
    await turns()
    inner.answer_all()
    await blobs(calls)
    await asyncio.sleep(0.03)
    calls = await together(inner, coalescer)
    inner.answer_all()
    assert len(await blobs(calls)) == 3


async def test_other_operations_go_on_coalescing(inner: HeldTransport, coalescer: Coalescer) -> None:
    coalescer._pauses.begin(Operation.DECRYPT, now=asyncio.get_running_loop().time())
    calls = await together(inner, coalescer)
    inner.answer_all()
    await blobs(calls)


@pytest.mark.parametrize("error", [NotFoundException("no such key"), AccessDeniedException("denied")])
async def test_an_error_that_a_single_call_would_have_ends_nothing(
    inner: HeldTransport, coalescer: Coalescer, error: KmsqError
) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(error)
    assert [type(found) for found in await errors_of(calls)] == [type(error)] * 3
    again = await together(inner, coalescer)
    inner.answer_all()
    await blobs(again)


def reply_of(*items: bytes | None) -> BatchEncryptReply:
    return BatchEncryptReply(
        key_id=ARN, key_material_id=MATERIAL, encryption_algorithm=SYMMETRIC, ciphertext_blobs=list(items), failed=[]
    )


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(reply_of(b"a", b"b"), id="too few"),
        pytest.param(reply_of(b"a", b"b", b"c", b"d"), id="too many"),
        pytest.param(reply_of(b"a", b"", b"c"), id="an item of no length"),
        pytest.param(ListKeysReply(keys=[], truncated=False), id="of another operation"),
    ],
)
async def test_a_reply_that_does_not_fit_is_believed_by_nobody(
    inner: HeldTransport, coalescer: Coalescer, reply: Reply
) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(reply)
    errors = await errors_of(calls)
    assert all(isinstance(error, InvalidReply) for error in errors)
    assert "the reply to Encrypt is malformed" in str(errors[0])
    assert len({id(error) for error in errors}) == 3


async def test_an_item_that_neither_failed_nor_has_a_result_is_a_malformed_reply(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(reply_of(b"a", None, b"c"))
    assert [type(outcome) for outcome in await errors_of(calls)] == [EncryptReply, InvalidReply, EncryptReply]


async def test_a_malformed_reply_speaks_of_the_call(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(InvalidReply("the reply to BatchEncrypt is malformed: a member is missing"))
    errors = await errors_of(calls)
    assert [str(error) for error in errors] == ["the reply to Encrypt is malformed: a member is missing"] * 3


async def test_calls_that_cannot_travel_together_travel_alone(inner: HeldTransport, coalescer: Coalescer) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(RuntimeError("a fault of ours"))
    await turns()
    assert inner.operations[-3:] == [ONE] * 3
    inner.answer_all()
    assert len(await blobs(calls)) == 3


async def test_calls_of_a_batch_that_somebody_else_cancelled_travel_alone(
    inner: HeldTransport, coalescer: Coalescer
) -> None:
    calls = await together(inner, coalescer)
    inner.sent[-1].answer(asyncio.CancelledError())
    await turns()
    assert inner.operations[-3:] == [ONE] * 3
    inner.answer_all()
    assert len(await blobs(calls)) == 3
