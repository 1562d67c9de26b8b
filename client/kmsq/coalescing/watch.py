"""The deadlines of many calls, with one timer."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

from kmsq.coalescing.member import Member

Expire: TypeAlias = Callable[[Member], None]


class Watch:
    """
    Calls `expire` for each of the `members` whose time is over.

    Calls mostly come with the same timeout, so that the first to come is the first to expire, and the timer that is
    set for it is right for all. Deadlines beyond `until` are somebody else's.
    """

    def __init__(self, members: Callable[[], Iterable[Member]], expire: Expire, *, until: float = float("inf")) -> None:
        self._members = members
        self._expire = expire
        self._until = until
        self._rings_at = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, expires_at: float) -> None:
        """See to it that the deadline `expires_at` is noticed."""
        if expires_at < self._rings_at and expires_at <= self._until:
            self.stop()
            self._rings_at = expires_at
            self._timer = asyncio.get_running_loop().call_at(expires_at, self._ring)

    def stop(self) -> None:
        """Notice nothing any more."""
        self._rings_at = float("inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        # The loop rings up to its clock's resolution early: whoever the timer was set for has expired.
        now = max(self._rings_at, asyncio.get_running_loop().time())
        self.stop()
        waiting = [member for member in self._members() if member.waits]
        for member in waiting:
            if member.expires_at <= min(now, self._until):
                self._expire(member)
        later = [member.expires_at for member in waiting if member.waits]
        if later:
            self.expect(min(later))
