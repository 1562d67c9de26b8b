"""
The data of an envelope: STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance") with AES-256-GCM. Specified in docs/envelope.md.

Pure: no I/O, and no randomness. Every chunk has 64 KiB of plaintext but the last, which has 1 byte to 64 KiB, or none if
the whole message is empty. IV = nonce prefix (7) ‖ number of the chunk (4) ‖ 01 for the last, else 00.
"""

from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq.envelope.derivation import TAG_BYTES
from kmsq.errors import EnvelopeLimitExceeded, InvalidEnvelope

CHUNK_BYTES: Final = 65_536  # of plaintext
SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_BYTES
CHUNKS_MAX: Final = 2**32  # the chunk's number has 32 bits: 256 TiB

_NUMBER_BYTES: Final = 4
_LAST: Final = {False: b"\x00", True: b"\x01"}


def sealed_bytes(plaintext_bytes: int) -> int:
    """Return how long the chunks of a whole message are."""
    return plaintext_bytes + TAG_BYTES * max(1, -(-plaintext_bytes // CHUNK_BYTES))


def plaintext_bytes(chunks_bytes: int) -> int:
    """Return how long the message in so many bytes of chunks is. Raises `InvalidEnvelope` if no message fits."""
    whole, rest = divmod(chunks_bytes, SEALED_CHUNK_BYTES)
    # The last chunk holds its tag and, unless it is the only one, a byte at least.
    if 0 < rest < TAG_BYTES + (whole > 0) or chunks_bytes == 0:
        raise InvalidEnvelope
    return chunks_bytes - TAG_BYTES * (whole + (rest > 0))


class Numbering:
    """The IVs of one message's chunks, each given once."""

    def __init__(self, nonce_prefix: bytes) -> None:
        self._prefix = nonce_prefix
        self._next = 0

    def ivs(self, count: int, *, last: bool) -> Iterator[bytes]:
        """Return the IVs of the next `count` chunks. Raises `EnvelopeLimitExceeded`, before any, beyond 2³² chunks."""
        first, self._next = self._next, self._next + count
        if self._next > CHUNKS_MAX:
            raise EnvelopeLimitExceeded("an envelope holds up to 256 TiB: cut the data into several")
        final = self._next - 1 if last else None
        return (
            self._prefix + number.to_bytes(_NUMBER_BYTES, "big") + _LAST[number == final]
            for number in range(first, self._next)
        )

    @property
    def at_start(self) -> bool:
        """Whether no IV was given yet."""
        return self._next == 0


class ChunkSealer:
    """Encrypts the chunks of one message, in order."""

    def __init__(self, cipher: AESGCM, nonce_prefix: bytes) -> None:
        self._cipher = cipher
        self._numbering = Numbering(nonce_prefix)

    def seal_into(self, plaintext: memoryview, sealed: memoryview, *, last: bool) -> int:
        """
        Encrypt whole chunks of `plaintext` into `sealed`, and return how many bytes that made.

        With `last` the plaintext may have any length and ends the message; without, it has a multiple of 64 KiB.
        Raises `EnvelopeLimitExceeded` beyond 2³² chunks.
        """
        count = max(1, -(-len(plaintext) // CHUNK_BYTES)) if last else len(plaintext) // CHUNK_BYTES
        written = 0
        for i, iv in enumerate(self._numbering.ivs(count, last=last)):
            chunk = plaintext[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES]
            written += self._cipher.encrypt_into(iv, chunk, None, sealed[written : written + len(chunk) + TAG_BYTES])
        return written


class ChunkOpener:
    """Decrypts the chunks of one message, in order. After an error it is of no more use."""

    def __init__(self, cipher: AESGCM, nonce_prefix: bytes) -> None:
        self._cipher = cipher
        self._numbering = Numbering(nonce_prefix)

    def open_into(self, sealed: memoryview, plaintext: memoryview, *, last: bool) -> int:
        """
        Decrypt whole chunks of `sealed` into `plaintext`, and return how many bytes that made.

        `last` says that the data ends here; without it `sealed` has a multiple of 64 KiB + 16 bytes. What is in
        `plaintext` is authentic only when this has returned. Raises `InvalidEnvelope`.
        """
        if last:
            self._check_end(len(sealed))
        written = 0
        count = -(-len(sealed) // SEALED_CHUNK_BYTES)
        try:
            for i, iv in enumerate(self._numbering.ivs(count, last=last)):
                chunk = sealed[i * SEALED_CHUNK_BYTES : (i + 1) * SEALED_CHUNK_BYTES]
                room = plaintext[written : written + len(chunk) - TAG_BYTES]
                written += self._cipher.decrypt_into(iv, chunk, None, room)
        except (InvalidTag, EnvelopeLimitExceeded):
            raise InvalidEnvelope from None
        return written

    def _check_end(self, size: int) -> None:
        # One message has one form: a full chunk is never followed by an empty one.
        if plaintext_bytes(size) == 0 and not self._numbering.at_start:
            raise InvalidEnvelope
