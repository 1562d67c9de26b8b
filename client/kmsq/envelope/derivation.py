"""From a data key to the key that encrypts and the commitment to it: KBKDF as in docs/ciphertext.md."""

from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from kmsq.envelope.secret import DataKey
from kmsq.errors import InvalidEnvelope

DATA_KEY_BYTES: Final = 32
CIPHER_KEY_BYTES: Final = 32  # AES-256
COMMITMENT_BYTES: Final = 32  # 256 bits, so that collisions cost 2¹²⁸
IV_BYTES: Final = 12  # 96 bits, NIST SP 800-38D §8.2.2
TAG_BYTES: Final = 16  # 128 bits, the longest of NIST SP 800-38D §5.2.1.2

COUNTER_BYTES: Final = 4  # r = 32 bits, before the fixed input
LENGTH_BYTES: Final = 4  # [L]₂: the output length in bits, 32 bits, big endian


def derive(key: DataKey, label: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    """
    Return the cipher of the derived key, and the commitment (32 bytes).

    SP 800-108r1 §4.1, counter mode, HMAC-SHA-256; the fixed input is label ‖ 00 ‖ context ‖ 512 in 32 bits. Each label
    is used with contexts of one length. Raises `InvalidEnvelope` for a `key` that has not 32 bytes: HMAC pads short
    keys with zeros, and two lengths could then share a commitment.
    """
    if len(key) != DATA_KEY_BYTES:
        raise InvalidEnvelope
    length = CIPHER_KEY_BYTES + COMMITMENT_BYTES
    fixed_input = b"%b\x00%b%b" % (label, context, (8 * length).to_bytes(LENGTH_BYTES, "big"))
    before = CounterLocation.BeforeFixed
    kdf = KBKDFHMAC(SHA256(), Mode.CounterMode, length, COUNTER_BYTES, None, before, None, None, fixed_input)
    output = kdf.derive(key.reveal())
    return AESGCM(output[:CIPHER_KEY_BYTES]), output[CIPHER_KEY_BYTES:]


def derive_committed(key: DataKey, label: bytes, context: bytes, commitment: bytes) -> AESGCM:
    """
    Return the cipher of the derived key, if it is the one that `commitment` (32 bytes) was made for.

    Raises `InvalidEnvelope` otherwise. The comparison takes the same time wherever the two differ.
    """
    cipher, derived = derive(key, label, context)
    if not compare_digest(derived, commitment):
        raise InvalidEnvelope
    return cipher
