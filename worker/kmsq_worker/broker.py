"""
The broker's side of a worker: consumers that fill inboxes, confirmed replies, acknowledgements.

Requests and replies use a connection each: under a memory alarm the broker stops reading from connections that
publish, and acknowledgements must still get through. Nothing here reconnects: a session that loses its broker ends,
and the next one starts afresh.
"""

import asyncio
import hashlib
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import uuid4

import aio_pika
from aiormq import Channel
from aiormq.abc import DeliveredMessage, FieldTable
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError
from pamqp.base import BasicProperties
from pamqp.commands import Basic
from yarl import URL

from kmsq_schemas.message import HEADER_SERVER_TIME, HEADER_TRACEPARENT, HEADER_VERSION, PROTOCOL_VERSION
from kmsq_schemas.operations import Queue
from kmsq_schemas.topology import DEAD_EXCHANGE, REPLIES_EXCHANGE
from kmsq_worker.errors import Unavailable
from kmsq_worker.inbox import Inbox
from kmsq_worker.ports import Delivery, Fate, OutgoingReply
from kmsq_worker.unsettled import Unsettled

HEARTBEAT_SECONDS = 10  # a dead peer is noticed after about 3 × this (aiormq)
CONNECT_TIMEOUT_SECONDS = 10
CLOSE_TIMEOUT_SECONDS = 2  # for a polite goodbye; a frozen broker must not hold up the next session
CONFIRM_TIMEOUT_SECONDS = 600  # through a memory alarm, but well before the broker's consumer timeout of 30 minutes
PREFETCH = 1_000  # per queue; aiormq scans all outstanding confirms on a multiple ack: not much more
BATCH_PREFETCH = 32  # of the batch queue: requests and their replies can have 4 MiB each
SLOW_PREFETCH = 250  # of the slow queue: what waits in one worker cannot be taken by another that is idle
_PREFETCHES = {Queue.SLOW: SLOW_PREFETCH, Queue.BATCH: BATCH_PREFETCH}

_READ_STRICTLY = BasicProperties.unmarshal
_FAILURES = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


@contextmanager
def translated() -> Generator[None]:
    """Turn what the driver or the network raises into `Unavailable`, with the cause kept."""
    try:
        yield
    except _FAILURES as error:
        raise Unavailable(type(error).__name__) from error


def survive_unreadable_properties() -> None:
    """
    Leave out, process-wide, the properties of a message from the first one on that pamqp cannot decode.

    RabbitMQ passes on timestamps after the year 9999, header names that are no UTF-8 and tables of any depth. pamqp
    raises on them, and that ends the connection: of every worker in turn, as often as the message comes back. Here
    nothing dangerous is lost with them: `user_id` follows all properties that matter, so that a request which lacks
    one of those lacks its sender, too, and is refused.
    """
    read = BasicProperties.unmarshal
    if read is not _READ_STRICTLY:
        return

    def read_what_is_readable(properties: BasicProperties, flags: int, data: bytes) -> None:
        with suppress(ValueError, OverflowError, RecursionError, LookupError, struct.error):
            read(properties, flags, data)

    BasicProperties.unmarshal = read_what_is_readable  # type: ignore[method-assign, assignment]


