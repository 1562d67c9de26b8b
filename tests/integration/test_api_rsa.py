"""RSA-OAEP: what others encrypt opens inside; what is encrypted inside opens outside is in `test_api_import`."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from integration.api import Api, Reply, SharedKeys, new_key
from integration.api_openssl import OpenSSL, needs_openssl

BITS = (2048, 3072, 4096)
HASHES = {"RSAES_OAEP_SHA_1": SHA1(), "RSAES_OAEP_SHA_256": SHA256()}  # noqa: S303  the API's own
ROOM = {
    "RSAES_OAEP_SHA_1": {2048: 214, 3072: 342, 4096: 470},
    "RSAES_OAEP_SHA_256": {2048: 190, 3072: 318, 4096: 446},
}
INVALID = "InvalidCiphertextException"


async def rsa_key(api: Api, shared_keys: SharedKeys, bits: int) -> Reply:
    return await shared_keys.get(api, f"RSA_{bits}", "ENCRYPT_DECRYPT")


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("algorithm", HASHES)
async def test_a_plaintext_may_fill_the_modulus_and_no_more(
    api: Api, shared_keys: SharedKeys, bits: int, algorithm: str
) -> None:
    key = await rsa_key(api, shared_keys, bits)
    common = {"KeyId": key["KeyId"], "EncryptionAlgorithm": algorithm}
    for length in (1, ROOM[algorithm][bits]):
        plaintext = os.urandom(length)
        sealed = await api("Encrypt", **common, Plaintext=plaintext)
        blob = sealed.pop("CiphertextBlob")
        assert len(blob) == bits // 8
        assert sealed == {"KeyId": key["Arn"], "EncryptionAlgorithm": algorithm}
        opened = await api("Decrypt", **common, CiphertextBlob=blob)
        assert opened == {"KeyId": key["Arn"], "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}
    too_long = os.urandom(ROOM[algorithm][bits] + 1)
    assert await api.code("Encrypt", **common, Plaintext=too_long) == "ValidationException"


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("algorithm", HASHES)
async def test_what_others_encrypt_opens(api: Api, shared_keys: SharedKeys, bits: int, algorithm: str) -> None:
    key = await rsa_key(api, shared_keys, bits)
    public_key = load_der_public_key((await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"])
    assert isinstance(public_key, RSAPublicKey)
    hashed = HASHES[algorithm]
    blob = public_key.encrypt(b"from outside", OAEP(MGF1(hashed), hashed, None))
    opened = await api("Decrypt", KeyId=key["KeyId"], CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"from outside"


@needs_openssl
@pytest.mark.parametrize(("algorithm", "digest"), [("RSAES_OAEP_SHA_1", "sha1"), ("RSAES_OAEP_SHA_256", "sha256")])
async def test_what_openssl_encrypts_opens(
    api: Api, shared_keys: SharedKeys, openssl: OpenSSL, algorithm: str, digest: str
) -> None:
    key = await rsa_key(api, shared_keys, 2048)
    public_key = (await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"]
    blob = await openssl.encrypt(public_key, b"from openssl", digest)
    opened = await api("Decrypt", KeyId=key["KeyId"], CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"from openssl"


async def test_a_ciphertext_that_does_not_open_is_invalid_and_says_nothing(api: Api, shared_keys: SharedKeys) -> None:
    key = await rsa_key(api, shared_keys, 2048)
    common = {"KeyId": key["KeyId"], "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    blob = (await api("Encrypt", **common, Plaintext=b"x"))["CiphertextBlob"]
    larger = await rsa_key(api, shared_keys, 3072)
    other = {"KeyId": larger["KeyId"], "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    foreign = (await api("Encrypt", **other, Plaintext=b"x"))["CiphertextBlob"]
    for wrong in (b"x", blob[:-1], blob + b"\0", blob[:-1] + bytes([blob[-1] ^ 1]), bytes(256), b"\xff" * 256, foreign):
        error = await api.error("Decrypt", **common, CiphertextBlob=wrong)
        assert (error.code, error.message) == (INVALID, "")
    error = await api.error("Decrypt", **{**common, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}, CiphertextBlob=blob)
    assert (error.code, error.message) == (INVALID, "")


async def test_key_and_algorithm_must_be_named(api: Api, shared_keys: SharedKeys) -> None:
    key = await rsa_key(api, shared_keys, 2048)
    assert await api.code("Encrypt", KeyId=key["KeyId"], Plaintext=b"x") == "InvalidKeyUsageException"
    sealed = await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    blob = sealed["CiphertextBlob"]
    request = {"CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    assert await api.code("Decrypt", **request) == "ValidationException"
    assert await api.code("Decrypt", CiphertextBlob=blob, KeyId=key["KeyId"]) == INVALID


async def test_a_key_has_the_algorithms_of_its_spec_alone(api: Api, shared_keys: SharedKeys) -> None:
    symmetric = await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    request = {"KeyId": symmetric["KeyId"], "Plaintext": b"x", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    assert await api.code("Encrypt", **request) == "InvalidKeyUsageException"
    rsa = await rsa_key(api, shared_keys, 2048)
    request = {"KeyId": rsa["KeyId"], "Plaintext": b"x", "EncryptionAlgorithm": "SM2PKE"}
    assert await api.code("Encrypt", **request) == "UnsupportedOperationException"
    request = {"KeyId": rsa["KeyId"], "KeySpec": "AES_256"}
    assert await api.code("GenerateDataKey", **request) == "InvalidKeyUsageException"


async def test_a_key_for_signatures_does_not_encrypt(api: Api, shared_keys: SharedKeys) -> None:
    key = await shared_keys.get(api, "RSA_2048", "SIGN_VERIFY")
    request = {"KeyId": key["KeyId"], "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    for operation, more in (("Encrypt", {"Plaintext": b"x"}), ("Decrypt", {"CiphertextBlob": b"x"})):
        error = await api.error(operation, **request, **more)
        assert error.code == "InvalidKeyUsageException"
        assert error.message == f"{key['Arn']} key usage is SIGN_VERIFY which is not valid for {operation}."


async def test_an_encryption_context_is_for_symmetric_keys_alone(api: Api, shared_keys: SharedKeys) -> None:
    key = await rsa_key(api, shared_keys, 2048)
    request = {"KeyId": key["KeyId"], "EncryptionAlgorithm": "RSAES_OAEP_SHA_256", "EncryptionContext": {"a": "b"}}
    assert await api.code("Encrypt", **request, Plaintext=b"x") == "ValidationException"
    assert await api.code("Decrypt", **request, CiphertextBlob=b"x") == "ValidationException"


async def test_data_moves_between_rsa_and_symmetric_keys(api: Api, shared_keys: SharedKeys) -> None:
    rsa, symmetric = await rsa_key(api, shared_keys, 2048), await new_key(api)
    oaep = "RSAES_OAEP_SHA_256"
    blob = (await api("Encrypt", KeyId=symmetric["KeyId"], Plaintext=b"moving"))["CiphertextBlob"]
    outwards = await api(
        "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=rsa["KeyId"], DestinationEncryptionAlgorithm=oaep
    )
    blob = outwards.pop("CiphertextBlob")
    assert outwards == {
        "SourceKeyId": symmetric["Arn"],
        "KeyId": rsa["Arn"],
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": oaep,
        "SourceKeyMaterialId": symmetric["CurrentKeyMaterialId"],
    }
    source = {"CiphertextBlob": blob, "SourceKeyId": rsa["KeyId"], "SourceEncryptionAlgorithm": oaep}
    back = await api("ReEncrypt", **source, DestinationKeyId=symmetric["KeyId"])
    assert (await api("Decrypt", CiphertextBlob=back["CiphertextBlob"]))["Plaintext"] == b"moving"
    assert back["DestinationKeyMaterialId"] == symmetric["CurrentKeyMaterialId"]
    assert "SourceKeyMaterialId" not in back
    del source["SourceKeyId"]
    assert await api.code("ReEncrypt", **source, DestinationKeyId=symmetric["KeyId"]) == "ValidationException"
