"""Who asks is what the broker proved; anything else is refused, audited and answered nowhere."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import aiormq
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from integration import raw
from integration.evidence import audit_records, dead_letters
from integration.raw import SUCCESS, Message, Producer
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DisableKeyRequest,
    EncryptRequest,
    GenerateRandomRequest,
)
from kmsq_schemas.operations import Operation, Queue
from kmsq_schemas.topology import REPLIES_EXCHANGE
from services.stack import PrivateStack

RANDOM = GenerateRandomRequest(number_of_bytes=16)
BODY_MARK = b'{"NumberOfBytes": 16}'


@pytest.fixture
async def mighty(stack: PrivateStack) -> AsyncGenerator[Producer]:
    """Return a broker administrator, whom no permission stops; its user is `broker-admin`."""
    async with raw.connected(stack.broker.administrator_url) as producer:
        yield producer


REFUSALS: dict[str, tuple[Callable[[Message], Message], str]] = {
    "without-user-id": (lambda message: replace(message, user_id=None), "no-user-id"),
    "under-another-principal's-routing-key": (
        lambda message: replace(message, routing_key="admin.GenerateRandom"),
        "routing-key-mismatch",
    ),
    "under-another-operation's-routing-key": (
        lambda message: replace(message, routing_key="broker-admin.Encrypt"),
        "routing-key-mismatch",
    ),
    "of-a-type-that-the-routing-key-does-not-say": (
        lambda message: replace(message, type="Encrypt"),
        "routing-key-mismatch",
    ),
    "of-no-type": (lambda message: replace(message, type=None), "operation-not-of-this-queue"),
    "of-an-unknown-type": (lambda message: replace(message, type="Sign"), "operation-not-of-this-queue"),
    "of-an-operation-that-belongs-to-another-queue": (
        lambda message: replace(message, exchange="", routing_key=Queue.READ.value),
        "operation-not-of-this-queue",
    ),
    "put-straight-into-its-queue": (
        lambda message: replace(message, exchange="", routing_key=Queue.CRYPTO.value),
        "routing-key-mismatch",
    ),
    "with-a-cc-header": (
        lambda message: replace(message, headers={**message.headers, "CC": ["broker-admin.GenerateRandom"]}),
        "sender-selected-distribution",
    ),
    "without-reply-to": (lambda message: replace(message, reply_to=None), "foreign-reply-to"),
    "with-another-principal's-reply-queue": (
        lambda message: replace(message, reply_to=f"kmsq.reply.carol.{'a' * 32}"),
        "foreign-reply-to",
    ),
    "with-a-request-queue-for-its-reply": (
        lambda message: replace(message, reply_to=Queue.ADMIN.value),
        "foreign-reply-to",
    ),
    "with-a-reply-queue-whose-name-has-a-wildcard": (
        lambda message: replace(message, reply_to="kmsq.reply.broker-admin.#"),
        "foreign-reply-to",
    ),
    "with-a-reply-queue-that-goes-on-behind-the-instance": (
        lambda message: replace(message, reply_to=f"{message.reply_to}\n"),
        "foreign-reply-to",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_request_is_refused_audited_and_buried_without_its_body(
    stack: PrivateStack, mighty: Producer, admin: Producer, refusal: str
) -> None:
    forge, reason = REFUSALS[refusal]
    forged = forge(replace(mighty.message(RANDOM), body=BODY_MARK))
    async with dead_letters(stack) as letters:
        await mighty.publish(forged)
        letter = await letters.get()
    assert (letter.reason, letter.body) == (reason, b"")
    assert letter.headers["kmsq-body-bytes"] == len(BODY_MARK)
    records = await audit_records(stack, message_id=forged.message_id)
    assert {record.facts["outcome"] for record in records} == {"Refused"}
    assert {record.facts["reason"] for record in records} == {reason}
    assert not any("principal" in record.facts for record in records)
    # The answer to a later request comes behind whatever the worker may have sent before.
    assert await admin.code(RANDOM) == SUCCESS
    assert mighty.arrived == []
    assert [answer.code for answer in admin.arrived] == [SUCCESS]


async def test_a_principal_whose_name_is_malformed_is_refused(stack: PrivateStack) -> None:
    name = "Mallory.x"
    stack_user = await asyncio.to_thread(stack.broker.add_user, name, tags=["administrator"])
    await asyncio.to_thread(stack.broker.set_permissions, name, configure=".*", write=".*", read=".*")
    async with aiormq.connect(stack_user) as connection, dead_letters(stack) as letters:
        mallory = Producer(await connection.channel(), name, "a" * 32)
        honest = Producer(await connection.channel(), "mallory", "a" * 32).message(RANDOM)
        for routing_key in ("Mallory.GenerateRandom", "mallory.GenerateRandom"):
            await mallory.publish(replace(honest, user_id=name, routing_key=routing_key))
            assert (await letters.get()).reason == "malformed-principal"


async def test_a_request_delivered_to_a_second_queue_through_cc_is_refused_in_both(
    stack: PrivateStack, mighty: Producer
) -> None:
    """What topic permissions of RabbitMQ up to 3.13 do not see: a change smuggled in beside an allowed request."""
    smuggled = replace(mighty.message(RANDOM), headers={"kmsq-version": 1, "CC": ["broker-admin.DisableKey"]})
    async with dead_letters(stack) as letters:
        await mighty.publish(smuggled)
        reasons = {(await letters.get()).reason, (await letters.get()).reason}
    assert reasons == {"sender-selected-distribution", "operation-not-of-this-queue"}
    assert mighty.arrived == []


async def test_the_broker_refuses_a_forged_user_id(principals: dict[str, str]) -> None:
    async with raw.connected(principals["carol"]) as carol:
        forged = replace(carol.message(RANDOM), user_id="admin")
        with pytest.raises(ChannelPreconditionFailed, match="user_id"):
            await carol.publish(forged)


@pytest.mark.parametrize(
    ("exchange", "routing_key"),
    [
        ("kmsq.requests", "admin.GenerateRandom"),
        ("kmsq.requests", "enc.Decrypt"),
        ("kmsq.requests", "enc.CreateKey"),
        ("kmsq.requests", "enc.Encrypt.more"),
        ("kmsq.replies", f"carol.{'a' * 32}"),
        ("kmsq.dead", ""),
        ("", "kmsq.crypto"),
        ("", "kmsq.admin"),
    ],
)
async def test_the_broker_refuses_what_a_producer_may_not_publish(
    principals: dict[str, str], exchange: str, routing_key: str
) -> None:
    async with raw.connected(principals["enc"]) as encrypter:
        forged = replace(encrypter.message(RANDOM), exchange=exchange, routing_key=routing_key)
        with pytest.raises(ChannelAccessRefused):
            await encrypter.publish(forged)


@pytest.mark.parametrize("queue", ["kmsq.crypto", "kmsq.admin", "kmsq.dead"])
async def test_the_broker_lets_no_producer_read_requests(principals: dict[str, str], queue: str) -> None:
    async def ignore(_message: object) -> None:
        raise AssertionError(_message)

    async with aiormq.connect(principals["carol"]) as connection:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await channel.basic_consume(queue, ignore)


@pytest.mark.parametrize("binding_key", ["admin.*", "#", "*.*", f"admin.{'a' * 32}"])
async def test_the_broker_lets_no_producer_bind_another_principals_replies(
    principals: dict[str, str], binding_key: str
) -> None:
    async with aiormq.connect(principals["carol"]) as connection:
        channel = await connection.channel()
        queue = "kmsq.reply.carol." + "b" * 32
        await channel.queue_declare(queue, exclusive=True)
        with pytest.raises(ChannelAccessRefused):
            await channel.queue_bind(queue, REPLIES_EXCHANGE, binding_key)


async def test_a_reply_follows_the_proven_principal_whatever_instance_it_names(
    stack: PrivateStack, admin: Producer, carol: Producer
) -> None:
    """Carol asks in her own name for answers to the administrator's instance: they are hers, and hers has no queue."""
    borrowed = replace(carol.message(RANDOM), reply_to=f"kmsq.reply.carol.{admin.instance}")
    await carol.publish(borrowed)
    assert await carol.code(RANDOM) == "AccessDeniedException"
    assert await admin.code(RANDOM) == SUCCESS
    assert [answer.code for answer in admin.arrived] == [SUCCESS]
    assert len(carol.arrived) == 1
    events = [record.facts.get("event") for record in await audit_records(stack, message_id=borrowed.message_id)]
    assert events in ([None], [None, "Undeliverable"])


