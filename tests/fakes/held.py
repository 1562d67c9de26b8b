"""A transport whose answers the test holds back, and what stands above it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from kmsq.coalescing import Coalescer, group
from kmsq.errors import DeadlineExceeded, KmsqError
from kmsq_schemas.models import (
    BatchEncryptReply,
    BatchEncryptRequest,
    EncryptionAlgorithm,
    EncryptReply,
    EncryptRequest,
    FailedItem,
    Reply,
    Request,
)
from kmsq_schemas.operations import Operation

ARN = "arn:kmsq:kms:local:000000000000:key/8a1ee1ee-0000-4000-8000-000000000000"
MATERIAL = "a" * 64
SYMMETRIC = EncryptionAlgorithm.SYMMETRIC_DEFAULT


class Held:
    """One message under way."""

    def __init__(self, operation: Operation, request: Any, timeout_seconds: float) -> None:
        self.operation = operation
        self.request = request
        self.timeout_seconds = timeout_seconds
        self.task = asyncio.current_task()
        self.cancelled = False
        self.outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answer(self, outcome: Reply | BaseException | None = None) -> None:
        """Answer with `outcome`, by default with what a worker makes of the request."""
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome or sealed(self.request))


class HeldTransport:
    """Notes what it is asked for; answers when the test says so, or not in time."""

    def __init__(self) -> None:
        self.sent: list[Held] = []
        self.problem: KmsqError | None = None

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """See `kmsq.transport.Transport`."""
        held = Held(operation, request, timeout_seconds)
        self.sent.append(held)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await held.outcome
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            held.cancelled = True
            raise
        message = (
            f"no worker answered {operation.value} (message id 17) within {timeout_seconds:g} s: are workers running?"
        )
        raise DeadlineExceeded(message)

    @property
    def operations(self) -> list[Operation]:
        """What was sent, in this order."""
        return [held.operation for held in self.sent]

    def answer_all(self) -> None:
        """Answer what was sent and is still under way."""
        for held in self.sent:
            if not held.outcome.done():
                held.answer()


@asynccontextmanager
async def coalescer_over(inner: HeldTransport, *, stall_seconds: float = 60) -> AsyncGenerator[Coalescer]:
    """Coalesce over `inner`; at the end nothing may be left of it."""
    before = asyncio.all_tasks()
    coalescer = Coalescer(inner, problem=lambda: inner.problem)
    with patch.object(group, "STALL_SECONDS", stall_seconds):
        yield coalescer
        await coalescer.close()
        await turns()
    assert asyncio.all_tasks() - {asyncio.current_task()} <= before


async def turns(count: int = 8) -> None:
    """Let everybody do what can be done without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


def start(
    coalescer: Coalescer, *plaintexts: bytes, key_id: str = "alias/x", timeout_seconds: float = 30, **more: Any
) -> list[asyncio.Task[Reply]]:
    """Begin to encrypt each of `plaintexts`."""
    return [
        asyncio.create_task(
            coalescer.call(
                Operation.ENCRYPT,
                EncryptRequest(key_id=key_id, plaintext=plaintext, **more),
                timeout_seconds=timeout_seconds,
            )
        )
        for plaintext in plaintexts
    ]


def sealed(request: EncryptRequest | BatchEncryptRequest, *failed: FailedItem) -> Reply:
    """Return what a worker answers; nothing is encrypted."""
    if isinstance(request, EncryptRequest):
        return EncryptReply(ciphertext_blob=blob(request.plaintext), key_id=ARN, encryption_algorithm=SYMMETRIC)
    without = {item.index for item in failed}
    return BatchEncryptReply(
        key_id=ARN,
        key_material_id=MATERIAL,
        encryption_algorithm=SYMMETRIC,
        ciphertext_blobs=[
            None if index in without else blob(plaintext) for index, plaintext in enumerate(request.plaintexts)
        ],
        failed=list(failed),
    )


def blob(plaintext: bytes) -> bytes:
    """Return the pretended ciphertext."""
    return b"sealed " + plaintext


async def blobs(calls: list[asyncio.Task[Reply]]) -> list[bytes]:
    """Return what the calls return."""
    replies = await asyncio.gather(*calls)
    return [reply.ciphertext_blob for reply in replies if isinstance(reply, EncryptReply)]
