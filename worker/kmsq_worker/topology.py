"""`kmsq-worker topology`: declares exchanges and queues, and prints the permissions that each broker user needs."""

import shlex
from collections.abc import Iterator, Mapping

import aio_pika

from kmsq_schemas.access import Access
from kmsq_schemas.topology import EXCHANGES, QUEUES, bindings
from kmsq_worker.broker import CONNECT_TIMEOUT_SECONDS, translated


async def declare(url: str) -> None:
    """
    Declare everything, which does nothing where it is there already.

    Raises `Unavailable`; its cause tells a refusal or a queue that exists with other arguments.
    """
    with translated():
        connection = await aio_pika.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
        async with connection, connection.channel() as channel:
            exchanges = {
                name: await channel.declare_exchange(name, kind, durable=True) for name, kind in EXCHANGES.items()
            }
            queues: Mapping[str, aio_pika.abc.AbstractQueue] = {
                name: await channel.declare_queue(name, durable=True, arguments=dict(arguments))
                for name, arguments in QUEUES.items()
            }
            for binding in bindings():
                await queues[binding.queue].bind(exchanges[binding.exchange], binding.pattern)


def permission_commands(user: str, access: Access, *, vhost: str = "/") -> Iterator[str]:
    """Yield the arguments of the rabbitmqctl calls that give `user` this access and no other."""
    given = access.permissions
    yield shlex.join(["set_permissions", "-p", vhost, user, given.configure, given.write, given.read])
    for topic in access.topics:
        yield shlex.join(["set_topic_permissions", "-p", vhost, user, topic.exchange, topic.write, topic.read])
