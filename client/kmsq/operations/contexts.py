"""The encryption contexts that values of a stream have for themselves."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from kmsq.errors import InvalidRequest, ServiceError, ValidationException
from kmsq_schemas import limits

Context: TypeAlias = Mapping[str, str]
ContextOf: TypeAlias = Callable[[int, bytes], Context | None]
"""From an index, counted from 0 over the whole stream, and the value there, to pairs of its own."""


class OwnContext(NamedTuple):
    """The pairs of one value."""

    pairs: dict[str, str] | None
    encoded_bytes: int
    """As associated data (DESIGN.md §4), which is no shorter than CBOR but for the head of the map."""
    error: ServiceError | None
    """What the service answers for them, if it does."""


class OwnContexts:
    """Pairs that each value has for itself, to be added to those that all have."""

    def __init__(self, field_name: str, of: ContextOf, shared: Context | None) -> None:
        """`field_name` is that of the request's list of them, `of` makes them."""
        self.field_name = field_name
        self._of = of
        self._shared = dict(shared or {})
        self._shared_bytes = _encoded_bytes(self._shared) or 0  # what is no text, the request's model refuses

    def of(self, index: int, value: bytes) -> OwnContext:
        """Return those of one value. Raises `InvalidRequest` for what is no text, and what `of` raises."""
        given = self._of(index, value)
        if not given:
            return OwnContext(None, 0, None)
        pairs = dict(given)
        encoded_bytes = _encoded_bytes(pairs)
        if encoded_bytes is None:
            message = f"the encryption context at index {index} must map text to text, without lone surrogates"
            raise InvalidRequest(message)
        return OwnContext(pairs, encoded_bytes, self._error(pairs, encoded_bytes))

    def _error(self, pairs: Context, encoded_bytes: int) -> ServiceError | None:
        # Found here, because the service refuses a message in which all values are such as a whole, and pairs without
        # bounds would fill messages.
        if not self._shared.keys().isdisjoint(pairs):
            return ValidationException("The item's own EncryptionContext repeats a key of the shared one.")
        if self._shared_bytes + encoded_bytes > limits.CONTEXT_MAX_BYTES:
            return ValidationException(f"EncryptionContext is longer than {limits.CONTEXT_MAX_BYTES} bytes.")
        return None


def _encoded_bytes(pairs: Context) -> int | None:
    """Return the length of `pairs` as associated data, None for what is no Unicode text."""
    try:
        text = "".join([*pairs, *pairs.values()]).encode()
    except (TypeError, UnicodeEncodeError):
        return None
    return len(text) + 2 * limits.CONTEXT_LENGTH_BYTES * len(pairs)
