"""One connection to the broker, with the reply queue that lives and dies with it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import aiormq
from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel

from kmsq.amqp.address import Address
from kmsq.amqp.answers import Incoming
from kmsq.amqp.lane import Confirmation, Lane
from kmsq.amqp.pending import Pending
from kmsq_schemas.message import HEADER_DEADLINE, HEADER_VERSION, PROTOCOL_VERSION, new_instance
from kmsq_schemas.names import REPLIES_EXCHANGE
from kmsq_schemas.operations import Operation
from kmsq_schemas.topology import REPLY_QUEUE_ARGUMENTS, reply_queue, reply_routing_key, request_routing_key

CONNECT_SECONDS = 10.0  # for one attempt: name resolution, TCP, TLS, AMQP, and the reply queue
OPEN_SECONDS = 10.0  # for a channel
CLOSE_SECONDS = 3.0  # a blocked broker does not read our goodbye
LAST_CHANNEL = 2000  # below RabbitMQ's default channel_max of 2047
PERSISTENT = 2  # AMQP delivery mode


def pin_driver_logs() -> None:
    """Keep the AMQP driver above DEBUG, at which it logs whole frames, plaintexts included."""
    for name in ("aiormq", "aio_pika"):
        logger = logging.getLogger(name)
        # Whatever the root logger is set to, now or later.
        logger.setLevel(max(logging.INFO, logger.level))


class Link:
    """
    A connection that is up: its reply queue is bound and consumed.

    One connection is enough for both directions: a broker under a memory or disk alarm stops reading from it, but
    still sends, and replies need no acknowledgement.
    """

    def __init__(self, connection: AbstractConnection, principal: str) -> None:
        self._connection = connection
        self._principal = principal
        self._instance = new_instance()
        self._lanes: dict[Operation, Lane] = {}
        # Never used twice on a connection: the broker ignores a number until it has our close-ok, which aiormq does
        # not send while its write queue is full.
        self._next_channel = 1
        self._abandoned = asyncio.Event()
        self.reply_to = reply_queue(principal, self._instance)

    async def prepare(self, on_message: Callable[[Incoming], None]) -> None:
        """Declare, bind and consume the reply queue. Raises the driver's errors."""
        channel = await self._open_channel(publisher_confirms=False)
        await channel.queue_declare(
            self.reply_to, exclusive=True, auto_delete=True, arguments=dict(REPLY_QUEUE_ARGUMENTS)
        )
        await channel.queue_bind(
            self.reply_to, REPLIES_EXCHANGE, routing_key=reply_routing_key(self._principal, self._instance)
        )
        channel.on_consumer_cancel_callbacks.add(lambda _frame: self._abandoned.set())
        channel.closing.add_done_callback(lambda _closing: self._abandoned.set())

        async def receive(message: DeliveredMessage) -> None:
            on_message(_incoming(message))

        # Without acknowledgements: a reply that gets lost with the connection is asked for again.
        await channel.basic_consume(self.reply_to, receive, no_ack=True)

    async def publish(self, pending: Pending, *, deadline_ms: int) -> Confirmation:
        """Publish a request on the lane of its operation: see `Lane.publish`."""
        lane = self._lanes.get(pending.operation)
        if lane is None:
            key = request_routing_key(self._principal, pending.operation)
            lane = self._lanes[pending.operation] = Lane(key, self._open_channel)
        properties = aiormq.spec.Basic.Properties(
            content_type=pending.content_type.value,
            message_type=pending.operation.value,
            message_id=pending.message_id,
            correlation_id=pending.correlation_id,
            reply_to=self.reply_to,
            user_id=self._principal,
            delivery_mode=PERSISTENT,
            headers={HEADER_VERSION: PROTOCOL_VERSION, HEADER_DEADLINE: deadline_ms},
        )
        return await lane.publish(pending, properties)

    async def wait_lost(self) -> None:
        """Return when the connection, or the reply queue on it, is gone."""
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        try:
            await asyncio.wait({self._connection.closing, abandoned}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            abandoned.cancel()

    async def _open_channel(self, *, publisher_confirms: bool = True) -> Channel:
        number, self._next_channel = self._next_channel, self._next_channel + 1
        if number > min(LAST_CHANNEL, self._connection.connection_tune.channel_max or LAST_CHANNEL):
            self._abandoned.set()
        channel = await self._connection.channel(
            number,
            publisher_confirms=publisher_confirms,
            # Otherwise a return becomes an exception that carries the body.
            on_return_raises=False,
            timeout=OPEN_SECONDS,
        )
        return cast("Channel", channel)


def _incoming(message: DeliveredMessage) -> Incoming:
    properties = message.header.properties
    return Incoming(
        type=properties.message_type,
        content_type=properties.content_type,
        correlation_id=properties.correlation_id,
        user_id=properties.user_id,
        headers=cast("Mapping[str, object]", properties.headers or {}),
        body=message.body,
    )


@asynccontextmanager
async def open_link(
    address: Address,
    *,
    ssl_context: ssl.SSLContext | None,
    on_message: Callable[[Incoming], None],
) -> AsyncIterator[Link]:
    """Connect, and disconnect at the end. Raises the driver's errors, and `TimeoutError`."""
    pin_driver_logs()
    connection: AbstractConnection | None = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await aiormq.connect(
                address.url, context=ssl_context, client_properties={"connection_name": f"kmsq {address.principal}"}
            )
            link = Link(connection, address.principal)
            await link.prepare(on_message)
        yield link
    finally:
        if connection is not None:
            await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    closing = asyncio.ensure_future(connection.close())
    await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    if not closing.done():
        closing.cancel()
