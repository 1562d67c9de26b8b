"""
Key pairs: making them, loading them, their public half.

A private key is stored as PKCS#8 DER (RFC 5208): what this library writes, in one form for each key. ML-DSA and ML-KEM
keys are stored as their seeds.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
    MLDSA87PrivateKey,
    MLDSA87PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from kmsq_schemas.models.enums import DataKeyPairSpec, KeySpec, WrappingKeySpec
from kmsq_worker.errors import UnsupportedOperationException
from kmsq_worker.keyspecs import UNSUPPORTED_SPECS
from kmsq_worker.secret import Secret

RSA_PUBLIC_EXPONENT: Final = 65_537  # F₄, as everywhere

MLDSAPrivateKey: TypeAlias = MLDSA44PrivateKey | MLDSA65PrivateKey | MLDSA87PrivateKey
MLDSAPublicKey: TypeAlias = MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey
MLKEMPrivateKey: TypeAlias = MLKEM768PrivateKey | MLKEM1024PrivateKey
MLKEMPublicKey: TypeAlias = MLKEM768PublicKey | MLKEM1024PublicKey
PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | MLDSAPrivateKey | MLKEMPrivateKey
PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | MLDSAPublicKey | MLKEMPublicKey

_MAKERS: Final[Mapping[KeySpec, Callable[[], PrivateKey]]] = {
    KeySpec.RSA_2048: partial(generate_rsa, RSA_PUBLIC_EXPONENT, 2048),
    KeySpec.RSA_3072: partial(generate_rsa, RSA_PUBLIC_EXPONENT, 3072),
    KeySpec.RSA_4096: partial(generate_rsa, RSA_PUBLIC_EXPONENT, 4096),
    KeySpec.ECC_NIST_P256: partial(generate_ec, SECP256R1()),
    KeySpec.ECC_NIST_P384: partial(generate_ec, SECP384R1()),
    KeySpec.ECC_NIST_P521: partial(generate_ec, SECP521R1()),
    KeySpec.ECC_SECG_P256K1: partial(generate_ec, SECP256K1()),
    KeySpec.ECC_NIST_EDWARDS25519: Ed25519PrivateKey.generate,
    KeySpec.ML_DSA_44: MLDSA44PrivateKey.generate,
    KeySpec.ML_DSA_65: MLDSA65PrivateKey.generate,
    KeySpec.ML_DSA_87: MLDSA87PrivateKey.generate,
    KeySpec.ML_KEM_768: MLKEM768PrivateKey.generate,
    KeySpec.ML_KEM_1024: MLKEM1024PrivateKey.generate,
}


def generate(spec: KeySpec | DataKeyPairSpec | WrappingKeySpec) -> Secret:
    """
    Make a key pair and return its private key as PKCS#8 DER.

    RSA takes long, and varies: 50 ms for RSA_2048, 0.5 s for RSA_4096, measured as means. All others: below 1 ms.

    Raises `UnsupportedOperationException` for what the library lacks, and `ValueError` for a spec that is no key pair.
    """
    key_spec = KeySpec(spec.value)  # the specs of data key pairs and wrapping keys are named like those of keys
    if key_spec in UNSUPPORTED_SPECS:
        message = f"Key spec {key_spec} is not supported."
        raise UnsupportedOperationException(message)
    if key_spec not in _MAKERS:
        message = f"{key_spec} is no spec of key pairs"
        raise ValueError(message)
    return encode(_MAKERS[key_spec]())


def load(material: Secret) -> PrivateKey:
    """
    Load a private key that `generate` made or `imported.accept` accepted.

    Takes 3 µs for RSA, up to 0.4 ms for the rest, which is computed from a seed or checked against its public half.
    """
    # An RSA key is not validated again, which would take 35 to 250 ms of primality tests. That is safe, because nothing
    # gets here that this service did not generate, or validate in full when it was imported, and then wrap: wrapped
    # material is authenticated, so whoever could change a bit of it holds the domain key already.
    key = load_der_private_key(material.reveal(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise TypeError("no private key of a kind that this service makes")
    return key


def encode(private_key: PrivateKey) -> Secret:
    """Return a private key as PKCS#8 DER, which is the same for the same key."""
    return Secret(private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def public_key(private_key: PrivateKey) -> bytes:
    """Return the public half as a DER SubjectPublicKeyInfo (RFC 5280)."""
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spec_of(private_key: object) -> KeySpec | None:
    """Return the spec of a loaded private key, or nothing if it has another kind, curve or size than any spec."""
    match private_key:
        case RSAPrivateKey():
            return _RSA_SPECS.get(private_key.key_size)
        case EllipticCurvePrivateKey():
            return _EC_SPECS.get(private_key.curve.name)
        case _:
            return next((spec for kind, spec in _SPECS_BY_KIND if isinstance(private_key, kind)), None)


_RSA_SPECS: Final = {2048: KeySpec.RSA_2048, 3072: KeySpec.RSA_3072, 4096: KeySpec.RSA_4096}  # bits of the modulus
_EC_SPECS: Final = {
    SECP256R1.name: KeySpec.ECC_NIST_P256,
    SECP384R1.name: KeySpec.ECC_NIST_P384,
    SECP521R1.name: KeySpec.ECC_NIST_P521,
    SECP256K1.name: KeySpec.ECC_SECG_P256K1,
}
_SPECS_BY_KIND: Final = (
    (Ed25519PrivateKey, KeySpec.ECC_NIST_EDWARDS25519),
    (MLDSA44PrivateKey, KeySpec.ML_DSA_44),
    (MLDSA65PrivateKey, KeySpec.ML_DSA_65),
    (MLDSA87PrivateKey, KeySpec.ML_DSA_87),
    (MLKEM768PrivateKey, KeySpec.ML_KEM_768),
    (MLKEM1024PrivateKey, KeySpec.ML_KEM_1024),
)
