"""
The ciphertext blob, version 1: what Encrypt returns and Decrypt takes. Specified in docs/ciphertext.md.

Pure: no I/O but the operating system's randomness. Every function that opens fails in one way,
`InvalidCiphertextException` with an empty message; its `reason` is for the audit record alone.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq_worker import kdf
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.secret import Secret

FORMAT_VERSION: Final = 1
SUITE: Final = 1  # KBKDF-HMAC-SHA-256, AES-256-GCM, key-committing
KEY_ID_BYTES: Final = 16  # a UUID
MATERIAL_NUMBER_BYTES: Final = 4
SALT_BYTES: Final = 16  # 128 bits: see "No 2³² ceiling" in docs/ciphertext.md
COMMITMENT_BYTES: Final = 32  # 256 bits, so that collisions cost 2¹²⁸
IV_BYTES: Final = 12  # 96 bits, NIST SP 800-38D §8.2.2
TAG_BYTES: Final = 16  # 128 bits, the longest of NIST SP 800-38D §5.2.1.2
MESSAGE_KEY_BYTES: Final = 32  # AES-256
MATERIAL_BYTES: Final = 32  # of a SYMMETRIC_DEFAULT key

HEADER_BYTES: Final = 82  # everything before the ciphertext; all of it is associated data
OVERHEAD_BYTES: Final = HEADER_BYTES + TAG_BYTES
PLAINTEXT_MAX_BYTES: Final = 4096  # AWS KMS API: Encrypt, Plaintext
BLOB_MIN_BYTES: Final = OVERHEAD_BYTES + 1
BLOB_MAX_BYTES: Final = 6144  # AWS KMS API: CiphertextBlob
CONTEXT_MAX_BYTES: Final = 8192  # of the encoded encryption context

ENCRYPT_LABEL: Final = b"kmsq/v1/encrypt"
MATERIAL_ID_LABEL: Final = b"kmsq/v1/material-id"
MATERIAL_ID_BYTES: Final = 32  # 64 hex digits, the length of the API's KeyMaterialId

_PREFIX: Final = bytes((FORMAT_VERSION, SUITE))
_KEY_ID: Final = slice(2, 18)
_MATERIAL_NUMBER: Final = slice(18, 22)
_SALT: Final = slice(22, 38)
_COMMITMENT: Final = slice(38, 70)
_IV: Final = slice(70, 82)
_NAMED_MATERIAL: Final = slice(2, 22)
_DERIVATION: Final = slice(2, 38)  # key id, material number and salt: with the material, all that a derivation takes


@dataclass(frozen=True, slots=True)
class BlobHeader:
    """
    Which key material a blob needs.

    `key_id` is a UUID in its canonical text form; `material_number` fits 32 bits.
    """

    key_id: str
    material_number: int


def parse_header(blob: bytes) -> BlobHeader:
    """
    Read which key material `blob` names. Nothing about it is authentic before `open_blob`.

    Raises `InvalidCiphertextException` for a length outside 99 … 6,144 bytes, an unknown version or suite.
    """
    _check_layout(blob)
    return BlobHeader(_key_id_text(blob[_KEY_ID]), int.from_bytes(blob[_MATERIAL_NUMBER], "big"))


def named_material(blob: bytes) -> bytes:
    """
    Return the 20 bytes in which `blob` names key and material: what blobs of one material have in common.

    Raises what `parse_header` does.
    """
    _check_layout(blob)
    return blob[_NAMED_MATERIAL]


def seal(material: Secret, header: BlobHeader, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """
    Encrypt `plaintext` (1 … 4,096 bytes) under `material` (32 bytes), binding `header` and `context`.

    Returns header (82 bytes) ‖ ciphertext ‖ tag (16 bytes). Salt and IV are fresh randomness of the operating system.

    Raises `ValidationException` for a plaintext or context beyond its limits.
    """
    fresh = os.urandom(SALT_BYTES + IV_BYTES)
    return unsafe_seal_with(material, header, plaintext, context, salt=fresh[:SALT_BYTES], iv=fresh[SALT_BYTES:])


def unsafe_seal_with(  # what seal takes, and the two values that make it deterministic
    material: Secret, header: BlobHeader, plaintext: bytes, context: Mapping[str, str], *, salt: bytes, iv: bytes
) -> bytes:
    """
    Do what `seal` does with a given salt (16 bytes) and IV (12 bytes): for `seal` itself and for test vectors only.

    The same salt and IV under the same material for two messages give away where the plaintexts differ, and the
    authentication key. No request can reach this function with values of its own.
    """
    check_plaintext(plaintext)
    if len(salt) != SALT_BYTES or len(iv) != IV_BYTES:
        message = f"salt and IV have {SALT_BYTES} and {IV_BYTES} bytes"
        raise ValueError(message)
    associated = encode_context(context)
    message_key, front = _derive_to_seal(material, header, salt)
    front += iv
    return front + AESGCM(message_key).encrypt(iv, plaintext, front + associated)


class Sealer:
    """
    Seals any number of plaintexts under one derivation: one random salt, hence one message key and commitment.

    Each has its own random IV, so what SP 800-38D allows under one key, 2³² messages, is far beyond any batch. That two
    blobs share a salt tells that they were sealed together, which whoever sees both in one batch knows anyway.
    """

    def __init__(self, material: Secret, header: BlobHeader) -> None:
        """Derive from `material` (32 bytes) with a fresh salt; `header` names it."""
        message_key, self._front = _derive_to_seal(material, header, os.urandom(SALT_BYTES))
        self._encrypt = AESGCM(message_key).encrypt

    def seal(self, plaintexts: Collection[bytes], associated: Iterable[bytes]) -> list[bytes]:
        """
        Do what the function `seal` does with each, with the context that `encode_context` has encoded for it.

        Raises `ValidationException` for the first plaintext beyond its limits, and then seals none.
        """
        lengths = [len(plaintext) for plaintext in plaintexts]
        if lengths and not 1 <= min(lengths) <= max(lengths) <= PLAINTEXT_MAX_BYTES:
            for plaintext in plaintexts:
                check_plaintext(plaintext)
        sealed, salted, encrypt = [], self._front, self._encrypt
        ivs = os.urandom(IV_BYTES * len(plaintexts))  # one call of the operating system for all; each is used once
        for start, plaintext, context in zip(range(0, len(ivs), IV_BYTES), plaintexts, associated, strict=True):
            iv = ivs[start : start + IV_BYTES]
            front = salted + iv
            sealed.append(front + encrypt(iv, plaintext, front + context))
        return sealed


class Opener:
    """Opens any number of blobs; those that were sealed under one derivation share it here, too."""

    def __init__(self) -> None:
        self._derived: dict[bytes, tuple[AESGCM, bytes]] = {}

    def open(self, material: Secret, blob: bytes, associated: bytes) -> bytes:
        """
        Do what `open_blob` does, with a context that `encode_context` has encoded as `associated`.

        `material` is the one that the blob's header names. Raises `InvalidCiphertextException`.
        """
        _check_layout(blob)
        derivation = blob[_DERIVATION]
        derived = self._derived.get(derivation)
        if derived is None:
            message_key, commitment = _derive(material, blob[_SALT], blob[_KEY_ID])
            derived = self._derived[derivation] = AESGCM(message_key), commitment
        cipher, commitment = derived
        _check_commitment(commitment, blob)
        return _decrypt(cipher, blob, associated)


def open_blob(material: Secret, blob: bytes, context: Mapping[str, str]) -> bytes:
    """
    Decrypt `blob` with the `material` (32 bytes) that its header names, under the `context` it was sealed with.

    The commitment is compared, in constant time, before anything is decrypted.

    Raises `InvalidCiphertextException`, always with an empty message, when anything does not match, and
    `ValidationException` for a context that no blob can have been sealed with.
    """
    _check_layout(blob)
    associated = encode_context(context)
    message_key, commitment = _derive(material, blob[_SALT], blob[_KEY_ID])
    _check_commitment(commitment, blob)
    return _decrypt(AESGCM(message_key), blob, associated)


def check_plaintext(plaintext: bytes) -> None:
    """Raise `ValidationException` for a length outside 1 … 4,096 bytes."""
    if not 1 <= len(plaintext) <= PLAINTEXT_MAX_BYTES:
        message = f"Plaintext has {len(plaintext)} bytes; 1 to {PLAINTEXT_MAX_BYTES} are allowed."
        raise ValidationException(message)


def encode_context(context: Mapping[str, str]) -> bytes:
    """
    Encode an encryption context so that no two contexts encode alike.

    For each pair, in the order of the UTF-8 bytes of the keys: length (4 bytes, big endian) and UTF-8 bytes of the key,
    then the same of the value. The empty context, and so an absent one, encodes to no bytes at all.

    Raises `ValidationException` above 8,192 encoded bytes and for text that is not Unicode (lone surrogates).
    """
    if not context:
        return b""
    try:
        pairs = sorted([(name.encode(), value.encode()) for name, value in context.items()])
    except UnicodeEncodeError:
        # Not chained: the codec's error carries the whole string, and a context has no business in a traceback.
        raise ValidationException("EncryptionContext is not valid Unicode text.") from None
    encoded = b"".join(
        [
            part
            for name, value in pairs
            for part in (len(name).to_bytes(4, "big"), name, len(value).to_bytes(4, "big"), value)
        ]
    )
    if len(encoded) > CONTEXT_MAX_BYTES:
        message = f"EncryptionContext is longer than {CONTEXT_MAX_BYTES} bytes."
        raise ValidationException(message)
    return encoded


def material_id(material: Secret, key_id: str) -> str:
    """
    Name `material` of the key `key_id` (a UUID) by 64 hex digits that reveal nothing about it.

    The same bytes imported again into the same key get the same name; in another key, another. A key's spec fixes the
    length of its material, or its encoding does: no two materials of one key differ by trailing zeros alone.
    """
    return kdf.derive(material.reveal(), MATERIAL_ID_LABEL, _key_id_bytes(key_id), MATERIAL_ID_BYTES).hex()


def _derive_to_seal(material: Secret, header: BlobHeader, salt: bytes) -> tuple[bytes, bytes]:
    """Return the message key (32 bytes) and a blob's header without its IV (70 bytes)."""
    key_id = _key_id_bytes(header.key_id)
    message_key, commitment = _derive(material, salt, key_id)
    number = header.material_number.to_bytes(MATERIAL_NUMBER_BYTES, "big")
    return message_key, b"".join((_PREFIX, key_id, number, salt, commitment))


