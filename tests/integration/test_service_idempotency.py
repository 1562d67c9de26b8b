"""A change is made at most once per (principal, message_id), whoever delivers it however often to whom."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from uuid import uuid4

import pytest

from integration import raw
from integration.evidence import account_locked, outcomes, sql, until, waiting_for_the_lock
from integration.raw import SUCCESS, Message, Producer
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DeleteAliasRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    EncryptRequest,
    ListAliasesReply,
    ListAliasesRequest,
    RotateKeyOnDemandRequest,
)
from services.stack import PrivateStack


@pytest.fixture
async def other(stack: PrivateStack) -> AsyncGenerator[Producer]:
    """Return a second connection of the administrator."""
    async with raw.connected(stack.administrator_url) as producer:
        yield producer


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


def again(message: Message, **changes: object) -> Message:
    """Return what a client sends that got no answer, under another correlation id."""
    return replace(message, correlation_id=uuid4().hex, **changes)  # type: ignore[arg-type]


async def keys_described(stack: PrivateStack, description: str) -> int:
    rows = await sql(stack, "SELECT count(*) AS number FROM kmsq.keys WHERE description = $1", description)
    return int(rows[0]["number"])


async def test_the_same_create_key_in_the_hands_of_two_workers_at_once_makes_one_key(
    admin: Producer, stack: PrivateStack
) -> None:
    for _ in range(5):
        description = str(uuid4())
        first = admin.message(CreateKeyRequest(description=description))
        second = again(first)
        async with account_locked(stack):
            await asyncio.gather(admin.publish(first), admin.publish(second))
            # The lanes of changes make one at a time: two that wait are two workers'.
            await until(lambda: both_wait(stack))
        answers = [await admin.answer(message) for message in (first, second)]
        assert answers[0].reply(CreateKeyReply) == answers[1].reply(CreateKeyReply)
        assert await keys_described(stack, description) == 1
        assert sorted(await outcomes(stack, first.message_id)) == ["ReplayedCreateKey", SUCCESS]


async def test_the_same_alias_in_the_hands_of_two_workers_at_once_is_created_once_and_both_succeed(
    admin: Producer, stack: PrivateStack
) -> None:
    key = await new_key(admin)
    first = admin.message(CreateAliasRequest(alias_name=f"alias/twice-{uuid4()}", target_key_id=key))
    second = again(first)
    async with account_locked(stack):
        await asyncio.gather(admin.publish(first), admin.publish(second))
        await until(lambda: both_wait(stack))
    assert [(await admin.answer(message)).code for message in (first, second)] == [SUCCESS, SUCCESS]
    assert sorted(await outcomes(stack, first.message_id)) == ["ReplayedCreateAlias", SUCCESS]


async def both_wait(stack: PrivateStack) -> bool:
    return await waiting_for_the_lock(stack) >= 2


async def test_a_hundred_changes_each_sent_three_times_at_once_are_each_made_once(
    admin: Producer, other: Producer, stack: PrivateStack
) -> None:
    description = str(uuid4())
    firsts = [admin.message(CreateKeyRequest(description=description)) for _ in range(100)]
    seconds = [again(message) for message in firsts]
    thirds = [again(message, reply_to=other.reply_to) for message in firsts]
    sends = [
        producer.publish(message)
        for trio in zip(firsts, seconds, thirds, strict=True)
        for message, producer in zip(trio, (admin, admin, other), strict=True)
    ]
    await asyncio.gather(*sends)
    for trio in zip(firsts, seconds, thirds, strict=True):
        bodies = {(await producer.answer(one)).body for one, producer in zip(trio, (admin, admin, other), strict=True)}
        assert len(bodies) == 1
    assert await keys_described(stack, description) == 100


async def test_another_body_under_the_same_id_is_a_mismatch_without_effect(
    admin: Producer, stack: PrivateStack
) -> None:
    description = str(uuid4())
    first = admin.message(CreateKeyRequest(description="first"))
    assert (await admin.ask(first)).code == SUCCESS
    second = again(first, body=encode(CreateKeyRequest(description=description), ContentType.JSON))
    assert (await admin.ask(second)).code == "IdempotencyMismatchException"
    assert await keys_described(stack, description) == 0
    # Even a space: the digest covers the bytes.
    spaced = again(first, body=first.body.replace(b'{"', b'{ "'))
    assert (await admin.ask(spaced)).code == "IdempotencyMismatchException"
    assert (await admin.ask(again(first))).code == SUCCESS
    mismatch = "IdempotencyMismatchException"
    assert await outcomes(stack, first.message_id) == [SUCCESS, mismatch, mismatch, "ReplayedCreateKey"]


async def test_another_operation_under_the_same_id_is_a_mismatch_without_effect(admin: Producer) -> None:
    key = await new_key(admin)
    disable = admin.message(DisableKeyRequest(key_id=key))
    enable = replace(admin.message(EnableKeyRequest(key_id=key)), message_id=disable.message_id)
    assert (await admin.ask(disable)).code == SUCCESS
    assert enable.body == disable.body
    assert (await admin.ask(enable)).code == "IdempotencyMismatchException"
    assert await admin.code(EncryptRequest(key_id=key, plaintext=b"x")) == "DisabledException"


async def test_another_content_type_under_the_same_id_is_a_mismatch(admin: Producer, stack: PrivateStack) -> None:
    request = CreateKeyRequest(description=str(uuid4()))
    first = admin.message(request)
    assert (await admin.ask(first)).code == SUCCESS
    as_cbor = again(first, content_type=ContentType.CBOR, body=encode(request, ContentType.CBOR))
    answer = await admin.ask(as_cbor)
    assert (answer.code, answer.content_type) == ("IdempotencyMismatchException", ContentType.CBOR)
    assert await keys_described(stack, request.description or "") == 1


async def test_another_reply_queue_and_deadline_under_the_same_id_get_the_stored_outcome(
    admin: Producer, other: Producer, stack: PrivateStack
) -> None:
    first = admin.message(CreateKeyRequest(description=str(uuid4())))
    made = await admin.ask(first)
    later: dict[str, object] = {**first.headers, "deadline": raw.deadline_in(600)}
    moved = again(first, reply_to=other.reply_to, headers=later)
    assert (await other.ask(moved)).body == made.body
    assert len(admin.arrived) == 1
    assert await outcomes(stack, first.message_id) == [SUCCESS, "ReplayedCreateKey"]


async def test_a_final_error_is_stored_and_answered_again_after_its_cause_is_gone(
    admin: Producer, stack: PrivateStack
) -> None:
    key, name = await new_key(admin), f"alias/stored-{uuid4()}"
    create = CreateAliasRequest(alias_name=name, target_key_id=key)
    await admin.do(create)
    refused = admin.message(create)
    answer = await admin.ask(refused)
    assert answer.code == "AlreadyExistsException"
    await admin.do(DeleteAliasRequest(alias_name=name))
    assert (await admin.ask(again(refused))).body == answer.body
    assert (await admin.call(ListAliasesRequest(key_id=key), ListAliasesReply)).aliases == []
    assert await admin.code(create) == SUCCESS
    assert await outcomes(stack, refused.message_id) == ["AlreadyExistsException", "ReplayedError"]


async def test_ids_of_one_principal_say_nothing_about_anothers(
    admin: Producer, carol: Producer, stack: PrivateStack
) -> None:
    first = admin.message(CreateKeyRequest(description=str(uuid4())))
    assert (await admin.ask(first)).code == SUCCESS
    hers = replace(carol.message(CreateKeyRequest(description="hers")), message_id=first.message_id)
    assert (await carol.ask(hers)).code == "AccessDeniedException"
    assert (await admin.ask(again(first))).code == SUCCESS
    assert await outcomes(stack, first.message_id) == [SUCCESS, "AccessDeniedException", "ReplayedCreateKey"]


async def test_a_rotation_sent_twice_rotates_once(admin: Producer) -> None:
    key = await new_key(admin)
    message = admin.message(RotateKeyOnDemandRequest(key_id=key))
    before = (await admin.call(DescribeKeyRequest(key_id=key), DescribeKeyReply)).key_metadata.current_key_material_id
    assert (await admin.ask(message)).code == SUCCESS
    once = (await admin.call(DescribeKeyRequest(key_id=key), DescribeKeyReply)).key_metadata.current_key_material_id
    assert (await admin.ask(again(message))).code == SUCCESS
    twice = (await admin.call(DescribeKeyRequest(key_id=key), DescribeKeyReply)).key_metadata.current_key_material_id
    assert before != once == twice


async def test_the_stored_claim_holds_neither_the_request_nor_a_guessable_digest_of_it(
    admin: Producer, stack: PrivateStack
) -> None:
    description = f"secret-plans-{uuid4()}"
    message = admin.message(CreateAliasRequest(alias_name=f"alias/{uuid4()}", target_key_id=description))
    assert (await admin.ask(message)).code == "NotFoundException"
    (row,) = await sql(
        stack,
        "SELECT digest, expires_at, reply_body FROM kmsq.change_requests WHERE message_id = $1::uuid",
        message.message_id,
    )
    assert len(row["digest"]) == 16 + 32
    assert message.body not in bytes(row["reply_body"])
    deadline = int(str(message.headers["deadline"])) / 1000
    assert row["expires_at"].timestamp() - deadline == pytest.approx(7 * 86_400, abs=1)
