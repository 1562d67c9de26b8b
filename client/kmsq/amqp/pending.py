"""Requests under way, found by their correlation id."""

import asyncio
import secrets
import uuid
from collections import deque

from kmsq.amqp.events import Answered, Event, Overdue, Progress
from kmsq_schemas.content import ContentType
from kmsq_schemas.operations import Operation

CORRELATION_BYTES = 16  # 128 bits that nobody can guess


class Pending:
    """
    One request under way: what is sent, and a mailbox for what happens to it.

    Events belong to an attempt. Those of an earlier one say nothing about this one and are dropped, except a reply,
    which is welcome whichever attempt it answers.
    """

    __slots__ = (
        "_answers",
        "_events",
        "_waiter",
        "attempt",
        "body",
        "content_type",
        "correlation_id",
        "expires_at",
        "gone",
        "message_id",
        "operation",
        "progress",
        "sent_ms",
    )

    def __init__(self, operation: Operation, body: bytes, *, content_type: ContentType, expires_at: float) -> None:
        self.operation = operation
        self.body = body
        self.content_type = content_type
        self.message_id = str(uuid.uuid4())
        self.correlation_id = secrets.token_hex(CORRELATION_BYTES)
        self.expires_at = expires_at
        """On the event loop's clock, in seconds."""
        self.attempt = 0
        self.sent_ms = 0
        """When the first attempt left, in Unix milliseconds on our clock."""
        self.progress = Progress()
        self.gone = False
        """Whether the caller has left: nothing of it should be published any more."""
        self._answers: deque[Answered] = deque()
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Pending {self.operation.value} {self.message_id} attempt {self.attempt}>"

    def post(self, event: Event, *, attempt: int | None = None) -> None:
        """Tell the caller's task of `event`, which belongs to `attempt` (None: whatever the attempt)."""
        if attempt is not None and attempt != self.attempt:
            return
        # A reply that arrives together with a timer or a lost connection makes those irrelevant.
        if isinstance(event, Answered):
            self._answers.append(event)
        else:
            self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def confirm(self, attempt: int) -> None:
        """Note that the broker has taken responsibility for `attempt`."""
        if attempt == self.attempt:
            self.progress.in_doubt = False

    def begin_attempt(self, now_ms: int) -> int:
        """Count a new attempt, from which on events of earlier ones are stale; return its number."""
        self.attempt += 1
        self.sent_ms = self.sent_ms or now_ms
        self.progress.in_doubt = True
        self._events.clear()
        return self.attempt

    async def next_event(self, wait_seconds: float) -> Event:
        """Return what happens next; `Overdue` when that is nothing for `wait_seconds`."""
        if not self._answers and not self._events:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(wait_seconds, self._ring, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._answers:
            return self._answers.popleft()
        return self._events.popleft() if self._events else Overdue()

    @staticmethod
    def _ring(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)


class PendingTable:
    """All requests under way."""

    def __init__(self) -> None:
        self._by_correlation_id: dict[str, Pending] = {}

    def add(self, pending: Pending) -> None:
        """Let replies find `pending`."""
        self._by_correlation_id[pending.correlation_id] = pending

    def remove(self, pending: Pending) -> None:
        """Forget `pending`: later replies to it are unknown."""
        pending.gone = True
        self._by_correlation_id.pop(pending.correlation_id, None)

    def get(self, correlation_id: str | None) -> Pending | None:
        """Return the request that a reply answers, if it is one of ours and still wanted."""
        return None if correlation_id is None else self._by_correlation_id.get(correlation_id)

    def post_all(self, event: Event) -> None:
        """Tell every request of `event`."""
        for pending in self._by_correlation_id.values():
            pending.post(event)

    def __len__(self) -> int:
        return len(self._by_correlation_id)