class Broker:
    """The channels of one session."""

    def __init__(
        self,
        *,
        user: str,
        publishing: Channel,
        open_channel: Callable[[], Awaitable[Channel]],
        lost: asyncio.Future[None],
    ) -> None:
        self._user = user
        self._publishing = publishing
        self._open_channel = open_channel
        self._consuming: dict[Queue, Channel] = {}
        self._consumer_tags: dict[Queue, str] = {}
        self._unsettled: dict[Queue, Unsettled] = {}
        self._acknowledging = asyncio.Lock()
        self._lost = lost

    async def wait_lost(self) -> None:
        """Wait until a connection or channel is lost, then raise `Unavailable`."""
        await asyncio.shield(self._lost)

    async def consume(self, queue: Queue, inbox: Inbox) -> None:
        """Let the deliveries of `queue` into `inbox`. Raises `Unavailable`."""
        channel = await self._open_channel()
        unsettled = self._unsettled[queue] = Unsettled()

        # aiormq starts these one after the other, in the order of their tags: no lower tag is missing in `unsettled`.
        async def enqueue(message: DeliveredMessage) -> None:
            delivery = _delivery(queue, message)
            unsettled.add(delivery.tag)
            inbox.put(delivery)

        self._consuming[queue] = channel
        with translated():
            await channel.basic_qos(prefetch_count=_PREFETCHES.get(queue, PREFETCH))
            consuming = await channel.basic_consume(queue.value, enqueue)
        self._consumer_tags[queue] = consuming.consumer_tag or ""

    async def cancel_consumers(self) -> None:
        """Stop deliveries; what has been delivered stays here until it is settled. Raises `Unavailable`."""
        with translated():
            for queue, tag in self._consumer_tags.items():
                await self._consuming[queue].basic_cancel(tag)

    async def publish(self, replies: Sequence[OutgoingReply]) -> Sequence[Fate]:
        """Publish all replies, pipelined, and wait for their confirms. Raises `Unavailable`."""
        with translated():
            async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
                return await asyncio.gather(*(self._publish(reply) for reply in replies))

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Publish a dead letter: where the request came from, why it died, its digest; never its body."""
        headers: FieldTable = {
            "kmsq-reason": reason,
            "kmsq-queue": delivery.queue.value,
            "kmsq-routing-key": delivery.routing_key,
            "kmsq-body-sha256": hashlib.sha256(delivery.body).hexdigest(),
            "kmsq-body-bytes": len(delivery.body),
        }
        properties = Basic.Properties(
            message_id=str(uuid4()), delivery_mode=2, user_id=self._user, headers=headers, app_id=delivery.user_id
        )
        with translated():
            async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
                await self._publishing.basic_publish(
                    b"", exchange=DEAD_EXCHANGE, routing_key="", properties=properties, mandatory=True, wait=False
                )

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge on the channels that delivered. Raises `Unavailable`."""
        tags: dict[Queue, list[int]] = {}
        for delivery in deliveries:
            tags.setdefault(delivery.queue, []).append(delivery.tag)
        # One at a time: putting a frame may have to wait, and a frame for many tags that overtook one for fewer would
        # leave that one with nothing to acknowledge, which closes the channel (406).
        with translated():
            async with self._acknowledging:
                await self._settle(tags)

    async def _settle(self, tags: Mapping[Queue, Sequence[int]]) -> None:
        for queue, settled in tags.items():
            channel = self._consuming[queue]
            for ack in self._unsettled[queue].settle(settled):
                await channel.basic_ack(ack.tag, multiple=ack.multiple, wait=False)

    async def _publish(self, reply: OutgoingReply) -> Fate:
        headers: FieldTable = {HEADER_VERSION: PROTOCOL_VERSION, HEADER_SERVER_TIME: reply.server_time}
        if reply.traceparent is not None:
            headers[HEADER_TRACEPARENT] = reply.traceparent
        properties = Basic.Properties(
            content_type=reply.content_type,
            correlation_id=reply.correlation_id,
            delivery_mode=1,  # a reply queue dies with its connection: there is nothing to persist
            expiration=None if reply.expiration_ms is None else str(reply.expiration_ms),
            headers=headers,
            message_id=uuid4().hex,
            message_type=reply.type,
            user_id=self._user,
        )
        try:
            await self._publishing.basic_publish(
                reply.body,
                exchange=REPLIES_EXCHANGE,
                routing_key=reply.routing_key,
                properties=properties,
                mandatory=True,
                wait=False,
            )
        except DeliveryError:
            # Returned: no such queue. Or refused by a queue that its owner made to refuse: not our failure, either.
            return Fate.UNDELIVERABLE
        return Fate.DELIVERED


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncGenerator[Broker]:
    """Hold the connections of a session. Nothing is delivered before `consume`. Raises `Unavailable`."""
    survive_unreadable_properties()
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with (
        _connection(url, f"{name} replies", lost) as replies,
        _connection(url, f"{name} requests", lost) as requests,
    ):
        publishing = await _channel(replies, lost, publisher_confirms=True)
        yield Broker(
            user=URL(url).user or "guest",
            publishing=publishing,
            open_channel=lambda: _channel(requests, lost, publisher_confirms=False),
            lost=lost,
        )


@asynccontextmanager
async def _connection(
    url: str, name: str, lost: asyncio.Future[None]
) -> AsyncGenerator[aio_pika.abc.AbstractConnection]:
    with translated():
        named = URL(url).update_query(name=name, heartbeat=str(HEARTBEAT_SECONDS))
        connection = await aio_pika.connect(named, timeout=CONNECT_TIMEOUT_SECONDS)
    connection.close_callbacks.add(lambda _sender, error: _lose(lost, error))
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: aio_pika.abc.AbstractConnection) -> None:
    """Close without caring how: everything unacknowledged goes back."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
            await connection.close()
    except _FAILURES:
        return


async def _channel(
    connection: aio_pika.abc.AbstractConnection, lost: asyncio.Future[None], *, publisher_confirms: bool
) -> Channel:
    with translated():
        channel = connection.channel(publisher_confirms=publisher_confirms, on_return_raises=publisher_confirms)
        await channel.initialize(timeout=CONNECT_TIMEOUT_SECONDS)
        channel.close_callbacks.add(lambda _sender, error: _lose(lost, error))
        underlay = await channel.get_underlay_channel()
    if not isinstance(underlay, Channel):  # publishing without waiting for the socket is not in the abstract class
        raise TypeError("not aiormq's channel")
    underlay.on_consumer_cancel_callbacks.add(lambda _frame: _lose(lost, Unavailable("consumer cancelled")))
    return underlay


def _lose(lost: asyncio.Future[None], error: BaseException | None) -> None:
    if not lost.done():
        failure = Unavailable(type(error).__name__ if error else "closed")
        failure.__cause__ = error
        lost.set_exception(failure)
        lost.exception()  # retrieved here: nobody may be waiting any more


def _delivery(queue: Queue, message: DeliveredMessage) -> Delivery:
    properties = message.header.properties
    headers = properties.headers or {}
    frame = message.delivery
    if not isinstance(frame, Basic.Deliver):
        raise TypeError("not a delivery")
    # On a first delivery this header is the sender's: the broker writes it only when it delivers again.
    count = headers.get("x-delivery-count") if frame.redelivered else None
    return Delivery(
        queue=queue,
        tag=frame.delivery_tag or 0,
        routing_key=frame.routing_key or "",
        body=message.body,
        type=properties.message_type,
        content_type=properties.content_type,
        content_encoding=properties.content_encoding,
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        reply_to=properties.reply_to,
        user_id=properties.user_id,
        headers=headers,
        attempt=(count if isinstance(count, int) else 0) + 1,
        arrived=time.monotonic(),
    )
