"""Making, storing and loading key pairs."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP224R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from fakes.key_pairs import KEY_PAIRS, material, private_key, rsa_private_key
from kmsq_schemas.models.enums import DataKeyPairSpec, KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.errors import UnsupportedOperationException
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret

PUBLIC_KEY_BYTES = {  # of the DER SubjectPublicKeyInfo
    KeySpec.RSA_2048: 294,
    KeySpec.RSA_3072: 422,
    KeySpec.RSA_4096: 550,
    KeySpec.ECC_NIST_P256: 91,
    KeySpec.ECC_NIST_P384: 120,
    KeySpec.ECC_NIST_P521: 158,
    KeySpec.ECC_SECG_P256K1: 88,
    KeySpec.ECC_NIST_EDWARDS25519: 44,
    KeySpec.ML_DSA_44: 1312 + 22,
    KeySpec.ML_DSA_65: 1952 + 22,
    KeySpec.ML_DSA_87: 2592 + 22,
    KeySpec.ML_KEM_768: 1184 + 22,
    KeySpec.ML_KEM_1024: 1568 + 22,
}


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_a_key_pair_is_stored_as_pkcs8_and_loads_as_the_same_key(spec: KeySpec) -> None:
    independent = load_der_private_key(material(spec).reveal(), None)  # which validates RSA keys in full
    loaded = key_pairs.load(material(spec))
    assert key_pairs.spec_of(loaded) is spec
    assert key_pairs.encode(loaded).reveal() == material(spec).reveal()
    assert key_pairs.public_key(loaded) == independent.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_a_public_key_is_a_subject_public_key_info(spec: KeySpec) -> None:
    encoded = key_pairs.public_key(private_key(spec))
    assert len(encoded) == PUBLIC_KEY_BYTES[spec]
    assert load_der_public_key(encoded) == private_key(spec).public_key()


def test_generated_rsa_keys_have_the_usual_exponent() -> None:
    assert rsa_private_key().public_key().public_numbers().e == 65_537


def test_two_key_pairs_differ() -> None:
    assert len({key_pairs.generate(KeySpec.ECC_NIST_P256).reveal() for _ in range(100)}) == 100


@pytest.mark.parametrize("spec", DataKeyPairSpec)
def test_data_key_pairs_are_key_pairs_of_the_same_names(spec: DataKeyPairSpec) -> None:
    if keyspecs.is_supported(KeySpec(spec.value)):
        assert key_pairs.spec_of(key_pairs.load(key_pairs.generate(spec))) == spec.value
    else:
        with pytest.raises(UnsupportedOperationException, match=f"^Key spec {spec} is not supported.$"):
            key_pairs.generate(spec)


@pytest.mark.parametrize("spec", keyspecs.SYMMETRIC_MATERIAL_BYTES)
def test_a_spec_without_a_public_half_is_no_key_pair(spec: KeySpec) -> None:
    with pytest.raises(ValueError, match="no spec of key pairs"):
        key_pairs.generate(spec)


def test_keys_of_other_kinds_curves_and_sizes_have_no_spec() -> None:
    for key in (generate_rsa(65_537, 2560), generate_ec(SECP224R1()), X25519PrivateKey.generate(), b"key", None):
        assert key_pairs.spec_of(key) is None


def test_loading_a_kind_of_key_that_is_never_made_is_our_own_mistake() -> None:
    foreign = X25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError, match="this service makes"):
        key_pairs.load(Secret(foreign))


def test_a_loaded_key_shows_nothing() -> None:
    for spec in KEY_PAIRS:
        assert re.fullmatch(r"<[A-Za-z._0-9]+ object at 0x[0-9a-f]+>", repr(private_key(spec)))
