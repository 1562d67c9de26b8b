"""The client against a real broker, with a scripted responder in the workers' place."""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiormq
import pytest

from integration.client_responder import (
    Seen,
    admit_producer,
    admit_worker,
    declare,
    purge,
    responder,
)
from kmsq import Client, ContentType, RetryPolicy
from kmsq.amqp.answers import Doubt
from kmsq.amqp.transport import AmqpTransport
from kmsq.coalescing import Coalescer
from kmsq.errors import (
    ClientClosed,
    DeadlineExceeded,
    NotConnected,
    NotFoundException,
    RequestRefused,
    ThrottlingException,
    TopologyMissing,
)
from kmsq_schemas.models import (
    CreateAliasReply,
    DecryptReply,
    EncryptionAlgorithm,
    EncryptReply,
    ErrorReply,
    GenerateRandomReply,
    Reply,
)
from kmsq_schemas.operations import Operation
from services.rabbit import RabbitNode

KEY_ID = "8a1ee1ee-0000-4000-8000-000000000000"
ALLOWED = (Operation.ENCRYPT, Operation.GENERATE_RANDOM, Operation.CREATE_ALIAS, Operation.DECRYPT)
IMPATIENT = RetryPolicy(attempt_timeout_seconds=0.4)


@pytest.fixture(scope="module")
def rabbit_node(services_folder: Path) -> Iterator[RabbitNode]:
    """Return a broker without workers, instead of the one that the whole run shares."""
    with RabbitNode(services_folder / "rabbitmq-client") as node:
        yield node


@pytest.fixture(scope="module")
def producer_url(rabbit_node: RabbitNode) -> str:
    return admit_producer(rabbit_node, "alice", ALLOWED)


@pytest.fixture(scope="module")
def worker_url(rabbit_node: RabbitNode) -> str:
    return admit_worker(rabbit_node)


@pytest.fixture(autouse=True)
async def topology(rabbit_node: RabbitNode) -> None:
    await declare(rabbit_node.administrator_url)
    await purge(rabbit_node.administrator_url)


def answer(request: Seen) -> Reply | ErrorReply | None:
    match request.operation:
        case Operation.ENCRYPT:
            return EncryptReply(
                ciphertext_blob=b"sealed",
                key_id=KEY_ID,
                encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT,
            )
        case Operation.GENERATE_RANDOM:
            return GenerateRandomReply(plaintext=b"random")
        case Operation.CREATE_ALIAS:
            return CreateAliasReply()
        case _:
            return ErrorReply(code="NotFoundException", message="no such key")


def transport_of(client: Client) -> AmqpTransport:
    coalescer = client._transport
    transport = coalescer._inner if isinstance(coalescer, Coalescer) else coalescer
    assert isinstance(transport, AmqpTransport)
    return transport


@pytest.mark.parametrize("content_type", list(ContentType))
async def test_a_call_returns_the_typed_reply(producer_url: str, worker_url: str, content_type: ContentType) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url, content_type=content_type) as client:
        reply = await client.encrypt("alias/x", b"secret", encryption_context={"a": "b"})
    assert reply.ciphertext_blob == b"sealed"
    properties = worker.seen[0].properties
    assert properties.user_id == "alice"
    assert properties.content_type == content_type
    assert properties.delivery_mode == 2
    assert str(uuid.UUID(properties.message_id)) == properties.message_id
    assert properties.headers is not None
    assert properties.headers["kmsq-version"] == 1
    assert isinstance(properties.headers["deadline"], int)


async def test_an_error_reply_raises_the_exception_of_its_name(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url) as client:
        with pytest.raises(NotFoundException, match="no such key") as caught:
            await client.decrypt(b"blob")
    assert caught.value.message_id == worker.seen[0].properties.message_id


