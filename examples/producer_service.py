"""
A producer service: orders come in as JSON lines, and leave with the card number encrypted.

    in    {"order": "17", "card": "4111 1111 1111 1111"}
    out   {"order": "17", "sealed": "<base64>"}
    out   {"order": "17", "failed": "AccessDeniedException", "why": "…", "try_again": false}

Every line that was taken in gets one line out, in the order in which they are done. A failed one never repeats the card
number: who sent the order still has it, and sends it again where `try_again` says that this helps. SIGTERM and Ctrl-C
end the reading; what was taken in is still answered, at the latest when its deadline is over. After a kill -9, an order
without a line out is sent again: to encrypt a value twice does no harm.

What it shows: many tasks call `client.encrypt`, each for one value, and the client lets those that wait together travel
together. Nothing is collected by hand.
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kmsq import Client, KmsqError, ServiceError
from kmsq.errors import DeadlineExceeded, ExpiredException, NotConnected

IN_FLIGHT = 1_000  # orders that are taken in and not yet answered; no more are read meanwhile


@dataclass(frozen=True, slots=True)
class Service:
    """Answers orders."""

    client: Client
    key_id: str
    deadline_seconds: float

    async def serve(self, lines: AsyncIterator[bytes]) -> int:
        """Answer every line. Returns how many there were."""
        room = asyncio.Semaphore(IN_FLIGHT)
        count = 0

        async def serve_one(number: int, line: bytes) -> None:
            print(json.dumps(await self.answer(number, line)), flush=True)
            room.release()

        async with asyncio.TaskGroup() as orders:  # its end waits for all of them
            async for line in lines:
                await room.acquire()
                count += 1
                orders.create_task(serve_one(count, line))
        return count

    async def answer(self, number: int, line: bytes) -> dict[str, object]:
        """Return what became of line `number`. One that fails never touches its neighbours."""
        try:
            request = json.loads(line)
            order, card = {"order": str(request["order"])}, request["card"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"line": number, "failed": "NoOrder", "why": "no JSON with order and card", "try_again": False}
        try:
            # The context is bound to the ciphertext: beside another order this card number does not open.
            reply = await self.client.encrypt(
                self.key_id, card, encryption_context=order, timeout_seconds=self.deadline_seconds
            )
        except (DeadlineExceeded, ExpiredException, NotConnected) as error:  # the client has tried until the deadline
            return {**order, "failed": type(error).__name__, "why": str(error), "try_again": True}
        except KmsqError as error:  # AccessDeniedException, too: so it stays until somebody changes a policy
            try_again = isinstance(error, ServiceError) and error.is_retryable
            return {**order, "failed": type(error).__name__, "why": str(error), "try_again": try_again}
        return {**order, "sealed": base64.b64encode(reply.ciphertext_blob).decode()}


async def lines_of(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines to the end of the input. One over the reader's limit (64 KiB) comes out empty, in pieces."""
    while not reader.at_eof():
        try:
            if line := await reader.readline():
                yield line
        except ValueError:
            yield b""


async def run(amqp_url: str, key_id: str, deadline_seconds: float) -> None:
    """Connect, serve standard input to its end or a signal, disconnect."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    async with Client(amqp_url) as client:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        for stop in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop, transport.close)  # the reader ends behind what it has taken in
        count = await Service(client, key_id, deadline_seconds).serve(lines_of(reader))
    print(f"answered {count} orders", file=sys.stderr)


def main() -> None:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key-id", required=True, help="the key: an id, ARN or alias")
    parser.add_argument("--deadline-seconds", type=float, default=10.0, help="for each order (default: 10)")
    options = parser.parse_args()
    amqp_url = os.environ.get("KMSQ_AMQP_URL") or sys.exit("set KMSQ_AMQP_URL: ./dev up && source .dev/env")
    try:
        asyncio.run(run(amqp_url, options.key_id, options.deadline_seconds))
    except (KmsqError, ValueError) as error:  # ValueError: standard input is a file, and asyncio reads pipes only
        sys.exit(f"producer_service: {error}")


if __name__ == "__main__":
    main()
