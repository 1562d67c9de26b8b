"""What each role may do at the broker: the patterns for `rabbitmqctl set_permissions` and `set_topic_permissions`."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from kmsq_schemas.message import INSTANCE_PATTERN, PRINCIPAL_PATTERN, REPLY_QUEUE_PREFIX, is_principal
from kmsq_schemas.names import DEAD_EXCHANGE, DEAD_QUEUE, REPLIES_EXCHANGE, REQUESTS_EXCHANGE
from kmsq_schemas.operations import Operation, Queue

NOTHING = "^$"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Patterns over the names of exchanges and queues."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class TopicPermissions:
    """Patterns over routing keys (write) and binding keys (read) of one topic exchange."""

    exchange: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class Access:
    """All that a broker user is given. Without a topic permission for an exchange RabbitMQ allows every key."""

    permissions: Permissions
    topics: tuple[TopicPermissions, ...]


def producer_access(principal: str, operations: Collection[Operation]) -> Access:
    """
    Let `principal` ask for `operations` and read its own replies.

    `{username}` is filled in by the broker, unescaped before RabbitMQ 4.2.4: safe because of the rule for names.
    """
    if not is_principal(principal):
        message = "not a principal's name"
        raise ValueError(message)
    own = rf"{_escape(REPLY_QUEUE_PREFIX)}\.{principal}\..+"
    asked = "|".join(sorted(operation.value for operation in operations))
    return Access(
        Permissions(
            configure=f"^{own}$",
            write=f"^({_escape(REQUESTS_EXCHANGE)}|{own})$",
            read=f"^({_escape(REPLIES_EXCHANGE)}|{own})$",
        ),
        (
            TopicPermissions(
                REQUESTS_EXCHANGE, write=rf"^{{username}}\.({asked})$" if asked else NOTHING, read=NOTHING
            ),
            TopicPermissions(REPLIES_EXCHANGE, write=NOTHING, read=r"^{username}\.[a-z0-9]+$"),
        ),
    )


def administrator_access(principal: str) -> Access:
    """Let `principal` ask for every operation; what it is granted is for the policies to say."""
    return producer_access(principal, tuple(Operation))


def worker_access() -> Access:
    """Let a worker read the queues of requests, reply to anyone and dead-letter. It declares nothing."""
    return Access(
        Permissions(configure=NOTHING, write=_any_of((REPLIES_EXCHANGE, DEAD_EXCHANGE)), read=_any_of(Queue)),
        (
            TopicPermissions(REQUESTS_EXCHANGE, write=NOTHING, read=NOTHING),
            TopicPermissions(REPLIES_EXCHANGE, write=rf"^{PRINCIPAL_PATTERN}\.{INSTANCE_PATTERN}$", read=NOTHING),
        ),
    )


def topology_access() -> Access:
    """
    Let an operator's user declare and bind everything, and publish neither request nor reply.

    It could consume from the queues of requests: RabbitMQ asks for read permission on a queue whose dead-letter
    exchange is declared. So it is not for every day.
    """
    queues = (*Queue, DEAD_QUEUE)
    return Access(
        # Declaring a queue with a dead-letter exchange needs read on the queue and write on that exchange; binding
        # needs write on the queue and read on the exchange.
        Permissions(
            configure=_any_of((REQUESTS_EXCHANGE, REPLIES_EXCHANGE, *queues)),
            write=_any_of(queues),
            read=_any_of((REQUESTS_EXCHANGE, *queues)),
        ),
        (
            TopicPermissions(REQUESTS_EXCHANGE, write=NOTHING, read=r"^\*\.[A-Za-z]+$"),
            TopicPermissions(REPLIES_EXCHANGE, write=NOTHING, read=NOTHING),
        ),
    )


def _any_of(names: Iterable[str]) -> str:
    return f"^({'|'.join(_escape(name) for name in dict.fromkeys(names))})$"


def _escape(name: str) -> str:
    return name.replace(".", r"\.")
