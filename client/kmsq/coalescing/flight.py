"""One batch message under way, and the calls in it."""

import asyncio
from collections.abc import Sequence

from kmsq.coalescing.member import Member, Outcome
from kmsq.coalescing.watch import Expire, Watch

BETTER_WORD_SECONDS = 0.05  # that a call may outlast its deadline, to be told why the message was not answered


class Flight:
    """
    One batch message under way, and the calls in it.

    Its deadline is that of the call with the most time; other calls end at their own. When all callers have left, the
    message is given up.
    """

    def __init__(self, members: Sequence[Member], *, expire: Expire) -> None:
        self.members = members
        self.expires_at = max(member.expires_at for member in members)
        self.task: asyncio.Task[None] | None = None
        """Carries the message; from its first step on, so that it is never cancelled without cleaning up."""
        self._staying = len(members)
        self._expire = expire
        self._watch = Watch(lambda: members, self._expire_one, until=self.expires_at - BETTER_WORD_SECONDS)
        for member in members:
            member.whereabouts = self
        self._watch.expect(min(member.expires_at for member in members))

    def leave(self) -> None:
        """See `Whereabouts`."""
        self._staying -= 1
        if self._staying == 0 and self.task is not None:
            self.task.cancel()

    def land(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the callers who are still there."""
        for member, outcome in zip(self.members, outcomes, strict=True):
            member.settle(outcome)

    def end(self) -> None:
        """Look after no deadline any more."""
        self._watch.stop()

    def _expire_one(self, member: Member) -> None:
        self._expire(member)
        self.leave()
