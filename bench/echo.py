"""The yardstick: a bare aio-pika consumer that sends each body back, confirmed, and acknowledges. Its own process."""

import asyncio
import sys

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage

PREFETCH = 1_000  # kmsq's


async def main(url: str, queue_name: str) -> None:
    """Echo until killed; says `ready` first."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(PREFETCH)
    queue = await channel.declare_queue(queue_name, durable=True, arguments={"x-queue-type": "quorum"})

    async def echo(request: AbstractIncomingMessage) -> None:
        reply = aio_pika.Message(request.body, correlation_id=request.correlation_id)
        await channel.default_exchange.publish(reply, request.reply_to or "")
        await request.ack()

    await queue.consume(echo)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
