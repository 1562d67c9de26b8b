"""Steps 7 and 8: replies, dead letters, acknowledgements."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.message import ERROR_TYPE
from kmsq_schemas.models import ErrorReply, Reply
from kmsq_schemas.operations import Operation, Queue
from kmsq_schemas.topology import reply_routing_key
from kmsq_worker.decode import Clock, content_type_of, traceparent_of
from kmsq_worker.errors import KmsError, Refused
from kmsq_worker.item import Item, Outcome, Replayed, expired
from kmsq_worker.ports import Fate, OutgoingReply, Replies, Settler
from kmsq_worker.telemetry import Telemetry

UNDELIVERABLE = "Undeliverable"
EXPIRED_BEFORE_REPLY = "ExpiredBeforeReply"
REPLY_EXPIRATION_MAX_MS = 86_400_000  # a day; beyond some limit of its own the broker closes the channel (406)


@dataclass(frozen=True, slots=True)
class Lost:
    """A committed outcome that its requester did not get, and why: one of the two names above."""

    item: Item
    why: str


class Outbox:
    """Answers committed items and ends their deliveries. Every method raises `Unavailable`."""

    def __init__(
        self,
        *,
        replies: Replies,
        settler: Settler,
        clock: Clock,
        telemetry: Telemetry,
        reached: Callable[[str], None],
    ) -> None:
        self._replies = replies
        self._settler = settler
        self._clock = clock
        self._telemetry = telemetry
        self._reached = reached

    async def reply(self, items: Sequence[Item], server_time: int) -> Sequence[Lost]:
        """Publish all replies and wait for their confirms; bury what has no safe address. Return what got lost."""
        lost: list[Lost] = []
        addressed = [item for item in items if item.caller is not None]
        outgoing = [self._outgoing(item, server_time, lost) for item in addressed]
        fates = await self._replies.publish(outgoing)
        # After the replies: who has an address does not wait for who has none.
        refused = ((item.delivery, item.outcome.reason) for item in items if isinstance(item.outcome, Refused))
        await asyncio.gather(*(self._replies.bury(delivery, reason) for delivery, reason in refused))
        lost += [
            Lost(item, UNDELIVERABLE) for item, fate in zip(addressed, fates, strict=True) if fate is Fate.UNDELIVERABLE
        ]
        self._telemetry.undeliverable(len(lost))
        self._reached("replied")
        return lost

    async def acknowledge(self, items: Sequence[Item]) -> None:
        """Acknowledge the items' deliveries and count them as done."""
        await self._settler.acknowledge([item.delivery for item in items])
        for item in items:
            self._telemetry.request(item.operation_name, item.outcome_name, item.delivery.arrived)
            if item.delivery.queue is Queue.BATCH and isinstance(item.outcome, Reply):
                self._telemetry.items(item.operation_name, item.touched.count, item.touched.failed_count)
        self._reached("acknowledged")

    def _outgoing(self, item: Item, server_time: int, lost: list[Lost]) -> OutgoingReply:
        if item.caller is None:
            raise RuntimeError("nobody to answer")
        outcome = item.outcome
        deadline = None if item.parsed is None else item.parsed.deadline
        left = None if deadline is None else deadline - self._clock()
        if left is not None and left <= 0 and not isinstance(outcome, KmsError):
            lost.append(Lost(item, EXPIRED_BEFORE_REPLY))
            outcome = expired()
        delivery = item.delivery
        content_type = content_type_of(delivery)
        message_type, body = _message(item.caller.operation, outcome, content_type)
        return OutgoingReply(
            routing_key=reply_routing_key(item.caller.principal, item.caller.instance),
            type=message_type,
            content_type=content_type,
            correlation_id=delivery.correlation_id,
            body=body,
            server_time=server_time,
            traceparent=traceparent_of(delivery),
            expiration_ms=min(left, REPLY_EXPIRATION_MAX_MS) if left is not None and left > 0 else None,
        )


def _message(operation: Operation, outcome: Outcome | None, content_type: ContentType) -> tuple[str, bytes]:
    match outcome:
        case Reply():
            return operation.value, encode(outcome, content_type)
        case KmsError():
            return ERROR_TYPE, encode(ErrorReply(code=outcome.code, message=outcome.message), content_type)
        case Replayed():
            return outcome.type, outcome.body
        case Refused() | None:
            raise RuntimeError("no answer")
    assert_never(outcome)
