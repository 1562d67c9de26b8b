"""FastStream's part: a handler that does nothing, on a quorum queue. Its own process; says `ready` first."""

import asyncio
import sys

import uvloop
from faststream.rabbit import QueueType, RabbitBroker, RabbitQueue

QUEUE = "bench.noop"


async def main(url: str, queue_name: str) -> None:
    """Answer until killed."""
    broker = RabbitBroker(url, logger=None)

    @broker.subscriber(RabbitQueue(queue_name, queue_type=QueueType.QUORUM, durable=True))
    async def nothing(body: bytes) -> bytes:
        return body

    async with broker:
        await broker.start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
