"""Data keys, data key pairs, random bytes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from integration.api import Api, Reply, SharedKeys, new_key

CONTEXT = {"tenant": "blue"}
PAIRS = {
    "RSA_2048": RSAPrivateKey,
    "RSA_3072": RSAPrivateKey,
    "RSA_4096": RSAPrivateKey,
    "ECC_NIST_P256": EllipticCurvePrivateKey,
    "ECC_NIST_P384": EllipticCurvePrivateKey,
    "ECC_NIST_P521": EllipticCurvePrivateKey,
    "ECC_SECG_P256K1": EllipticCurvePrivateKey,
    "ECC_NIST_EDWARDS25519": Ed25519PrivateKey,
    "ML_KEM_768": MLKEM768PrivateKey,
    "ML_KEM_1024": MLKEM1024PrivateKey,
}
CURVES = {
    "ECC_NIST_P256": "secp256r1",
    "ECC_NIST_P384": "secp384r1",
    "ECC_NIST_P521": "secp521r1",
    "ECC_SECG_P256K1": "secp256k1",
}


@pytest.fixture
async def key(api: Api, shared_keys: SharedKeys) -> Reply:
    return await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")


@pytest.mark.parametrize(
    ("request_", "length"),
    [
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"NumberOfBytes": 1}, 1),
        ({"NumberOfBytes": 1024}, 1024),
    ],
    ids=str,
)
@pytest.mark.parametrize("context", [{}, CONTEXT], ids=["without context", "with context"])
async def test_a_data_key_comes_in_plaintext_and_wrapped(
    api: Api, key: Reply, request_: dict[str, object], length: int, context: dict[str, str]
) -> None:
    common = {"KeyId": key["KeyId"], "EncryptionContext": context, **request_}
    made = await api("GenerateDataKey", **common)
    blob, plaintext = made.pop("CiphertextBlob"), made.pop("Plaintext")
    assert len(plaintext) == length
    assert made == {"KeyId": key["Arn"], "KeyMaterialId": key["CurrentKeyMaterialId"]}
    assert (await api("Decrypt", CiphertextBlob=blob, EncryptionContext=context))["Plaintext"] == plaintext
    hidden = await api("GenerateDataKeyWithoutPlaintext", **common)
    blob = hidden.pop("CiphertextBlob")
    assert hidden == {"KeyId": key["Arn"], "KeyMaterialId": key["CurrentKeyMaterialId"]}
    assert len((await api("Decrypt", CiphertextBlob=blob, EncryptionContext=context))["Plaintext"]) == length


async def test_a_data_keys_length_is_said_once(api: Api, key: Reply) -> None:
    for operation in ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"):
        for wrong in (
            {},
            {"KeySpec": "AES_256", "NumberOfBytes": 32},
            {"NumberOfBytes": 0},
            {"NumberOfBytes": 1025},
            {"KeySpec": "AES_192"},
        ):
            assert await api.code(operation, KeyId=key["KeyId"], **wrong) == "ValidationException"


@pytest.mark.parametrize("spec", PAIRS)
async def test_a_data_key_pair_loads_as_pkcs8_and_subject_public_key_info(api: Api, key: Reply, spec: str) -> None:
    made = await api("GenerateDataKeyPair", KeyId=key["KeyId"], KeyPairSpec=spec, EncryptionContext=CONTEXT)
    blob, plaintext, public = (
        made.pop(name) for name in ("PrivateKeyCiphertextBlob", "PrivateKeyPlaintext", "PublicKey")
    )
    assert made == {"KeyId": key["Arn"], "KeyPairSpec": spec, "KeyMaterialId": key["CurrentKeyMaterialId"]}
    private = load_der_private_key(plaintext, None)
    assert isinstance(private, PAIRS[spec])
    assert private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    if isinstance(private, RSAPrivateKey):
        assert private.key_size == int(spec[-4:])
    if isinstance(private, EllipticCurvePrivateKey):
        assert private.curve.name == CURVES[spec]
    assert (await api("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT))["Plaintext"] == plaintext
    assert await api.code("Decrypt", CiphertextBlob=blob) == "InvalidCiphertextException"


@pytest.mark.parametrize("spec", sorted(PAIRS.keys() - {"RSA_3072", "RSA_4096"}))  # which take their time
async def test_a_data_key_pair_without_plaintext_is_decrypted_later(api: Api, key: Reply, spec: str) -> None:
    made = await api("GenerateDataKeyPairWithoutPlaintext", KeyId=key["Arn"], KeyPairSpec=spec)
    blob, public = made.pop("PrivateKeyCiphertextBlob"), made.pop("PublicKey")
    assert made == {"KeyId": key["Arn"], "KeyPairSpec": spec, "KeyMaterialId": key["CurrentKeyMaterialId"]}
    private = load_der_private_key((await api("Decrypt", CiphertextBlob=blob))["Plaintext"], None)
    assert isinstance(private, PAIRS[spec])
    assert private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public


@pytest.mark.parametrize("operation", ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"])
async def test_data_key_pairs_want_a_symmetric_key_and_a_spec_that_is_there(
    api: Api, key: Reply, shared_keys: SharedKeys, operation: str
) -> None:
    for spec, usage in (("RSA_2048", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")):
        other = await shared_keys.get(api, spec, usage)
        request = {"KeyId": other["KeyId"], "KeyPairSpec": "ECC_NIST_P256"}
        assert await api.code(operation, **request) == "InvalidKeyUsageException"
    for unknown in ("SM2", "ML_KEM_512"):
        code = await api.code(operation, KeyId=key["KeyId"], KeyPairSpec=unknown)
        assert code == "UnsupportedOperationException"


async def test_data_keys_are_made_under_the_material_that_is_current(api: Api) -> None:
    made = await new_key(api)
    await api("RotateKeyOnDemand", KeyId=made["KeyId"])
    for operation, request in (
        ("GenerateDataKey", {"KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {"KeySpec": "AES_256"}),
        ("GenerateDataKeyPair", {"KeyPairSpec": "ECC_NIST_P256"}),
        ("GenerateDataKeyPairWithoutPlaintext", {"KeyPairSpec": "ECC_NIST_P256"}),
    ):
        reply = await api(operation, KeyId=made["KeyId"], **request)
        assert reply["KeyMaterialId"] not in {made["CurrentKeyMaterialId"], None}


@pytest.mark.parametrize("length", [1, 32, 1024])
async def test_random_bytes_come_in_the_length_asked_for(api: Api, length: int) -> None:
    reply = await api("GenerateRandom", NumberOfBytes=length)
    assert reply.keys() == {"Plaintext"}
    assert len(reply["Plaintext"]) == length


async def test_random_bytes_differ_and_have_a_limit(api: Api) -> None:
    assert len({(await api("GenerateRandom", NumberOfBytes=32))["Plaintext"] for _ in range(5)}) == 5
    for wrong in ({"NumberOfBytes": 0}, {"NumberOfBytes": 1025}, {}):
        assert await api.code("GenerateRandom", **wrong) == "ValidationException"
    request = {"NumberOfBytes": 32, "CustomKeyStoreId": "cks-1234567890abcdef0"}
    assert await api.code("GenerateRandom", **request) == "UnsupportedOperationException"
