"""The yardstick of batches: CBOR to AES-GCM to CBOR, confirmed and acknowledged, and nothing else."""

import asyncio
import os
import sys

import aio_pika
import cbor2
import uvloop
from aio_pika.abc import AbstractIncomingMessage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IV_BYTES = 12
PREFETCH = 32  # kmsq's


async def main(url: str, queue_name: str) -> None:
    """Encrypt until killed; says `ready` first."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(PREFETCH)
    queue = await channel.declare_queue(queue_name, durable=True, arguments={"x-queue-type": "quorum"})
    encrypt = AESGCM(os.urandom(32)).encrypt

    def seal(plaintext: bytes) -> bytes:
        iv = os.urandom(IV_BYTES)
        return iv + encrypt(iv, plaintext, None)

    async def pipe(request: AbstractIncomingMessage) -> None:
        sealed = [seal(plaintext) for plaintext in cbor2.loads(request.body)["Plaintexts"]]
        reply = aio_pika.Message(cbor2.dumps({"CiphertextBlobs": sealed}), correlation_id=request.correlation_id)
        await channel.default_exchange.publish(reply, request.reply_to or "")
        await request.ack()

    await queue.consume(pipe)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
