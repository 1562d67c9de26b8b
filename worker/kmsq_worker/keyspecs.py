"""
What keys of each spec can be used for, as in the AWS KMS API. A table, and nothing that computes.

Specs that kmsq lacks are in it, too: they have usages and algorithms, and `is_supported` tells that no key can have
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from kmsq_schemas.models.enums import (
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    SigningAlgorithm,
)

Algorithm: TypeAlias = (
    EncryptionAlgorithm | SigningAlgorithm | KeyAgreementAlgorithm | EncapsulationAlgorithm | MacAlgorithm
)


@dataclass(frozen=True, slots=True)
class Algorithms:
    """
    What a key of one spec and usage can do, in the order in which AWS lists it.

    One field for each list in KeyMetadata and in GetPublicKey's reply; as a key has one usage, only one is filled.
    """

    encryption: tuple[EncryptionAlgorithm, ...] = ()
    signing: tuple[SigningAlgorithm, ...] = ()
    key_agreement: tuple[KeyAgreementAlgorithm, ...] = ()
    encapsulation: tuple[EncapsulationAlgorithm, ...] = ()
    mac: tuple[MacAlgorithm, ...] = ()

    def all(self) -> tuple[Algorithm, ...]:
        """Return the algorithms of the one field that is filled."""
        return (*self.encryption, *self.signing, *self.key_agreement, *self.encapsulation, *self.mac)


Usages: TypeAlias = Mapping[KeyUsage, Algorithms]

SYMMETRIC_MATERIAL_BYTES: Final[Mapping[KeySpec, int]] = MappingProxyType(
    {
        KeySpec.SYMMETRIC_DEFAULT: 32,  # AES-256
        KeySpec.HMAC_224: 28,  # each as long as its hash's output, as NIST SP 800-107r1 §5.3.4 advises
        KeySpec.HMAC_256: 32,
        KeySpec.HMAC_384: 48,
        KeySpec.HMAC_512: 64,
    },
)
"""How long the material of every spec that is no key pair is, generated or imported; no other length is taken."""

UNSUPPORTED_SPECS: Final = frozenset({KeySpec.SM2, KeySpec.ML_KEM_512})
"""Specs for which the cryptographic library has no code."""


def usages(spec: KeySpec) -> tuple[KeyUsage, ...]:
    """Return the usages of which a key of this `spec` has one, chosen when it is created."""
    return tuple(_SPECS[spec])


def algorithms(spec: KeySpec, usage: KeyUsage) -> Algorithms:
    """Return what keys of this `spec` and `usage` can do: nothing if `usage` is none of the spec's."""
    return _SPECS[spec].get(usage, _NOTHING)


def is_supported(spec: KeySpec) -> bool:
    """Tell whether kmsq can hold keys of this `spec`."""
    return spec not in UNSUPPORTED_SPECS


def is_asymmetric(spec: KeySpec) -> bool:
    """Tell whether keys of this `spec` are key pairs, which have a public half and never change their material."""
    return spec not in SYMMETRIC_MATERIAL_BYTES


def _mac(algorithm: MacAlgorithm) -> Usages:
    return {KeyUsage.GENERATE_VERIFY_MAC: Algorithms(mac=(algorithm,))}


def _sign(*algorithms: SigningAlgorithm) -> Usages:
    return {KeyUsage.SIGN_VERIFY: Algorithms(signing=algorithms)}


_NOTHING: Final = Algorithms()
_AGREE: Final[Usages] = {KeyUsage.KEY_AGREEMENT: Algorithms(key_agreement=(KeyAgreementAlgorithm.ECDH,))}
_RSA: Final[Usages] = {
    KeyUsage.ENCRYPT_DECRYPT: Algorithms(
        encryption=(EncryptionAlgorithm.RSAES_OAEP_SHA_1, EncryptionAlgorithm.RSAES_OAEP_SHA_256)
    ),
    **_sign(
        SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256,
        SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_384,
        SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_512,
        SigningAlgorithm.RSASSA_PSS_SHA_256,
        SigningAlgorithm.RSASSA_PSS_SHA_384,
        SigningAlgorithm.RSASSA_PSS_SHA_512,
    ),
}
_ML_DSA: Final = _sign(SigningAlgorithm.ML_DSA_SHAKE_256)
_ML_KEM: Final[Usages] = {
    KeyUsage.ENCAPSULATE_DECAPSULATE: Algorithms(encapsulation=(EncapsulationAlgorithm.ML_KEM,)),
}

_SPECS: Final[Mapping[KeySpec, Usages]] = {
    KeySpec.SYMMETRIC_DEFAULT: {
        KeyUsage.ENCRYPT_DECRYPT: Algorithms(encryption=(EncryptionAlgorithm.SYMMETRIC_DEFAULT,)),
    },
    KeySpec.RSA_2048: _RSA,
    KeySpec.RSA_3072: _RSA,
    KeySpec.RSA_4096: _RSA,
    KeySpec.ECC_NIST_P256: {**_sign(SigningAlgorithm.ECDSA_SHA_256), **_AGREE},
    KeySpec.ECC_NIST_P384: {**_sign(SigningAlgorithm.ECDSA_SHA_384), **_AGREE},
    KeySpec.ECC_NIST_P521: {**_sign(SigningAlgorithm.ECDSA_SHA_512), **_AGREE},
    KeySpec.ECC_SECG_P256K1: _sign(SigningAlgorithm.ECDSA_SHA_256),
    # The second is listed, as in AWS, and refused when it is used: the library has Ed25519 and no Ed25519ph.
    KeySpec.ECC_NIST_EDWARDS25519: _sign(SigningAlgorithm.ED25519_SHA_512, SigningAlgorithm.ED25519_PH_SHA_512),
    KeySpec.ML_DSA_44: _ML_DSA,
    KeySpec.ML_DSA_65: _ML_DSA,
    KeySpec.ML_DSA_87: _ML_DSA,
    KeySpec.ML_KEM_512: _ML_KEM,
    KeySpec.ML_KEM_768: _ML_KEM,
    KeySpec.ML_KEM_1024: _ML_KEM,
    KeySpec.HMAC_224: _mac(MacAlgorithm.HMAC_SHA_224),
    KeySpec.HMAC_256: _mac(MacAlgorithm.HMAC_SHA_256),
    KeySpec.HMAC_384: _mac(MacAlgorithm.HMAC_SHA_384),
    KeySpec.HMAC_512: _mac(MacAlgorithm.HMAC_SHA_512),
    KeySpec.SM2: {
        KeyUsage.ENCRYPT_DECRYPT: Algorithms(encryption=(EncryptionAlgorithm.SM2PKE,)),
        **_sign(SigningAlgorithm.SM2DSA),
        **_AGREE,
    },
}
