"""What is put on the wire, and what is made of what comes off it; a channel of aiormq's is played by a class."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiormq import Channel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import AMQPConnectionError, ChannelInvalidStateError, DeliveryError
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from fakes.deliveries import delivery
from kmsq_schemas.operations import Queue
from kmsq_worker import broker as broker_module
from kmsq_worker.broker import Broker, _delivery, _lose, translated
from kmsq_worker.errors import Unavailable
from kmsq_worker.inbox import Inbox
from kmsq_worker.ports import Fate, OutgoingReply

CANARY = b"canary-2718281828"


@dataclass
class FakeChannel:
    """Notes what it is asked; raises `failure`, if there is one."""

    failure: Exception | None = None
    published: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    acknowledged: list[tuple[int, bool]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    callback: Callable[[DeliveredMessage], Awaitable[Any]] | None = None
    hangs: bool = False

    async def _answer(self) -> None:
        await asyncio.sleep(60 if self.hangs else 0)
        if self.failure is not None:
            raise self.failure

    async def basic_publish(self, body: bytes, **how: Any) -> None:
        self.published.append((body, how))
        await self._answer()

    async def basic_ack(self, tag: int, *, multiple: bool, wait: bool) -> None:
        assert not wait
        await self._answer()
        self.acknowledged.append((tag, multiple))

    async def basic_qos(self, *, prefetch_count: int) -> None:
        assert prefetch_count == broker_module.PREFETCH
        await self._answer()

    async def basic_consume(self, queue: str, callback: Callable[[DeliveredMessage], Awaitable[Any]]) -> Any:
        self.callback = callback
        return SimpleNamespace(consumer_tag=f"tag of {queue}")

    async def basic_cancel(self, tag: str) -> None:
        await self._answer()
        self.cancelled.append(tag)


@pytest.fixture
def publishing() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
async def broker(publishing: FakeChannel) -> Broker:
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open_channel() -> Channel:
        raise AssertionError("nothing is consumed")

    return Broker(user="kmsq-worker", publishing=cast("Channel", publishing), open_channel=open_channel, lost=lost)


def opening(broker: Broker, channel: FakeChannel) -> Broker:
    """Let the broker's next channel be this one."""

    async def open_channel() -> Channel:
        return cast("Channel", channel)

    broker._open_channel = open_channel
    return broker


def reply(**changes: Any) -> OutgoingReply:
    values = {
        "routing_key": "alice.abcdefghij0123456789",
        "type": "Encrypt",
        "content_type": "application/json",
        "correlation_id": "mine",
        "body": CANARY,
        "server_time": 7,
        "traceparent": None,
        "expiration_ms": 50,
    }
    return OutgoingReply(**{**values, **changes})


def message(tag: int = 1, *, redelivered: bool = False, **properties: Any) -> DeliveredMessage:
    key = "alice.Encrypt"
    deliver = Basic.Deliver("consumer", tag, redelivered=redelivered, exchange="kmsq.requests", routing_key=key)
    header = ContentHeader(properties=Basic.Properties(**properties))
    return DeliveredMessage(delivery=deliver, header=header, body=CANARY, channel=cast("Any", None))


async def test_a_reply_is_sent_to_its_queue_alone_and_lives_as_long_as_it_is_worth_something(
    broker: Broker, publishing: FakeChannel
) -> None:
    assert await broker.publish([reply(), reply(expiration_ms=None, traceparent="00-x")]) == [Fate.DELIVERED] * 2
    (body, how), (_, other) = publishing.published
    assert body == CANARY
    assert (how["exchange"], how["routing_key"], how["mandatory"]) == (
        "kmsq.replies",
        "alice.abcdefghij0123456789",
        True,
    )
    sent = how["properties"]
    assert (sent.user_id, sent.delivery_mode, sent.expiration) == ("kmsq-worker", 1, "50")
    assert (sent.message_type, sent.correlation_id, sent.content_type) == ("Encrypt", "mine", "application/json")
    assert sent.headers == {"kmsq-version": 1, "server_time": 7}
    assert sent.reply_to is None
    assert (other["properties"].expiration, other["properties"].headers["traceparent"]) == (None, "00-x")
    assert other["properties"].message_id != sent.message_id


async def test_a_reply_that_is_returned_is_undeliverable_and_its_neighbours_are_not(broker: Broker) -> None:
    class Choosy(FakeChannel):
        async def basic_publish(self, body: bytes, **how: Any) -> None:
            await super().basic_publish(body, **how)
            if body == b"gone":
                raise DeliveryError(None, None)  # type: ignore[arg-type]

    broker._publishing = cast("Channel", Choosy())
    fates = await broker.publish([reply(), reply(body=b"gone"), reply()])
    assert fates == [Fate.DELIVERED, Fate.UNDELIVERABLE, Fate.DELIVERED]


@pytest.mark.parametrize(
    "failure", [AMQPConnectionError("canary"), ChannelInvalidStateError("canary"), OSError("canary")]
)
async def test_a_broker_that_is_lost_is_unavailable(
    broker: Broker, publishing: FakeChannel, failure: Exception
) -> None:
    publishing.failure = failure
    with pytest.raises(Unavailable) as caught:
        await broker.publish([reply()])
    assert str(caught.value) == type(failure).__name__
    assert caught.value.__cause__ is failure
    with pytest.raises(Unavailable):
        await broker.bury(delivery(), "reason")


