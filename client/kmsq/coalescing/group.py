"""Calls that may travel together: who waits, how much is under way, who leaves next. Decides; sends nothing."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable

from kmsq.coalescing.kinds import Kind
from kmsq.coalescing.member import Departure, Member
from kmsq.coalescing.watch import Expire, Watch

MESSAGES_MAX = 2  # of a group under way: the workers have one while we write the other. See docs/decisions/0020
ITEMS_MAX = 1_000  # of one batch: more are no faster. See docs/decisions/0020
REQUEST_MAX_BYTES = 1024 * 1024  # of one batch's items; with ITEMS_MAX, no reply comes near limits.MESSAGE_MAX_BYTES
STALL_SECONDS = 1.0  # after which nobody waits for a message any more: batches are answered in milliseconds


class Group:
    """
    The calls of one operation that may be one batch.

    While a place is free nobody waits: whoever makes one free calls `next_load` until they are taken, and so does
    `on_stall`, which is called when a message has been under way for so long that its place is given to another.
    """

    def __init__(self, key: Hashable, kind: Kind, *, expire: Expire, on_stall: Callable[["Group"], None]) -> None:
        self.key = key
        self.kind = kind
        self.expire = expire
        self._on_stall = on_stall
        self._stall_timer: asyncio.TimerHandle | None = None
        self._under_way: list[Departure] = []
        self._waiting: deque[Member] = deque()
        self._left = 0  # callers since `_waiting` was last cleared of those who left
        self._watch = Watch(self._remaining, self._expire_one)

    def has_place(self, *, now: float) -> bool:
        """Whether another message may leave."""
        if len(self._under_way) < MESSAGES_MAX:
            return True
        return sum(now - departure.at < STALL_SECONDS for departure in self._under_way) < MESSAGES_MAX

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and so nobody waits."""
        return not self._under_way

    def wait(self, member: Member) -> None:
        """Put `member` at the end of the line."""
        self._waiting.append(member)
        self._watch.expect(member.expires_at)
        if self._stall_timer is None:
            self._expect_stall()

    def leave(self) -> None:
        """Note that one of those who wait does so no more. Many together are many steps, not their square."""
        self._left += 1
        if 2 * self._left > len(self._waiting):
            self._remaining()

    def next_load(self, *, now: float) -> list[Member]:
        """
        Take from the line who leaves in the next message: nobody, if nobody waits.

        Those who came first, and their share of all who are here: a message that took everybody would leave the other
        places to latecomers, and workers and client would wait for each other in turn.
        """
        calls = len(self._waiting) + sum(departure.calls for departure in self._under_way)
        items_max = min(ITEMS_MAX, -(-calls // MESSAGES_MAX))
        load: list[Member] = []
        load_bytes = 0
        while self._waiting and len(load) < items_max:
            member = self._waiting[0]
            if member.waits and member.expires_at <= now:
                self.expire(member)
            if member.waits:
                load_bytes += member.item_max_bytes
                if load and load_bytes > REQUEST_MAX_BYTES:
                    break
                load.append(member)
            self._waiting.popleft()
        return load

    def take_place(self, *, calls: int, now: float) -> Departure:
        """Note that a message with so many calls leaves."""
        departure = Departure(at=now, calls=calls)
        self._under_way.append(departure)
        return departure

    def free_place(self, departure: Departure) -> None:
        """Note that a message is done."""
        self._under_way.remove(departure)

    def dismiss(self) -> list[Member]:
        """End the line, and return who waited."""
        self._watch.stop()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        members = [member for member in self._remaining() if member.waits]
        self._waiting.clear()
        return members

    def _expect_stall(self) -> None:
        loop = asyncio.get_running_loop()
        # Those that have stalled already keep nobody waiting.
        fresh = [departure.at for departure in self._under_way if loop.time() - departure.at < STALL_SECONDS]
        if fresh:
            self._stall_timer = loop.call_at(min(fresh) + STALL_SECONDS, self._stall)

    def _stall(self) -> None:
        self._stall_timer = None
        self._on_stall(self)
        if self._waiting:
            self._expect_stall()

    def _expire_one(self, member: Member) -> None:
        self.expire(member)
        self.leave()

    def _remaining(self) -> deque[Member]:
        self._waiting = deque(member for member in self._waiting if member.waits)
        self._left = 0
        return self._waiting
