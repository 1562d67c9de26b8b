"""Keys: what they are made of, their states, descriptions, aliases, and when they were last used."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from integration import evidence
from integration.api import ACCOUNT_ARN, Api, SharedKeys, describe, new_key
from integration.api_requests import ON_SHARED_KEY
from integration.api_specs import ALGORITHMS, LISTS

DATA_KEYS = [f"GenerateDataKey{what}{how}" for what in ("", "Pair") for how in ("", "WithoutPlaintext")]
NEW = {
    "AWSAccountId": "000000000000",
    "Enabled": True,
    "Description": "",
    "KeyState": "Enabled",
    "Origin": "AWS_KMS",
    "KeyManager": "CUSTOMER",
    "MultiRegion": False,
}


@pytest.mark.parametrize(("spec", "usage"), ALGORITHMS)
async def test_a_key_of_each_spec_and_usage_says_what_it_can_do(
    api: Api, shared_keys: SharedKeys, spec: str, usage: str
) -> None:
    made = await shared_keys.get(api, spec, usage)
    shown = await describe(api, made["KeyId"])
    assert shown == made
    key_id, arn, created = (shown.pop(name) for name in ("KeyId", "Arn", "CreationDate"))
    assert arn == f"{ACCOUNT_ARN}key/{key_id}"
    assert timedelta() <= datetime.now(UTC) - created < timedelta(hours=1)
    assert set(shown.pop(LISTS[usage])) == ALGORITHMS[spec, usage]
    if spec == "SYMMETRIC_DEFAULT":
        assert len(shown.pop("CurrentKeyMaterialId")) == 64
    if not spec.startswith(("ML_", "ECC_NIST_EDWARDS")):  # newer than the deprecated name
        assert shown.pop("CustomerMasterKeySpec") == spec
    assert shown == {**NEW, "KeySpec": spec, "KeyUsage": usage}


async def test_a_key_cannot_have_a_usage_that_is_not_its_specs(api: Api) -> None:
    pairs = {(spec, usage) for spec, _ in ALGORITHMS for usage in LISTS} - ALGORITHMS.keys()
    assert len(pairs) > 60
    for spec, usage in pairs:
        assert await api.code("CreateKey", KeySpec=spec, KeyUsage=usage) == "ValidationException", (spec, usage)


async def test_a_usage_must_be_said_unless_the_key_is_symmetric(api: Api) -> None:
    for spec in ("RSA_2048", "HMAC_256", "ECC_NIST_P256"):
        assert await api.code("CreateKey", KeySpec=spec) == "ValidationException"


async def test_a_spec_may_come_under_its_deprecated_name_but_not_under_both(api: Api) -> None:
    made = await new_key(api, CustomerMasterKeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    assert (made["KeySpec"], made["CustomerMasterKeySpec"]) == ("HMAC_256", "HMAC_256")
    both = {"CustomerMasterKeySpec": "HMAC_256", "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}
    assert await api.code("CreateKey", **both) == "ValidationException"


@pytest.mark.parametrize(
    "request_",
    [
        {"MultiRegion": True},
        {"Origin": "AWS_CLOUDHSM"},
        {"Origin": "EXTERNAL_KEY_STORE"},
        {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1234567890abcdef0"},
        {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "ML_KEM_512", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
    ],
    ids=str,
)
async def test_what_kmsq_has_not_is_unsupported(api: Api, request_: dict[str, object]) -> None:
    assert await api.code("CreateKey", **request_) == "UnsupportedOperationException"


async def test_a_description_is_given_and_changed(api: Api) -> None:
    key = (await new_key(api, Description="größer"))["KeyId"]
    assert (await describe(api, key))["Description"] == "größer"
    await api("UpdateKeyDescription", KeyId=key, Description="")
    assert (await describe(api, key))["Description"] == ""
    long = {"KeyId": key, "Description": "x" * 8193}
    assert await api.code("UpdateKeyDescription", **long) == "ValidationException"


async def test_a_key_is_disabled_and_enabled(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for operation, state in (("DisableKey", "Disabled"), ("DisableKey", "Disabled"), ("EnableKey", "Enabled")):
        assert await api(operation, KeyId=key) == {}
        shown = await describe(api, key)
        assert (shown["KeyState"], shown["Enabled"]) == (state, state == "Enabled")
        if state == "Disabled":
            error = await api.error("Encrypt", KeyId=key, Plaintext=b"x")
            assert (error.code, error.message) == ("DisabledException", f"{shown['Arn']} is disabled.")
    await api("Encrypt", KeyId=key, Plaintext=b"x")


async def test_a_keys_deletion_is_scheduled_and_cancelled(api: Api) -> None:
    made = await new_key(api)
    key = made["KeyId"]
    scheduled = await api("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    date = scheduled.pop("DeletionDate")
    assert timedelta(days=6, hours=23) < date - datetime.now(UTC) < timedelta(days=7, hours=1)
    assert scheduled == {"KeyId": made["Arn"], "KeyState": "PendingDeletion", "PendingWindowInDays": 7}
    pending = {"KeyState": "PendingDeletion", "Enabled": False, "DeletionDate": date}
    assert await describe(api, key) == {**made, **pending}
    error = await api.error("Encrypt", KeyId=key, Plaintext=b"x")
    assert (error.code, error.message) == ("KMSInvalidStateException", f"{made['Arn']} is pending deletion.")
    assert await api("CancelKeyDeletion", KeyId=key) == {"KeyId": made["Arn"]}
    assert await describe(api, key) == {**made, "KeyState": "Disabled", "Enabled": False}


async def test_a_deletion_takes_30_days_unless_said_and_between_7_and_30(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for days in (6, 31):
        code = await api.code("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=days)
        assert code == "ValidationException"
    assert (await api("ScheduleKeyDeletion", KeyId=key))["PendingWindowInDays"] == 30


async def test_a_key_is_described_by_any_of_its_names(api: Api) -> None:
    made = await new_key(api)
    alias = f"alias/{uuid4()}"
    await api("CreateAlias", AliasName=alias, TargetKeyId=made["KeyId"])
    for name in (made["KeyId"], made["Arn"], alias, f"{ACCOUNT_ARN}{alias}"):
        assert await describe(api, name) == made


async def test_an_alias_is_made_moved_listed_and_deleted(api: Api) -> None:
    first, second = [(await new_key(api))["KeyId"] for _ in range(2)]
    alias = f"alias/{uuid4()}"
    assert await api("CreateAlias", AliasName=alias, TargetKeyId=first) == {}
    assert await api.code("CreateAlias", AliasName=alias, TargetKeyId=second) == "AlreadyExistsException"
    assert await api("UpdateAlias", AliasName=alias, TargetKeyId=second) == {}
    assert (await api("ListAliases", KeyId=first))["Aliases"] == []
    (entry,) = (await api("ListAliases", KeyId=second))["Aliases"]
    created, updated = entry.pop("CreationDate"), entry.pop("LastUpdatedDate")
    assert created < updated
    assert entry == {"AliasName": alias, "AliasArn": f"{ACCOUNT_ARN}{alias}", "TargetKeyId": second}
    assert await api("DeleteAlias", AliasName=alias) == {}
    for operation, request in (
        ("DeleteAlias", {"AliasName": alias}),
        ("UpdateAlias", {"AliasName": alias, "TargetKeyId": first}),
        ("Encrypt", {"KeyId": alias, "Plaintext": b"x"}),
    ):
        assert await api.code(operation, **request) == "NotFoundException"


async def test_an_alias_moves_between_keys_of_one_type_and_usage_alone(api: Api, shared_keys: SharedKeys) -> None:
    keys = {
        pair: (await shared_keys.get(api, *pair))["KeyId"]
        for pair in ALGORITHMS
        if pair[0] in {"SYMMETRIC_DEFAULT", "ECC_NIST_P256", "ECC_NIST_P384", "ML_DSA_44", "HMAC_256", "HMAC_384"}
    }

    def kind(pair: tuple[str, str]) -> str:
        spec, usage = pair
        return usage if spec.startswith(("ECC", "ML")) else spec.partition("_")[0]

    for source, from_key in keys.items():
        alias = f"alias/{uuid4()}"
        await api("CreateAlias", AliasName=alias, TargetKeyId=from_key)
        for target, to_key in keys.items():
            if kind(source) == kind(target):
                await api("UpdateAlias", AliasName=alias, TargetKeyId=to_key)
                await api("UpdateAlias", AliasName=alias, TargetKeyId=from_key)
            else:
                code = await api.code("UpdateAlias", AliasName=alias, TargetKeyId=to_key)
                assert code == "KMSInvalidStateException", (source, target)
        await api("DeleteAlias", AliasName=alias)


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("alias/aws/orders", "InvalidAliasNameException"),
        ("alias/", "InvalidAliasNameException"),
        ("orders", "ValidationException"),
        ("alias/or ders", "ValidationException"),
        (f"alias/{'x' * 251}", "ValidationException"),
    ],
)
async def test_an_alias_has_a_form(api: Api, shared_keys: SharedKeys, alias: str, code: str) -> None:
    key = await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert await api.code("CreateAlias", AliasName=alias, TargetKeyId=key["KeyId"]) == code


async def test_a_key_has_at_most_50_aliases(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for _ in range(50):
        await api("CreateAlias", AliasName=f"alias/{uuid4()}", TargetKeyId=key)
    assert await api.code("CreateAlias", AliasName=f"alias/{uuid4()}", TargetKeyId=key) == "LimitExceededException"


async def test_a_policy_is_listed_put_and_read_back(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api("ListKeyPolicies", KeyId=key) == {"PolicyNames": ["default"], "Truncated": False}
    policy = (await api("GetKeyPolicy", KeyId=key, PolicyName="default"))["Policy"]
    assert await api("PutKeyPolicy", KeyId=key, Policy=f"{policy}\n") == {}
    assert await api("GetKeyPolicy", KeyId=key) == {"Policy": f"{policy}\n", "PolicyName": "default"}
    assert await api.code("GetKeyPolicy", KeyId=key, PolicyName="other") == "NotFoundException"
    assert await api.code("PutKeyPolicy", KeyId=key, Policy="{") == "MalformedPolicyDocumentException"
    too_long = {"KeyId": key, "Policy": policy + " " * 32_768}
    assert await api.code("PutKeyPolicy", **too_long) == "LimitExceededException"


async def test_the_last_use_of_a_key_shows_within_seconds(api: Api) -> None:
    made = await new_key(api)
    key, arn = made["KeyId"], made["Arn"]
    unused = await api("GetKeyLastUsage", KeyId=key)
    assert unused.pop("TrackingStartDate") >= made["CreationDate"]
    assert unused == {"KeyId": arn, "KeyLastUsage": {}, "KeyCreationDate": made["CreationDate"]}
    await api("Encrypt", KeyId=key, Plaintext=b"x")

    async def use() -> dict[str, object]:
        found: dict[str, object] = (await api("GetKeyLastUsage", KeyId=key))["KeyLastUsage"]
        return found

    shown = await evidence.until(use, seconds=10)
    used_at = shown["Timestamp"]
    assert isinstance(used_at, datetime)
    assert timedelta() <= datetime.now(UTC) - used_at < timedelta(seconds=60)
    assert shown["Operation"] == "Encrypt"


async def test_every_use_of_a_key_is_told_by_its_name(api: Api, shared_keys: SharedKeys) -> None:
    """What must be prepared with another operation is left out: a key's use is written once a minute."""
    used = {}
    for operation in ("DeriveSharedSecret", "Encapsulate", "Encrypt", "GenerateMac", "Sign", *DATA_KEYS):
        (spec, usage), request = ON_SHARED_KEY[operation]
        key = (await new_key(api, KeySpec=spec, KeyUsage=usage))["KeyId"]
        await api(operation, KeyId=key, **request)
        used[key] = operation
    source = (await shared_keys.get(api, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))["KeyId"]
    blob = (await api("Encrypt", KeyId=source, Plaintext=b"x"))["CiphertextBlob"]
    destination = (await new_key(api))["KeyId"]
    await api("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=destination)
    used[destination] = "ReEncrypt"

    async def uses() -> bool:
        found = {key: (await api("GetKeyLastUsage", KeyId=key))["KeyLastUsage"].get("Operation") for key in used}
        return found == used

    assert await evidence.until(uses, seconds=10)
