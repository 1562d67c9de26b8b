"""What stands before the data of an envelope: its layout, and nothing about keys. Specified in docs/envelope.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from kmsq.envelope.context import decode_context
from kmsq.envelope.derivation import COMMITMENT_BYTES
from kmsq.envelope.kms import check_wrapped
from kmsq.errors import InvalidEnvelope
from kmsq_schemas.limits import CONTEXT_MAX_BYTES

MAGIC: Final = b"KMSQ-ENV"
FORMAT_VERSION: Final = 1
SUITE: Final = 1  # KBKDF-HMAC-SHA-256; STREAM with AES-256-GCM in chunks of 64 KiB; key-committing
SALT_BYTES: Final = 32
NONCE_PREFIX_BYTES: Final = 7  # of the IV's 12: counter (4) and last flag (1) follow
SIZE_BYTES: Final = 2  # of context and wrapped key, big endian

_VERSIONS: Final = bytes((FORMAT_VERSION, SUITE))
_SALT: Final = slice(10, 42)
_NONCE_PREFIX: Final = slice(42, 49)
_CONTEXT_SIZE: Final = slice(49, 51)
_FRONT_BYTES: Final = 51  # everything before the context

_BLOB_START: Final = b"\x01\x01"  # version and suite of a ciphertext blob: docs/ciphertext.md
_BLOB_KEY_ID: Final = slice(2, 18)


class Source(Protocol):
    """A binary file to read from: any of `io`, or like them."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read up to as many bytes as fit, and return how many; 0 at the end."""


@dataclass(frozen=True, slots=True)
class EnvelopeHeader:
    """
    The header of an envelope. Nothing in it is secret, and nothing is authentic before the data was opened.

    `salt` has 32 bytes, `nonce_prefix` 7, `commitment` 32, `wrapped_key` 1 … 6,144.
    """

    salt: bytes = field(repr=False)
    nonce_prefix: bytes = field(repr=False)
    encoded_context: bytes = field(repr=False)
    commitment: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)

    @property
    def context(self) -> Mapping[str, str]:
        """The encryption context."""
        return decode_context(self.encoded_context)

    @property
    def key_id(self) -> str | None:
        """The id (a UUID) of the key that the wrapped key names; None if it is none of kmsq's own ciphertexts."""
        if not self.wrapped_key.startswith(_BLOB_START) or len(self.wrapped_key) < _BLOB_KEY_ID.stop:
            return None
        return str(UUID(bytes=self.wrapped_key[_BLOB_KEY_ID]))

    @property
    def bound(self) -> bytes:
        """What the message key is bound to: everything before the commitment."""
        return bound_bytes(self.salt, self.nonce_prefix, self.encoded_context)

    def encode(self) -> bytes:
        """Return the header as it stands before the chunks."""
        size = len(self.wrapped_key).to_bytes(SIZE_BYTES, "big")
        return b"".join((self.bound, self.commitment, size, self.wrapped_key))


def bound_bytes(salt: bytes, nonce_prefix: bytes, encoded_context: bytes) -> bytes:
    """Return the part of a header that the message key is bound to. `encoded_context` has up to 8,192 bytes."""
    size = len(encoded_context).to_bytes(SIZE_BYTES, "big")
    return b"".join((MAGIC, _VERSIONS, salt, nonce_prefix, size, encoded_context))


def inspect(source: Source) -> EnvelopeHeader:
    """
    Read the header of an envelope, and not a byte more: chunks follow. The service is not asked.

    Raises `InvalidEnvelope`.
    """
    front = _read(source, _FRONT_BYTES)
    if not front.startswith(MAGIC):
        raise InvalidEnvelope("this is not an envelope of kmsq")
    if front[len(MAGIC) : _SALT.start] != _VERSIONS:
        raise InvalidEnvelope("this envelope's format is not one that this version of kmsq knows")
    context_bytes = int.from_bytes(front[_CONTEXT_SIZE], "big")
    if context_bytes > CONTEXT_MAX_BYTES:
        raise InvalidEnvelope
    encoded_context = _read(source, context_bytes)
    decode_context(encoded_context)
    commitment = _read(source, COMMITMENT_BYTES)
    wrapped_bytes = int.from_bytes(_read(source, SIZE_BYTES), "big")
    wrapped = check_wrapped(_read(source, wrapped_bytes))
    return EnvelopeHeader(front[_SALT], front[_NONCE_PREFIX], encoded_context, commitment, wrapped)


def fill(source: Source, buffer: memoryview) -> int:
    """Read until `buffer` is full or the source ends; return how many bytes were read."""
    filled = 0
    while filled < len(buffer):
        count = source.readinto(buffer[filled:])
        if count is None:
            raise BlockingIOError("the source is in non-blocking mode and has nothing to read")
        if count == 0:
            break
        filled += count
    return filled


def _read(source: Source, size: int) -> bytes:
    buffer = bytearray(size)
    if fill(source, memoryview(buffer)) < size:
        raise InvalidEnvelope("the envelope ends within its header")
    return bytes(buffer)