def _check_commitment(commitment: bytes, blob: bytes) -> None:
    if not compare_digest(commitment, blob[_COMMITMENT]):
        raise InvalidCiphertextException(reason="commitment")


def _decrypt(cipher: AESGCM, blob: bytes, associated: bytes) -> bytes:
    """Decrypt: only after the commitment was compared."""
    try:
        return cipher.decrypt(blob[_IV], blob[HEADER_BYTES:], blob[:HEADER_BYTES] + associated)
    except InvalidTag as error:
        raise InvalidCiphertextException(reason="tag") from error


def _derive(material: Secret, salt: bytes, key_id: bytes) -> tuple[bytes, bytes]:
    """Return message key (32 bytes) and commitment (32 bytes)."""
    _check_material(material)
    output = kdf.derive(material.reveal(), ENCRYPT_LABEL, salt + key_id, MESSAGE_KEY_BYTES + COMMITMENT_BYTES)
    return output[:MESSAGE_KEY_BYTES], output[MESSAGE_KEY_BYTES:]


def _check_material(material: Secret) -> None:
    # HMAC pads short keys with zeros and hashes long ones: two materials of different lengths could then act as one
    # and share a commitment. One fixed length rules that out.
    if len(material) != MATERIAL_BYTES:
        message = f"symmetric key material has {MATERIAL_BYTES} bytes"
        raise ValueError(message)


def _check_layout(blob: bytes) -> None:
    if not BLOB_MIN_BYTES <= len(blob) <= BLOB_MAX_BYTES:
        raise InvalidCiphertextException(reason="length")
    if blob[0] != FORMAT_VERSION:
        raise InvalidCiphertextException(reason="version")
    if blob[1] != SUITE:
        raise InvalidCiphertextException(reason="suite")


def _key_id_bytes(key_id: str) -> bytes:
    """Return the UUID's 16 bytes. Raises `ValueError` for anything but its canonical, lower-case text."""
    raw = bytes.fromhex(key_id.replace("-", ""))
    if len(raw) != KEY_ID_BYTES or key_id != _key_id_text(raw):
        raise ValueError("a key id is a UUID in lower case")
    return raw


def _key_id_text(raw: bytes) -> str:
    digits = raw.hex()  # three times as fast as uuid.UUID, on the way of every message
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
