"""
A producer that keeps a number of requests in flight and counts the replies. One process of its own.

The same for everybody that is measured: what differs is the exchange, the routing key and the body.
"""

import asyncio
import json
import sys
import time
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Any

import aio_pika
import uvloop
from aiormq import Channel
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from yarl import URL

from kmsq_schemas import message, topology


@dataclass(frozen=True, slots=True)
class Job:
    """What to send. `reply_exchange` is empty for replies through the default exchange; `body` is base64."""

    url: str
    routing_key: str
    type: str
    body: str
    in_flight: int
    seconds: float
    exchange: str = ""
    reply_exchange: str = ""
    content_type: str = "application/json"

    @classmethod
    def of(cls, body: bytes, **others: Any) -> "Job":
        """Make the job of sending `body`."""
        return cls(body=b64encode(body).decode(), **others)


@dataclass(frozen=True, slots=True)
class Result:
    """What came back; latencies in milliseconds."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


class Load:
    """Publishes a request for every reply, until the time is over."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self._job = job
        self._body = b64decode(job.body)
        self._channel = channel
        self._user = URL(job.url).user or ""
        self._instance = message.new_instance()
        self._reply_to = topology.reply_queue(self._user, self._instance)
        self._sent: dict[str, float] = {}
        self._latencies: list[float] = []
        self._errors = 0
        self._number = 0
        self._over = asyncio.Event()
        self._ends_at = 0.0

    async def run(self) -> Result:
        """Run the job."""
        channel = self._channel
        await channel.queue_declare(self._reply_to, exclusive=True, auto_delete=True)
        if self._job.reply_exchange:
            key = topology.reply_routing_key(self._user, self._instance)
            await channel.queue_bind(self._reply_to, self._job.reply_exchange, key)
        await channel.basic_consume(self._reply_to, self._receive, no_ack=True)
        began = time.perf_counter()
        self._ends_at = began + self._job.seconds
        for _ in range(self._job.in_flight):
            await self._send()
        await self._over.wait()
        took = time.perf_counter() - began
        ordered = sorted(self._latencies)
        return Result(
            requests_per_second=len(ordered) / took,
            p50_ms=1000 * ordered[len(ordered) // 2],
            p99_ms=1000 * ordered[len(ordered) * 99 // 100],
            errors=self._errors,
        )

    async def _send(self) -> None:
        self._number += 1
        correlation_id = f"{self._number:012d}"
        properties = Basic.Properties(
            content_type=self._job.content_type,
            correlation_id=correlation_id,
            delivery_mode=2,
            headers={message.HEADER_VERSION: message.PROTOCOL_VERSION},
            message_id=f"00000000-0000-4000-8000-{correlation_id}",
            message_type=self._job.type,
            reply_to=self._reply_to,
            user_id=self._user,
        )
        self._sent[correlation_id] = time.perf_counter()
        await self._channel.basic_publish(
            self._body,
            exchange=self._job.exchange,
            routing_key=self._job.routing_key,
            properties=properties,
            wait=False,
        )

    async def _receive(self, delivered: DeliveredMessage) -> None:
        now = time.perf_counter()
        properties = delivered.header.properties
        self._latencies.append(now - self._sent.pop(properties.correlation_id or ""))
        self._errors += properties.message_type == message.ERROR_TYPE
        if now < self._ends_at:
            await self._send()
        elif not self._sent:
            self._over.set()


async def main(job: Job) -> None:
    """Connect, run and print the result."""
    connection = await aio_pika.connect(job.url)
    async with connection, connection.channel(publisher_confirms=False) as channel:
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        print(json.dumps(asdict(await Load(job, underlay).run())))


if __name__ == "__main__":
    uvloop.run(main(Job(**json.loads(sys.stdin.read()))))
