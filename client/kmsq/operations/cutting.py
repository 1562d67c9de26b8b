"""Cutting the values of a stream into messages, by count and by bytes. Pure: nothing is sent here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from kmsq.errors import InvalidRequest, ServiceError
from kmsq.operations.base import make_request
from kmsq.operations.jobs import Job
from kmsq_schemas import limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models.base import Request
from kmsq_schemas.models.batches import BatchRequest

MESSAGE_BYTES: Final = 1024 * 1024  # of a message's values and contexts: a quarter of what a message may have
VALUE_MAX_BYTES: Final = 64 * 1024  # of one value: far beyond what the service takes, far below MESSAGE_BYTES
HEAD_BYTES: Final = 5  # before a byte string or map below 4 GiB: RFC 8949 §3

_BYTES_ALONE: Final = frozenset({bytes})


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring values of a stream that travel together."""

    indexes: Sequence[int]
    """Of the values in `request`, ascending."""
    request: Request | None = field(repr=False)
    """None when there is no value fit to travel."""
    unfit: dict[int, ServiceError]
    """By index: values that stay here, because each would fill a message to be refused."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Values made ready: one entry for each in all lists, or more in those whose neighbours came to an early end."""

    values: list[bytes]
    contexts: list[list[dict[str, str] | None]]
    """One list for each of the job's `own`."""
    sizes: list[int]
    """Bytes in a message, at most."""
    unfit: dict[int, ServiceError]
    """By position."""


def kept(value: Any) -> Any:
    """Return `value` as it is now: a source may fill one buffer again and again."""
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def chunks(values: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """
    Read `values` in lists of `most`, the last of which may be shorter.

    An exception of `values` is raised once all that came before it is out.
    """
    iterator = iter(values)
    while True:
        chunk: list[Any] = []
        failure: Exception | None = None
        try:
            chunk.extend(map(kept, islice(iterator, most)))  # what was read before an exception stays in the list
        except Exception as error:  # noqa: BLE001  raised below, when it is its turn
            failure = error
        if chunk:
            yield chunk
        if failure is not None:
            raise failure
        if len(chunk) < most:
            return


def cut(job: Job[Any], first: int, values: Sequence[Any]) -> Iterator[Batch]:
    """
    Cut `values`, the first of which has the index `first`, into messages that both sides may send.

    Raises, once all values before it are out, `InvalidRequest` for a value or context that cannot travel, naming its
    index, and what `context_of` raises.
    """
    columns, failure = _prepare(job, first, values)
    for start, end in _spans(columns.sizes):
        yield from _fitting(job, first, columns, start, end)
    if failure is not None:
        raise failure


def _prepare(job: Job[Any], first: int, given: Sequence[Any]) -> tuple[_Columns, Exception | None]:
    values, failure = _as_bytes(first, given)
    sizes = [length + HEAD_BYTES for length in map(len, values)]
    unfit: dict[int, ServiceError] = {}
    if max(sizes, default=0) > VALUE_MAX_BYTES:
        huge = {position: len(value) for position, value in enumerate(values) if len(value) > VALUE_MAX_BYTES}
        unfit = {position: job.unfit(length) for position, length in huge.items()}
    contexts = []
    for own in job.own:
        column = own.of(first, values)
        failure = column.failure or failure  # it came to no value beyond the earlier failure
        values = values[: len(column.pairs)]
        sizes = [size + HEAD_BYTES + more for size, more in zip(sizes, column.sizes, strict=False)]
        unfit = {**column.errors, **unfit}
        contexts.append(column.pairs)
    sizes = [0 if position in unfit else size for position, size in enumerate(sizes)] if unfit else sizes
    return _Columns(values, contexts, sizes, unfit), failure


def _as_bytes(first: int, given: Sequence[Any]) -> tuple[list[bytes], Exception | None]:
    """Return `given` up to the first that is not bytes, and what to say of it."""
    if _BYTES_ALONE.issuperset(map(type, given)):  # the usual case needs no second look at every item
        return list(given), None
    values: list[bytes] = []
    for index, value in enumerate(given, first):
        if not isinstance(value, bytes | bytearray | memoryview):
            what = f"the value at index {index} is of type {type(value).__name__}"
            return values, InvalidRequest(f"{what}: it must be bytes, bytearray or memoryview")
        values.append(bytes(value))
    return values, None


def _spans(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where to cut: from start to end, exclusively, of no more than `MESSAGE_BYTES`."""
    start, total = 0, sum(sizes)
    if total > MESSAGE_BYTES:  # the usual case needs no second look at every item
        total = 0
        for position, size in enumerate(sizes):
            if total + size > MESSAGE_BYTES:
                yield start, position
                start, total = position, 0
            total += size
    if start < len(sizes):
        yield start, len(sizes)


def _fitting(job: Job[Any], first: int, columns: _Columns, start: int, end: int) -> Iterator[Batch]:
    """Halve until the reply fits, too."""
    batch = _batch(job, first, columns, start, end)
    request = batch.request
    # Of any one value the reply fits: see VALUE_MAX_BYTES.
    if isinstance(request, BatchRequest) and request.item_count > 1 and not _reply_fits(request):
        middle = (start + end) // 2
        yield from _fitting(job, first, columns, start, middle)
        yield from _fitting(job, first, columns, middle, end)
    else:
        yield batch


def _reply_fits(request: BatchRequest) -> bool:
    return request.reply_max_bytes(ContentType.CBOR) <= limits.MESSAGE_MAX_BYTES


def _batch(job: Job[Any], first: int, columns: _Columns, start: int, end: int) -> Batch:
    positions: Sequence[int] = range(start, end)
    unfit = {first + position: error for position, error in columns.unfit.items() if position in positions}
    values, contexts = columns.values[start:end], [column[start:end] for column in columns.contexts]
    if unfit:
        positions = [position for position in positions if position not in columns.unfit]
        values = [columns.values[position] for position in positions]
        contexts = [[column[position] for position in positions] for column in columns.contexts]
    if not positions:
        return Batch((), None, unfit)
    arguments = dict(job.shared)
    arguments.update({"number_of_keys": len(values)} if job.values_name is None else {job.values_name: values})
    arguments.update((own.field_name, column) for own, column in zip(job.own, contexts, strict=True))
    indexes = range(first + start, first + end) if not unfit else [first + position for position in positions]
    return Batch(indexes, make_request(job.operation, arguments), unfit)
