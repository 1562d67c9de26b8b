"""What is malformed, oversized, unknown or expired gets its stated fate, and its neighbours are answered."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiormq.exceptions import DeliveryError
from pamqp.common import FieldValue

from integration import raw
from integration.evidence import (
    account_locked,
    audit_records,
    counted,
    dead_letters,
    metric,
    outcomes,
    queue_depths,
    running,
    until,
    waiting_for_the_lock,
)
from integration.raw import SUCCESS, Message, Producer, deadline_in
from kmsq_schemas import limits
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DisableKeyRequest,
    EncryptRequest,
    GenerateDataKeyPairRequest,
    GenerateRandomRequest,
    ListKeysRequest,
)
from kmsq_schemas.models.enums import DataKeyPairSpec
from kmsq_schemas.operations import Operation
from services.stack import PrivateStack

RANDOM = GenerateRandomRequest(number_of_bytes=16)


def with_body(body: bytes, content_type: str = ContentType.JSON) -> Callable[[Message], Message]:
    return lambda message: replace(message, body=body, content_type=content_type)


def with_headers(**headers: FieldValue) -> Callable[[Message], Message]:
    return lambda message: replace(message, headers={**message.headers, **headers})


CBOR = ContentType.CBOR
NESTED = b'{"NumberOfBytes":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

FATES = {
    "malformed-json": (with_body(b'{"NumberOfBytes": 16'), "ValidationException"),
    "json-that-is-no-object": (with_body(b"[16]"), "ValidationException"),
    "empty": (with_body(b""), "ValidationException"),
    "text-after-the-json": (with_body(b'{"NumberOfBytes": 16} 1'), "ValidationException"),
    "a-duplicate-key": (with_body(b'{"NumberOfBytes": 16, "NumberOfBytes": 17}'), "ValidationException"),
    "an-unknown-field": (with_body(b'{"NumberOfBytes": 16, "Numberofbytes": 16}'), "ValidationException"),
    "a-snake-case-field": (with_body(b'{"number_of_bytes": 16}'), "ValidationException"),
    "a-number-as-text": (with_body(b'{"NumberOfBytes": "16"}'), "ValidationException"),
    "a-number-out-of-range": (with_body(b'{"NumberOfBytes": 1025}'), "ValidationException"),
    "a-number-of-a-thousand-digits": (with_body(b'{"NumberOfBytes": ' + b"9" * 1000 + b"}"), "ValidationException"),
    "deep-json": (with_body(NESTED[: limits.SINGLE_BODY_MAX_BYTES]), "ValidationException"),
    "an-oversized-body": (with_body(b" " * limits.SINGLE_BODY_MAX_BYTES + b"{}"), "ValidationException"),
    "malformed-cbor": (with_body(b"\xa1\x6d", CBOR), "ValidationException"),
    "a-duplicate-key-in-cbor": (with_body(b"\xa2" + 2 * (b"\x6dNumberOfBytes\x10"), CBOR), "ValidationException"),
    "indefinite-cbor": (with_body(b"\xbf\x6dNumberOfBytes\x10\xff", CBOR), "ValidationException"),
    "tagged-cbor": (with_body(b"\xa1\x6dNumberOfBytes\xc2\x41\x10", CBOR), "ValidationException"),
    "deep-cbor": (with_body(b"\xa1\x6dNumberOfBytes" + b"\x81" * 50_000 + b"\x10", CBOR), "ValidationException"),
    "bytes-after-the-cbor": (with_body(b"\xa1\x6dNumberOfBytes\x10\x00", CBOR), "ValidationException"),
    "cbor-that-claims-terabytes": (with_body(b"\xa1\x6dNumberOfBytes\x5b" + b"\x7f" * 8, CBOR), "ValidationException"),
    "json-called-cbor": (with_body(b'{"NumberOfBytes": 16}', CBOR), "ValidationException"),
    "an-unknown-content-type": (with_body(b"<a/>", "application/xml"), "ValidationException"),
    "no-content-type": (lambda message: replace(message, content_type=None), "ValidationException"),
    "an-unknown-version": (with_headers(**{"kmsq-version": 2}), "UnsupportedVersionException"),
    "a-version-as-text": (with_headers(**{"kmsq-version": "1"}), "UnsupportedVersionException"),
    "no-version": (lambda message: replace(message, headers={}), "UnsupportedVersionException"),
    "an-encoded-body": (lambda message: replace(message, content_encoding="gzip"), "UnsupportedOperationException"),
    "on-behalf-of-somebody": (with_headers(**{"on-behalf-of": "bob"}), "UnsupportedOperationException"),
    "expired-at-arrival": (with_headers(deadline=deadline_in(-1)), "ExpiredException"),
    "a-deadline-as-text": (with_headers(deadline="soon"), "ValidationException"),
    "a-negative-deadline": (with_headers(deadline=-1), "ValidationException"),
    "a-deadline-after-time-itself": (with_headers(deadline=2**62), "ValidationException"),
    "a-message-id-that-is-no-uuid": (lambda message: replace(message, message_id="42"), "ValidationException"),
    "no-correlation-id": (lambda message: replace(message, correlation_id=""), "ValidationException"),
}


@pytest.mark.parametrize("fate", FATES)
async def test_what_cannot_be_served_gets_its_typed_error_and_its_neighbours_are_answered(
    admin: Producer, stack: PrivateStack, fate: str
) -> None:
    spoil, code = FATES[fate]
    spoilt = spoil(admin.message(RANDOM))
    neighbours = [admin.message(RANDOM) for _ in range(4)]
    before = deadline_in(-1)
    await asyncio.gather(*(admin.publish(message) for message in [*neighbours[:2], spoilt, *neighbours[2:]]))
    answer = await admin.answer(spoilt)
    assert answer.code == code
    assert answer.content_type == (CBOR if spoilt.content_type == CBOR else ContentType.JSON)
    assert isinstance(answer.headers["server_time"], int)
    assert before < answer.headers["server_time"] < deadline_in(60)
    assert answer.headers["kmsq-version"] == 1
    assert [(await admin.answer(message)).code for message in neighbours] == [SUCCESS] * 4
    if len(spoilt.message_id) > 2:
        assert await outcomes(stack, spoilt.message_id) == [code]


@pytest.mark.parametrize(
    "deadline", [deadline_in(60 * 86_400), 253_402_300_799_999], ids=["in-sixty-days", "in-the-year-9999"]
)
async def test_a_deadline_in_the_far_future_is_as_good_as_any(
    admin: Producer, stack: PrivateStack, deadline: int
) -> None:
    lost = [metric(worker, "kmsq_sessions_lost_total") for worker in stack.workers]
    message = admin.message(RANDOM, deadline=deadline)
    assert (await admin.ask(message)).code == SUCCESS
    assert await outcomes(stack, message.message_id) == [SUCCESS]
    assert [metric(worker, "kmsq_sessions_lost_total") for worker in stack.workers] == lost


async def test_a_request_that_is_no_change_needs_no_deadline(admin: Producer) -> None:
    message = admin.message(RANDOM)
    without = replace(message, headers={"kmsq-version": 1})
    assert (await admin.ask(without)).code == SUCCESS


@pytest.mark.parametrize("ahead_seconds", [None, 3_700, 10_000_000])
async def test_a_change_without_a_near_deadline_is_refused_and_has_no_effect(
    admin: Producer, ahead_seconds: int | None
) -> None:
    key = await admin.call(CreateKeyRequest(), CreateKeyReply)
    message = admin.message(DisableKeyRequest(key_id=key.key_metadata.key_id))
    headers = {name: value for name, value in message.headers.items() if name != "deadline"}
    if ahead_seconds is not None:
        headers["deadline"] = deadline_in(ahead_seconds)
    answer = await admin.ask(replace(message, headers=headers))
    assert answer.code == "ValidationException"
    assert await admin.code(EncryptRequest(key_id=key.key_metadata.key_id, plaintext=b"x")) == SUCCESS


async def test_an_operation_that_does_not_exist_is_returned_to_its_sender(stack: PrivateStack) -> None:
    async with raw.connected(stack.broker.administrator_url) as mighty:
        unheard_of = replace(mighty.message(RANDOM), routing_key="broker-admin.Forge", type="Forge")
        with pytest.raises(DeliveryError):
            await mighty.publish(unheard_of)


async def test_a_request_that_expires_while_no_worker_runs_is_answered_as_expired_and_not_executed(
    lone: PrivateStack, boss: Producer
) -> None:
    late = boss.message(RANDOM, deadline=deadline_in(0.2))
    change = boss.message(CreateKeyRequest(description="too late"), deadline=deadline_in(0.2))
    await asyncio.gather(boss.publish(late), boss.publish(change))
    await until(lambda: passed(late))
    async with running(lone):
        assert (await boss.answer(late)).code == "ExpiredException"
        assert (await boss.answer(change)).code == "ExpiredException"
        assert await outcomes(lone, late.message_id) == ["ExpiredException"]
        records = await audit_records(lone, message_id=change.message_id)
        assert [record.facts["outcome"] for record in records] == ["ExpiredException"]
        assert "wrote" not in records[0].facts


async def test_a_result_whose_deadline_passes_before_the_commit_is_not_given_out(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone):
        key = (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
        request = EncryptRequest(key_id=key, plaintext=b"x")
        assert await boss.code(request) == SUCCESS
        late, patient = boss.message(request, deadline=deadline_in(1)), boss.message(request)
        async with account_locked(lone):
            await asyncio.gather(boss.publish(late), boss.publish(patient))
            await until(lambda: waiting_for_the_lock(lone))
            await until(lambda: passed(late))
        assert (await boss.answer(late)).code == "ExpiredException"
        assert (await boss.answer(patient)).code == SUCCESS
        assert await outcomes(lone, late.message_id) == ["ExpiredException"]


async def test_a_greedy_principal_is_throttled_while_another_is_served(lone: PrivateStack, boss: Producer) -> None:
    url = await asyncio.to_thread(lone.add_producer, "other", tuple(Operation))
    async with (
        running(lone, environment={"KMSQ_PRINCIPAL_MAX": "5", "KMSQ_TURN_MAX": "1"}),
        raw.connected(url) as other,
    ):
        greedy = [boss.message(RANDOM) for _ in range(100)]
        modest = [other.message(RANDOM) for _ in range(3)]
        async with account_locked(lone):
            await asyncio.gather(*map(boss.publish, greedy))
            await until(lambda: waiting_for_the_lock(lone))
            await asyncio.gather(*map(other.publish, modest))
            # `ListKeys` has another queue, whose lane is held up as well: what was sent before has been delivered.
        codes = counted([(await boss.answer(message)).code for message in greedy])
        assert codes.keys() == {SUCCESS, "ThrottlingException"}
        assert codes[SUCCESS] < 20
        assert {(await other.answer(message)).code for message in modest} == {"AccessDeniedException"}
        throttled = next(message for message in greedy if boss.answers_so_far(message)[0].code != SUCCESS)
        assert await outcomes(lone, throttled.message_id) == ["ThrottlingException"]


async def test_whoever_floods_the_slow_queue_delays_nobody_else_by_more_than_a_turn(
    lone: PrivateStack, boss: Producer
) -> None:
    url = await asyncio.to_thread(lone.add_producer, "other", tuple(Operation))
    async with running(lone), raw.connected(url) as other:
        key = (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
        pair = GenerateDataKeyPairRequest(key_id=key, key_pair_spec=DataKeyPairSpec.RSA_2048)
        greedy = [boss.message(pair) for _ in range(100)]
        await asyncio.gather(*map(boss.publish, greedy))
        assert (await other.ask(other.message(pair))).code == "AccessDeniedException"
        assert sum(bool(boss.answers_so_far(message)) for message in greedy) < 50
        assert {(await boss.answer(message)).code for message in greedy} == {SUCCESS}


async def test_a_reply_whose_queue_is_gone_is_audited_as_undeliverable_and_acknowledged(
    lone: PrivateStack, boss: Producer
) -> None:
    async with raw.connected(lone.administrator_url) as gone:
        orphans = [gone.message(RANDOM), gone.message(CreateKeyRequest(description="orphan"))]
    await asyncio.gather(*map(boss.publish, orphans))
    async with dead_letters(lone) as letters, running(lone) as (worker,):
        for orphan in orphans:
            await until(lambda message_id=orphan.message_id: recorded(lone, message_id, 2))  # type: ignore[misc]
            assert await outcomes(lone, orphan.message_id) == [SUCCESS, "Undeliverable"]
        assert await boss.code(ListKeysRequest()) == SUCCESS
        assert metric(worker, "kmsq_replies_undeliverable_total") == 2
        assert letters.empty()
    assert set((await queue_depths(lone)).values()) == {0}


async def passed(message: Message) -> bool:
    return deadline_in(0) > int(str(message.headers["deadline"]))


async def recorded(stack: PrivateStack, message_id: str, count: int) -> bool:
    return len(await outcomes(stack, message_id)) >= count
