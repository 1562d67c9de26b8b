"""Reading the values of a stream, no faster than messages leave."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Protocol

from kmsq.operations.cutting import chunks, kept


class Supply(Protocol):
    """Where values come from."""

    async def read(self) -> None:
        """Read ahead for `take`: a task of its own, which ends with the values."""

    async def take(self) -> list[Any]:
        """Return the next values, none at the end. Raises what the source raised once all before it was taken."""


class Iterated:
    """Values of an iterable."""

    def __init__(self, values: Iterable[Any], most: int) -> None:
        self._chunks = chunks(values, most)

    async def read(self) -> None:
        """Do nothing: `take` reads."""

    async def take(self) -> list[Any]:
        """See `Supply`. The iterable is read at once, so the loop gets its turn before it."""
        await asyncio.sleep(0)
        return next(self._chunks, [])


class AwaitedIterable:
    """
    Values of an async iterable, which one task reads from first to last, because it may belong to a task.

    It is read while somebody waits in `take` only, up to `most` values. When nothing is under way (`is_idle`), those
    that there are go, however few: who answers to results with further values would otherwise wait for ever.
    """

    def __init__(self, values: AsyncIterable[Any], most: int, *, is_idle: Callable[[], bool]) -> None:
        self._values = values
        self._most = most
        self._is_idle = is_idle
        self._chunk: list[Any] = []
        self._failure: BaseException | None = None
        self._is_over = False
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()

    async def read(self) -> None:
        """See `Supply`."""
        await self._wanted.wait()
        try:
            async for value in self._values:
                self._chunk.append(kept(value))
                self._news.set()
                if len(self._chunk) >= self._most:
                    self._wanted.clear()
                if not self._wanted.is_set():
                    await self._wanted.wait()
        except BaseException as error:  # a cancelled future of the source's, too: `take` shall not wait for ever
            self._failure = error
            raise
        finally:
            self._is_over = True
            self._news.set()

    async def take(self) -> list[Any]:
        """See `Supply`."""
        while not self._is_enough():
            self._wanted.set()
            self._news.clear()
            await self._news.wait()
        self._wanted.clear()
        taken, self._chunk = self._chunk, []
        if not taken and self._failure is not None:
            raise self._failure
        return taken

    def look_again(self) -> None:
        """Say that `is_idle` may have changed."""
        self._news.set()

    def _is_enough(self) -> bool:
        return self._is_over or len(self._chunk) >= self._most or (bool(self._chunk) and self._is_idle())
