"""Messages under way, whose results come out in the order in which they were sent."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from kmsq.operations.cutting import Batch
from kmsq.operations.outcomes import Settled

T = TypeVar("T")


class Window(Generic[T]):
    """
    Sends up to `in_flight` batches at once, and has one more ready or being handed out.

    Who starts batches takes a `place` for each beforehand, who takes their results gives it back. Leaving the window
    forgets what is under way.
    """

    def __init__(self, send: Callable[[Batch], Awaitable[Settled[T]]], *, in_flight: int) -> None:
        self._send = send
        self._flights = asyncio.Semaphore(in_flight)
        self._places = asyncio.Semaphore(in_flight + 1)
        self._line: asyncio.Queue[asyncio.Task[Settled[T]] | BaseException | None] = asyncio.Queue()
        self._under_way: set[asyncio.Task[Settled[T]]] = set()
        self.on_landing: Callable[[], None] = lambda: None
        """Called when a batch has come back."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        waiting = set(self._under_way)
        while not self._line.empty():
            entry = self._line.get_nowait()
            if isinstance(entry, asyncio.Task):
                waiting.add(entry)
        await _end(*waiting)

    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    async def place(self) -> None:
        """Wait for a place for one more batch."""
        await self._places.acquire()

    def give_back(self) -> None:
        """Give back a place."""
        self._places.release()

    def start(self, batch: Batch) -> None:
        """Send a batch as soon as fewer than `in_flight` others are under way."""
        call = asyncio.create_task(self._fly(batch))
        self._under_way.add(call)
        call.add_done_callback(self._land)
        self._line.put_nowait(call)

    def end(self, failure: BaseException | None = None) -> None:
        """Say that no more batches come, and why, if it is not the end of the values."""
        self._line.put_nowait(failure)

    async def next(self) -> Settled[T] | None:
        """
        Return the results of the next batch, None at the end.

        Raises what became of the batch as a whole, or why no more come.
        """
        entry = await self._line.get()
        if isinstance(entry, BaseException):
            raise entry
        return None if entry is None else await entry

    async def _fly(self, batch: Batch) -> Settled[T]:
        async with self._flights:
            return await self._send(batch)

    def _land(self, call: asyncio.Task[Settled[T]]) -> None:
        self._under_way.discard(call)
        self.on_landing()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` beside the block, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await _end(task)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    # Looking at what they raise says that it does not matter any more; else the loop would complain of it.
    await asyncio.gather(*tasks, return_exceptions=True)
