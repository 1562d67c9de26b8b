"""A transport for batches, which answers when a test says so."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from kmsq import Client
from kmsq_schemas.models import BatchEncryptReply, BatchEncryptRequest, EncryptionAlgorithm, FailedItem, Reply, Request
from kmsq_schemas.operations import Operation

FAILS = b"fails"
"""A plaintext that the service refuses."""


class Held:
    """Answers BatchEncrypt with each plaintext reversed: at once, or, while `holding`, when told to."""

    def __init__(self, *, holding: bool = False) -> None:
        self.holding = holding
        self.sent: list[list[bytes]] = []
        """The plaintexts of each message, in the order of their arrival."""
        self.timeouts: list[float] = []
        self.failures: dict[int, Exception] = {}
        """What becomes of messages, by their number."""
        self.cancelled = 0
        self.most_under_way = 0
        self._under_way: dict[int, asyncio.Future[None]] = {}

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """See `Transport`."""
        assert operation is Operation.BATCH_ENCRYPT
        assert isinstance(request, BatchEncryptRequest)
        number = len(self.sent)
        self.sent.append(request.plaintexts)
        self.timeouts.append(timeout_seconds)
        self._under_way[number] = asyncio.get_running_loop().create_future()
        self.most_under_way = max(self.most_under_way, len(self._under_way))
        try:
            if self.holding:
                await self._under_way[number]
            else:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            del self._under_way[number]
        if number in self.failures:
            raise self.failures[number]
        return answer(request.plaintexts)

    def answer(self, number: int) -> None:
        """Let the message of this number have its reply."""
        self._under_way[number].set_result(None)

    def answer_soon(self, number: int) -> None:
        """Do the same from another thread."""
        waiting = self._under_way[number]
        waiting.get_loop().call_soon_threadsafe(waiting.set_result, None)

    @property
    def waiting(self) -> list[int]:
        """The numbers of the messages under way."""
        return sorted(self._under_way)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Held"]:
        """Be there."""
        yield self

    def client(self) -> Client:
        """Return a client that sends its requests here."""
        return _HeldClient(self)


class _HeldClient(Client):
    def __init__(self, transport: Held) -> None:
        self._prepare(transport.connect, principal="alice", timeout_seconds=30)


def answer(plaintexts: list[bytes]) -> BatchEncryptReply:
    """Reverse each."""
    return BatchEncryptReply(
        key_id="k",
        key_material_id="0" * 64,
        encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT,
        ciphertext_blobs=[None if plaintext == FAILS else plaintext[::-1] for plaintext in plaintexts],
        failed=[
            FailedItem(index=index, code="DisabledException", message="off")
            for index, plaintext in enumerate(plaintexts)
            if plaintext == FAILS
        ],
    )


def values(count: int) -> list[bytes]:
    """Return values that tell their places."""
    return [b"%d." % number for number in range(count)]


def results(count: int) -> list[bytes]:
    """Return what becomes of `values`."""
    return [value[::-1] for value in values(count)]


async def settled(turns: int = 50) -> None:
    """Let everything happen that can."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def gather(stream: AsyncGenerator[Any, None], into: list[Any]) -> None:
    """Take all results of a stream, and close it."""
    async with aclosing(stream):
        async for result in stream:
            into.append(result)  # noqa: PERF401  a comprehension would lose what came before an exception


async def until_error(stream: AsyncGenerator[Any, None], into: list[Any]) -> BaseException:
    """Take the results of a stream before its exception, and return that."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  the tests look at what it is
        await gather(stream, into)
    return caught.value


class Source:
    """Values of a stream, which count how many were read."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        for value in values(self._count):
            self.read += 1
            yield value

    async def each(self) -> AsyncIterator[bytes]:
        """Yield them, all at once."""
        for value in self:
            yield value

    async def each_in_its_time(self) -> AsyncIterator[bytes]:
        """Yield one a turn of the loop."""
        for value in self:
            await asyncio.sleep(0)
            yield value


SOURCES: list[Callable[[Source], Any]] = [iter, Source.each, Source.each_in_its_time]


@asynccontextmanager
async def tidy(client: Client) -> AsyncIterator[Client]:
    """Enter the client, and see to it that no tasks are left at the end."""
    async with client:
        yield client
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a stream has left tasks behind"
