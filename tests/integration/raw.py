"""
A producer with nothing between the test and the protocol: every property of a request can be forged.

A request is built by `message`, altered with `dataclasses.replace`, published, and its answers are found by correlation
id. All answers are kept: what arrives twice, or should not have arrived, shows.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
    DeliveryError,
)
from pamqp.commands import Basic
from pamqp.common import FieldValue
from yarl import URL

from kmsq_schemas.codec import ContentType, decode, encode
from kmsq_schemas.message import ERROR_TYPE, HEADER_DEADLINE, HEADER_VERSION, PROTOCOL_VERSION, new_instance
from kmsq_schemas.models import ErrorReply, Reply, Request
from kmsq_schemas.operations import SPECS, Operation
from kmsq_schemas.topology import REPLIES_EXCHANGE, REQUESTS_EXCHANGE, reply_queue, reply_routing_key

ANSWER_SECONDS = 60
DEADLINE_SECONDS = 300
SUCCESS = "Success"
PUBLISH_REFUSED = (DeliveryError, ChannelAccessRefused, ChannelPreconditionFailed, ChannelInvalidStateError)
OPERATIONS: Mapping[type[Request], Operation] = {spec.request: spec.operation for spec in SPECS.values()}

R = TypeVar("R", bound=Reply)


def deadline_in(seconds: float) -> int:
    """Return a deadline as it travels."""
    return time.time_ns() // 1_000_000 + int(seconds * 1000)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request as it will be published."""

    routing_key: str
    body: bytes
    type: str | None
    content_type: str | None = ContentType.JSON
    content_encoding: str | None = None
    message_id: str = field(default_factory=lambda: str(uuid4()))
    correlation_id: str = field(default_factory=lambda: uuid4().hex)
    reply_to: str | None
    user_id: str | None
    headers: dict[str, FieldValue] = field(default_factory=dict)
    timestamp: datetime | None = None
    exchange: str = REQUESTS_EXCHANGE


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply as it arrived."""

    kind: str
    """Its `type`."""
    body: bytes
    content_type: ContentType
    correlation_id: str
    message_id: str
    user_id: str
    routing_key: str
    headers: Mapping[str, FieldValue]

    @property
    def code(self) -> str:
        """The error's code, or `Success`."""
        return self.error.code if self.kind == ERROR_TYPE else SUCCESS

    @property
    def error(self) -> ErrorReply:
        """The error that this is."""
        assert self.kind == ERROR_TYPE, f"{self.kind} and no error"
        return decode(ErrorReply, self.body, self.content_type)

    def reply(self, model: type[R]) -> R:
        """Return the reply that this is."""
        assert self.kind != ERROR_TYPE, self.error
        return decode(model, self.body, self.content_type)


