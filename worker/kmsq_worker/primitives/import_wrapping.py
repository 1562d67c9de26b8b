"""
How key material travels to us: wrapped under a public key that is made for one import.

Either the material itself is encrypted (RSAES_OAEP_SHA_n), or an AES-256 key is, and the material wrapped with that
(RSA_AES_KEY_WRAP_SHA_n: RSA-OAEP ‖ AES-KWP, RFC 5649), as private keys are longer than RSA can encrypt.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from kmsq_schemas.models.enums import AlgorithmSpec, EncryptionAlgorithm, WrappingKeySpec
from kmsq_worker.errors import InvalidCiphertextException, UnsupportedOperationException
from kmsq_worker.primitives import key_pairs, rsa_encryption
from kmsq_worker.primitives.key_pairs import PrivateKey
from kmsq_worker.secret import Secret

AES_KEY_BYTES: Final = 32  # AWS KMS API, RSA_AES_KEY_WRAP: the ephemeral key is an AES-256 key

_OAEP: Final[Mapping[AlgorithmSpec, EncryptionAlgorithm]] = {
    AlgorithmSpec.RSAES_OAEP_SHA_1: EncryptionAlgorithm.RSAES_OAEP_SHA_1,
    AlgorithmSpec.RSAES_OAEP_SHA_256: EncryptionAlgorithm.RSAES_OAEP_SHA_256,
    AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1: EncryptionAlgorithm.RSAES_OAEP_SHA_1,
    AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256: EncryptionAlgorithm.RSAES_OAEP_SHA_256,
}
_AES_KEY_WRAP: Final = frozenset({AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1, AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256})


class WrappingKey(NamedTuple):
    """The private key as PKCS#8 DER, to be loaded with `key_pairs.load`; the public key as DER SubjectPublicKeyInfo."""

    private_key: Secret
    public_key: bytes


def generate_wrapping_key(spec: WrappingKeySpec) -> WrappingKey:
    """
    Make the key pair for one import; takes what `key_pairs.generate` takes.

    Raises `UnsupportedOperationException` for SM2.
    """
    private_key = key_pairs.generate(spec)
    return WrappingKey(private_key, key_pairs.public_key(key_pairs.load(private_key)))


def require_wrapping(algorithm: AlgorithmSpec) -> None:
    """
    Check that material wrapped with `algorithm` can be unwrapped; needs no key.

    Raises `UnsupportedOperationException` for RSAES_PKCS1_V1_5, whose padding betrays plaintexts to whoever may ask
    often enough (Bleichenbacher's attack) and which AWS has withdrawn, too; and for SM2PKE.
    """
    if algorithm not in _OAEP:
        message = f"Wrapping algorithm {algorithm} is not supported."
        raise UnsupportedOperationException(message)


def unwrap(private_key: PrivateKey, algorithm: AlgorithmSpec, wrapped: bytes) -> Secret:
    """
    Unwrap imported key material; what it is good for, `imported.accept` tells.

    Raises `InvalidCiphertextException` with an empty message for every failure, and what `require_wrapping` raises.
    """
    require_wrapping(algorithm)
    if algorithm not in _AES_KEY_WRAP:
        return Secret(rsa_encryption.decrypt(private_key, _OAEP[algorithm], wrapped))
    if not isinstance(private_key, RSAPrivateKey):
        raise TypeError("an RSA key is needed")
    modulus_bytes = private_key.key_size // 8
    aes_key = rsa_encryption.decrypt(private_key, _OAEP[algorithm], wrapped[:modulus_bytes])
    if len(aes_key) != AES_KEY_BYTES:
        raise InvalidCiphertextException(reason="aes-key-length")
    try:
        return Secret(aes_key_unwrap_with_padding(aes_key, wrapped[modulus_bytes:]))
    except InvalidUnwrap as error:
        raise InvalidCiphertextException(reason="aes-kwp") from error
