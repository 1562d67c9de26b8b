"""What becomes of a batch's items: a result or an error each, for the reply and for the audit record."""

import re
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from kmsq_schemas.models import FailedItem
from kmsq_schemas.models.batches import FAILURE_MESSAGE_MAX_CHARS
from kmsq_worker.errors import KmsError
from kmsq_worker.execution import Touched

T = TypeVar("T")

_CUT: Final = "..."
_escaped_in_json = re.compile(r"[^ !#-\[\]-~]")  # or longer than one byte


class Results(Generic[T]):
    """One entry for each item, in the order of the request: None until it has a result, and for ever if it failed."""

    def __init__(self, touched: Touched, count: int) -> None:
        """Note `count` in `touched` at once: what is refused as a whole has items, too."""
        touched.count = count
        self._touched = touched
        self.values: list[T | None] = [None] * count
        self._errors: dict[int, KmsError] = {}

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.values)

    def put(self, index: int, result: T | KmsError) -> None:
        """Note what became of the item at `index`."""
        if isinstance(result, KmsError):
            self._errors[index] = result
        else:
            self.values[index] = result

    @property
    def failed(self) -> list[FailedItem]:
        """The failures, by index."""
        return [_failed_item(index, error) for index, error in sorted(self._errors.items())]

    def settle(self, used: Iterable[str]) -> list[FailedItem]:
        """
        Note for the audit record which items failed; return them for the reply.

        `used` are the ids of the keys that the others were done with, if there are others.
        """
        self._touched.used = set(used) if len(self._errors) < len(self.values) else set()
        self._touched.failed, self._touched.failed_count = self.failed_ranges, len(self._errors)
        return self.failed

    @property
    def failed_ranges(self) -> dict[str, str]:
        """The indices of failed items, as `0-3,7`, by error code and what the audit record alone says of it."""
        indices: dict[str, list[int]] = {}
        for index, error in sorted(self._errors.items()):
            name = f"{error.code.value}/{error.reason}" if error.reason else error.code.value
            indices.setdefault(name, []).append(index)
        return {name: ranges(found) for name, found in indices.items()}


def ranges(indices: Iterable[int]) -> str:
    """Write ascending `indices` as ranges: `0-3,7`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _failed_item(index: int, error: KmsError) -> FailedItem:
    # Bounded, so that the reply's size is known beforehand: see BatchRequest.reply_max_bytes.
    message = _escaped_in_json.sub("?", error.message)
    if len(message) > FAILURE_MESSAGE_MAX_CHARS:
        message = message[: FAILURE_MESSAGE_MAX_CHARS - len(_CUT)] + _CUT
    return FailedItem.model_construct(index=index, code=error.code.value, message=message)
