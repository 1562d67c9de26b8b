"""The table of specs, usages and algorithms, held against the API reference, its examples and the contract."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from botocore.loaders import Loader

from kmsq_schemas.models.enums import (
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    SigningAlgorithm,
)
from kmsq_worker import keyspecs
from kmsq_worker.keyspecs import Algorithms

EXAMPLES: dict[str, list[dict[str, Any]]] = Loader().load_data("kms/2014-11-01/examples-1")["examples"]
OAEP = "RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256"
RSASSA = (
    "RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512"
    " RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512"
)
TABLE = {
    "SYMMETRIC_DEFAULT": {"ENCRYPT_DECRYPT": "SYMMETRIC_DEFAULT"},
    "RSA_2048": {"ENCRYPT_DECRYPT": OAEP, "SIGN_VERIFY": RSASSA},
    "RSA_3072": {"ENCRYPT_DECRYPT": OAEP, "SIGN_VERIFY": RSASSA},
    "RSA_4096": {"ENCRYPT_DECRYPT": OAEP, "SIGN_VERIFY": RSASSA},
    "ECC_NIST_P256": {"SIGN_VERIFY": "ECDSA_SHA_256", "KEY_AGREEMENT": "ECDH"},
    "ECC_NIST_P384": {"SIGN_VERIFY": "ECDSA_SHA_384", "KEY_AGREEMENT": "ECDH"},
    "ECC_NIST_P521": {"SIGN_VERIFY": "ECDSA_SHA_512", "KEY_AGREEMENT": "ECDH"},
    "ECC_SECG_P256K1": {"SIGN_VERIFY": "ECDSA_SHA_256"},
    "ECC_NIST_EDWARDS25519": {"SIGN_VERIFY": "ED25519_SHA_512 ED25519_PH_SHA_512"},
    "ML_DSA_44": {"SIGN_VERIFY": "ML_DSA_SHAKE_256"},
    "ML_DSA_65": {"SIGN_VERIFY": "ML_DSA_SHAKE_256"},
    "ML_DSA_87": {"SIGN_VERIFY": "ML_DSA_SHAKE_256"},
    "ML_KEM_512": {"ENCAPSULATE_DECAPSULATE": "ML_KEM"},
    "ML_KEM_768": {"ENCAPSULATE_DECAPSULATE": "ML_KEM"},
    "ML_KEM_1024": {"ENCAPSULATE_DECAPSULATE": "ML_KEM"},
    "HMAC_224": {"GENERATE_VERIFY_MAC": "HMAC_SHA_224"},
    "HMAC_256": {"GENERATE_VERIFY_MAC": "HMAC_SHA_256"},
    "HMAC_384": {"GENERATE_VERIFY_MAC": "HMAC_SHA_384"},
    "HMAC_512": {"GENERATE_VERIFY_MAC": "HMAC_SHA_512"},
    "SM2": {"ENCRYPT_DECRYPT": "SM2PKE", "SIGN_VERIFY": "SM2DSA", "KEY_AGREEMENT": "ECDH"},
}
FIELD_OF_USAGE = {
    KeyUsage.ENCRYPT_DECRYPT: "encryption",
    KeyUsage.SIGN_VERIFY: "signing",
    KeyUsage.KEY_AGREEMENT: "key_agreement",
    KeyUsage.ENCAPSULATE_DECAPSULATE: "encapsulation",
    KeyUsage.GENERATE_VERIFY_MAC: "mac",
}
FIELD_OF_REPLY = {"EncryptionAlgorithms": "encryption", "SigningAlgorithms": "signing", "MacAlgorithms": "mac"}


@pytest.mark.parametrize("spec", KeySpec)
def test_every_spec_has_the_usages_and_algorithms_of_the_api(spec: KeySpec) -> None:
    assert {usage: " ".join(keyspecs.algorithms(spec, usage).all()) for usage in keyspecs.usages(spec)} == TABLE[spec]


@pytest.mark.parametrize("spec", KeySpec)
@pytest.mark.parametrize("usage", KeyUsage)
def test_a_usage_fills_the_one_field_that_belongs_to_it(spec: KeySpec, usage: KeyUsage) -> None:
    algorithms = keyspecs.algorithms(spec, usage)
    filled = [field.name for field in fields(Algorithms) if getattr(algorithms, field.name)]
    assert filled == ([FIELD_OF_USAGE[usage]] if usage in keyspecs.usages(spec) else [])


def test_every_algorithm_of_the_contract_belongs_to_some_spec() -> None:
    used = {a for spec in KeySpec for usage in KeyUsage for a in keyspecs.algorithms(spec, usage).all()}
    assert used == {
        *EncryptionAlgorithm,
        *SigningAlgorithm,
        *KeyAgreementAlgorithm,
        *EncapsulationAlgorithm,
        *MacAlgorithm,
    }


def examples() -> Iterator[tuple[KeySpec, KeyUsage, str, list[str]]]:
    """Yield what the API reference's examples of KeyMetadata say, in their order."""
    for example in [example for several in EXAMPLES.values() for example in several]:
        metadata = example.get("output", {}).get("KeyMetadata", {})
        for name, field in FIELD_OF_REPLY.items():
            if name in metadata and "KeySpec" in metadata:
                yield KeySpec(metadata["KeySpec"]), KeyUsage(metadata["KeyUsage"]), field, metadata[name]


def test_algorithms_come_in_the_order_of_the_apis_examples() -> None:
    seen = set()
    for spec, usage, field, names in examples():
        assert list(getattr(keyspecs.algorithms(spec, usage), field)) == names
        seen.add(spec)
    assert seen >= {KeySpec.SYMMETRIC_DEFAULT, KeySpec.RSA_2048, KeySpec.RSA_4096, KeySpec.HMAC_384}


def test_a_spec_is_a_key_pair_or_has_material_of_one_length() -> None:
    symmetric = {spec for spec in KeySpec if not keyspecs.is_asymmetric(spec)}
    assert {spec.value: keyspecs.SYMMETRIC_MATERIAL_BYTES[spec] for spec in symmetric} == {
        "SYMMETRIC_DEFAULT": 32,
        "HMAC_224": 28,
        "HMAC_256": 32,
        "HMAC_384": 48,
        "HMAC_512": 64,
    }


def test_two_specs_are_listed_and_not_supported() -> None:
    assert {spec.value for spec in KeySpec if not keyspecs.is_supported(spec)} == {"SM2", "ML_KEM_512"}
