"""Parts of a table, worked on while their neighbours are read and written, and handed on in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kmsq.column.errors import Interrupted
from kmsq.column.table import Reader, Rows

AT_ONCE: Final = 2  # parts: while the last messages of one are under way, the first of the next are

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """A part that was read, and what was made of it."""

    rows: Rows
    first_row: int
    """Its first row's number in the input, from 1."""
    position: int
    """Of the input, after it."""
    result: T


async def in_order(
    reader: Reader, work: Callable[[Rows], Awaitable[T]], *, rows_done: int, part_rows: int, part_bytes: int
) -> AsyncGenerator[Step[T]]:
    """Read parts and yield them in order, each with what `work` made of it. Close it when it is not taken to its end."""
    under_way: deque[tuple[Rows, int, int, asyncio.Future[T]]] = deque()
    first_row = rows_done + 1
    try:
        while (rows := await in_thread(lambda: reader.take(part_rows, part_bytes))) is not None:
            under_way.append((rows, first_row, reader.position, asyncio.ensure_future(work(rows))))
            first_row += len(rows)
            if len(under_way) >= AT_ONCE:
                yield await _first(under_way)
        while under_way:
            yield await _first(under_way)
    finally:
        for *_, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for *_, task in under_way), return_exceptions=True)


async def _first(under_way: deque[tuple[Rows, int, int, asyncio.Future[T]]]) -> Step[T]:
    rows, first_row, position, task = under_way[0]
    result = await task
    under_way.popleft()  # only now, so that a task that is waited for is cancelled with the rest
    return Step(rows, first_row, position, result)


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread, so that the connection lives. Cancelled, it still waits for the work to end."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():  # who cancels once more waits as well: the files must not be closed under the thread
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not report it as lost
        raise


async def unless(stop: asyncio.Event | None, work: Awaitable[T]) -> T:
    """Do `work` until `stop` is set. Raises `Interrupted` when the work has ended."""
    if stop is None:
        return await work
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        doing.cancel()  # nothing, if it is done
        stopping.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)
    if doing.cancelled():
        raise Interrupted("asked to stop")
    return doing.result()
