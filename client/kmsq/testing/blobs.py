"""
Ciphertexts of the fake, in a toy format: marker ‖ key id (16) ‖ material number (4) ‖ nonce (12) ‖ AES-GCM.

It is not kmsq's (docs/ciphertext.md), on purpose: what the fake encrypted shall not pass for the real thing.
"""

import json
import secrets
import uuid
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq.errors import InvalidCiphertextException
from kmsq.testing.world import FakeKey, World

MARKER = b"FAKE"
NUMBER_BYTES = 4
NONCE_BYTES = 12  # 96 bits, NIST SP 800-38D §8.2.2
HEADER_BYTES = len(MARKER) + 16 + NUMBER_BYTES


def seal(key: FakeKey, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """Encrypt under the key's current material."""
    number = len(key.materials) - 1
    header = MARKER + uuid.UUID(key.key_id).bytes + number.to_bytes(NUMBER_BYTES, "big")
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + AESGCM(key.materials[number].secret).encrypt(nonce, plaintext, _bound(header, context))


def find(world: World, blob: bytes) -> tuple[FakeKey, int]:
    """Return the key, and the number of its material, that `blob` names. Raises `InvalidCiphertextException`."""
    header = blob[:HEADER_BYTES]
    if len(header) == HEADER_BYTES and header.startswith(MARKER):
        key = world.keys.get(str(uuid.UUID(bytes=header[len(MARKER) : -NUMBER_BYTES])))
        number = int.from_bytes(header[-NUMBER_BYTES:], "big")
        if key is not None and number < len(key.materials):
            return key, number
    raise InvalidCiphertextException


def open_blob(key: FakeKey, number: int, blob: bytes, context: Mapping[str, str]) -> bytes:
    """Decrypt what `seal` returned. Raises `InvalidCiphertextException`, whatever is wrong."""
    header, nonce, sealed = blob[:HEADER_BYTES], blob[HEADER_BYTES:][:NONCE_BYTES], blob[HEADER_BYTES + NONCE_BYTES :]
    try:
        return AESGCM(key.materials[number].secret).decrypt(nonce, sealed, _bound(header, context))
    except (InvalidTag, ValueError) as error:
        raise InvalidCiphertextException from error


def _bound(header: bytes, context: Mapping[str, str]) -> bytes:
    return header + json.dumps(context, sort_keys=True).encode()