async def test_a_thousand_calls_are_in_flight_on_one_connection(producer_url: str, worker_url: str) -> None:
    async with Client(producer_url, timeout_seconds=60, coalesce=False) as client:
        calls = [asyncio.create_task(client.encrypt("alias/x", b"x")) for _ in range(1000)]
        await asyncio.sleep(1)
        assert not any(call.done() for call in calls)
        async with responder(worker_url, answer) as worker:
            replies = await asyncio.gather(*calls)
        assert len(replies) == 1000
    correlation_ids = {request.properties.correlation_id for request in worker.seen}
    assert len(correlation_ids) == 1000


async def test_an_unanswered_request_is_sent_again_under_the_same_ids(producer_url: str, worker_url: str) -> None:
    def second_time(request: Seen) -> Reply | ErrorReply | None:
        return answer(request) if len(worker.seen) > 1 else None

    async with responder(worker_url, second_time) as worker, Client(producer_url, retry=IMPATIENT) as client:
        await client.encrypt("alias/x", b"x")
    first, second = worker.seen
    assert first.properties.message_id == second.properties.message_id
    assert first.properties.correlation_id == second.properties.correlation_id
    assert first.body == second.body


async def test_a_retryable_error_is_retried_and_a_final_one_is_not(producer_url: str, worker_url: str) -> None:
    def throttle_twice(request: Seen) -> Reply | ErrorReply | None:
        if len(worker.seen) <= 2:
            return ErrorReply(code="ThrottlingException", message="slow down")
        return answer(request)

    async with responder(worker_url, throttle_twice) as worker, Client(producer_url) as client:
        await client.encrypt("alias/x", b"x")
        assert len(worker.seen) == 3
        assert len({request.properties.message_id for request in worker.seen}) == 1


async def test_a_retryable_error_is_raised_when_the_deadline_comes(producer_url: str, worker_url: str) -> None:
    def throttle(_request: Seen) -> ErrorReply:
        return ErrorReply(code="ThrottlingException", message="slow down")

    async with responder(worker_url, throttle) as worker, Client(producer_url, timeout_seconds=1) as client:
        with pytest.raises(ThrottlingException):
            await client.encrypt("alias/x", b"x")
    assert len(worker.seen) > 1


async def test_pending_requests_are_sent_again_after_a_reconnect(
    rabbit_node: RabbitNode, producer_url: str, worker_url: str
) -> None:
    silent = True

    def after_the_cut(request: Seen) -> Reply | ErrorReply | None:
        return None if silent else answer(request)

    async with responder(worker_url, after_the_cut) as worker, Client(producer_url, coalesce=False) as client:
        calls = [asyncio.create_task(client.encrypt("alias/x", b"x")) for _ in range(50)]
        await worker.wait_seen(50)
        silent = False
        await asyncio.to_thread(cut, rabbit_node, "alice")
        await asyncio.gather(*calls)
    assert len(worker.seen) == 100
    assert len({request.properties.message_id for request in worker.seen}) == 50
    assert len({request.properties.correlation_id for request in worker.seen}) == 50
    assert len({request.properties.reply_to for request in worker.seen}) == 2


def cut(node: RabbitNode, user: str) -> None:
    """Close all connections of `user`."""
    node.ctl("close_all_user_connections", user, "test")


async def test_the_reply_queue_gone_is_a_new_connection(
    rabbit_node: RabbitNode, producer_url: str, worker_url: str
) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url, retry=IMPATIENT) as client:
        await client.encrypt("alias/x", b"x")
        reply_to = worker.seen[0].properties.reply_to
        assert reply_to is not None
        # Only rabbitmqctl may delete another connection's exclusive queue.
        await asyncio.to_thread(rabbit_node.ctl, "delete_queue", reply_to)
        await client.encrypt("alias/x", b"x")
    assert worker.seen[-1].properties.reply_to != reply_to


