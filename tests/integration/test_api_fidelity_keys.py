"""What AWS KMS answers about keys that change, to the letter: deletion, rotation, import, and what changes nothing."""

from uuid import uuid4

import pytest

from integration.api import Api, Reply, SharedKeys, describe, new_key
from integration.api_import import FOR_EVER, OAEP, import_code, import_material

INVALID, INVALID_STATE = "ValidationException", "KMSInvalidStateException"
UNSUPPORTED, INCORRECT = "UnsupportedOperationException", "IncorrectKeyMaterialException"


@pytest.fixture
async def key(api: Api, shared_keys: SharedKeys) -> Reply:
    return await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")


async def refusal(api: Api, operation: str, /, **request: object) -> tuple[str, str]:
    error = await api.error(operation, **request)
    return error.code, error.message


async def test_a_key_pending_deletion_shows_the_date_and_no_number_of_days(api: Api) -> None:
    made = await new_key(api)
    scheduled = await api("ScheduleKeyDeletion", KeyId=made["KeyId"], PendingWindowInDays=7)
    shown = await describe(api, made["KeyId"])
    changed = {"KeyState": "PendingDeletion", "Enabled": False, "DeletionDate": scheduled["DeletionDate"]}
    assert shown == {**made, **changed}


async def test_a_deletion_that_is_not_pending_is_not_cancelled(api: Api) -> None:
    enabled, waiting = await new_key(api), await new_key(api, Origin="EXTERNAL")
    disabled = await new_key(api)
    await api("DisableKey", KeyId=disabled["KeyId"])
    for key in (enabled, disabled, waiting):
        expected = (INVALID_STATE, f"{key['Arn']} is not pending deletion.")
        assert await refusal(api, "CancelKeyDeletion", KeyId=key["KeyId"]) == expected


async def test_an_alias_stays_with_a_key_that_is_pending_deletion(api: Api, key: Reply) -> None:
    made, alias = await new_key(api), f"alias/{uuid4()}"
    await api("CreateAlias", AliasName=alias, TargetKeyId=made["KeyId"])
    await api("ScheduleKeyDeletion", KeyId=made["KeyId"])
    assert (await describe(api, alias))["KeyState"] == "PendingDeletion"
    pending = (INVALID_STATE, f"{made['Arn']} is pending deletion.")
    assert await refusal(api, "Encrypt", KeyId=alias, Plaintext=b"x") == pending
    assert len((await api("ListAliases", KeyId=made["KeyId"]))["Aliases"]) == 1
    await api("UpdateAlias", AliasName=alias, TargetKeyId=key["KeyId"])
    assert await refusal(api, "UpdateAlias", AliasName=alias, TargetKeyId=made["KeyId"]) == pending
    await api("DeleteAlias", AliasName=alias)


