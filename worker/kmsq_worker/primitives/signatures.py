"""
Signatures: RSASSA-PSS and PKCS #1 v1.5 (RFC 8017), ECDSA (FIPS 186-5), Ed25519 (RFC 8032), ML-DSA (FIPS 204).

Signing takes, in µs: RSA 250 (2048 bits), 700 (3072), 1,500 (4096); ECDSA 20 (P-256), 200 to 350 (others); Ed25519 30;
ML-DSA 600 to 1,200, as it tries until it succeeds. Verifying takes less for RSA (20 to 70) and ML-DSA (100 to 270), two
to three times as long for the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from kmsq_schemas.models.enums import MessageType, SigningAlgorithm
from kmsq_worker.errors import KMSInvalidSignatureException, UnsupportedOperationException, ValidationException
from kmsq_worker.primitives.key_pairs import MLDSAPrivateKey, MLDSAPublicKey, PrivateKey, PublicKey

MU_BYTES: Final = 64  # FIPS 204 §6.2: the message representative μ


def require_supported(algorithm: SigningAlgorithm) -> None:
    """Raise `UnsupportedOperationException` for algorithms that the library lacks."""
    _scheme(algorithm)


def require_message(algorithm: SigningAlgorithm, message_type: MessageType, message: bytes) -> None:
    """
    Check that `message` is something that `algorithm` signs as `message_type`; needs no key.

    Raises `UnsupportedOperationException` for algorithms that the library lacks, and `ValidationException` for a type
    that the algorithm does not take or a digest (or μ) that is not as long as it should be.
    """
    lengths = _scheme(algorithm).lengths
    if message_type not in lengths:
        text = f"MessageType {message_type} is incompatible with algorithm {algorithm}."
        raise ValidationException(text)
    length = lengths[message_type]
    if length is not None and len(message) != length:
        text = f"Digest is invalid length for algorithm {algorithm}."
        raise ValidationException(text)


def sign(private_key: PrivateKey, algorithm: SigningAlgorithm, message_type: MessageType, message: bytes) -> bytes:
    """
    Sign `message`, of any length if it is RAW.

    Returns as many bytes as the modulus has for RSA; a DER sequence of two integers for ECDSA; 64 bytes for Ed25519;
    2,420, 3,309 or 4,627 for ML-DSA. All but PKCS #1 v1.5 and Ed25519 are randomised.

    Raises what `require_message` raises.
    """
    require_message(algorithm, message_type, message)
    return _scheme(algorithm).sign(private_key, message_type, message)


def verify(
    key: PrivateKey | PublicKey,
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: bytes,
    signature: bytes,
) -> None:
    """
    Check that `signature` is what the private key made of `message`; `key` is either half.

    Raises `KMSInvalidSignatureException` with an empty message for every other signature, malformed ones included, and
    what `require_message` raises.
    """
    require_message(algorithm, message_type, message)
    public_key = key.public_key() if isinstance(key, PrivateKey) else key
    try:
        _scheme(algorithm).verify(public_key, message_type, message, signature)
    except InvalidSignature as error:
        raise KMSInvalidSignatureException from error


class _Scheme(Protocol):
    """One way to sign; `message_type` and the length of `message` are checked before."""

    @property
    def lengths(self) -> Mapping[MessageType, int | None]:
        """The message types it takes, and how many bytes each has, if not any number."""

    def sign(self, key: PrivateKey, message_type: MessageType, message: bytes, /) -> bytes:
        """Return the signature."""

    def verify(self, key: PublicKey, message_type: MessageType, message: bytes, signature: bytes, /) -> None:
        """Raise `InvalidSignature` unless the signature is valid."""


@dataclass(frozen=True, slots=True)
class _Hashing:
    """The schemes that sign a digest, which the caller may have computed already."""

    hash: HashAlgorithm

    @property
    def lengths(self) -> Mapping[MessageType, int | None]:
        return {MessageType.RAW: None, MessageType.DIGEST: self.hash.digest_size}

    def hashing(self, message_type: MessageType) -> HashAlgorithm | Prehashed:
        return Prehashed(self.hash) if message_type is MessageType.DIGEST else self.hash


@dataclass(frozen=True, slots=True)
class _RSA(_Hashing):
    padding: PSS | PKCS1v15

    def sign(self, key: PrivateKey, message_type: MessageType, message: bytes) -> bytes:
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("an RSA key is needed")
        return key.sign(message, self.padding, self.hashing(message_type))

    def verify(self, key: PublicKey, message_type: MessageType, message: bytes, signature: bytes) -> None:
        if not isinstance(key, RSAPublicKey):
            raise TypeError("an RSA key is needed")
        key.verify(signature, message, self.padding, self.hashing(message_type))


@dataclass(frozen=True, slots=True)
class _ECDSA(_Hashing):
    def sign(self, key: PrivateKey, message_type: MessageType, message: bytes) -> bytes:
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("a key on a Weierstrass curve is needed")
        return key.sign(message, ECDSA(self.hashing(message_type)))

    def verify(self, key: PublicKey, message_type: MessageType, message: bytes, signature: bytes) -> None:
        if not isinstance(key, EllipticCurvePublicKey):
            raise TypeError("a key on a Weierstrass curve is needed")
        key.verify(signature, message, ECDSA(self.hashing(message_type)))


class _Ed25519:
    lengths: ClassVar[Mapping[MessageType, int | None]] = MappingProxyType({MessageType.RAW: None})

    def sign(self, key: PrivateKey, _: MessageType, message: bytes) -> bytes:
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("an Ed25519 key is needed")
        return key.sign(message)

    def verify(self, key: PublicKey, _: MessageType, message: bytes, signature: bytes) -> None:
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError("an Ed25519 key is needed")
        key.verify(signature, message)


class _MLDSA:
    """Pure ML-DSA, with the empty context. μ holds a context already, whichever the caller chose."""

    lengths: ClassVar[Mapping[MessageType, int | None]] = MappingProxyType(
        {MessageType.RAW: None, MessageType.EXTERNAL_MU: MU_BYTES},
    )

    def sign(self, key: PrivateKey, message_type: MessageType, message: bytes) -> bytes:
        if not isinstance(key, MLDSAPrivateKey):
            raise TypeError("an ML-DSA key is needed")
        return key.sign_mu(message) if message_type is MessageType.EXTERNAL_MU else key.sign(message)

    def verify(self, key: PublicKey, message_type: MessageType, message: bytes, signature: bytes) -> None:
        if not isinstance(key, MLDSAPublicKey):
            raise TypeError("an ML-DSA key is needed")
        if message_type is MessageType.EXTERNAL_MU:
            key.verify_mu(signature, message)
        else:
            key.verify(signature, message)


def _pss(algorithm: HashAlgorithm) -> _RSA:
    # The salt is as long as the digest, as in AWS; signatures with salts of other lengths do not verify.
    return _RSA(algorithm, PSS(MGF1(algorithm), PSS.DIGEST_LENGTH))


def _scheme(algorithm: SigningAlgorithm) -> _Scheme:
    scheme = _SCHEMES[algorithm]
    if scheme is None:
        message = f"Algorithm {algorithm} is not supported."
        raise UnsupportedOperationException(message)
    return scheme


_SCHEMES: Final[Mapping[SigningAlgorithm, _Scheme | None]] = {
    SigningAlgorithm.RSASSA_PSS_SHA_256: _pss(SHA256()),
    SigningAlgorithm.RSASSA_PSS_SHA_384: _pss(SHA384()),
    SigningAlgorithm.RSASSA_PSS_SHA_512: _pss(SHA512()),
    SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256: _RSA(SHA256(), PKCS1v15()),
    SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_384: _RSA(SHA384(), PKCS1v15()),
    SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_512: _RSA(SHA512(), PKCS1v15()),
    SigningAlgorithm.ECDSA_SHA_256: _ECDSA(SHA256()),
    SigningAlgorithm.ECDSA_SHA_384: _ECDSA(SHA384()),
    SigningAlgorithm.ECDSA_SHA_512: _ECDSA(SHA512()),
    SigningAlgorithm.ED25519_SHA_512: _Ed25519(),
    SigningAlgorithm.ML_DSA_SHAKE_256: _MLDSA(),
    SigningAlgorithm.ED25519_PH_SHA_512: None,  # the library lacks both
    SigningAlgorithm.SM2DSA: None,
}
