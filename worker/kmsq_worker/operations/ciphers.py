"""
How keys seal and open, by algorithm.

A symmetric blob names its key and material itself, and is bound to an encryption context. An RSA ciphertext names
nothing and is bound to nothing: whoever wants it opened has to name key and algorithm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from kmsq_schemas.models.enums import EncryptionAlgorithm
from kmsq_worker import envelope
from kmsq_worker.arn import Account, KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import Key
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.errors import (
    IncorrectKeyException,
    InvalidCiphertextException,
    NotFoundException,
    UnsupportedOperationException,
    ValidationException,
)
from kmsq_worker.execution import TurnExecution
from kmsq_worker.primitives import rsa_encryption
from kmsq_worker.view import Wanted

Context = Mapping[str, str]


class Source(NamedTuple):
    """What opens a ciphertext: a key, and which of its materials."""

    key: Key
    material_number: int


class Opened(NamedTuple):
    """A plaintext, and the id of the symmetric material that it was sealed under."""

    plaintext: bytes
    material_id: str | None


class Sealed(NamedTuple):
    """A ciphertext, and the id of the symmetric material that it is sealed under."""

    blob: bytes
    material_id: str | None


class Cipher(Protocol):
    """
    One way to encrypt.

    `wants` and `locate` find what opens a ciphertext; `key_id` is the key that the request names, if it names one.
    `open` and `seal` unlock, so they come after `authorize` and the checks of state, usage and algorithm.
    """

    @property
    def algorithm(self) -> EncryptionAlgorithm:
        """Its name."""

    def wants(self, account: Account, blob: bytes, key_id: str | None, /) -> Sequence[Wanted]:
        """Return which keys and materials `locate` and `open` will need."""

    def locate(self, execution: TurnExecution, blob: bytes, key_id: str | None, /) -> Source:
        """Locate the key."""

    def open(self, execution: TurnExecution, source: Source, blob: bytes, context: Context, /) -> Opened:
        """Open. Raises `InvalidCiphertextException`."""

    def seal(self, execution: TurnExecution, key: Key, plaintext: bytes, context: Context, /) -> Sealed:
        """Seal under the current material. Raises `ValidationException` for a plaintext beyond the limit."""


def cipher_of(algorithm: EncryptionAlgorithm | None) -> Cipher:
    """Return the cipher that a request asks for, or the symmetric one. Raises `UnsupportedOperationException`."""
    cipher = _CIPHERS[algorithm or EncryptionAlgorithm.SYMMETRIC_DEFAULT]
    if cipher is None:
        message = f"Algorithm {algorithm} is not supported."
        raise UnsupportedOperationException(message)
    return cipher


class _Symmetric:
    """Blobs of the envelope format."""

    algorithm: Final = EncryptionAlgorithm.SYMMETRIC_DEFAULT

    def wants(self, account: Account, blob: bytes, key_id: str | None) -> Sequence[Wanted]:
        header = envelope.parse_header(blob)
        named = Wanted(KeyReference(KeyReferenceKind.KEY_ID, header.key_id), header.material_number)
        return (named,) if key_id is None else (named, Wanted(parse_key_reference(key_id, account)))

    def locate(self, execution: TurnExecution, blob: bytes, key_id: str | None) -> Source:
        """Locate the key that the blob names, and hold it against the key that the request names."""
        header = envelope.parse_header(blob)
        return self.locate_named(execution, header, None if key_id is None else execution.locate(key_id))

    def locate_named(self, execution: TurnExecution, header: BlobHeader, expected: Key | None) -> Source:
        """
        Locate the key that a blob's header names, which has to be the `expected` one.

        Raises `IncorrectKeyException`, `InvalidCiphertextException` and others of `TurnExecution.locate`.
        """
        if expected is not None and expected.key_id != header.key_id:
            message = "The key ID in the request does not identify a CMK that can perform this operation."
            raise IncorrectKeyException(message)
        try:
            key = execution.locate_reference(KeyReference(KeyReferenceKind.KEY_ID, header.key_id))
        except NotFoundException as error:
            # As invalid as any other blob. (A forged blob that names a key which exists is denied, as in AWS.)
            raise InvalidCiphertextException(reason="unknown-key") from error
        return Source(key, header.material_number)

    def open(self, execution: TurnExecution, source: Source, blob: bytes, context: Context) -> Opened:
        material = execution.material(source.key, source.material_number)
        plaintext = envelope.open_blob(execution.unlock(source.key, material), blob, context)
        return Opened(plaintext, material.material_id)

    def seal(self, execution: TurnExecution, key: Key, plaintext: bytes, context: Context) -> Sealed:
        material = execution.material(key, key.row.current_material)
        secret = execution.unlock(key, material)
        blob = envelope.seal(secret, BlobHeader(key.key_id, material.number), plaintext, context)
        return Sealed(blob, material.material_id)


@dataclass(frozen=True, slots=True)
class _RSA:
    """Bare RSA ciphertexts. Such keys have one material for ever, which the API does not name."""

    algorithm: EncryptionAlgorithm

    def wants(self, account: Account, _blob: bytes, key_id: str | None) -> Sequence[Wanted]:
        return (Wanted(parse_key_reference(self._named(key_id), account)),)

    def locate(self, execution: TurnExecution, _blob: bytes, key_id: str | None) -> Source:
        key = execution.locate(self._named(key_id))
        return Source(key, key.row.current_material)

    def open(self, execution: TurnExecution, source: Source, blob: bytes, _context: Context) -> Opened:
        private_key = execution.unlock_private_key(source.key)
        return Opened(rsa_encryption.decrypt(private_key, self.algorithm, blob), None)

    def seal(self, execution: TurnExecution, key: Key, plaintext: bytes, _context: Context) -> Sealed:
        private_key = execution.unlock_private_key(key)
        return Sealed(rsa_encryption.encrypt(private_key, self.algorithm, plaintext), None)

    def _named(self, key_id: str | None) -> str:
        if key_id is None:
            message = f"Ciphertexts of {self.algorithm} do not name their key: the request must (KeyId, SourceKeyId)."
            raise ValidationException(message)
        return key_id


SYMMETRIC: Final = _Symmetric()

_CIPHERS: Final[Mapping[EncryptionAlgorithm, Cipher | None]] = {
    EncryptionAlgorithm.SYMMETRIC_DEFAULT: SYMMETRIC,
    EncryptionAlgorithm.RSAES_OAEP_SHA_1: _RSA(EncryptionAlgorithm.RSAES_OAEP_SHA_1),
    EncryptionAlgorithm.RSAES_OAEP_SHA_256: _RSA(EncryptionAlgorithm.RSAES_OAEP_SHA_256),
    EncryptionAlgorithm.SM2PKE: None,  # the library lacks it
}
