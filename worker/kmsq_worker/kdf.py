"""The one key derivation function of kmsq: NIST SP 800-108r1, counter mode (§4.1), HMAC-SHA-256."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

COUNTER_BYTES: Final = 4  # r = 32 bits, before the fixed input
LENGTH_BYTES: Final = 4  # [L]2: the output length in bits, 32 bits, big endian

_SHA256: Final = SHA256()


def derive(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """
    Derive `length` bytes from `key`.

    Block i, counted from 1, is HMAC-SHA-256(key, [i]32 ‖ label ‖ 00 ‖ context ‖ [8 · length]32). `label` says what
    for, `context` for whom. Labels hold no zero byte, so that label ‖ 00 ‖ context reads in one way only; each label
    is used with contexts of one fixed length.
    """
    kdf = KBKDFHMAC(
        _SHA256,
        Mode.CounterMode,
        length,
        COUNTER_BYTES,
        LENGTH_BYTES,
        CounterLocation.BeforeFixed,
        label,
        context,
        None,
    )
    return kdf.derive(key)
