"""What a broker has and allows. Nothing that is published here is ever delivered; the broker's log shows it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiormq
from aiormq.abc import AbstractConnection
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from kmsq.amqp.address import Address
from kmsq.amqp.link import CONNECT_SECONDS, pin_driver_logs
from kmsq.amqp.refusals import connect_failure
from kmsq.errors import KmsqError
from kmsq_schemas.message import new_instance
from kmsq_schemas.names import REPLIES_EXCHANGE, REQUESTS_EXCHANGE
from kmsq_schemas.operations import Operation
from kmsq_schemas.topology import (
    REPLY_QUEUE_ARGUMENTS,
    reply_queue,
    reply_routing_key,
    request_routing_key,
)

STEP_SECONDS = 10.0


@dataclass(slots=True)
class Examination:
    """What was found, as far as it went."""

    broker: str
    """Product and version."""
    missing: list[str] = field(default_factory=list)
    """Exchanges that do not exist."""
    reply_queue_problem: KmsqError | None = None
    allowed: list[Operation] = field(default_factory=list)
    forbidden: list[Operation] = field(default_factory=list)


async def examine(address: Address) -> Examination:
    """
    Look at the broker as the URL's user.

    Raises `NotConnected` when that user cannot even log in, or the broker stops answering.
    """
    pin_driver_logs()
    try:
        async with _connected(address) as connection:
            found = Examination(_version(connection), missing=await _missing(connection))
            found.reply_queue_problem = await _reply_queue_problem(connection, address)
            if REQUESTS_EXCHANGE not in found.missing:
                for operation in Operation:
                    allowed = await _may_send(connection, address.principal, operation)
                    (found.allowed if allowed else found.forbidden).append(operation)
    except (AMQPError, OSError, RuntimeError, ValueError) as error:
        failure = connect_failure(error, address).error
    else:
        return found
    raise failure


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[AbstractConnection]:
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await aiormq.connect(address.url)
    try:
        yield connection
    finally:
        await connection.close()


def _version(connection: AbstractConnection) -> str:
    properties = connection.server_properties or {}
    return " ".join(_text(properties.get(name)) for name in ("product", "version")).strip() or "unknown"


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


async def _missing(connection: AbstractConnection) -> list[str]:
    missing = []
    for name in (REQUESTS_EXCHANGE, REPLIES_EXCHANGE):
        channel = await connection.channel(timeout=STEP_SECONDS)
        try:
            await channel.exchange_declare(name, passive=True, timeout=STEP_SECONDS)
            await channel.close()
        except ChannelNotFoundEntity:
            missing.append(name)
    return missing


async def _reply_queue_problem(connection: AbstractConnection, address: Address) -> KmsqError | None:
    channel = await connection.channel(timeout=STEP_SECONDS)
    instance = new_instance()
    name = reply_queue(address.principal, instance)
    try:
        await channel.queue_declare(
            name, exclusive=True, auto_delete=True, arguments=dict(REPLY_QUEUE_ARGUMENTS), timeout=STEP_SECONDS
        )
        key = reply_routing_key(address.principal, instance)
        await channel.queue_bind(name, REPLIES_EXCHANGE, routing_key=key, timeout=STEP_SECONDS)
        await channel.basic_get(name, no_ack=True, timeout=STEP_SECONDS)
        await channel.close()
    except AMQPError as error:
        return connect_failure(error, address).error
    return None


async def _may_send(connection: AbstractConnection, principal: str, operation: Operation) -> bool:
    """
    Publish what the broker refuses in any case, and see for which reason.

    It checks the permission first and the properties after it, and closes the channel either way: with 403 for want of
    permission, else with 406 because no such expiration exists. (A transaction that is rolled back leaves less in the
    broker's log, but when the close crosses the rollback, the whole connection is closed.)
    """
    channel = await connection.channel(on_return_raises=False, timeout=STEP_SECONDS)
    try:
        await channel.basic_publish(
            b"",
            exchange=REQUESTS_EXCHANGE,
            routing_key=request_routing_key(principal, operation),
            properties=aiormq.spec.Basic.Properties(expiration="kmsq-doctor", message_type=operation.value),
            timeout=STEP_SECONDS,
        )
    except ChannelAccessRefused:
        return False
    except ChannelPreconditionFailed:
        return True
    message = "the broker took a message that it should have refused"
    raise RuntimeError(message)


def names(operations: Iterable[Operation]) -> str:
    """List operations by name."""
    return ", ".join(operation.value for operation in operations)
