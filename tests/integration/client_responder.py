"""A broker prepared as kmsq wants it, and a scripted responder in the place of the workers."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from kmsq_schemas import codec
from kmsq_schemas.content import ContentType
from kmsq_schemas.message import ERROR_TYPE, parse_reply_to
from kmsq_schemas.models import ErrorReply, Reply
from kmsq_schemas.operations import SPECS, Operation
from kmsq_schemas.topology import (
    EXCHANGES,
    QUEUES,
    REPLIES_EXCHANGE,
    Access,
    bindings,
    producer_access,
    reply_routing_key,
    worker_access,
)
from services.rabbit import RabbitNode

WORKER = "kmsq-worker"


async def declare(url: str) -> None:
    """Make exchanges, queues and bindings."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        for name, kind in EXCHANGES.items():
            await channel.exchange_declare(name, exchange_type=kind, durable=True)
        for name, arguments in QUEUES.items():
            await channel.queue_declare(name, durable=True, arguments=dict(arguments))
        for binding in bindings():
            await channel.queue_bind(binding.queue, binding.exchange, routing_key=binding.pattern)


async def purge(url: str) -> None:
    """Empty all queues."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            await channel.queue_purge(name)


def grant(node: RabbitNode, user: str, access: Access) -> str:
    """Give `user` exactly `access` and return its URL."""
    url = node.add_user(user)
    own = access.permissions
    node.set_permissions(user, configure=own.configure, write=own.write, read=own.read)
    for topic in access.topics:
        node.set_topic_permissions(user, topic.exchange, write=topic.write, read=topic.read)
    return url


def admit_producer(node: RabbitNode, name: str, operations: Iterable[Operation]) -> str:
    """Add a producer with least privilege."""
    return grant(node, name, producer_access(name, tuple(operations)))


def admit_worker(node: RabbitNode, name: str = WORKER) -> str:
    """Add a worker with least privilege."""
    return grant(node, name, worker_access())


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the responder got it."""

    operation: Operation
    properties: Basic.Properties
    body: bytes
    redelivered: bool


Script = Callable[[Seen], Reply | ErrorReply | None]
"""What to answer to a request; None: nothing."""


@dataclass
class Responder:
    """Consumes all queues as a worker does and answers what `script` says."""

    channel: AbstractChannel
    script: Script
    seen: list[Seen] = field(default_factory=list)
    clock_offset_ms: int = 0
    user_id: str | None = WORKER
    copies: int = 1
    version: int = 1

    async def handle(self, message: DeliveredMessage) -> None:
        """Answer one request."""
        properties = message.header.properties
        assert isinstance(message.delivery, Basic.Deliver)
        request = Seen(
            Operation(properties.message_type or ""), properties, message.body, bool(message.delivery.redelivered)
        )
        self.seen.append(request)
        answer = self.script(request)
        if answer is not None:
            for _ in range(self.copies):
                await self.reply(request, answer)
        assert message.delivery.delivery_tag is not None
        await self.channel.basic_ack(message.delivery.delivery_tag)

    async def reply(self, request: Seen, answer: Reply | ErrorReply) -> None:
        """Publish one reply as a worker does."""
        asked = request.properties
        assert asked.user_id is not None
        instance = parse_reply_to(asked.reply_to, asked.user_id)
        assert instance is not None
        content_type = ContentType(asked.content_type or "")
        await self.channel.basic_publish(
            codec.encode(answer, content_type),
            exchange=REPLIES_EXCHANGE,
            routing_key=reply_routing_key(asked.user_id, instance),
            properties=Basic.Properties(
                message_type=ERROR_TYPE if isinstance(answer, ErrorReply) else request.operation.value,
                content_type=content_type.value,
                message_id=str(uuid.uuid4()),
                correlation_id=asked.correlation_id,
                user_id=self.user_id,
                headers={
                    "kmsq-version": self.version,
                    "server_time": time.time_ns() // 1_000_000 + self.clock_offset_ms,
                },
            ),
        )

    async def wait_seen(self, count: int, seconds: float = 10) -> None:
        """Wait until `count` requests have come."""
        async with asyncio.timeout(seconds):
            while len(self.seen) < count:  # noqa: ASYNC110  only tests poll
                await asyncio.sleep(0.01)


@asynccontextmanager
async def responder(url: str, script: Script) -> AsyncIterator[Responder]:
    """Run a responder until the end of the block."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        running = Responder(channel, script)
        await channel.basic_qos(prefetch_count=500)
        for queue in {spec.queue for spec in SPECS.values()}:
            await channel.basic_consume(queue.value, running.handle)
        yield running
