"""Rotation: on a schedule, on demand, and what is on record of it."""

from datetime import UTC, datetime, timedelta

import pytest

from integration.api import Api, Reply, SharedKeys, describe, new_key

SCHEDULE = ("EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus")
DAY = timedelta(days=1)


async def status(api: Api, key: str) -> Reply:
    shown = await api("GetKeyRotationStatus", KeyId=key)
    assert shown.pop("KeyId") == key
    return shown


def is_in(date: datetime, days: int) -> bool:
    return timedelta(hours=-1) < date - datetime.now(UTC) - days * DAY < timedelta(hours=1)


async def test_a_new_key_is_not_rotated(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    assert await status(api, key) == {"KeyRotationEnabled": False}


async def test_a_schedule_runs_every_365_days_unless_said(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for request, days in (({}, 365), ({"RotationPeriodInDays": 90}, 90), ({"RotationPeriodInDays": 2560}, 2560)):
        assert await api("EnableKeyRotation", KeyId=key, **request) == {}
        shown = await status(api, key)
        assert is_in(shown.pop("NextRotationDate"), days)
        assert shown == {"KeyRotationEnabled": True, "RotationPeriodInDays": days}
    assert await api("DisableKeyRotation", KeyId=key) == {}
    assert await status(api, key) == {"KeyRotationEnabled": False}


@pytest.mark.parametrize("days", [89, 2561])
async def test_a_period_has_bounds(api: Api, days: int) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api.code("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days) == "ValidationException"


async def test_a_disabled_key_keeps_its_schedule(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    await api("EnableKeyRotation", KeyId=key)
    before = await status(api, key)
    await api("DisableKey", KeyId=key)
    assert await status(api, key) == before


async def test_while_a_key_is_pending_deletion_it_has_no_schedule(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    await api("EnableKeyRotation", KeyId=key, RotationPeriodInDays=100)
    before = await status(api, key)
    await api("ScheduleKeyDeletion", KeyId=key)
    assert (await status(api, key))["KeyRotationEnabled"] is False
    await api("CancelKeyDeletion", KeyId=key)
    assert await status(api, key) == before


async def test_rotation_on_demand_renews_the_material_and_old_blobs_stay_readable(api: Api) -> None:
    made = await new_key(api)
    key, materials, blobs = made["KeyId"], [made["CurrentKeyMaterialId"]], []
    for number in range(3):
        blobs.append((await api("Encrypt", KeyId=key, Plaintext=b"%d" % number))["CiphertextBlob"])
        assert await api("RotateKeyOnDemand", KeyId=key) == {"KeyId": key}
        materials.append((await describe(api, key))["CurrentKeyMaterialId"])
    assert len(set(materials)) == 4
    for number, blob in enumerate(blobs):
        opened = await api("Decrypt", CiphertextBlob=blob)
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"%d" % number, materials[number])
        moved = await api("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key)
        assert moved["SourceKeyMaterialId"] == materials[number]
        assert moved["DestinationKeyMaterialId"] == materials[-1]
    data_key = await api("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    assert data_key["KeyMaterialId"] == materials[-1]


async def test_rotation_on_demand_leaves_the_schedule_alone(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    await api("EnableKeyRotation", KeyId=key, RotationPeriodInDays=180)
    before = await status(api, key)
    await api("RotateKeyOnDemand", KeyId=key)
    assert await status(api, key) == before


async def test_the_history_names_each_rotation_and_what_was_there_before_it(api: Api) -> None:
    made = await new_key(api)
    key, materials = made["KeyId"], [made["CurrentKeyMaterialId"]]
    assert await api("ListKeyRotations", KeyId=key) == {"Rotations": [], "Truncated": False}
    for _ in range(2):
        await api("RotateKeyOnDemand", KeyId=key)
        materials.append((await describe(api, key))["CurrentKeyMaterialId"])
    rotations = (await api("ListKeyRotations", KeyId=key))["Rotations"]
    for entry in rotations:
        assert abs(entry.pop("RotationDate") - datetime.now(UTC)) < timedelta(hours=1)
    states = dict.fromkeys(materials, "NON_CURRENT") | {materials[-1]: "CURRENT"}
    assert sorted(rotations, key=lambda entry: materials.index(entry["KeyMaterialId"])) == [
        {"KeyId": key, "KeyMaterialId": material, "KeyMaterialState": states[material], "RotationType": "ON_DEMAND"}
        for material in materials[1:]
    ]
    everything = (await api("ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL"))["Rotations"]
    assert {entry["KeyMaterialId"]: entry["KeyMaterialState"] for entry in everything} == states
    (first,) = (entry for entry in everything if "RotationType" not in entry)
    assert first == {"KeyId": key, "KeyMaterialId": materials[0], "KeyMaterialState": "NON_CURRENT"}


async def test_a_key_is_rotated_on_demand_at_most_25_times(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for _ in range(25):
        await api("RotateKeyOnDemand", KeyId=key)
    assert await api.code("RotateKeyOnDemand", KeyId=key) == "LimitExceededException"
    await api("Encrypt", KeyId=key, Plaintext=b"x")


@pytest.mark.parametrize("operation", [*SCHEDULE, "RotateKeyOnDemand"])
async def test_only_symmetric_encryption_keys_rotate(api: Api, shared_keys: SharedKeys, operation: str) -> None:
    for spec, usage in (
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ):
        key = await shared_keys.get(api, spec, usage)
        assert await api.code(operation, KeyId=key["KeyId"]) == "UnsupportedOperationException"


@pytest.mark.parametrize("operation", SCHEDULE)
async def test_imported_keys_have_no_schedule(api: Api, operation: str) -> None:
    key = (await new_key(api, Origin="EXTERNAL"))["KeyId"]
    assert await api.code(operation, KeyId=key) == "UnsupportedOperationException"