async def test_rotation_tells_the_state_of_a_key_before_its_kind(api: Api) -> None:
    made = await new_key(api, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    changing, looking = ("RotateKeyOnDemand", "EnableKeyRotation", "DisableKeyRotation"), "GetKeyRotationStatus"
    for operation in (*changing, looking, "ListKeyRotations"):
        assert await api.code(operation, KeyId=made["KeyId"]) == UNSUPPORTED
    await api("DisableKey", KeyId=made["KeyId"])
    for operation in changing:
        disabled = ("DisabledException", f"{made['Arn']} is disabled.")
        assert await refusal(api, operation, KeyId=made["KeyId"]) == disabled
    assert await api.code(looking, KeyId=made["KeyId"]) == UNSUPPORTED
    await api("ScheduleKeyDeletion", KeyId=made["KeyId"])
    for operation in changing:
        assert await api.code(operation, KeyId=made["KeyId"]) == INVALID_STATE


async def test_rotation_names_its_key_by_id_and_has_an_end(api: Api) -> None:
    made = await new_key(api)
    for _ in range(25):
        assert await api("RotateKeyOnDemand", KeyId=made["Arn"]) == {"KeyId": made["KeyId"]}
    message = (
        "The on-demand rotations limit has been reached for the given keyId."
        f" No more on-demand rotations can be performed for this key: {made['Arn']}"
    )
    assert await refusal(api, "RotateKeyOnDemand", KeyId=made["KeyId"]) == ("LimitExceededException", message)
    status = await api("GetKeyRotationStatus", KeyId=made["Arn"])
    assert status == {"KeyId": made["KeyId"], "KeyRotationEnabled": False}


async def test_the_first_material_is_new_and_then_it_exists(api: Api) -> None:
    made, material = await new_key(api, Origin="EXTERNAL"), b"m" * 32
    key = made["KeyId"]
    for too_early in ({"ImportType": "EXISTING_KEY_MATERIAL"}, {"KeyMaterialId": "0" * 64}):
        assert await import_code(api, key, material, **too_early) == INCORRECT
    imported = await import_material(api, key, material, ImportType="NEW_KEY_MATERIAL")
    assert await import_code(api, key, material, ImportType="NEW_KEY_MATERIAL") == INCORRECT
    again = {"ImportType": "EXISTING_KEY_MATERIAL", "KeyMaterialId": imported["KeyMaterialId"]}
    assert await import_material(api, key, material, **again) == imported


async def test_a_wrapping_key_must_have_room_for_the_material(api: Api) -> None:
    made = await new_key(api, Origin="EXTERNAL", KeySpec="ECC_NIST_P521", KeyUsage="SIGN_VERIFY")
    smallest = {"KeyId": made["KeyId"], "WrappingKeySpec": "RSA_2048"}
    for algorithm in ("RSAES_OAEP_SHA_1", OAEP):
        assert await api.code("GetParametersForImport", **smallest, WrappingAlgorithm=algorithm) == INVALID
    await api("GetParametersForImport", **smallest, WrappingAlgorithm="RSA_AES_KEY_WRAP_SHA_256")
    await api("GetParametersForImport", **{**smallest, "WrappingKeySpec": "RSA_3072"}, WrappingAlgorithm=OAEP)


async def test_only_keys_of_external_origin_are_imported_and_the_others_say_theirs(api: Api, key: Reply) -> None:
    expected = (UNSUPPORTED, f"{key['Arn']} origin is AWS_KMS which is not valid for this operation.")
    content = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x", **FOR_EVER}
    for operation, request in (
        ("GetParametersForImport", {"WrappingAlgorithm": OAEP, "WrappingKeySpec": "RSA_2048"}),
        ("ImportKeyMaterial", content),
        ("DeleteImportedKeyMaterial", {}),
    ):
        assert await refusal(api, operation, KeyId=key["KeyId"], **request) == expected


async def test_what_is_as_it_is_asked_to_be_is_no_error(api: Api) -> None:
    made = await new_key(api, Tags=[{"TagKey": "a", "TagValue": "1"}])
    key, alias = made["KeyId"], f"alias/{uuid4()}"
    for operation, request in (
        ("EnableKey", {}),
        ("DisableKeyRotation", {}),
        ("EnableKeyRotation", {}),
        ("EnableKeyRotation", {}),
        ("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "1"}]}),
        ("TagResource", {"Tags": []}),
        ("UntagResource", {"TagKeys": ["b"]}),
        ("UpdateKeyDescription", {"Description": ""}),
        ("DisableKey", {}),
        ("DisableKey", {}),
    ):
        assert await api(operation, KeyId=key, **request) == {}, operation
    assert (await api("ListResourceTags", KeyId=key))["Tags"] == [{"TagKey": "a", "TagValue": "1"}]
    await api("CreateAlias", AliasName=alias, TargetKeyId=key)
    (before,) = (await api("ListAliases", KeyId=key))["Aliases"]
    assert await api("UpdateAlias", AliasName=alias, TargetKeyId=made["Arn"]) == {}
    (after,) = (await api("ListAliases", KeyId=key))["Aliases"]
    assert after.pop("LastUpdatedDate") > before.pop("LastUpdatedDate")
    assert after == before
