"""
Requests that may have killed a worker (DESIGN.md §5, Fates; docs/decisions/0008).

A suspect runs alone. Before that it is marked in the database, and the mark is taken back when its run has ended, well
or badly, as long as the process lives to do so. Marks that stay were left by processes that died. A request that left
`DEADLY_MARKS` of them is dead-lettered by the next worker, unexecuted.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from kmsq_worker.custody import Custody
from kmsq_worker.errors import Refused, Unavailable
from kmsq_worker.inbox import SUSPECT_FROM_ATTEMPT
from kmsq_worker.ports import Delivery

DEADLY_MARKS = 2  # one could be the fault of whatever else killed that process


class Marks(Protocol):
    """Where marks survive the process. Every method raises `Unavailable`."""

    async def mark_suspect(self, digest: bytes) -> int:
        """Add a mark and return how many there are."""

    async def clear_suspects(self, digests: Collection[bytes]) -> None:
        """Take all marks of these back."""


class Suspects:
    """The marks that this session set and has not taken back."""

    def __init__(self, *, marks: Marks, custody: Custody) -> None:
        self._marks = marks
        self._custody = custody
        self._open: set[bytes] = set()

    async def admit(self, delivery: Delivery) -> None:
        """Mark a suspect before it runs. Raises `Refused` for one that killed too often, and `Unavailable`."""
        if delivery.attempt < SUSPECT_FROM_ATTEMPT:
            return
        digest = self._digest(delivery)
        self._open.add(digest)
        if await self._marks.mark_suspect(digest) > DEADLY_MARKS:
            raise Refused("poison")

    async def release(self, delivery: Delivery) -> None:
        """Take the mark back: the run has ended. Raises `Unavailable`."""
        if self._open and (digest := self._digest(delivery)) in self._open:
            await self._marks.clear_suspects([digest])
            self._open.discard(digest)

    async def release_all(self) -> None:
        """Take back what is still open when a session ends: this process is alive."""
        if self._open:
            with suppress(Unavailable):
                await self._marks.clear_suspects(self._open)

    def _digest(self, delivery: Delivery) -> bytes:
        parts = (delivery.user_id or "", delivery.message_id or "", delivery.type or "")
        return self._custody.digest("\x00".join(parts).encode() + b"\x00" + delivery.body)


@asynccontextmanager
async def released(suspects: Suspects) -> AsyncGenerator[Suspects]:
    """Hold a session's suspects, and take back at its end what it left open."""
    try:
        yield suspects
    finally:
        await suspects.release_all()