class Producer:
    """One connection of a principal, with its reply queue."""

    def __init__(self, channel: AbstractChannel, principal: str, instance: str) -> None:
        self.principal = principal
        self.instance = instance
        self.arrived: list[Answer] = []
        self._channel = channel
        self._answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self._first: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @property
    def reply_to(self) -> str:
        """The name of the reply queue."""
        return reply_queue(self.principal, self.instance)

    def message(
        self,
        request: Request,
        *,
        content_type: ContentType = ContentType.JSON,
        deadline: int | None = None,
        **headers: FieldValue,
    ) -> Message:
        """Build the message that an honest client would send."""
        operation = OPERATIONS[type(request)]
        return Message(
            routing_key=f"{self.principal}.{operation}",
            body=encode(request, content_type),
            type=operation,
            content_type=content_type,
            reply_to=self.reply_to,
            user_id=self.principal,
            headers={
                HEADER_VERSION: PROTOCOL_VERSION,
                HEADER_DEADLINE: deadline or deadline_in(DEADLINE_SECONDS),
                **headers,
            },
        )

    async def publish(self, message: Message) -> None:
        """Publish and wait for the broker's confirm. Raises what the broker refuses it with."""
        properties = Basic.Properties(
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=message.headers,
            delivery_mode=2,
            correlation_id=message.correlation_id,
            reply_to=message.reply_to,
            message_id=message.message_id,
            message_type=message.type,
            user_id=message.user_id,
            timestamp=message.timestamp,
        )
        await self._channel.basic_publish(
            message.body,
            exchange=message.exchange,
            routing_key=message.routing_key,
            properties=properties,
            mandatory=True,
        )

    async def answer(self, message: Message, *, seconds: float = ANSWER_SECONDS) -> Answer:
        """Wait for the first answer to a published message."""
        async with asyncio.timeout(seconds):
            await self._first[message.correlation_id].wait()
        return self._answers[message.correlation_id][0]

    async def answers(self, message: Message, count: int) -> Sequence[Answer]:
        """Wait until there are `count` answers to a published message."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while len(self._answers[message.correlation_id]) < count:
                self._first[message.correlation_id].clear()
                await self._first[message.correlation_id].wait()
        return self._answers[message.correlation_id]

    def answers_so_far(self, message: Message) -> Sequence[Answer]:
        """Return the answers to a message that are here."""
        return self._answers[message.correlation_id]

    async def ask(self, message: Message) -> Answer:
        """Publish and wait for the answer."""
        await self.publish(message)
        return await self.answer(message)

    async def code(self, request: Request) -> str:
        """Ask for `request`; return the error's code, or `Success`."""
        return (await self.ask(self.message(request))).code

    async def call(self, request: Request, model: type[R], *, content_type: ContentType = ContentType.JSON) -> R:
        """Ask for `request`, which must succeed."""
        return (await self.ask(self.message(request, content_type=content_type))).reply(model)

    async def do(self, *requests: Request) -> None:
        """Ask for each in turn; all must succeed."""
        for request in requests:
            assert (answer := await self.ask(self.message(request))).code == SUCCESS, answer.error

    async def error(self, request: Request, *, content_type: ContentType = ContentType.JSON) -> ErrorReply:
        """Ask for `request`, which must fail."""
        return (await self.ask(self.message(request, content_type=content_type))).error

    def heard(self, delivered: DeliveredMessage) -> None:
        """Take a reply in."""
        properties = delivered.header.properties
        answer = Answer(
            kind=properties.message_type or "",
            body=delivered.body,
            content_type=ContentType(properties.content_type or ""),
            correlation_id=properties.correlation_id or "",
            message_id=properties.message_id or "",
            user_id=properties.user_id or "",
            routing_key=delivered.routing_key or "",
            headers=properties.headers or {},
        )
        self.arrived.append(answer)
        self._answers[answer.correlation_id].append(answer)
        self._first[answer.correlation_id].set()


@asynccontextmanager
async def connected(url: str, *, principal: str | None = None) -> AsyncGenerator[Producer]:
    """
    Hold a connection with a reply queue.

    A broker administrator may have the replies of any `principal` routed to it.
    """
    name = principal or URL(url).user or ""
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=True)
        producer = Producer(channel, name, new_instance())

        async def heard(delivered: DeliveredMessage) -> None:
            producer.heard(delivered)

        await channel.queue_declare(producer.reply_to, exclusive=True, arguments={"x-queue-type": "classic"})
        await channel.queue_bind(producer.reply_to, REPLIES_EXCHANGE, reply_routing_key(name, producer.instance))
        await channel.basic_consume(producer.reply_to, heard, no_ack=True)
        yield producer
    finally:
        with suppress(AMQPError, OSError):  # the broker may be gone
            await connection.close()


async def flood(
    producers: Sequence[Producer], requests: Sequence[Request], *, in_flight: int = 100
) -> Sequence[Answer]:
    """Ask for all `requests`, dealt out to the producers, each of which has up to `in_flight` under way."""
    room = [asyncio.Semaphore(in_flight) for _ in producers]

    async def one(number: int, request: Request) -> Answer:
        place = number % len(producers)
        async with room[place]:
            return await producers[place].ask(producers[place].message(request))

    return await asyncio.gather(*(one(number, request) for number, request in enumerate(requests)))
