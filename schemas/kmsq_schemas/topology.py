"""Names on the broker: exchanges, queues and bindings. All derived from the operations; permissions are in `access`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kmsq_schemas.access import (
    Access,
    Permissions,
    TopicPermissions,
    administrator_access,
    producer_access,
    topology_access,
    worker_access,
)
from kmsq_schemas.message import REPLY_QUEUE_PREFIX, is_instance, is_principal
from kmsq_schemas.names import DEAD_EXCHANGE, DEAD_QUEUE, REPLIES_EXCHANGE, REQUESTS_EXCHANGE
from kmsq_schemas.operations import SPECS, Operation, Queue

__all__ = [
    "DEAD_EXCHANGE",
    "DEAD_QUEUE",
    "DEAD_QUEUE_ARGUMENTS",
    "EXCHANGES",
    "QUEUES",
    "QUEUE_ARGUMENTS",
    "REPLIES_EXCHANGE",
    "REPLY_QUEUE_ARGUMENTS",
    "REQUESTS_EXCHANGE",
    "Access",
    "Binding",
    "Permissions",
    "Queue",
    "TopicPermissions",
    "administrator_access",
    "bindings",
    "producer_access",
    "reply_queue",
    "reply_routing_key",
    "request_routing_key",
    "topology_access",
    "worker_access",
]

DELIVERY_LIMIT = 20  # deliveries; a plain close of a connection counts as one, hence not lower
DEAD_MAX_BYTES = 1024**3  # bytes; beyond it the oldest go: a flood of refusals must not fill the broker's disk
DEAD_DELIVERY_LIMIT = 1_000_000  # each look at a dead letter counts; RabbitMQ 4 would drop it after 20
DEAD_TTL_MS = 14 * 24 * 60 * 60 * 1000  # milliseconds: 14 days for an operator to look

Arguments = Mapping[str, str | int]

EXCHANGES: Mapping[str, str] = MappingProxyType(
    {REQUESTS_EXCHANGE: "topic", REPLIES_EXCHANGE: "topic", DEAD_EXCHANGE: "fanout"}
)
"""Type by name; all are durable."""

QUEUE_ARGUMENTS: Arguments = MappingProxyType(
    {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        # Dead-lettering loses nothing only with all three of these (RabbitMQ, "at-least-once dead lettering").
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
)
DEAD_QUEUE_ARGUMENTS: Arguments = MappingProxyType(
    {
        "x-queue-type": "quorum",
        "x-message-ttl": DEAD_TTL_MS,
        "x-delivery-limit": DEAD_DELIVERY_LIMIT,
        "x-max-length-bytes": DEAD_MAX_BYTES,
    }
)
REPLY_QUEUE_ARGUMENTS: Arguments = MappingProxyType({"x-queue-type": "classic"})
"""For a client's own reply queue, which is exclusive."""

QUEUES: Mapping[str, Arguments] = MappingProxyType(
    {
        **{queue.value: QUEUE_ARGUMENTS for queue in Queue if any(spec.queue is queue for spec in SPECS.values())},
        DEAD_QUEUE: DEAD_QUEUE_ARGUMENTS,
    }
)
"""Arguments by name; all are durable."""


class Binding(NamedTuple):
    """A route from an exchange to a queue."""

    exchange: str
    queue: str
    pattern: str


def bindings() -> tuple[Binding, ...]:
    """Bind each operation to its queue, and the dead-letter exchange to its own."""
    requests = (Binding(REQUESTS_EXCHANGE, spec.queue.value, f"*.{spec.operation}") for spec in SPECS.values())
    return (*requests, Binding(DEAD_EXCHANGE, DEAD_QUEUE, ""))


def request_routing_key(principal: str, operation: Operation) -> str:
    """Build the one routing key under which `principal` may ask for `operation`."""
    return f"{_checked(principal)}.{operation.value}"


def reply_routing_key(principal: str, instance: str) -> str:
    """Build a reply's routing key from the *proven* principal; never from `reply_to` alone."""
    return f"{_checked(principal)}.{_checked_instance(instance)}"


def reply_queue(principal: str, instance: str) -> str:
    """Name the reply queue of one connection."""
    return f"{REPLY_QUEUE_PREFIX}.{_checked(principal)}.{_checked_instance(instance)}"


def _checked(principal: str) -> str:
    if not is_principal(principal):
        message = "not a principal's name"
        raise ValueError(message)
    return principal


def _checked_instance(instance: str) -> str:
    if not is_instance(instance):
        message = "not an instance's name"
        raise ValueError(message)
    return instance
