"""The client a producer uses."""

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from kmsq.amqp import amqp_transport
from kmsq.amqp.address import Address
from kmsq.coalescing import coalescing
from kmsq.operations import AllOperations
from kmsq.retry import RetryPolicy
from kmsq.transport import Transport
from kmsq_schemas.content import ContentType

TIMEOUT_SECONDS = 30.0
WORKER_USER = "kmsq-worker"


class Client(AllOperations):
    """
    A connection to kmsq, with a method for each operation. Any number of calls may be under way at once.

        async with Client("amqp://alice:…@broker/") as client:
            sealed = await client.encrypt("alias/orders", b"…", encryption_context={"order": "17"})

    The user of the URL is the principal. Requests are repeated, under one message id, until `timeout_seconds` after
    the call: after a lost connection, an unanswered attempt, a retryable error. A lost connection is restored.
    `content_type` is what single requests travel in; batches always travel in CBOR.
    Calls that wait together travel together, as one batch message, unless `coalesce` is false.
    Entering waits up to `connect_timeout_seconds` (by default `timeout_seconds`) for the first connection.

    Raises `InvalidAddress` for a URL without a usable user.
    """

    def __init__(
        self,
        amqp_url: str,
        *,
        content_type: ContentType = ContentType.JSON,
        timeout_seconds: float = TIMEOUT_SECONDS,
        connect_timeout_seconds: float | None = None,
        worker_user: str = WORKER_USER,
        retry: RetryPolicy | None = None,
        coalesce: bool = True,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        address = Address.parse(amqp_url)

        def connect() -> AbstractAsyncContextManager[Transport]:
            connection = amqp_transport(
                address,
                content_type=content_type,
                connect_timeout_seconds=timeout_seconds if connect_timeout_seconds is None else connect_timeout_seconds,
                worker_user=worker_user,
                retry=retry or RetryPolicy(),
                ssl_context=ssl_context,
            )
            return coalescing(connection) if coalesce else connection

        self._prepare(connect, principal=address.principal, timeout_seconds=timeout_seconds)

    def _prepare(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Transport]],
        *,
        principal: str,
        timeout_seconds: float,
    ) -> None:
        """Set the client up to be entered; `connect` gives the transport its lifetime (`kmsq.testing` has its own)."""
        self.principal = principal
        self.timeout_seconds = timeout_seconds
        self._connect = connect
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._transport = await self._exits.enter_async_context(self._connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport = None
        await self._exits.__aexit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.principal}>"
