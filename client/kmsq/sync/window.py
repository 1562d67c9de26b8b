"""A stream for a thread: it cuts the values where they are read; one event loop elsewhere carries the messages."""

import os
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

import kmsq
from kmsq.errors import ClientClosed
from kmsq.integrations.blocking import outcome
from kmsq.operations.cutting import Batch, chunks, cut
from kmsq.operations.flow import Pace, Value, carry
from kmsq.operations.jobs import Job
from kmsq.operations.outcomes import Errors, ItemFailure, Settled

T = TypeVar("T")
S = TypeVar("S")


class Start(Protocol):
    """Begins what is to be done with the client, where its event loop is."""

    def __call__(self, work: Callable[[kmsq.Client], Coroutine[Any, Any, S]], /) -> Future[S]:
        """See `BlockingClient.start`."""


def stream(
    start: Start, job: Job[T], values: Iterable[Value], errors: Errors, pace: Pace
) -> Generator[T | ItemFailure, None, None]:
    """
    Yield the results of `values`, in their order; further messages leave before the results of one are handed out.

    `values` are read, and `context_of` is called, by the thread that takes the results: both may belong to it.
    """
    window = _Window(start, job, _batches(job, values, pace.items_per_message), pace)
    settled: Settled[T] | None = None
    try:
        while True:
            window.fill()
            if settled is not None:
                yield from settled.hand_out(errors)
            settled = window.next()
            if settled is None:
                return
    finally:
        window.close()


def _batches(job: Job[T], values: Iterable[Value], most: int) -> Iterator[Batch]:
    first = 0
    for chunk in chunks(values, most):
        yield from cut(job, first, chunk)
        first += len(chunk)


class _Window(Generic[T]):
    """Messages under way, in the order of their values."""

    def __init__(self, start: Start, job: Job[T], batches: Iterator[Batch], pace: Pace) -> None:
        self._start = start
        self._job = job
        self._batches = batches
        self._pace = pace
        self._line: deque[Future[Settled[T]] | Exception] = deque()
        self._is_over = False
        self._process_id = os.getpid()

    def fill(self) -> None:
        """Send messages until as many are under way as may be."""
        while not self._is_over and len(self._line) < self._pace.in_flight:
            try:
                batch = next(self._batches, None)
                if batch is not None:
                    self._line.append(self._send(batch))
                self._is_over = batch is None
            except Exception as error:  # noqa: BLE001  of the caller's values, too: handed out when it is its turn
                self._line.append(error)
                self._is_over = True

    def next(self) -> Settled[T] | None:
        """Wait for the results of the first message under way; None at the end. Raises why there are none."""
        if os.getpid() != self._process_id:
            self._line.clear()  # of what our parent has under way, nobody tells us; and it is not ours to cancel
            raise ClientClosed("the process that began this stream is another: begin one here")
        if not self._line:
            return None
        entry = self._line.popleft()
        if isinstance(entry, Exception):
            raise entry
        return outcome(entry)

    def close(self) -> None:
        """Forget what is under way."""
        for entry in self._line:
            if isinstance(entry, Future):
                entry.cancel()

    def _send(self, batch: Batch) -> Future[Settled[T]]:
        async def send(client: kmsq.Client) -> Settled[T]:
            return await carry(client.call, self._job, batch, timeout_seconds=self._pace.timeout_seconds)

        return self._start(send)
