"""One message: its header, and the chunk cipher of its own that derives from data key and header. Pure, but for salts."""

import os
from hashlib import sha256
from typing import Final

from kmsq.envelope.chunks import ChunkOpener, ChunkSealer
from kmsq.envelope.derivation import derive, derive_committed
from kmsq.envelope.header import NONCE_PREFIX_BYTES, SALT_BYTES, EnvelopeHeader, bound_bytes
from kmsq.envelope.kms import check_wrapped
from kmsq.envelope.secret import DataKey

ENVELOPE_LABEL: Final = b"kmsq/v1/envelope"


def begin_sealing(key: DataKey, wrapped_key: bytes, encoded_context: bytes) -> tuple[EnvelopeHeader, ChunkSealer]:
    """
    Start a message under a data key (32 bytes), whose wrapped form and context its header holds.

    Salt and nonce prefix are fresh randomness of the operating system: messages that share a data key share no other.
    """
    fresh = os.urandom(SALT_BYTES + NONCE_PREFIX_BYTES)
    return unsafe_begin_sealing(
        key, wrapped_key, encoded_context, salt=fresh[:SALT_BYTES], nonce_prefix=fresh[SALT_BYTES:]
    )


def unsafe_begin_sealing(
    key: DataKey, wrapped_key: bytes, encoded_context: bytes, *, salt: bytes, nonce_prefix: bytes
) -> tuple[EnvelopeHeader, ChunkSealer]:
    """
    Do what `begin_sealing` does with a given salt (32 bytes) and prefix (7 bytes): for it and for test vectors only.

    The same two for two messages under one data key and context encrypt both with the same IVs under the same key,
    which gives away where they differ, and the authentication key.
    """
    if len(salt) != SALT_BYTES or len(nonce_prefix) != NONCE_PREFIX_BYTES:
        message = f"salt and nonce prefix have {SALT_BYTES} and {NONCE_PREFIX_BYTES} bytes"
        raise ValueError(message)
    bound = bound_bytes(salt, nonce_prefix, encoded_context)
    cipher, commitment = derive(key, ENVELOPE_LABEL, salt + sha256(bound).digest())
    header = EnvelopeHeader(salt, nonce_prefix, encoded_context, commitment, check_wrapped(wrapped_key))
    return header, ChunkSealer(cipher, nonce_prefix)


def begin_opening(key: DataKey, header: EnvelopeHeader) -> ChunkOpener:
    """
    Start opening the message of `header` with its data key, after comparing the commitment in constant time.

    Raises `InvalidEnvelope` for another key, or if anything in the header was altered.
    """
    context = header.salt + sha256(header.bound).digest()
    return ChunkOpener(derive_committed(key, ENVELOPE_LABEL, context, header.commitment), header.nonce_prefix)
