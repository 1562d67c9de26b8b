"""Encrypt, Decrypt, ReEncrypt with symmetric keys; with RSA keys it is in `test_api_rsa`."""

import os
from collections.abc import Callable
from uuid import uuid4

import pytest

from integration.api import ACCOUNT_ARN, Api, Reply, SharedKeys, new_key

CONTEXT = {"tenant": "blue", "κλειδί": "ключ", "empty": ""}
INVALID = "InvalidCiphertextException"


@pytest.fixture
async def key(api: Api, shared_keys: SharedKeys) -> Reply:
    return await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")


@pytest.mark.parametrize("length", [1, 4096])
@pytest.mark.parametrize("context", [{}, CONTEXT], ids=["without context", "with context"])
async def test_data_is_encrypted_and_decrypted(api: Api, key: Reply, length: int, context: dict[str, str]) -> None:
    plaintext = os.urandom(length)
    sealed = await api("Encrypt", KeyId=key["KeyId"], Plaintext=plaintext, EncryptionContext=context)
    blob = sealed.pop("CiphertextBlob")
    assert sealed == {"KeyId": key["Arn"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    for more in ({}, {"KeyId": key["Arn"]}, {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}):
        assert await api("Decrypt", CiphertextBlob=blob, EncryptionContext=context, **more) == {
            "KeyId": key["Arn"],
            "Plaintext": plaintext,
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyMaterialId": key["CurrentKeyMaterialId"],
        }


async def test_the_same_plaintext_never_gives_the_same_blob(api: Api, key: Reply) -> None:
    blobs = {(await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"] for _ in range(5)}
    assert len(blobs) == 5


@pytest.mark.parametrize("length", [0, 4097])
async def test_a_plaintext_has_between_1_and_4096_bytes(api: Api, key: Reply, length: int) -> None:
    assert await api.code("Encrypt", KeyId=key["KeyId"], Plaintext=b"x" * length) == "ValidationException"


@pytest.mark.parametrize("length", [0, 6145])
async def test_a_ciphertext_has_between_1_and_6144_bytes(api: Api, length: int) -> None:
    assert await api.code("Decrypt", CiphertextBlob=b"x" * length) == "ValidationException"


async def test_the_order_of_a_context_does_not_matter_and_everything_else_does(api: Api, key: Reply) -> None:
    context = {"tenant": "blue", "order": "17"}
    sealed = await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext=context)
    blob = sealed["CiphertextBlob"]
    same = dict(reversed(context.items()))
    assert (await api("Decrypt", CiphertextBlob=blob, EncryptionContext=same))["Plaintext"] == b"x"
    for other in (
        {},
        {"tenant": "blue"},
        {"tenant": "Blue", "order": "17"},
        {"Tenant": "blue", "order": "17"},
        {"tenant": "17", "order": "blue"},
        {**context, "more": ""},
    ):
        error = await api.error("Decrypt", CiphertextBlob=blob, EncryptionContext=other)
        assert (error.code, error.message) == (INVALID, "")


async def test_every_failure_to_decrypt_looks_alike(api: Api, key: Reply) -> None:
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    flipped = [
        blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in (0, 1, 5, 20, 25, 40, 75, 85, len(blob) - 1)
    ]
    for wrong in (b"x", os.urandom(200), blob[:-1], blob + b"\0", *flipped):
        error = await api.error("Decrypt", CiphertextBlob=wrong)
        assert (error.code, error.message) == (INVALID, "")


async def test_a_blob_knows_its_key_and_no_other_will_do(api: Api, key: Reply) -> None:
    other = (await new_key(api))["KeyId"]
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    assert await api.code("Decrypt", CiphertextBlob=blob, KeyId=other) == "IncorrectKeyException"
    request = {"CiphertextBlob": blob, "DestinationKeyId": key["KeyId"]}
    assert await api.code("ReEncrypt", **request, SourceKeyId=other) == "IncorrectKeyException"
    assert await api.code("Decrypt", CiphertextBlob=blob, KeyId=str(uuid4())) == "NotFoundException"


async def test_a_blob_moves_to_another_key_and_context(api: Api, key: Reply) -> None:
    other = await new_key(api)
    alias = f"alias/{uuid4()}"
    await api("CreateAlias", AliasName=alias, TargetKeyId=other["KeyId"])
    sealed = await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"moving", EncryptionContext=CONTEXT)
    for destination in (other["KeyId"], other["Arn"], alias, f"{ACCOUNT_ARN}{alias}"):
        moved = await api(
            "ReEncrypt",
            CiphertextBlob=sealed["CiphertextBlob"],
            SourceEncryptionContext=CONTEXT,
            SourceKeyId=key["KeyId"],
            DestinationKeyId=destination,
            DestinationEncryptionContext={"to": "there"},
        )
        blob = moved.pop("CiphertextBlob")
        assert moved == {
            "SourceKeyId": key["Arn"],
            "KeyId": other["Arn"],
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyMaterialId": key["CurrentKeyMaterialId"],
            "DestinationKeyMaterialId": other["CurrentKeyMaterialId"],
        }
        opened = await api("Decrypt", CiphertextBlob=blob, EncryptionContext={"to": "there"})
        assert (opened["KeyId"], opened["Plaintext"]) == (other["Arn"], b"moving")
    request = {"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": other["KeyId"]}
    assert await api.code("ReEncrypt", **request, SourceEncryptionContext={}) == INVALID


async def test_a_key_of_another_usage_does_not_encrypt(api: Api, key: Reply, shared_keys: SharedKeys) -> None:
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    for spec, usage in (("HMAC_256", "GENERATE_VERIFY_MAC"), ("RSA_2048", "SIGN_VERIFY")):
        other = await shared_keys.get(api, spec, usage)
        for operation, request in (
            ("Encrypt", {"KeyId": other["KeyId"], "Plaintext": b"x"}),
            ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": other["KeyId"]}),
            ("GenerateDataKey", {"KeyId": other["KeyId"], "KeySpec": "AES_256"}),
        ):
            error = await api.error(operation, **request)
            assert error.code == "InvalidKeyUsageException"
            assert error.message == f"{other['Arn']} key usage is {usage} which is not valid for {operation}."


async def test_what_no_policy_allows_is_denied_and_says_what(
    api: Api, key: Reply, api_of: Callable[[str], Api]
) -> None:
    carol = api_of("carol")
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    for operation, action, request in (
        ("Encrypt", "Encrypt", {"KeyId": key["KeyId"], "Plaintext": b"x"}),
        ("Decrypt", "Decrypt", {"CiphertextBlob": blob}),
        ("ReEncrypt", "ReEncryptFrom", {"CiphertextBlob": blob, "DestinationKeyId": key["KeyId"]}),
        ("DescribeKey", "DescribeKey", {"KeyId": key["KeyId"]}),
    ):
        error = await carol.error(operation, **request)
        assert error.code == "AccessDeniedException"
        denied = f"User: {carol.arn} is not authorized to perform: kms:{action} on resource: {key['Arn']}"
        assert error.message == denied
