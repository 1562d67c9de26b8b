"""The one key derivation function of kmsq: NIST SP 800-108r1, counter mode (§4.1), HMAC-SHA-256."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

COUNTER_BYTES: Final = 4  # r = 32 bits, before the fixed input
LENGTH_BYTES: Final = 4  # [L]₂: the output length in bits, 32 bits, big endian

_SHA256: Final = SHA256()


def derive(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """
    Derive `length` bytes from `key`.

    The fixed input is label ‖ 00 ‖ context ‖ [8 · length] in 32 bits. `label` says what for, `context` for whom.
    Labels hold no zero byte, so that label ‖ 00 ‖ context reads in one way only; each label is used with contexts of
    one length.
    """
    return derive_from(key, b"%b\x00%b%b" % (label, context, (8 * length).to_bytes(LENGTH_BYTES, "big")), length)


def derive_from(key: bytes, fixed_input: bytes, length: int) -> bytes:
    """
    Derive `length` bytes from `key` and a whole fixed input, which is how NIST's test vectors are written.

    Block i, counted from 1, is HMAC-SHA-256(key, i in 32 bits ‖ fixed input). Everything but tests calls `derive`.
    """
    before = CounterLocation.BeforeFixed
    kdf = KBKDFHMAC(_SHA256, Mode.CounterMode, length, COUNTER_BYTES, None, before, None, None, fixed_input)
    return kdf.derive(key)
