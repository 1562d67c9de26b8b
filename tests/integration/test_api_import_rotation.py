"""Rotation of imported keys: further material is imported, waits, and becomes the current one on demand."""

import os

import pytest

from integration.api import Api, Reply, describe, new_key
from integration.api_import import FOR_EVER, import_code, import_material, wrapped

FURTHER = {"ImportType": "NEW_KEY_MATERIAL"}


@pytest.fixture
def materials() -> list[bytes]:
    return [os.urandom(32) for _ in range(3)]


@pytest.fixture
async def key(api: Api, materials: list[bytes]) -> Reply:
    made = await new_key(api, Origin="EXTERNAL")
    await import_material(api, made["KeyId"], materials[0], KeyMaterialDescription="the first")
    return await describe(api, made["KeyId"])


async def history(api: Api, key: Reply) -> list[Reply]:
    """Return all material of a key, the oldest first."""
    listed = await api("ListKeyRotations", KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")
    order = ["NON_CURRENT", "CURRENT", "PENDING_ROTATION"]
    return sorted(listed["Rotations"], key=lambda entry: order.index(entry["KeyMaterialState"]))


async def test_further_material_waits_for_a_rotation(api: Api, key: Reply, materials: list[bytes]) -> None:
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"old"))["CiphertextBlob"]
    second = await import_material(api, key["KeyId"], materials[1], **FURTHER, KeyMaterialDescription="the second")
    assert (await describe(api, key["KeyId"]))["CurrentKeyMaterialId"] == key["CurrentKeyMaterialId"]
    common = {"KeyId": key["KeyId"], "ImportState": "IMPORTED", **FOR_EVER}
    first_entry, second_entry = await history(api, key)
    assert first_entry == {
        **common,
        "KeyMaterialId": key["CurrentKeyMaterialId"],
        "KeyMaterialState": "CURRENT",
        "KeyMaterialDescription": "the first",
    }
    assert second_entry == {
        **common,
        "KeyMaterialId": second["KeyMaterialId"],
        "KeyMaterialState": "PENDING_ROTATION",
        "KeyMaterialDescription": "the second",
    }
    await api("RotateKeyOnDemand", KeyId=key["KeyId"])
    assert (await describe(api, key["KeyId"]))["CurrentKeyMaterialId"] == second["KeyMaterialId"]
    assert [entry["KeyMaterialState"] for entry in await history(api, key)] == ["NON_CURRENT", "CURRENT"]
    (rotation,) = (await api("ListKeyRotations", KeyId=key["KeyId"]))["Rotations"]
    assert (rotation["KeyMaterialId"], rotation["RotationType"]) == (second["KeyMaterialId"], "ON_DEMAND")
    opened = await api("Decrypt", CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", key["CurrentKeyMaterialId"])
    made = await api("GenerateDataKey", KeyId=key["KeyId"], KeySpec="AES_256")
    assert made["KeyMaterialId"] == second["KeyMaterialId"]


async def test_nothing_rotates_without_material_that_waits(api: Api, key: Reply) -> None:
    assert await api.code("RotateKeyOnDemand", KeyId=key["KeyId"]) == "KMSInvalidStateException"


async def test_one_material_waits_at_a_time(api: Api, key: Reply, materials: list[bytes]) -> None:
    await import_material(api, key["KeyId"], materials[1], **FURTHER)
    assert await import_code(api, key["KeyId"], materials[2], **FURTHER) == "KMSInvalidStateException"


async def test_further_material_is_further(api: Api, key: Reply, materials: list[bytes]) -> None:
    assert await import_code(api, key["KeyId"], materials[0], **FURTHER) == "IncorrectKeyMaterialException"
    existing = {"ImportType": "EXISTING_KEY_MATERIAL"}
    assert await import_code(api, key["KeyId"], materials[1], **existing) == "IncorrectKeyMaterialException"


async def test_a_key_needs_all_its_material(api: Api, key: Reply, materials: list[bytes]) -> None:
    old = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"old"))["CiphertextBlob"]
    await import_material(api, key["KeyId"], materials[1], **FURTHER)
    await api("RotateKeyOnDemand", KeyId=key["KeyId"])
    new = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"new"))["CiphertextBlob"]
    first = key["CurrentKeyMaterialId"]
    deleted = await api("DeleteImportedKeyMaterial", KeyId=key["KeyId"], KeyMaterialId=first)
    assert deleted == {"KeyId": key["Arn"], "KeyMaterialId": first}
    assert (await describe(api, key["KeyId"]))["KeyState"] == "PendingImport"
    assert [entry["ImportState"] for entry in await history(api, key)] == ["PENDING_IMPORT", "IMPORTED"]
    for blob in (old, new):
        assert await api.code("Decrypt", CiphertextBlob=blob) == "KMSInvalidStateException"
    wrong = {"KeyMaterialId": "0" * 64}
    assert await import_code(api, key["KeyId"], materials[0], **wrong) == "IncorrectKeyMaterialException"
    await import_material(api, key["KeyId"], materials[0], KeyMaterialId=first)
    assert (await describe(api, key["KeyId"]))["KeyState"] == "Enabled"
    for blob, plaintext in ((old, b"old"), (new, b"new")):
        assert (await api("Decrypt", CiphertextBlob=blob))["Plaintext"] == plaintext


async def test_a_description_stays_until_another_is_given(api: Api, key: Reply, materials: list[bytes]) -> None:
    for more, description in (({}, "the first"), ({"KeyMaterialDescription": "renamed"}, "renamed"), ({}, "renamed")):
        await import_material(api, key["KeyId"], materials[0], **more)
        (entry,) = await history(api, key)
        assert entry["KeyMaterialDescription"] == description


async def test_what_only_waits_may_go_and_the_key_stays_enabled(api: Api, key: Reply, materials: list[bytes]) -> None:
    second = await import_material(api, key["KeyId"], materials[1], **FURTHER)
    await api("DeleteImportedKeyMaterial", KeyId=key["KeyId"], KeyMaterialId=second["KeyMaterialId"])
    assert (await describe(api, key["KeyId"]))["KeyState"] == "Enabled"
    assert await api.code("RotateKeyOnDemand", KeyId=key["KeyId"]) == "KMSInvalidStateException"


async def test_an_unknown_material_is_not_found(api: Api, key: Reply) -> None:
    request = {"KeyId": key["KeyId"], "KeyMaterialId": "0" * 64}
    assert await api.code("DeleteImportedKeyMaterial", **request) == "NotFoundException"


async def test_new_material_has_no_id_yet(api: Api, key: Reply, materials: list[bytes]) -> None:
    request = await wrapped(api, key["KeyId"], materials[1])
    code = await api.code("ImportKeyMaterial", **request, **FOR_EVER, **FURTHER, KeyMaterialId="0" * 64)
    assert code == "ValidationException"


async def test_the_material_of_hmac_keys_never_changes(api: Api, materials: list[bytes]) -> None:
    made = await new_key(api, Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    await import_material(api, made["KeyId"], materials[0])
    assert await import_code(api, made["KeyId"], materials[1], **FURTHER) == "IncorrectKeyMaterialException"
    await import_material(api, made["KeyId"], materials[0])
