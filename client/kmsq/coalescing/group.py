"""Calls that may travel together: who waits, how much is under way, who leaves next. Decides; sends nothing."""

from collections import deque
from collections.abc import Hashable

from kmsq.coalescing.kinds import Kind
from kmsq.coalescing.member import Member
from kmsq.coalescing.watch import Expire, Watch

MESSAGES_MAX = 2  # of a group under way: the workers have one while we write the other. See docs/decisions/0020
ITEMS_MAX = 1_000  # of one batch: more are no faster. See docs/decisions/0020
REQUEST_MAX_BYTES = 1024 * 1024  # of one batch's items; with ITEMS_MAX, no reply comes near limits.MESSAGE_MAX_BYTES


class Group:
    """
    The calls of one operation that may be one batch.

    While a place is free nobody waits: whoever fills the places up calls `next_load` until they are taken.
    """

    def __init__(self, key: Hashable, kind: Kind, *, expire: Expire) -> None:
        self.key = key
        self.kind = kind
        self.expire = expire
        self.messages = 0
        """Under way."""
        self.calls = 0
        """In the messages under way."""
        self._waiting: deque[Member] = deque()
        self._left = 0  # callers since `_waiting` was last cleared of those who left
        self._watch = Watch(self._remaining, self._expire_one)

    @property
    def has_place(self) -> bool:
        """Whether another message may leave."""
        return self.messages < MESSAGES_MAX

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and so nobody waits."""
        return self.messages == 0

    def wait(self, member: Member) -> None:
        """Put `member` at the end of the line."""
        self._waiting.append(member)
        self._watch.expect(member.expires_at)

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
        items_max = min(ITEMS_MAX, -(-(len(self._waiting) + self.calls) // MESSAGES_MAX))
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

    def take_place(self, calls: int) -> None:
        """Note that a message with so many calls leaves."""
        self.messages += 1
        self.calls += calls

    def free_place(self, calls: int) -> None:
        """Note that a message with so many calls is done."""
        self.messages -= 1
        self.calls -= calls

    def dismiss(self) -> list[Member]:
        """End the line, and return who waited."""
        self._watch.stop()
        members = [member for member in self._remaining() if member.waits]
        self._waiting.clear()
        return members

    def _expire_one(self, member: Member) -> None:
        self.expire(member)
        self.leave()

    def _remaining(self) -> deque[Member]:
        self._waiting = deque(member for member in self._waiting if member.waits)
        self._left = 0
        return self._waiting
