"""Message authentication codes: HMAC (FIPS 198-1), never truncated. Takes 2 µs and the hashing."""

import hmac
from collections.abc import Mapping
from typing import Final

from kmsq_schemas.models.enums import MacAlgorithm
from kmsq_worker.errors import KMSInvalidMacException
from kmsq_worker.secret import Secret

_HASHES: Final[Mapping[MacAlgorithm, str]] = {
    MacAlgorithm.HMAC_SHA_224: "sha224",
    MacAlgorithm.HMAC_SHA_256: "sha256",
    MacAlgorithm.HMAC_SHA_384: "sha384",
    MacAlgorithm.HMAC_SHA_512: "sha512",
}


def generate_mac(material: Secret, algorithm: MacAlgorithm, message: bytes) -> bytes:
    """Return the MAC of `message`: 28, 32, 48 or 64 bytes."""
    return hmac.digest(material.reveal(), message, _HASHES[algorithm])


def verify_mac(material: Secret, algorithm: MacAlgorithm, message: bytes, mac: bytes) -> None:
    """Raise `KMSInvalidMacException`, with an empty message, unless `mac` is the whole MAC of `message`."""
    if not hmac.compare_digest(mac, generate_mac(material, algorithm, message)):
        raise KMSInvalidMacException