async def test_a_broker_that_does_not_confirm_is_unavailable(
    broker: Broker, publishing: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "CONFIRM_TIMEOUT_SECONDS", 0.01)
    publishing.hangs = True
    for waiting in (broker.publish([reply()]), broker.bury(delivery(), "reason")):
        with pytest.raises(Unavailable, match="TimeoutError"):
            await waiting


async def test_a_dead_letter_says_what_it_was_and_holds_no_body(broker: Broker, publishing: FakeChannel) -> None:
    dead = delivery(body=CANARY, user_id="mallory", routing_key="alice.Encrypt")
    await broker.bury(dead, "routing-key-mismatch")
    ((body, how),) = publishing.published
    assert body == b""
    assert (how["exchange"], how["mandatory"]) == ("kmsq.dead", True)
    sent = how["properties"]
    assert sent.headers == {
        "kmsq-reason": "routing-key-mismatch",
        "kmsq-queue": "kmsq.crypto",
        "kmsq-routing-key": "alice.Encrypt",
        "kmsq-body-sha256": hashlib.sha256(CANARY).hexdigest(),
        "kmsq-body-bytes": len(CANARY),
    }
    assert (sent.user_id, sent.app_id, sent.delivery_mode) == ("kmsq-worker", "mallory", 2)


async def test_deliveries_go_into_their_queue_s_inbox_and_are_acknowledged_on_its_channel(broker: Broker) -> None:
    channels = {queue: FakeChannel() for queue in (Queue.CRYPTO, Queue.READ)}
    inboxes = {queue: Inbox(principal_max=10) for queue in channels}
    for queue, channel in channels.items():
        await opening(broker, channel).consume(queue, inboxes[queue])
        assert channel.callback is not None
        for tag in (1, 2, 3):
            await channel.callback(message(tag, user_id="alice"))
    crypto, read = [await inbox.take(10) for inbox in inboxes.values()]
    assert [(one.queue, one.tag) for one in crypto] == [(Queue.CRYPTO, tag) for tag in (1, 2, 3)]
    await broker.acknowledge([crypto[1], read[0], read[1], read[2]])
    await broker.acknowledge([crypto[2], crypto[0]])
    assert channels[Queue.READ].acknowledged == [(3, True)]
    assert channels[Queue.CRYPTO].acknowledged == [(2, False), (3, True)]
    await broker.cancel_consumers()
    assert [channel.cancelled for channel in channels.values()] == [["tag of kmsq.crypto"], ["tag of kmsq.read"]]


async def test_acknowledging_on_a_lost_channel_is_unavailable(broker: Broker) -> None:
    channel, inbox = FakeChannel(), Inbox(principal_max=10)
    await opening(broker, channel).consume(Queue.CRYPTO, inbox)
    assert channel.callback is not None
    await channel.callback(message())
    channel.failure = ChannelInvalidStateError()
    with pytest.raises(Unavailable):
        await broker.acknowledge(await inbox.take(1))
    with pytest.raises(Unavailable):
        await broker.cancel_consumers()
    with pytest.raises(Unavailable):
        await opening(broker, channel).consume(Queue.READ, inbox)


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        (None, 1),
        ({}, 1),
        ({"x-delivery-count": 0}, 1),
        ({"x-delivery-count": 4}, 5),
        ({"x-delivery-count": "4"}, 1),
        ({"x-delivery-count": [4]}, 1),
    ],
)
def test_a_delivery_is_what_the_broker_handed_over(headers: dict[str, Any] | None, attempt: int) -> None:
    sent = message(9, redelivered=True, user_id="alice", message_type="Encrypt", headers=headers)
    found = _delivery(Queue.CRYPTO, sent)
    assert (found.queue, found.tag, found.routing_key, found.body) == (Queue.CRYPTO, 9, "alice.Encrypt", CANARY)
    assert (found.user_id, found.type, found.message_id) == ("alice", "Encrypt", None)
    assert (found.attempt, found.headers, found.throttled) == (attempt, headers or {}, False)


def test_a_sender_does_not_count_its_own_deliveries() -> None:
    assert _delivery(Queue.CRYPTO, message(headers={"x-delivery-count": 50})).attempt == 1


async def test_what_is_lost_first_is_what_is_told(broker: Broker) -> None:
    cause = ConnectionResetError("canary")
    waiting = asyncio.create_task(broker.wait_lost())
    await asyncio.sleep(0)
    _lose(broker._lost, cause)
    _lose(broker._lost, None)
    with pytest.raises(Unavailable, match=r"^ConnectionResetError$") as caught:
        await waiting
    assert caught.value.__cause__ is cause
    with pytest.raises(Unavailable):
        await broker.wait_lost()


async def test_a_connection_that_closes_without_an_error_is_lost_as_well(broker: Broker) -> None:
    _lose(broker._lost, None)
    with pytest.raises(Unavailable, match=r"^closed$"):
        await broker.wait_lost()


async def test_whoever_stops_waiting_for_a_loss_does_not_cause_one(broker: Broker) -> None:
    waiting = asyncio.create_task(broker.wait_lost())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not broker._lost.done()


def test_faults_of_ours_pass_the_seam_as_they_are() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("x")


def test_neither_a_delivery_nor_a_reply_shows_its_body() -> None:
    assert "canary" not in repr(reply()) + repr(delivery(body=CANARY))
