"""
Domain keys: they wrap key material and authenticate rows, audit records, tokens and idempotency digests.

The wrapped value: version (1) ‖ domain key id (16) ‖ IV (12) ‖ AES-256-GCM ciphertext ‖ tag (16). Specified in
docs/ciphertext.md.
"""

import hmac
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq_worker import kdf, rowmac
from kmsq_worker.secret import Secret

WRAPPED_VERSION: Final = 1
DOMAIN_KEY_BYTES: Final = 32
SUBKEY_BYTES: Final = 32  # AES-256 and HMAC-SHA-256 keys alike
IV_BYTES: Final = 12  # 96 bits, NIST SP 800-38D §8.2.2
TAG_BYTES: Final = 16  # 128 bits
WRAPPED_HEADER_BYTES: Final = 17  # version ‖ domain key id: associated data
WRAPPED_MIN_BYTES: Final = WRAPPED_HEADER_BYTES + IV_BYTES + TAG_BYTES + 1

LABEL_PREFIX: Final = b"kmsq/v1/"
_VERSION_BYTE: Final = bytes((WRAPPED_VERSION,))
_IV: Final = slice(WRAPPED_HEADER_BYTES, WRAPPED_HEADER_BYTES + IV_BYTES)
_BODY: Final = slice(WRAPPED_HEADER_BYTES + IV_BYTES, None)


class UnwrapError(Exception):
    """A wrapped value is malformed, belongs to another domain key, was altered, or sits where it was not put."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where key material belongs; a wrapped value unwraps nowhere else. `material_number` fits 32 bits."""

    key_id: str
    material_number: int
    key_spec: str
    origin: str
    purpose: str

    def encode(self) -> bytes:
        """
        Encode injectively: material number (4 bytes, big endian), then key id, spec, origin and purpose.

        Each text is UTF-8 preceded by its length in 4 bytes, big endian.
        """
        parts = [self.material_number.to_bytes(4, "big")]
        for text in (self.key_id, self.key_spec, self.origin, self.purpose):
            encoded = text.encode()
            parts += (len(encoded).to_bytes(4, "big"), encoded)
        return b"".join(parts)


class DomainKey:
    """
    A domain key with its subkeys, one for each purpose, all derived when it is loaded.

    Subkey = `kdf.derive(key, "kmsq/v1/<purpose>", domain key id, 32)`; purposes are wrap, row-mac, audit, token and
    idempotency. The key itself is used for derivation only, and kept for rewrapping under a new root key.
    """

    __slots__ = ("_audit", "_idempotency", "_row_mac", "_token", "_wrap", "id", "key")

    def __init__(self, id: uuid.UUID, key: Secret) -> None:  # noqa: A002  # the word of the column and of DESIGN §4
        """Take `key` (32 bytes) and derive the subkeys. Raises `ValueError` for another length."""
        if len(key) != DOMAIN_KEY_BYTES:
            message = f"a domain key has {DOMAIN_KEY_BYTES} bytes"
            raise ValueError(message)
        self.id: Final = id
        self.key: Final = key
        self._wrap: Final = self._subkey(b"wrap")
        self._row_mac: Final = self._subkey(b"row-mac")
        self._audit: Final = self._subkey(b"audit")
        self._token: Final = self._subkey(b"token")
        self._idempotency: Final = self._subkey(b"idempotency")

    @classmethod
    def generate(cls) -> Self:
        """Return a new domain key with a random id."""
        return cls(uuid.uuid4(), Secret.random(DOMAIN_KEY_BYTES))

    def __repr__(self) -> str:
        """Show the id alone."""
        return f"<DomainKey {self.id}>"

    def wrap(self, material: Secret, binding: Binding) -> bytes:
        """
        Wrap `material` (at least 1 byte) for the place that `binding` names.

        Returns 45 bytes more than the material has. The IV is fresh randomness: one domain key wraps at most 2³²
        values (NIST SP 800-38D §8.3), which is one reason why domain keys rotate.
        """
        header = _VERSION_BYTE + self.id.bytes
        iv = os.urandom(IV_BYTES)
        cipher = AESGCM(self._wrap.reveal())
        return header + iv + cipher.encrypt(iv, material.reveal(), header + binding.encode())

    def unwrap(self, wrapped: bytes, binding: Binding) -> Secret:
        """Undo `wrap`. Raises `UnwrapError` unless this domain key wrapped exactly this for exactly this place."""
        if wrapped_by(wrapped) != self.id:
            raise UnwrapError("wrapped by another domain key")
        cipher = AESGCM(self._wrap.reveal())
        associated = wrapped[:WRAPPED_HEADER_BYTES] + binding.encode()
        try:
            return Secret(cipher.decrypt(wrapped[_IV], wrapped[_BODY], associated))
        except InvalidTag as error:
            raise UnwrapError("not authentic at this place") from error

    def row_mac(self, table: str, columns: Mapping[str, object]) -> bytes:
        """Return domain key id (16 bytes) ‖ HMAC-SHA-256 of the row (32 bytes). Types: `rowmac.encode_row`."""
        return self.id.bytes + _hmac(self._row_mac, rowmac.encode_row(table, columns))

    def verify_row_mac(self, mac: bytes, table: str, columns: Mapping[str, object]) -> None:
        """Raise `RowMacMismatch` unless `mac` is what `row_mac` gives; compared in constant time."""
        try:
            expected = self.row_mac(table, columns)
        except (TypeError, ValueError) as error:  # no row of ours: a list with NULL, the date infinity
            raise rowmac.RowMacMismatch from error
        if not hmac.compare_digest(mac, expected):
            raise rowmac.RowMacMismatch

    def audit_mac(self, data: bytes) -> bytes:
        """Return the 32-byte HMAC-SHA-256 that links an audit record; the record names its domain key itself."""
        return _hmac(self._audit, data)

    def token_mac(self, data: bytes) -> bytes:
        """Return the 32-byte HMAC-SHA-256 that makes a token (a pagination marker, a grant token) unforgeable."""
        return _hmac(self._token, data)

    def idempotency_mac(self, data: bytes) -> bytes:
        """Return the 32-byte HMAC-SHA-256 that recognises a request; unkeyed, it would let short bodies be guessed."""
        return _hmac(self._idempotency, data)

    def _subkey(self, purpose: bytes) -> Secret:
        return Secret(kdf.derive(self.key.reveal(), LABEL_PREFIX + purpose, self.id.bytes, SUBKEY_BYTES))


def wrapped_by(wrapped: bytes) -> uuid.UUID:
    """Return which domain key wrapped this. Raises `UnwrapError` for a malformed value."""
    if len(wrapped) < WRAPPED_MIN_BYTES or wrapped[0] != WRAPPED_VERSION:
        raise UnwrapError("not a wrapped value of version 1")
    return uuid.UUID(bytes=wrapped[1:WRAPPED_HEADER_BYTES])


def _hmac(key: Secret, data: bytes) -> bytes:
    return hmac.digest(key.reveal(), data, "sha256")
