"""Pauses in work that takes long on the event loop."""

import asyncio
import time

BATCH_BREATH_SECONDS = 0.002  # a single request beside a batch needs some ten turns of the event loop
BREATH_SECONDS = 0.02  # of work without a pause; a turn of 256 plain Encrypts takes about that


class Breath:
    """Paused often enough, a long computation keeps neither heartbeats nor the other lanes waiting."""

    __slots__ = ("_due", "_seconds")

    def __init__(self, seconds: float | None = None) -> None:
        """Take `seconds` of work as long enough, by default `BREATH_SECONDS`."""
        self._seconds = BREATH_SECONDS if seconds is None else seconds
        self._due = time.monotonic() + self._seconds

    async def take(self) -> None:
        """Let others run, if nobody else has for so many seconds."""
        if time.monotonic() > self._due:
            await asyncio.sleep(0)
            self._due = time.monotonic() + self._seconds
