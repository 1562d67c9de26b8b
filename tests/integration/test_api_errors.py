"""What errors say: names that name nothing, values out of bounds, what may not be done, policies that lock out."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from integration.api import ACCOUNT_ARN, BOTO3, Api, Reply, SharedKeys, Ways, new_key
from integration.api_requests import SYMMETRIC, TABLES, request_for
from kmsq_schemas.operations import SPECS, Operation

NOT_FOUND, INVALID = "NotFoundException", "ValidationException"
USES = {
    "Decapsulate",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "Sign",
    "Verify",
    "VerifyMac",
}
OPERATIONS = sorted(name for table in TABLES for name in table)
BY_KEY_ID = [
    name
    for name in OPERATIONS
    if "key_id" in SPECS[Operation(name)].request.model_fields and name not in {"Decrypt", "ListAliases"}
]
NAMES = {
    **dict.fromkeys((*BY_KEY_ID, "Decrypt", "ListAliases"), ("KeyId",)),
    **dict.fromkeys(("CreateAlias", "UpdateAlias"), ("TargetKeyId",)),
    "ReEncrypt": ("SourceKeyId", "DestinationKeyId"),
}


@pytest.fixture
async def key(api: Api, shared_keys: SharedKeys) -> Reply:
    return await shared_keys.get(api, *SYMMETRIC)


@pytest.mark.parametrize("operation", BY_KEY_ID)
async def test_an_alias_names_a_key_where_it_is_used_or_described_and_nowhere_else(
    api: Api, shared_keys: SharedKeys, operation: str
) -> None:
    request = await request_for(operation, api, shared_keys)
    alias = f"alias/{uuid4()}"
    target = request["KeyId"] if operation in USES else (await shared_keys.get(api, *SYMMETRIC))["KeyId"]
    await api("CreateAlias", AliasName=alias, TargetKeyId=target)
    for name in (alias, f"{ACCOUNT_ARN}{alias}"):
        if operation in USES:
            await api(operation, **{**request, "KeyId": name})
            continue
        error = await api.error(operation, **{**request, "KeyId": name})
        assert (error.code, error.message) == (NOT_FOUND, f"Invalid keyId {name}")
    await api("DeleteAlias", AliasName=alias)


@pytest.mark.parametrize("operation", NAMES)
async def test_a_key_that_does_not_exist_is_not_found(api: Api, shared_keys: SharedKeys, operation: str) -> None:
    request = await request_for(operation, api, shared_keys)
    for member in NAMES[operation]:
        nobody = str(uuid4())
        for name in (nobody, f"{ACCOUNT_ARN}key/{nobody}"):
            error = await api.error(operation, **{**request, member: name})
            assert error.code == NOT_FOUND
            assert nobody in error.message
            assert error.message.endswith("does not exist")
        for name, code in (
            ("nonsense", NOT_FOUND),
            ("arn:kmsq:kms:elsewhere:000000000000:key/x", NOT_FOUND),
            ("arn:aws:s3:::bucket", "InvalidArnException"),
        ):
            assert await api.code(operation, **{**request, member: name}) == code


async def test_what_breaks_its_limits_is_named_and_not_shown(api: Api, key: Reply) -> None:
    secret = b"secret" * 1000
    error = await api.error("Encrypt", KeyId=key["KeyId"], Plaintext=secret)
    assert error.code == INVALID
    assert error.message == (
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096"
    )


async def test_botocores_own_checks_are_botocores(ways: Ways) -> None:
    """Some mistakes it finds by itself; those that it lets pass, the contract finds: lengths at most, patterns."""
    api = ways.api(BOTO3, "admin")
    assert await api.code("Encrypt", Plaintext=b"x") == INVALID
    error = await api.error("CreateAlias", AliasName="alias/no spaces", TargetKeyId="x")
    assert error.code == INVALID
    assert error.message.startswith("1 validation error detected: Value at 'aliasName' failed to satisfy constraint")
    error = await api.error("GenerateDataKey", KeyId="x", KeySpec="AES_512")
    assert error.message.endswith("Member must satisfy enum value set: [AES_256, AES_128]")


async def test_what_no_policy_allows_names_user_action_and_resource(
    api: Api, api_of: Callable[[str], Api], shared_keys: SharedKeys
) -> None:
    carol = api_of("carol")
    for operation in ("CreateKey", "GenerateRandom", "ListKeys", "ListAliases", "ListRetirableGrants"):
        error = await carol.error(operation, **await request_for(operation, api, shared_keys))
        assert error.code == "AccessDeniedException"
        assert error.message == f"User: {carol.arn} is not authorized to perform: kms:{operation} on resource: *"


async def test_whoever_may_not_see_a_key_learns_nothing_of_its_state(api: Api, api_of: Callable[[str], Api]) -> None:
    carol = api_of("carol")
    key = (await new_key(api))["KeyId"]
    await api("DisableKey", KeyId=key)
    for operation, request in (("Encrypt", {"Plaintext": b"x"}), ("EnableKey", {}), ("ScheduleKeyDeletion", {})):
        assert await carol.code(operation, KeyId=key, **request) == "AccessDeniedException"


async def test_an_existing_alias_is_named(api: Api, key: Reply) -> None:
    alias = f"alias/{uuid4()}"
    request = {"AliasName": alias, "TargetKeyId": key["KeyId"]}
    await api("CreateAlias", **request)
    error = await api.error("CreateAlias", **request)
    assert error.code == "AlreadyExistsException"
    assert error.message == f"An alias with the name {ACCOUNT_ARN}{alias} already exists"
    await api("DeleteAlias", AliasName=alias)
    error = await api.error("DeleteAlias", AliasName=alias)
    assert (error.code, error.message) == (NOT_FOUND, f"Alias {ACCOUNT_ARN}{alias} is not found.")


async def test_a_policy_does_not_lock_its_author_out_unless_he_says_so(api: Api, api_of: Callable[[str], Api]) -> None:
    carol = api_of("carol")
    statement = {"Effect": "Allow", "Principal": {"AWS": carol.arn}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    key = (await new_key(api))["KeyId"]
    request = {"KeyId": key, "Policy": policy}
    assert await api.code("PutKeyPolicy", **request) == "MalformedPolicyDocumentException"
    assert await api.code("CreateKey", Policy=policy) == "MalformedPolicyDocumentException"
    await api("PutKeyPolicy", **request, BypassPolicyLockoutSafetyCheck=True)
    assert await api.code("DescribeKey", KeyId=key) == "AccessDeniedException"
    await carol("Encrypt", KeyId=key, Plaintext=b"x")
    made = await new_key(api, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    await carol("Encrypt", KeyId=made["KeyId"], Plaintext=b"x")


@pytest.mark.parametrize("policy", ["x", "[]", "{}", '{"Version": "2012-10-17"}', '{"Version": "1", "Statement": []}'])
async def test_what_is_no_policy_is_malformed(api: Api, policy: str) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api.code("PutKeyPolicy", KeyId=key, Policy=policy) == "MalformedPolicyDocumentException"
    assert await api.code("CreateKey", Policy=policy) == "MalformedPolicyDocumentException"


async def test_a_policy_that_denies_wins_over_a_grant(api: Api, api_of: Callable[[str], Api]) -> None:
    carol = api_of("carol")
    key = (await new_key(api))["KeyId"]
    await api("CreateGrant", KeyId=key, GranteePrincipal=carol.arn, Operations=["Encrypt"])
    await carol("Encrypt", KeyId=key, Plaintext=b"x")
    policy = json.loads((await api("GetKeyPolicy", KeyId=key))["Policy"])
    policy["Statement"].append(
        {"Effect": "Deny", "Principal": {"AWS": carol.arn}, "Action": "kms:Encrypt", "Resource": "*"}
    )
    await api("PutKeyPolicy", KeyId=key, Policy=json.dumps(policy))
    assert await carol.code("Encrypt", KeyId=key, Plaintext=b"x") == "AccessDeniedException"
