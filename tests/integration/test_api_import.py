"""Importing the material of symmetric keys: the whole cycle, and what is refused."""

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from integration import evidence
from integration.api import Api, Reply, SharedKeys, describe, new_key
from integration.api_import import FOR_EVER, OAEP, import_code, import_material, parameters, wrapped
from integration.api_openssl import OpenSSL, needs_openssl

WRAPPINGS = [
    ("RSAES_OAEP_SHA_1", "RSA_2048"),
    ("RSAES_OAEP_SHA_256", "RSA_3072"),
    ("RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"),
    ("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096"),
]
INVALID_STATE, INVALID_TOKEN = "KMSInvalidStateException", "InvalidImportTokenException"


@pytest.fixture
async def key(api: Api) -> Reply:
    return await new_key(api, Origin="EXTERNAL")


@pytest.fixture
def material() -> bytes:
    return os.urandom(32)


async def seal(api: Api, key: str) -> bytes:
    blob: bytes = (await api("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    return blob


async def opens(api: Api, blob: bytes) -> bool:
    return bool((await api("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x")


async def test_a_key_of_external_origin_waits_for_its_material(api: Api, key: Reply) -> None:
    shown = await describe(api, key["KeyId"])
    assert (shown["Origin"], shown["KeyState"], shown["Enabled"]) == ("EXTERNAL", "PendingImport", False)
    assert not shown.keys() & {"CurrentKeyMaterialId", "ExpirationModel", "ValidTo"}
    error = await api.error("Encrypt", KeyId=key["KeyId"], Plaintext=b"x")
    assert (error.code, error.message) == (INVALID_STATE, f"{key['Arn']} is pending import.")


@pytest.mark.parametrize(("algorithm", "wrapping_key"), WRAPPINGS)
async def test_material_is_imported(api: Api, key: Reply, material: bytes, algorithm: str, wrapping_key: str) -> None:
    given = await parameters(api, key["KeyId"], algorithm, wrapping_key)
    assert given.keys() == {"KeyId", "ImportToken", "PublicKey", "ParametersValidTo"}
    assert given["KeyId"] == key["Arn"]
    assert abs(given["ParametersValidTo"] - datetime.now(UTC) - timedelta(days=1)) < timedelta(hours=1)
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == int(wrapping_key[-4:])
    request = await wrapped(api, key["KeyId"], material, algorithm, wrapping_key)
    done = await api("ImportKeyMaterial", **request, **FOR_EVER)
    assert done.pop("KeyId") == key["Arn"]
    shown = await describe(api, key["KeyId"])
    assert shown["CurrentKeyMaterialId"] == done["KeyMaterialId"]
    assert (shown["KeyState"], shown["Enabled"]) == ("Enabled", True)
    assert shown["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert "ValidTo" not in shown
    assert await opens(api, await seal(api, key["KeyId"]))


@needs_openssl
async def test_openssl_wraps_material(api: Api, key: Reply, material: bytes, openssl: OpenSSL) -> None:
    given = await parameters(api, key["KeyId"])
    encrypted = await openssl.encrypt(given["PublicKey"], material, "sha256")
    request = {"ImportToken": given["ImportToken"], "EncryptedKeyMaterial": encrypted, **FOR_EVER}
    await api("ImportKeyMaterial", KeyId=key["KeyId"], **request)
    assert await opens(api, await seal(api, key["KeyId"]))


async def test_deleted_material_comes_back_as_the_same_bytes_alone(api: Api, key: Reply, material: bytes) -> None:
    made = await import_material(api, key["KeyId"], material)
    blob = await seal(api, key["KeyId"])
    deleted = await api("DeleteImportedKeyMaterial", KeyId=key["KeyId"])
    assert deleted == {"KeyId": key["Arn"], "KeyMaterialId": made["KeyMaterialId"]}
    shown = await describe(api, key["KeyId"])
    assert (shown["KeyState"], shown["Enabled"]) == ("PendingImport", False)
    for operation, request in (
        ("Decrypt", {"CiphertextBlob": blob}),
        ("Encrypt", {"KeyId": key["KeyId"], "Plaintext": b"x"}),
    ):
        error = await api.error(operation, **request)
        assert (error.code, error.message) == (INVALID_STATE, f"{key['Arn']} is pending import.")
    assert (await api("DeleteImportedKeyMaterial", KeyId=key["KeyId"]))["KeyId"] == key["Arn"]  # again: no effect
    assert await import_code(api, key["KeyId"], os.urandom(32)) == "IncorrectKeyMaterialException"
    assert await import_material(api, key["KeyId"], material) == made
    assert await opens(api, blob)


async def test_material_that_is_there_takes_no_other_in_its_place(api: Api, key: Reply, material: bytes) -> None:
    await import_material(api, key["KeyId"], material)
    assert await import_code(api, key["KeyId"], os.urandom(32)) == "IncorrectKeyMaterialException"


async def test_importing_again_changes_when_material_expires(api: Api, key: Reply, material: bytes) -> None:
    await import_material(api, key["KeyId"], material)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    await import_material(api, key["KeyId"], material, ValidTo=until, ExpirationModel="KEY_MATERIAL_EXPIRES")
    shown = await describe(api, key["KeyId"])
    assert (shown["ExpirationModel"], shown["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)
    await import_material(api, key["KeyId"], material)
    assert "ValidTo" not in await describe(api, key["KeyId"])


async def test_expired_material_is_gone_until_it_is_imported_again(api: Api, key: Reply, material: bytes) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)
    await import_material(api, key["KeyId"], material, ValidTo=until)
    blob = await seal(api, key["KeyId"])

    async def waits() -> bool:
        return bool((await describe(api, key["KeyId"]))["KeyState"] == "PendingImport")

    assert not await waits()
    await evidence.until(waits, seconds=10)
    assert datetime.now(UTC) >= until - timedelta(seconds=1)  # clocks of one machine, rounded
    assert await api.code("Decrypt", CiphertextBlob=blob) == INVALID_STATE
    await import_material(api, key["KeyId"], material)
    assert await opens(api, blob)


async def test_material_expires_when_it_may(api: Api, key: Reply, material: bytes) -> None:
    request = await wrapped(api, key["KeyId"], material)
    now = datetime.now(UTC)
    for wrong in (
        {},
        {"ExpirationModel": "KEY_MATERIAL_EXPIRES"},
        {**FOR_EVER, "ValidTo": now + timedelta(days=1)},
        {"ValidTo": now - timedelta(days=1)},
        {"ValidTo": now + timedelta(days=366)},
    ):
        assert await api.code("ImportKeyMaterial", **request, **wrong) == "ValidationException", wrong
    await api("ImportKeyMaterial", **request, ValidTo=now + timedelta(days=364))


async def test_a_token_is_for_its_key_and_whole(api: Api, key: Reply, material: bytes) -> None:
    other = await new_key(api, Origin="EXTERNAL")
    request, foreign = [await wrapped(api, one["KeyId"], material) for one in (key, other)]
    token = request["ImportToken"]
    flipped = token[:-1] + bytes([token[-1] ^ 1])
    for wrong in (foreign["ImportToken"], b"x", os.urandom(len(token)), token[:-1], flipped):
        code = await api.code("ImportKeyMaterial", **{**request, "ImportToken": wrong}, **FOR_EVER)
        assert code == INVALID_TOKEN
    await api("ImportKeyMaterial", **request, **FOR_EVER)


async def test_material_is_wrapped_with_the_key_and_algorithm_of_its_token(
    api: Api, key: Reply, material: bytes
) -> None:
    request = await wrapped(api, key["KeyId"], material)
    another_key = await wrapped(api, key["KeyId"], material)
    another_algorithm = await wrapped(api, key["KeyId"], material, "RSAES_OAEP_SHA_1")
    mixed = {**another_algorithm, "ImportToken": request["ImportToken"]}
    for wrong in (b"x", os.urandom(256), another_key["EncryptedKeyMaterial"], mixed["EncryptedKeyMaterial"]):
        error = await api.error("ImportKeyMaterial", **{**request, "EncryptedKeyMaterial": wrong}, **FOR_EVER)
        assert (error.code, error.message) == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("length", [1, 16, 31, 33])
async def test_a_symmetric_key_takes_32_bytes(api: Api, key: Reply, length: int) -> None:
    assert await import_code(api, key["KeyId"], os.urandom(length)) == "IncorrectKeyMaterialException"


async def test_two_keys_of_the_same_bytes_do_not_open_each_others_blobs(api: Api, key: Reply, material: bytes) -> None:
    other = await new_key(api, Origin="EXTERNAL")
    ids = [(await import_material(api, one["KeyId"], material))["KeyMaterialId"] for one in (key, other)]
    assert ids[0] != ids[1]
    blob = await seal(api, key["KeyId"])
    assert await api.code("Decrypt", CiphertextBlob=blob, KeyId=other["KeyId"]) == "IncorrectKeyException"
    theirs = await seal(api, other["KeyId"])
    renamed = blob[:2] + theirs[2:18] + blob[18:]  # as if the other key had made it
    assert await api.code("Decrypt", CiphertextBlob=renamed) == "InvalidCiphertextException"


async def test_a_disabled_key_takes_its_material_and_stays_disabled(api: Api, key: Reply, material: bytes) -> None:
    await import_material(api, key["KeyId"], material)
    await api("DisableKey", KeyId=key["KeyId"])
    await import_material(api, key["KeyId"], material)
    assert (await describe(api, key["KeyId"]))["KeyState"] == "Disabled"


async def test_a_deletion_that_is_cancelled_leaves_a_key_without_material_waiting(api: Api, key: Reply) -> None:
    await api("ScheduleKeyDeletion", KeyId=key["KeyId"])
    await api("CancelKeyDeletion", KeyId=key["KeyId"])
    assert (await describe(api, key["KeyId"]))["KeyState"] == "PendingImport"


async def test_only_keys_of_external_origin_are_imported(api: Api, shared_keys: SharedKeys, key: Reply) -> None:
    own = (await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))["KeyId"]
    wrapping = {"WrappingAlgorithm": OAEP, "WrappingKeySpec": "RSA_2048"}
    content = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x", **FOR_EVER}
    for operation, request in (
        ("GetParametersForImport", wrapping),
        ("ImportKeyMaterial", content),
        ("DeleteImportedKeyMaterial", {}),
    ):
        assert await api.code(operation, KeyId=own, **request) == "UnsupportedOperationException"
        assert await api.code(operation, KeyId=str(uuid4()), **request) == "NotFoundException"
    for unsupported in (
        {"WrappingAlgorithm": "RSAES_PKCS1_V1_5", "WrappingKeySpec": "RSA_2048"},
        {"WrappingAlgorithm": "SM2PKE", "WrappingKeySpec": "SM2"},
    ):
        code = await api.code("GetParametersForImport", KeyId=key["KeyId"], **unsupported)
        assert code == "UnsupportedOperationException"
