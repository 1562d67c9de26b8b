"""Encryption contexts of calls that travel together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Context: TypeAlias = dict[str, str]

STRING_FRAME_BYTES = 5  # the longest head of a string in CBOR, RFC 8949 §3
UTF8_MAX_BYTES = 4  # of one character


def shared_or_own(contexts: Sequence[Context | None]) -> tuple[Context | None, list[Context | None] | None]:
    """Return the context that all have in common, if they do; else None and one for each."""
    first = contexts[0]
    if all(context == first for context in contexts):
        return first, None
    return None, list(contexts)


def context_max_bytes(context: Mapping[str, str] | None) -> int:
    """Return how long `context` can be in a message."""
    if not context:
        return STRING_FRAME_BYTES
    return STRING_FRAME_BYTES + _max_bytes(context) + _max_bytes(context.values())


def _max_bytes(texts: Iterable[str]) -> int:
    return sum(STRING_FRAME_BYTES + len(text) * (1 if text.isascii() else UTF8_MAX_BYTES) for text in texts)
