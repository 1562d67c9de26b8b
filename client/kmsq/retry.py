"""How often a request is sent again before its deadline."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    When to send an unanswered request again; always under the same message id, so that changes happen once.

    What ends the retries is the deadline of the call, not a count.
    """

    attempt_timeout_seconds: float = 5.0
    """Without a reply for so long, the request is sent again."""
    attempt_growth: float = 2.0
    """Each further wait is so many times longer."""
    backoff_seconds: float = 0.05
    """The longest pause before the first repetition after a retryable error; drawn at random below that."""
    backoff_max_seconds: float = 2.0
    """The pauses double up to this."""

    def attempt_timeout(self, earlier: int) -> float:
        """Seconds to wait for a reply after `earlier` attempts were waited for in vain."""
        return self.attempt_timeout_seconds * self.attempt_growth**earlier

    def backoff(self, earlier: int, chance: float) -> float:
        """Seconds to pause after `earlier` failures, for a `chance` drawn from [0, 1)."""
        longest = min(self.backoff_max_seconds, self.backoff_seconds * 2.0 ** min(earlier, 16))
        return longest * chance