async def test_a_forbidden_operation_fails_alone(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url, coalesce=False) as client:
        transport = transport_of(client)
        link = await transport.supervisor.link()
        good = [asyncio.create_task(client.encrypt("alias/x", b"x")) for _ in range(200)]
        bad = [asyncio.create_task(client.list_keys()) for _ in range(10)]
        good += [asyncio.create_task(client.encrypt("alias/x", b"x")) for _ in range(200)]
        refusals = await asyncio.gather(*bad, return_exceptions=True)
        await asyncio.gather(*good)
        assert await transport.supervisor.link() is link
    assert all(isinstance(refusal, RequestRefused) for refusal in refusals)
    assert "alice.ListKeys" in str(refusals[0])
    assert len(worker.seen) == 400


async def test_a_missing_queue_is_reported_at_once(rabbit_node: RabbitNode, producer_url: str) -> None:
    async with aiormq.connect(rabbit_node.administrator_url) as connection:
        channel = await connection.channel()
        await channel.queue_unbind("kmsq.crypto", "kmsq.requests", routing_key="*.Encrypt")
    async with Client(producer_url) as client:
        with pytest.raises(TopologyMissing, match="topology declare"):
            await asyncio.wait_for(client.encrypt("alias/x", b"x"), 5)


async def test_a_missing_exchange_is_reported_at_once(rabbit_node: RabbitNode, producer_url: str) -> None:
    async with aiormq.connect(rabbit_node.administrator_url) as connection:
        channel = await connection.channel()
        await channel.exchange_delete("kmsq.requests")
        async with Client(producer_url) as client:
            with pytest.raises(TopologyMissing, match=r"kmsq\.requests"):
                await asyncio.wait_for(client.encrypt("alias/x", b"x"), 5)
        await channel.exchange_delete("kmsq.replies")
    with pytest.raises(TopologyMissing, match=r"kmsq\.replies"):
        await asyncio.wait_for(Client(producer_url).__aenter__(), 5)


async def test_absent_workers_show_as_a_deadline_that_says_so(producer_url: str) -> None:
    async with Client(producer_url, timeout_seconds=0.5) as client:
        with pytest.raises(DeadlineExceeded, match="are workers running"):
            await client.encrypt("alias/x", b"x")


async def test_replies_of_anyone_but_the_worker_are_dropped(rabbit_node: RabbitNode, producer_url: str) -> None:
    admin = rabbit_node.administrator_url
    async with responder(admin, answer) as worker, Client(producer_url, timeout_seconds=1) as client:
        for user_id in (None, rabbit_node.ADMINISTRATOR):
            worker.user_id = user_id
            with pytest.raises(DeadlineExceeded):
                await client.encrypt("alias/x", b"x")
        assert transport_of(client).dropped[Doubt.FOREIGN] == 2


async def test_replies_of_another_version_are_dropped(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url, timeout_seconds=0.5) as client:
        worker.version = 2
        with pytest.raises(DeadlineExceeded):
            await client.encrypt("alias/x", b"x")
        assert transport_of(client).dropped == {Doubt.VERSION: 1}


async def test_late_duplicates_are_dropped_silently(
    producer_url: str, worker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url) as client:
        worker.copies = 3
        for _ in range(5):
            await client.encrypt("alias/x", b"x")
        worker.copies = 1
        await client.encrypt("alias/x", b"x")
        dropped = transport_of(client).dropped
        assert set(dropped) == {Doubt.UNKNOWN}
        assert 5 <= dropped[Doubt.UNKNOWN] <= 10
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_skew_of_the_workers_clock_is_learned(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker, Client(producer_url) as client:
        worker.clock_offset_ms = 3_600_000
        await client.encrypt("alias/x", b"x")
        assert 3_599_000 < transport_of(client).skew.milliseconds < 3_601_000
        await client.encrypt("alias/x", b"x")
    first, second = [request.properties.headers for request in worker.seen]
    assert first is not None
    assert second is not None
    assert 3_590_000 < int(str(second["deadline"])) - int(str(first["deadline"])) < 3_610_000


async def test_a_deadline_missed_for_a_wrong_clock_is_tried_again_with_the_right_one(
    producer_url: str, worker_url: str
) -> None:
    def expired_once(request: Seen) -> Reply | ErrorReply | None:
        if len(worker.seen) == 1:
            return ErrorReply(code="ExpiredException", message="too late")
        return answer(request)

    async with responder(worker_url, expired_once) as worker, Client(producer_url) as client:
        worker.clock_offset_ms = 3_600_000
        await client.encrypt("alias/x", b"x")


async def test_cancelling_a_call_forgets_it(producer_url: str) -> None:
    async with Client(producer_url) as client:
        call = asyncio.create_task(client.encrypt("alias/x", b"x"))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(transport_of(client)._pending) == 0


async def test_closing_the_client_fails_the_calls_under_way(producer_url: str) -> None:
    async with Client(producer_url) as client:
        calls = [asyncio.create_task(client.encrypt("alias/x", b"x")) for _ in range(20)]
        await asyncio.sleep(0.2)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, ClientClosed) for result in results)
    with pytest.raises(ClientClosed):
        await client.encrypt("alias/x", b"x")


