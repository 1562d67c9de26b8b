"""A root key whose 32 bytes are in this process's memory: what the file provider loads."""

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq_worker import kdf
from kmsq_worker.rootkey.errors import RootKeyError
from kmsq_worker.secret import Secret

ROOT_KEY_BYTES: Final = 32
WRAPPED_VERSION: Final = 1
ID_BYTES: Final = 16  # 32 hex digits
IV_BYTES: Final = 12  # 96 bits, NIST SP 800-38D §8.2.2
TAG_BYTES: Final = 16
DOMAIN_KEY_BYTES: Final = 32
HEADER_BYTES: Final = 1 + ID_BYTES
WRAPPED_BYTES: Final = HEADER_BYTES + IV_BYTES + DOMAIN_KEY_BYTES + TAG_BYTES

ID_LABEL: Final = b"kmsq/v1/root-key-id"
WRAP_LABEL: Final = b"kmsq/v1/root-wrap"


class MemoryRootKey:
    """
    Wraps domain keys with AES-256-GCM under a subkey of the root key.

    version (1) ‖ root key id (16) ‖ IV (12) ‖ ciphertext (32) ‖ tag (16); associated data = the first 17 bytes ‖ the
    domain key's id (16).
    """

    __slots__ = ("_id", "_wrapping_key")

    def __init__(self, key: Secret) -> None:
        """Derive id and wrapping key from `key` (32 bytes), which is not kept. Raises `ValueError` unless it is."""
        if len(key) != ROOT_KEY_BYTES:
            message = f"a root key has {ROOT_KEY_BYTES} bytes"
            raise ValueError(message)
        self._id = kdf.derive(key.reveal(), ID_LABEL, b"", ID_BYTES)
        self._wrapping_key = Secret(kdf.derive(key.reveal(), WRAP_LABEL, self._id, 32))

    @property
    def id(self) -> str:
        """32 hex digits, derived from the key: they tell root keys apart and reveal nothing."""
        return self._id.hex()

    def __repr__(self) -> str:
        """Show the id alone."""
        return f"<{type(self).__name__} {self.id}>"

    def wrap(self, domain_key: Secret, domain_key_id: UUID) -> bytes:
        """Wrap `domain_key` (32 bytes) under its id; returns 77 bytes. Raises `ValueError` for other lengths."""
        if len(domain_key) != DOMAIN_KEY_BYTES:
            message = f"a domain key has {DOMAIN_KEY_BYTES} bytes"
            raise ValueError(message)
        header = bytes((WRAPPED_VERSION,)) + self._id
        iv = os.urandom(IV_BYTES)
        cipher = AESGCM(self._wrapping_key.reveal())
        return header + iv + cipher.encrypt(iv, domain_key.reveal(), header + domain_key_id.bytes)

    def unwrap(self, wrapped: bytes, domain_key_id: UUID) -> Secret:
        """Undo `wrap`. Raises `RootKeyError`."""
        if len(wrapped) != WRAPPED_BYTES or wrapped[0] != WRAPPED_VERSION:
            message = f"domain key {domain_key_id}: not a value that a root key of this kind wrapped"
            raise RootKeyError(message)
        header, iv, body = wrapped[:HEADER_BYTES], wrapped[HEADER_BYTES:][:IV_BYTES], wrapped[HEADER_BYTES + IV_BYTES :]
        if header[1:] != self._id:
            message = f"domain key {domain_key_id} needs root key {header[1:].hex()}; this one is {self.id}"
            raise RootKeyError(message)
        cipher = AESGCM(self._wrapping_key.reveal())
        try:
            return Secret(cipher.decrypt(iv, body, header + domain_key_id.bytes))
        except InvalidTag as error:
            message = f"domain key {domain_key_id}: its row was altered or moved; restore it from a backup"
            raise RootKeyError(message) from error
