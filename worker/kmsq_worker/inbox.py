"""
Where deliveries wait for a turn: one queue a principal, served round-robin, each with a cap.

What is beyond a cap is only told so. It shares every turn with what waits, one to one: a flood must neither wait behind
those whom it floods out, nor hold them up.

What has been delivered twice without an end is a suspect and runs alone, so that it takes no neighbours along if it
kills the worker. Suspects take every second turn at most, and at least.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace

from kmsq_worker.ports import Delivery

SUSPECT_FROM_ATTEMPT = 3  # DESIGN.md §5, Fates


class Inbox:
    """Holds at most what the consumer's prefetch lets in."""

    def __init__(self, *, principal_max: int) -> None:
        self._principal_max = principal_max
        self._waiting: OrderedDict[str, deque[Delivery]] = OrderedDict()
        self._excess: deque[Delivery] = deque()
        self._suspects: deque[Delivery] = deque()
        self._suspect_is_next = False
        self._excess_is_next = True
        self._arrival = asyncio.Event()
        self._closed = False

    def put(self, delivery: Delivery) -> None:
        """Add a delivery; one too many of its principal is marked as throttled and answered next."""
        if delivery.attempt >= SUSPECT_FROM_ATTEMPT:
            self._suspects.append(delivery)
        else:
            queue = self._waiting.setdefault(delivery.user_id or "", deque())
            if len(queue) >= self._principal_max:
                self._excess.append(replace(delivery, throttled=True))
            else:
                queue.append(delivery)
        self._arrival.set()

    def close(self) -> None:
        """End `take` once everything has been taken."""
        self._closed = True
        self._arrival.set()

    async def take(self, limit: int) -> Sequence[Delivery]:
        """Wait for a delivery, then return all that wait, up to `limit`, or one suspect; nothing once closed."""
        while not (self._waiting or self._excess or self._suspects):
            if self._closed:
                return ()
            self._arrival.clear()
            await self._arrival.wait()
        neighbours = bool(self._waiting or self._excess)
        if self._suspects and (self._suspect_is_next or not neighbours):
            self._suspect_is_next = False
            return (self._suspects.popleft(),)
        self._suspect_is_next = True
        taken: list[Delivery] = []
        while len(taken) < limit and (self._waiting or self._excess):
            taken.append(self._next())
        return taken

    def _next(self) -> Delivery:
        if self._excess and (self._excess_is_next or not self._waiting):
            self._excess_is_next = False
            return self._excess.popleft()
        self._excess_is_next = True
        principal, queue = self._waiting.popitem(last=False)
        delivery = queue.popleft()
        if queue:
            self._waiting[principal] = queue  # to the end: its turn comes again after everybody else's
        return delivery
