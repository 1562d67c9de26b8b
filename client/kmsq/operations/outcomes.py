"""What becomes of the values of a stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from kmsq.errors import InvalidReply, ServiceError, service_error
from kmsq_schemas.models import FailedItem

T = TypeVar("T")

Errors: TypeAlias = Literal["raise", "yield"]
"""What a stream does with a value that fails."""


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """What a stream yields in the place of a result, with `errors="yield"`."""

    index: int
    """Which value failed, counted from 0 over the whole stream."""
    error: ServiceError
    """Why."""

    @classmethod
    def of(cls, index: int, error: ServiceError) -> "ItemFailure":
        """Return the failure of the value at `index`, whose error knows its place."""
        error.index = index
        return cls(index, error)


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """The results of values that travelled together, in their order."""

    results: Sequence[T | ItemFailure]
    has_failures: bool

    def hand_out(self, errors: Errors) -> Iterator[T | ItemFailure]:
        """Go through the results; with `"raise"`, up to the first failure, whose error is then raised."""
        return _until_failure(self.results) if self.has_failures and errors == "raise" else iter(self.results)


def _until_failure(results: Sequence[T | ItemFailure]) -> Iterator[T | ItemFailure]:
    for result in results:
        if isinstance(result, ItemFailure):
            result.error.add_note(f"It is the value at index {result.index} of the stream, counted from 0.")
            raise result.error
        yield result


def settle(
    indexes: Sequence[int], results: Sequence[T | None], failed: Sequence[FailedItem], unfit: Mapping[int, ServiceError]
) -> Settled[T]:
    """
    Put together what a reply says of the values at `indexes`, and those among them that did not travel.

    Raises `InvalidReply` unless there is, for each value, either a result or a failure.
    """
    failures = {item.index: service_error(item.code, item.message) for item in failed}
    _require_one_each(len(indexes), results, failures)
    if not failures and not unfit:
        return Settled(results, has_failures=False)  # type: ignore[arg-type]  # no None: _require_one_each has looked
    settled = [
        ItemFailure.of(index, failures[position]) if result is None else result
        for position, (index, result) in enumerate(zip(indexes, results, strict=True))
    ]
    first = min([*unfit, *indexes[:1]])
    for index in sorted(unfit):
        settled.insert(index - first, ItemFailure.of(index, unfit[index]))
    return Settled(settled, has_failures=True)


def _require_one_each(count: int, results: Sequence[object], failures: Mapping[int, object]) -> None:
    if len(results) != count:
        message = f"the reply has {len(results)} results for {count} values"
        raise InvalidReply(message)
    if not failures and None not in results:  # the usual case needs no second look at every item
        return
    if failures.keys() != {position for position, result in enumerate(results) if result is None}:
        raise InvalidReply("the reply does not say of each value either a result or why there is none")
