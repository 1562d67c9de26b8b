"""DeriveSharedSecret, Encapsulate, Decapsulate, against keys that are outside."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey, MLKEM1024PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from integration.api import Api, Reply, SharedKeys, new_key

CURVES: dict[str, EllipticCurve] = {"P256": SECP256R1(), "P384": SECP384R1(), "P521": SECP521R1()}
CIPHERTEXT_BYTES = {768: 1088, 1024: 1568}  # FIPS 203, table 3


def public_half(key: EllipticCurvePrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def ecdh_key(api: Api, shared_keys: SharedKeys, curve: str) -> Reply:
    return await shared_keys.get(api, f"ECC_NIST_{curve}", "KEY_AGREEMENT")


@pytest.mark.parametrize("curve", CURVES)
async def test_a_key_agrees_with_one_outside(api: Api, shared_keys: SharedKeys, curve: str) -> None:
    key, mine = await ecdh_key(api, shared_keys, curve), generate_private_key(CURVES[curve])
    request = {"KeyId": key["KeyId"], "KeyAgreementAlgorithm": "ECDH"}
    derived = await api("DeriveSharedSecret", **request, PublicKey=public_half(mine))
    its = load_der_public_key((await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"])
    assert isinstance(its, EllipticCurvePublicKey)
    assert derived == {
        "KeyId": key["Arn"],
        "SharedSecret": mine.exchange(ECDH(), its),
        "KeyAgreementAlgorithm": "ECDH",
        "KeyOrigin": "AWS_KMS",
    }


@pytest.mark.parametrize("curve", CURVES)
async def test_two_keys_agree_with_each_other(api: Api, shared_keys: SharedKeys, curve: str) -> None:
    keys = [
        (await ecdh_key(api, shared_keys, curve))["KeyId"],
        (await new_key(api, KeySpec=f"ECC_NIST_{curve}", KeyUsage="KEY_AGREEMENT"))["KeyId"],
    ]
    publics = [(await api("GetPublicKey", KeyId=key))["PublicKey"] for key in keys]
    secrets = {
        (await api("DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public))["SharedSecret"]
        for key, public in zip(keys, reversed(publics), strict=True)
    }
    assert len(secrets) == 1


async def test_a_public_key_that_does_not_fit_is_refused(api: Api, shared_keys: SharedKeys) -> None:
    key = await ecdh_key(api, shared_keys, "P256")
    good = public_half(generate_private_key(SECP256R1()))
    off_the_curve = good[:-1] + bytes([good[-1] ^ 1])
    other_curves = [public_half(generate_private_key(curve)) for curve in (SECP384R1(), SECP256K1())]
    no_curve = public_half(X25519PrivateKey.generate())
    request = {"KeyId": key["KeyId"], "KeyAgreementAlgorithm": "ECDH"}
    for wrong in (b"x", good[:-1], off_the_curve, *other_curves, no_curve):
        assert await api.code("DeriveSharedSecret", **request, PublicKey=wrong) == "ValidationException"


@pytest.mark.parametrize("size", CIPHERTEXT_BYTES)
async def test_a_secret_encapsulated_outside_opens_inside(api: Api, shared_keys: SharedKeys, size: int) -> None:
    key = await shared_keys.get(api, f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE")
    public = load_der_public_key((await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"])
    assert isinstance(public, MLKEM768PublicKey | MLKEM1024PublicKey)
    secret, ciphertext = public.encapsulate()
    opened = await api(
        "Decapsulate", KeyId=key["KeyId"], EncapsulationAlgorithm="ML_KEM", SharedSecretCiphertextBlob=ciphertext
    )
    assert opened == {"KeyId": key["Arn"], "SharedSecret": secret, "EncapsulationAlgorithm": "ML_KEM"}


@pytest.mark.parametrize("size", CIPHERTEXT_BYTES)
async def test_a_secret_encapsulated_inside_opens_inside(api: Api, shared_keys: SharedKeys, size: int) -> None:
    key = await shared_keys.get(api, f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE")
    common = {"KeyId": key["KeyId"], "EncapsulationAlgorithm": "ML_KEM"}
    made = await api("Encapsulate", **common)
    secret, ciphertext = made.pop("SharedSecret"), made.pop("SharedSecretCiphertextBlob")
    assert made == {"KeyId": key["Arn"], "EncapsulationAlgorithm": "ML_KEM"}
    assert (len(secret), len(ciphertext)) == (32, CIPHERTEXT_BYTES[size])
    assert (await api("Decapsulate", **common, SharedSecretCiphertextBlob=ciphertext))["SharedSecret"] == secret
    assert (await api("Encapsulate", **common))["SharedSecret"] != secret


@pytest.mark.parametrize("size", CIPHERTEXT_BYTES)
async def test_a_ciphertext_of_the_wrong_length_is_invalid_and_any_other_gives_a_secret(
    api: Api, shared_keys: SharedKeys, size: int
) -> None:
    key = await shared_keys.get(api, f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE")
    common = {"KeyId": key["KeyId"], "EncapsulationAlgorithm": "ML_KEM"}
    made = await api("Encapsulate", **common)
    ciphertext = made["SharedSecretCiphertextBlob"]
    for wrong in (b"x", ciphertext[:-1], ciphertext + b"\0"):
        error = await api.error("Decapsulate", **common, SharedSecretCiphertextBlob=wrong)
        assert (error.code, error.message) == ("InvalidCiphertextException", "")
    for other in (os.urandom(len(ciphertext)), bytes([ciphertext[0] ^ 1]) + ciphertext[1:]):
        opened = await api("Decapsulate", **common, SharedSecretCiphertextBlob=other)
        assert len(opened["SharedSecret"]) == 32
        assert opened["SharedSecret"] != made["SharedSecret"]
        assert await api("Decapsulate", **common, SharedSecretCiphertextBlob=other) == opened


async def test_a_key_of_another_usage_is_refused(api: Api, shared_keys: SharedKeys) -> None:
    public = public_half(generate_private_key(SECP256R1()))
    for operation, spec, usage, request in (
        ("DeriveSharedSecret", "ECC_NIST_P256", "SIGN_VERIFY", {"KeyAgreementAlgorithm": "ECDH", "PublicKey": public}),
        ("Encapsulate", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", {"EncapsulationAlgorithm": "ML_KEM"}),
        (
            "Decapsulate",
            "RSA_2048",
            "ENCRYPT_DECRYPT",
            {"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": bytes(1088)},
        ),
    ):
        key = await shared_keys.get(api, spec, usage)
        error = await api.error(operation, KeyId=key["KeyId"], **request)
        assert error.code == "InvalidKeyUsageException"
        assert error.message == f"{key['Arn']} key usage is {usage} which is not valid for {operation}."
