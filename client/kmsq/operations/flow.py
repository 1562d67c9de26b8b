"""A stream as a whole: values are read, cut, sent, and their results handed out, in step with whoever takes them."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypedDict, TypeVar

from kmsq.errors import AccessDeniedException, InvalidReply, InvalidRequest
from kmsq.operations.cutting import Batch, cut
from kmsq.operations.jobs import Job
from kmsq.operations.outcomes import Errors, ItemFailure, Settled, settle
from kmsq.operations.supply import AwaitedIterable, Iterated, Supply
from kmsq.operations.window import Window, running
from kmsq_schemas import limits
from kmsq_schemas.models import FailedItem, Reply, Request
from kmsq_schemas.operations import SPECS, Operation

IN_FLIGHT = 4  # keeps two workers busy while results are taken
ITEMS_PER_MESSAGE = 1_000  # what a message costs is then little beside its items, and a repetition is cheap

T = TypeVar("T")

Value: TypeAlias = bytes | bytearray | memoryview
Values: TypeAlias = Iterable[Value] | AsyncIterable[Value]


class PaceOptions(TypedDict, total=False):
    """What every stream may be told; see `Pace`."""

    in_flight: int
    items_per_message: int
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much of a stream is under way. Raises `InvalidRequest` for what cannot be."""

    in_flight: int = IN_FLIGHT
    """How many messages at once. Values for one more are read ahead, or being handed out."""
    items_per_message: int = ITEMS_PER_MESSAGE
    """At most, 1 to 10,000. Long values and contexts make it fewer: a message has about 1 MiB."""
    timeout_seconds: float | None = None
    """For each message. None: the client's."""

    def __post_init__(self) -> None:
        if self.in_flight < 1:
            message = f"in_flight is {self.in_flight}; at least one message must be under way"
            raise InvalidRequest(message)
        if not 1 <= self.items_per_message <= limits.BATCH_ITEMS_MAX:
            message = f"items_per_message is {self.items_per_message}; it must be 1 to {limits.BATCH_ITEMS_MAX}"
            raise InvalidRequest(message)


class Call(Protocol):
    """Sends a request and returns its reply."""

    async def __call__(self, operation: Operation, request: Request, *, timeout_seconds: float | None) -> Reply:
        """See `Operations.call`."""


def require_known(errors: str) -> None:
    """Raise `InvalidRequest` unless `errors` is one of `Errors`."""
    if errors not in ("raise", "yield"):
        raise InvalidRequest('errors must be "raise" or "yield"')


async def carry(call: Call, job: Job[T], batch: Batch, *, timeout_seconds: float | None) -> Settled[T]:
    """
    Send a batch, if there is anything to send, and return what becomes of its values.

    Raises what fails the message as a whole, and `InvalidReply`.
    """
    if batch.request is None:
        return settle((), (), (), batch.unfit)
    try:
        reply = await call(job.operation, batch.request, timeout_seconds=timeout_seconds)
    except AccessDeniedException as error:
        if not job.own:
            raise
        # So the service answers when it denies all values of a message. Policies can tell those with contexts of their
        # own apart, and which of them share a message is chance: each fails by itself, as it would among others.
        return _each_denied(batch, error)
    if not isinstance(reply, SPECS[job.operation].reply):
        message = f"{type(reply).__name__} is not a reply to {job.operation.value}"
        raise InvalidReply(message)
    return settle(batch.indexes, *job.results(reply), batch.unfit)


def _each_denied(batch: Batch, error: AccessDeniedException) -> Settled[Any]:
    count = len(batch.indexes)
    failed = [FailedItem(index=position, code=error.code, message=error.message) for position in range(count)]
    return settle(batch.indexes, [None] * count, failed, batch.unfit)


def stream(
    call: Call, job: Job[T], values: Values, errors: Errors, options: PaceOptions
) -> AsyncGenerator[T | ItemFailure, None]:
    """
    Return the results of `values`, in their order, each as soon as it and those before it are there.

    Raises `InvalidRequest` at once for what no stream can be told, and everything else once the results of all values
    before it are out. Closing it, or cancelling who waits for it, forgets what is under way.
    """
    require_known(errors)
    return _stream(call, job, values, errors, Pace(**options))


async def _stream(
    call: Call, job: Job[T], values: Values, errors: Errors, pace: Pace
) -> AsyncGenerator[T | ItemFailure, None]:
    async def send(batch: Batch) -> Settled[T]:
        return await carry(call, job, batch, timeout_seconds=pace.timeout_seconds)

    async with Window(send, in_flight=pace.in_flight) as window:
        supply = _supply(values, pace, window)
        async with running(supply.read()), running(_feed(window, supply, job)):
            while (settled := await window.next()) is not None:
                for result in settled.hand_out(errors):
                    yield result
                window.give_back()


def _supply(values: Values, pace: Pace, window: Window[T]) -> Supply:
    if isinstance(values, AsyncIterable):
        supply = AwaitedIterable(values, pace.items_per_message, is_idle=window.is_idle)
        window.on_landing = supply.look_again
        return supply
    return Iterated(values, pace.items_per_message)


async def _feed(window: Window[T], supply: Supply, job: Job[T]) -> None:
    first = 0
    try:
        await window.place()
        while values := await supply.take():
            for batch in cut(job, first, values):
                window.start(batch)
                await window.place()
            first += len(values)
    except BaseException as error:  # whatever the source or context_of raises: handed out when it is its turn
        window.end(error)
        raise
    else:
        window.end()
