"""Requests over AMQP: any number under way on one connection, repeated until their deadlines."""

import asyncio
import logging
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiormq.abc import DeliveredMessage
from aiormq.exceptions import DeliveryError

from kmsq.amqp.address import Address
from kmsq.amqp.answers import Doubt, Incoming, doubt, read_answer
from kmsq.amqp.events import (
    Answered,
    Closed,
    Declined,
    Event,
    Fail,
    Finish,
    Interrupted,
    Send,
    Step,
    decide,
    explain_deadline,
)
from kmsq.amqp.link import Link, open_link
from kmsq.amqp.pending import Pending, PendingTable
from kmsq.amqp.refusals import publish_failure, returned
from kmsq.amqp.skew import ClockSkew
from kmsq.amqp.supervisor import Supervisor
from kmsq.errors import ClientClosed
from kmsq.retry import RetryPolicy
from kmsq_schemas import codec, limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import SPECS, Operation, Queue

DEADLINE_MARGIN_MS = 60_000  # below the longest deadline that a change may have: clocks differ
LAST_PUBLISH_SECONDS = 1.0  # for publishes to end after their connection has

log = logging.getLogger("kmsq.amqp")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class AmqpTransport:
    """
    Carries requests over one connection, which is replaced when it breaks; made by `amqp_transport`.

    Each call is driven by its caller's task: (1) wait for a connection, (2) publish, (3) wait for what happens,
    (4) decide, and from there to (1) again or out. Whoever reads from the broker only posts events.
    """

    def __init__(
        self,
        address: Address,
        *,
        content_type: ContentType,
        worker_user: str,
        retry: RetryPolicy,
        ssl_context: ssl.SSLContext | None = None,
        now_ms: Callable[[], int] = _now_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._content_type = content_type
        self._worker_user = worker_user
        self._retry = retry
        self._now_ms = now_ms
        self._chance = chance
        self._pending = PendingTable()
        self._publishing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.supervisor = Supervisor(
            address,
            lambda: open_link(address, ssl_context=ssl_context, on_message=self._receive),
            on_lost=lambda: self._pending.post_all(Interrupted()),
            chance=chance,
        )
        self.skew = ClockSkew(now_ms)
        self.dropped: Counter[Doubt] = Counter()
        """Messages in the reply queue that were not believed, or that nobody waited for."""

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """See `kmsq.transport.Transport`. Cancelling it forgets the request, which may still be executed."""
        if self._closed:
            raise ClientClosed("the client is closed")
        expires_at = asyncio.get_running_loop().time() + timeout_seconds
        # Batches are bytes above all: base64 would cost them a third more, and both sides most of their time.
        content_type = ContentType.CBOR if SPECS[operation].queue is Queue.BATCH else self._content_type
        body = codec.encode(request, content_type)
        pending = Pending(operation, body, content_type=content_type, expires_at=expires_at)
        self._pending.add(pending)
        try:
            async with asyncio.timeout_at(expires_at):
                return await self._drive(pending)
        except TimeoutError:
            pass  # explained below, outside the handler
        finally:
            self._pending.remove(pending)
        what = f"{operation.value} (message id {pending.message_id})"
        raise explain_deadline(
            pending.progress, what=what, timeout_seconds=timeout_seconds, problem=self.supervisor.problem
        )

    async def _drive(self, pending: Pending) -> Reply:
        step: Step = Send(self._retry.attempt_timeout(0))
        while True:
            match step:
                case Finish(reply):
                    return reply
                case Fail(error):
                    raise error
                case Send():
                    link = await self.supervisor.link()  # (1)
                    self._publish_soon(link, pending)  # (2)
            event = await pending.next_event(step.wait_seconds)  # (3)
            step = self._decide(event, pending)  # (4)

    def _decide(self, event: Event, pending: Pending) -> Step:
        remaining = pending.expires_at - asyncio.get_running_loop().time()
        step = decide(event, pending.progress, self._retry, chance=self._chance(), remaining_seconds=remaining)
        pending.progress.record(event, step)
        return step

    def _publish_soon(self, link: Link, pending: Pending) -> None:
        # A task of its own, which nobody cancels: when a publish that aiormq has stopped waiting for is returned, it
        # logs the whole message.
        task = asyncio.create_task(self._publish(link, pending, pending.begin_attempt(self._now_ms())))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _publish(self, link: Link, pending: Pending, attempt: int) -> None:
        remaining = pending.expires_at - asyncio.get_running_loop().time()
        left_ms = round(remaining * 1000)
        if SPECS[pending.operation].is_change:  # a longer wait than the service takes has later attempts
            left_ms = min(left_ms, limits.CHANGE_DEADLINE_MAX_MS - DEADLINE_MARGIN_MS)
        deadline_ms = self.skew.server_now_ms() + left_ms
        event: Event
        try:
            confirmation = await link.publish(pending, deadline_ms=deadline_ms)
        except asyncio.CancelledError:  # aiormq's way to say that the connection was closed
            pending.post(Interrupted(), attempt=attempt)
            raise
        except DeliveryError:
            event = Declined()
        except Exception as error:  # noqa: BLE001  whatever the driver raises, the caller must hear of it
            event = publish_failure(error, principal=self._address.principal, operation=pending.operation)
        else:
            if not isinstance(confirmation, DeliveredMessage):
                pending.confirm(attempt)
                return
            event = returned(pending.operation)
        pending.post(event, attempt=attempt)

    def _receive(self, message: Incoming) -> None:
        pending = self._pending.get(message.correlation_id)
        reason = doubt(message, worker_user=self._worker_user)
        if reason is not None or pending is None:
            self.dropped[reason or Doubt.UNKNOWN] += 1
            if reason is not None:
                log.warning("dropped a message in the reply queue: %s", reason.value)
            return
        server_ms = message.server_time_ms
        moved = server_ms is not None and self.skew.learn(sent_ms=pending.sent_ms, server_ms=server_ms)
        answer = read_answer(message, pending.operation, message_id=pending.message_id)
        pending.post(Answered(answer, skew_moved=moved))

    def close(self) -> None:
        """Fail all calls under way, and every later one."""
        self._closed = True
        self._pending.post_all(Closed())

    async def wait_published(self, timeout_seconds: float) -> None:
        """Wait for the publishes under way: each ends with its connection at the latest."""
        if self._publishing:
            await asyncio.wait(self._publishing, timeout=timeout_seconds)
        for task in self._publishing:
            task.cancel()


@asynccontextmanager
async def amqp_transport(
    address: Address,
    *,
    content_type: ContentType,
    connect_timeout_seconds: float,
    worker_user: str,
    retry: RetryPolicy,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[AmqpTransport]:
    """
    Connect and stay connected until the end.

    Raises `NotConnected`, `RequestRefused` or `TopologyMissing` when the first connection cannot be made.
    """
    transport = AmqpTransport(
        address, content_type=content_type, worker_user=worker_user, retry=retry, ssl_context=ssl_context
    )
    running = asyncio.create_task(transport.supervisor.run())
    try:
        await transport.supervisor.wait_first(connect_timeout_seconds)
        yield transport
    finally:
        transport.close()
        running.cancel()
        await asyncio.wait({running})
        await transport.wait_published(LAST_PUBLISH_SECONDS)