async def test_no_broker_is_reported_with_advice(unused_tcp_port: int) -> None:
    client = Client(f"amqp://alice:canary-password@127.0.0.1:{unused_tcp_port}/", timeout_seconds=0.5)
    with pytest.raises(NotConnected, match="is RabbitMQ there") as caught:
        await client.__aenter__()
    assert "canary-password" not in str(caught.value) + repr(caught.value) + repr(client)


@pytest.mark.usefixtures("producer_url")
async def test_a_wrong_password_is_reported_at_once(rabbit_node: RabbitNode) -> None:
    client = Client(f"amqp://alice:canary-password@127.0.0.1:{rabbit_node.port}/")
    with pytest.raises(NotConnected, match="refuses the password of user alice") as caught:
        await asyncio.wait_for(client.__aenter__(), 5)
    assert "canary-password" not in str(caught.value) + repr(caught.value)


async def test_a_virtual_host_that_is_missing_is_reported_at_once(producer_url: str) -> None:
    with pytest.raises(NotConnected, match="virtual host"):
        await asyncio.wait_for(Client(f"{producer_url}nowhere").__aenter__(), 5)


async def test_a_user_without_a_reply_queue_is_told_at_once(worker_url: str) -> None:
    with pytest.raises(RequestRefused, match="reply queue"):
        await asyncio.wait_for(Client(worker_url).__aenter__(), 5)


async def test_nothing_secret_is_logged_at_debug(
    producer_url: str, worker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = b"canary-plaintext"

    def decrypt(_request: Seen) -> Reply:
        return DecryptReply(key_id=KEY_ID, plaintext=canary, encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT)

    async with Client(producer_url, content_type=ContentType.CBOR, timeout_seconds=0.3) as client:
        with pytest.raises(DeadlineExceeded):
            await client.encrypt("alias/x", canary)
    async with responder(worker_url, decrypt), Client(producer_url, content_type=ContentType.CBOR) as client:
        await client.decrypt(b"blob")
    assert canary.decode() not in caplog.text
    assert str(urlsplit(producer_url).password) not in caplog.text


async def test_blocked_publishers_meet_their_deadline_and_recover(
    rabbit_node: RabbitNode, producer_url: str, worker_url: str
) -> None:
    async with responder(worker_url, answer), Client(producer_url, timeout_seconds=30, coalesce=False) as client:
        await client.encrypt("alias/x", b"x")
        await asyncio.to_thread(rabbit_node.ctl, "set_vm_memory_high_watermark", "0")
        try:
            # The first publish of the connection after the alarm may still be read.
            results = await asyncio.gather(
                *(client.encrypt("alias/x", b"x", timeout_seconds=1) for _ in range(5)), return_exceptions=True
            )
            waiting = asyncio.create_task(client.encrypt("alias/x", b"x"))
            await asyncio.sleep(0)
        finally:
            await asyncio.to_thread(rabbit_node.ctl, "set_vm_memory_high_watermark", "0.4")
        assert any(isinstance(result, DeadlineExceeded) for result in results)
        assert (await waiting).ciphertext_blob == b"sealed"
