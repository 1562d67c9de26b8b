"""How far the workers' clock is from ours."""

from collections.abc import Callable


class ClockSkew:
    """
    What must be added to our clock to get the workers', in milliseconds.

    A reply was made between the sending of its request and its arrival, so each one bounds the skew from both sides.
    The estimate moves only when a reply contradicts it: a queue that is slow in one direction does not pull it away.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.milliseconds = 0

    def learn(self, *, sent_ms: int, server_ms: int) -> bool:
        """Take a reply's `server_time` into account as it arrives. Returns whether the estimate moved."""
        least, most = server_ms - self._now_ms(), server_ms - sent_ms
        known = self.milliseconds
        self.milliseconds = min(max(known, least), max(least, most))
        return self.milliseconds != known

    def server_now_ms(self) -> int:
        """Return what the workers' clock shows, in Unix milliseconds."""
        return self._now_ms() + self.milliseconds
