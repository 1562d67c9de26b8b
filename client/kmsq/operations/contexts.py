"""The encryption contexts that values of a stream have for themselves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from kmsq.errors import InvalidRequest, ServiceError, ValidationException
from kmsq_schemas import limits

Context: TypeAlias = Mapping[str, str]
ContextOf: TypeAlias = Callable[[int, bytes], Context | None]
"""From an index, counted from 0 over the whole stream, and the value there, to pairs of its own."""


@dataclass(frozen=True, slots=True)
class OwnPairs:
    """The pairs of neighbouring values, one entry for each in both lists."""

    pairs: list[dict[str, str] | None]
    sizes: list[int]
    """As associated data (DESIGN.md §4), which is no shorter than CBOR but for the head of the map."""
    errors: dict[int, ServiceError]
    """By position: what the service answers for pairs that cannot be."""
    failure: Exception | None
    """Why there are no more."""


class OwnContexts:
    """Pairs that each value has for itself, to be added to those that all have."""

    def __init__(self, field_name: str, of: ContextOf, shared: Context | None) -> None:
        """`field_name` is that of the request's list of them, `of` makes them."""
        self.field_name = field_name
        self._of = of
        self._shared = dict(shared or {})
        self._shared_bytes = _encoded_bytes(self._shared) or 0  # what is no text, the request's model refuses

    def of(self, first: int, values: Sequence[bytes]) -> OwnPairs:
        """
        Return those of `values`, the first of which has the index `first`.

        They end before the first that is no text (`InvalidRequest`), or for which `of` raises.
        """
        own = OwnPairs([], [], {}, None)
        try:
            for index, value in enumerate(values, first):
                self._append(own, index, self._of(index, value))
        except Exception as error:  # noqa: BLE001  of the caller's function, too: raised when it is its turn
            return replace(own, failure=error)
        return own

    def _append(self, own: OwnPairs, index: int, given: Context | None) -> None:
        pairs = dict(given) if given else None
        size = _encoded_bytes(pairs) if pairs else 0
        if size is None:
            message = f"the encryption context at index {index} must map text to text, without lone surrogates"
            raise InvalidRequest(message)
        # Found here, because the service refuses a message in which all values are such as a whole, and pairs without
        # bounds would fill messages.
        if pairs and not self._shared.keys().isdisjoint(pairs):
            message = "The item's own EncryptionContext repeats a key of the shared one."
            own.errors[len(own.pairs)] = ValidationException(message)
        elif pairs and self._shared_bytes + size > limits.CONTEXT_MAX_BYTES:
            message = f"EncryptionContext is longer than {limits.CONTEXT_MAX_BYTES} bytes."
            own.errors[len(own.pairs)] = ValidationException(message)
        own.pairs.append(pairs)
        own.sizes.append(size)


def _encoded_bytes(pairs: Context) -> int | None:
    """Return the length of `pairs` as associated data, None for what is no Unicode text."""
    try:
        text = "".join([*pairs, *pairs.values()])
        text_bytes = len(text) if text.isascii() else len(text.encode())
    except (TypeError, UnicodeEncodeError):
        return None
    return text_bytes + 2 * limits.CONTEXT_LENGTH_BYTES * len(pairs)
