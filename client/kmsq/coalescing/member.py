"""A call that waits, for its turn or for its reply."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from kmsq.errors import KmsqError
from kmsq_schemas.models import Reply, Request


class Alone(Enum):
    """The word to a caller to send its request itself, as a single message."""

    GO = "go"


Outcome: TypeAlias = Reply | KmsqError | Alone


class Whereabouts(Protocol):
    """Where a member is: in a line, or in a message under way."""

    def leave(self) -> None:
        """Note that one of the callers there has left."""


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """A message under way: when it left, on the event loop's clock, and with how many calls."""

    at: float
    calls: int


class Member:
    """
    A call that waits, for its turn or for its reply.

    An error is a result of `outcome`, for the caller to raise: about an exception of a future that nobody awaits any
    more, asyncio complains.
    """

    __slots__ = ("departure", "expires_at", "item_max_bytes", "outcome", "request", "timeout_seconds", "whereabouts")

    def __init__(
        self,
        request: Request,
        *,
        item_max_bytes: int,
        expires_at: float,
        timeout_seconds: float,
        whereabouts: Whereabouts,
        outcome: asyncio.Future[Outcome],
    ) -> None:
        self.request = request
        self.item_max_bytes = item_max_bytes
        self.expires_at = expires_at
        """On the event loop's clock, in seconds."""
        self.timeout_seconds = timeout_seconds
        """What the caller allowed in all."""
        self.whereabouts = whereabouts
        self.outcome = outcome
        self.departure: Departure | None = None
        """Of the message that it is to send itself, if a place was taken for it."""

    @property
    def waits(self) -> bool:
        """Whether the caller is still there and has no outcome."""
        return not self.outcome.done()

    def settle(self, outcome: Outcome) -> None:
        """Tell the caller, if it still waits."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)