async def test_a_reply_asked_for_in_another_principals_queue_reaches_nobody(
    stack: PrivateStack, admin: Producer, carol: Producer
) -> None:
    async with dead_letters(stack) as letters:
        stolen = replace(carol.message(RANDOM), reply_to=admin.reply_to)
        await carol.publish(stolen)
        assert (await letters.get()).reason == "foreign-reply-to"
    assert await admin.code(RANDOM) == SUCCESS
    assert await carol.code(RANDOM) == "AccessDeniedException"
    assert [len(admin.arrived), len(carol.arrived)] == [1, 1]


async def test_replies_come_from_the_workers_user_under_fresh_ids_and_echo_the_trace(admin: Producer) -> None:
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    message = admin.message(RANDOM, traceparent=trace)
    answer = await admin.ask(message)
    assert (answer.kind, answer.user_id, answer.correlation_id) == (
        Operation.GENERATE_RANDOM,
        "kmsq-worker",
        message.correlation_id,
    )
    assert answer.routing_key == f"admin.{admin.instance}"
    assert answer.message_id not in {"", message.message_id}
    assert answer.headers["traceparent"] == trace
    malformed = await admin.ask(admin.message(RANDOM, traceparent="00-x"))
    assert "traceparent" not in malformed.headers


async def test_a_principal_cannot_act_on_a_key_it_only_knows_the_name_of(admin: Producer, carol: Producer) -> None:
    key = (await admin.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
    refused = await carol.error(EncryptRequest(key_id=key, plaintext=b"x"))
    assert refused.code == "AccessDeniedException"
    assert "user/carol is not authorized to perform: kms:Encrypt" in refused.message
    assert (await carol.error(DisableKeyRequest(key_id=key))).code == "AccessDeniedException"
    assert await admin.code(EncryptRequest(key_id=key, plaintext=b"x")) == SUCCESS
