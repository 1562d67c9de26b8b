"""A transport that lets calls which wait together travel together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kmsq.amqp.events import Progress, explain_deadline
from kmsq.amqp.transport import AmqpTransport
from kmsq.coalescing.flight import Flight
from kmsq.coalescing.group import Group
from kmsq.coalescing.kinds import KINDS, Kind
from kmsq.coalescing.member import Alone, Departure, Member, Outcome
from kmsq.coalescing.outcomes import REFUSALS, outcomes, own_error
from kmsq.coalescing.pauses import PAUSE_SECONDS, Pauses
from kmsq.errors import ClientClosed, DeadlineExceeded, KmsqError, NotConnected
from kmsq.transport import Transport
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation

log = logging.getLogger("kmsq.coalescing")


class Coalescer:
    """
    A transport over another one. Single calls that wait together leave it as one batch message.

    While few messages of a group are under way, a call is sent at once, by its caller's task. Else it waits, and leaves
    with the others who wait as soon as a message is done: as a batch, which a task of its own carries, or, when it is
    the only one, by its caller's task again. So there is no timer, and who calls one by one notices nothing.

    `problem` says what keeps the other transport from a connection, if anything does.
    """

    def __init__(self, inner: Transport, *, problem: Callable[[], KmsqError | None] = lambda: None) -> None:
        self._inner = inner
        self._problem = problem
        self._groups: dict[Hashable, Group] = {}
        self._flights: dict[asyncio.Task[None], Flight] = {}
        self._pauses = Pauses()
        self._closed = False

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """See `kmsq.transport.Transport`."""
        kind = KINDS.get(type(request))
        key = None if kind is None or kind.operation is not operation else kind.group(request)
        loop = asyncio.get_running_loop()
        now = loop.time()
        if kind is None or key is None or self._pauses.covers(operation, now=now):
            return await self._inner.call(operation, request, timeout_seconds=timeout_seconds)
        if self._closed:
            raise ClientClosed("the client is closed")
        group = self._groups.get(key) or self._open_group(key, kind)
        if group.has_place(now=now):
            departure = group.take_place(calls=1, now=now)
            return await self._send_in_turn(group, departure, request, timeout_seconds=timeout_seconds)
        member = Member(
            request,
            item_max_bytes=kind.item_max_bytes(request),
            expires_at=now + timeout_seconds,
            timeout_seconds=timeout_seconds,
            whereabouts=group,
            outcome=loop.create_future(),
        )
        group.wait(member)
        outcome = await self._outcome(group, member)
        if isinstance(outcome, KmsqError):
            raise outcome
        if isinstance(outcome, Alone):
            return await self._send_after_waiting(group, member)
        return outcome

    def _open_group(self, key: Hashable, kind: Kind) -> Group:
        group = self._groups[key] = Group(
            key, kind, expire=lambda member: self._expire(kind.operation, member), on_stall=self._advance
        )
        return group

    def _expire(self, operation: Operation, member: Member) -> None:
        member.settle(
            explain_deadline(
                Progress(),
                what=operation.value,
                timeout_seconds=member.timeout_seconds,
                problem=self._problem(),
            )
        )

    async def _outcome(self, group: Group, member: Member) -> Outcome:
        try:
            return await member.outcome
        except asyncio.CancelledError:
            if member.outcome.cancelled():
                member.whereabouts.leave()
            elif member.departure is not None:  # cancelled between the word to go and the task's next step
                self._free_place(group, member.departure)
            raise

    async def _send_in_turn(
        self, group: Group, departure: Departure, request: Request, *, timeout_seconds: float
    ) -> Reply:
        try:
            return await self._inner.call(group.kind.operation, request, timeout_seconds=timeout_seconds)
        finally:
            self._free_place(group, departure)

    async def _send_after_waiting(self, group: Group, member: Member) -> Reply:
        operation, request = group.kind.operation, member.request
        seconds = member.expires_at - asyncio.get_running_loop().time()
        try:
            if member.departure is not None:
                return await self._send_in_turn(group, member.departure, request, timeout_seconds=seconds)
            return await self._inner.call(operation, request, timeout_seconds=seconds)
        except (DeadlineExceeded, NotConnected) as error:
            own = own_error(error, operation=operation, sent_seconds=seconds, timeout_seconds=member.timeout_seconds)
            raise own from None

    def _free_place(self, group: Group, departure: Departure) -> None:
        group.free_place(departure)
        self._advance(group)

    def _advance(self, group: Group) -> None:
        """Let leave who waits, as long as there are places."""
        now = asyncio.get_running_loop().time()
        if self._pauses.covers(group.kind.operation, now=now):
            for member in group.dismiss():
                member.settle(Alone.GO)
        while group.has_place(now=now) and (load := group.next_load(now=now)):
            departure = group.take_place(calls=len(load), now=now)
            if len(load) == 1:
                load[0].departure = departure
                load[0].settle(Alone.GO)
            else:
                self._depart(group, departure, load)
        if group.is_idle:
            group.dismiss()
            self._groups.pop(group.key, None)

    def _depart(self, group: Group, departure: Departure, load: Sequence[Member]) -> None:
        flight = Flight(load, expire=group.expire)
        task = asyncio.create_task(self._fly(group, departure, flight))
        self._flights[task] = flight
        task.add_done_callback(self._flights.pop)

    async def _fly(self, group: Group, departure: Departure, flight: Flight) -> None:
        flight.task = asyncio.current_task()
        try:
            landed = await self._carry(group.kind, flight)
        except asyncio.CancelledError:
            flight.land([Alone.GO] * len(flight.members))  # whoever is still there shall not wait for ever
            raise
        finally:
            flight.end()
            # The next message leaves before the callers of this one are told: they have work to do.
            self._free_place(group, departure)
        flight.land(landed)

    async def _carry(self, kind: Kind, flight: Flight) -> Sequence[Outcome]:
        """Send the batch and return the outcome of each call."""
        members = flight.members
        seconds = flight.expires_at - asyncio.get_running_loop().time()
        try:
            batch = kind.join([member.request for member in members])
            reply = await self._inner.call(kind.batch, batch, timeout_seconds=seconds)
            return outcomes(kind, reply, count=len(members))
        except REFUSALS as error:
            self._pauses.begin(kind.operation, now=asyncio.get_running_loop().time())
            log.warning("for %g s calls of %s travel alone: %s", PAUSE_SECONDS, kind.operation.value, error)
        except KmsqError as error:
            return [
                own_error(
                    error,
                    operation=kind.operation,
                    sent_seconds=seconds,
                    timeout_seconds=member.timeout_seconds,
                )
                for member in members
            ]
        except Exception as error:  # noqa: BLE001  whatever keeps them from travelling together, nobody shall wait for ever
            log.warning("calls of %s travel alone, because of %s", kind.operation.value, type(error).__name__)
        return [Alone.GO] * len(members)

    async def close(self) -> None:
        """Fail who waits, and every later call that would."""
        self._closed = True
        for group in list(self._groups.values()):
            for member in group.dismiss():
                member.settle(_closed())
        flights = dict(self._flights)
        for task, flight in flights.items():
            flight.land([_closed() for _ in flight.members])
            flight.end()
            task.cancel()
        if flights:
            await asyncio.wait(flights)


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed before the reply came")


@asynccontextmanager
async def coalescing(connection: AbstractAsyncContextManager[AmqpTransport]) -> AsyncIterator[Transport]:
    """Enter `connection`, and coalesce what goes over it until the end."""
    async with connection as inner:
        coalescer = Coalescer(inner, problem=lambda: inner.supervisor.problem)
        try:
            yield coalescer
        finally:
            await coalescer.close()
