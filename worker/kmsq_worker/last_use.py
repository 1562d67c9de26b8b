"""
When each key was last used: remembered here, written now and then.

It answers GetKeyLastUsage, and nothing decides on it. So it is allowed to lag by a minute and to lose the last uses
before a crash, and costs the turn a dictionary entry.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from kmsq_schemas.models import Reply
from kmsq_schemas.models.enums import KeyLastUsageTrackingOperation
from kmsq_worker.item import Turn
from kmsq_worker.keyring import KEYRING_MAX_KEYS, Bounded
from kmsq_worker.store.rows import LastUseRow

SLOTS = 8  # rows of a key that workers share out among them
REWRITE_SECONDS = 60.0  # a key's row is written at most this often (DESIGN.md §3)
FLUSH_SECONDS = 2.0  # a key that was not used for long shows its use this soon

_TRACKED = frozenset(operation.value for operation in KeyLastUsageTrackingOperation)


class Uses(Protocol):
    """Where uses are recorded."""

    async def note_last_use(self, slot: int, uses: dict[str, LastUseRow]) -> None:
        """Record uses, by key id. Raises `Unavailable`."""


class LastUses:
    """Those of one session; `slot` is this worker's among `SLOTS`."""

    def __init__(self, *, uses: Uses, slot: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._uses = uses
        self._slot = slot
        self._clock = clock
        self._pending: dict[str, LastUseRow] = {}
        self._written: Bounded[str, float] = Bounded(KEYRING_MAX_KEYS)

    def note(self, turn: Turn) -> None:
        """Note what a committed turn used its keys for, if it succeeded."""
        if turn.committed_at is None:
            raise RuntimeError("not committed")
        for item in turn.items:
            operation = "" if item.caller is None else item.caller.operation.of_one
            if isinstance(item.outcome, Reply) and operation in _TRACKED:
                used = item.touched.keys if item.touched.used is None else item.touched.used
                self._note(used, operation, turn.committed_at, item.delivery.message_id or "")

    async def run(self) -> None:
        """Write what was noted, for ever. Raises `Unavailable`."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self, *, everything: bool = False) -> None:
        """Write the uses of keys that were not written within the last minute, or of all. Raises `Unavailable`."""
        now = self._clock()
        due = {
            key_id: use
            for key_id, use in self._pending.items()
            if everything or now - self._written.get(key_id, -REWRITE_SECONDS) >= REWRITE_SECONDS
        }
        if not due:
            return
        for key_id in due:
            del self._pending[key_id]
            self._written.keep(key_id, now)
        await self._uses.note_last_use(self._slot, due)

    def _note(self, key_ids: Iterable[str], operation: str, used_at: datetime, request_id: str) -> None:
        for key_id in key_ids:
            self._pending[key_id] = LastUseRow(operation=operation, used_at=used_at, request_id=request_id)
