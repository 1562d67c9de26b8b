"""What crosses the seams between the broker and the rest: deliveries in, replies out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from kmsq_schemas.operations import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as the broker handed it over. Nothing in it is believed before `decode`."""

    queue: Queue
    tag: int
    routing_key: str
    body: bytes
    type: str | None
    content_type: str | None
    content_encoding: str | None
    message_id: str | None
    correlation_id: str | None
    reply_to: str | None
    user_id: str | None
    headers: Mapping[str, object]
    attempt: int
    """1 for the first delivery, as the broker counts (`x-delivery-count` + 1)."""

    arrived: float
    """time.monotonic of its arrival."""

    throttled: bool = False
    """Set by the inbox when the sender has too many requests waiting."""

    def __repr__(self) -> str:
        """Name the message; never its body."""
        return f"<Delivery {self.queue} {self.tag}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingReply:
    """A reply on its way to `kmsq.replies`."""

    routing_key: str
    type: str
    content_type: str
    correlation_id: str | None
    body: bytes
    server_time: int
    """Unix milliseconds."""

    traceparent: str | None
    expiration_ms: int | None
    """How long the reply is worth anything."""

    def __repr__(self) -> str:
        """Name the reply; never its body."""
        return f"<OutgoingReply {self.type} to {self.routing_key}>"


class Fate(Enum):
    """What the broker said of a reply."""

    DELIVERED = auto()
    UNDELIVERABLE = auto()


class Replies(Protocol):
    """Publisher-confirmed output. Every method raises `Unavailable`."""

    async def publish(self, replies: Sequence[OutgoingReply]) -> Sequence[Fate]:
        """Publish all, pipelined; return their fates, in order, once all are confirmed or returned."""

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Publish a dead letter for `delivery`, without its body, and wait for the confirm."""


class Settler(Protocol):
    """Ends deliveries on the channel that delivered them."""

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge. Waits for no answer: a lost ack means a redelivery, never a loss. Raises `Unavailable`."""
