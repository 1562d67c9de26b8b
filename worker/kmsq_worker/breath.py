"""Pauses in work that takes long on the event loop."""

import asyncio
import time

BREATH_SECONDS = 0.02  # of work without a pause; a turn of 256 plain Encrypts takes about that


class Breath:
    """Paused often enough, a long computation keeps neither heartbeats nor the other lanes waiting."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due = time.monotonic() + BREATH_SECONDS

    async def take(self) -> None:
        """Let others run, if nobody else has for `BREATH_SECONDS`."""
        if time.monotonic() > self._due:
            await asyncio.sleep(0)
            self._due = time.monotonic() + BREATH_SECONDS
