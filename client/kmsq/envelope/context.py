"""The encryption context as bytes: the encoding of docs/ciphertext.md, and back."""

from collections.abc import Iterator, Mapping

from kmsq.errors import InvalidEnvelope, InvalidRequest
from kmsq_schemas.limits import CONTEXT_LENGTH_BYTES, CONTEXT_MAX_BYTES


def encode_context(context: Mapping[str, str]) -> bytes:
    """
    Encode an encryption context so that no two contexts encode alike; the empty one to no bytes at all.

    Raises `InvalidRequest` above 8,192 encoded bytes and for text that is not Unicode (lone surrogates).
    """
    try:
        pairs = sorted([(name.encode(), value.encode()) for name, value in context.items()])
    except UnicodeEncodeError:
        # Not chained: the codec's error carries the whole string, and a context has no business in a traceback.
        raise InvalidRequest("the encryption context is not valid Unicode text") from None
    encoded = b"".join([len(text).to_bytes(CONTEXT_LENGTH_BYTES, "big") + text for pair in pairs for text in pair])
    if len(encoded) > CONTEXT_MAX_BYTES:
        message = f"the encryption context has {len(encoded):,} encoded bytes; {CONTEXT_MAX_BYTES:,} are allowed"
        raise InvalidRequest(message)
    return encoded


def decode_context(encoded: bytes) -> dict[str, str]:
    """Decode what `encode_context` made, and nothing else. Raises `InvalidEnvelope`."""
    try:
        texts = [text.decode() for text in _texts(encoded)]
        context = dict(zip(texts[::2], texts[1::2], strict=True))
        # Only one order, and each name once, encodes back to the same bytes.
        if encode_context(context) == encoded:
            return context
    except (UnicodeDecodeError, ValueError):  # `InvalidRequest` is a ValueError
        pass
    raise InvalidEnvelope


def _texts(encoded: bytes) -> Iterator[bytes]:
    """Cut into the strings; one that is shorter than its length says shows when they are encoded again."""
    start = 0
    while start < len(encoded):
        begins = start + CONTEXT_LENGTH_BYTES
        start = begins + int.from_bytes(encoded[start:begins], "big")
        yield encoded[begins:start]
