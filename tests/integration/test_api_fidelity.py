"""What AWS KMS answers, to the letter: its texts, which error comes first, and how long is too long."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from integration.api import ACCOUNT_ARN, Api, Reply, SharedKeys, new_key

SYMMETRIC = ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
P256 = ("ECC_NIST_P256", "SIGN_VERIFY")
NOT_FOUND, INVALID = "NotFoundException", "ValidationException"
ALLOWED, DENIED = "DryRunOperationException", "AccessDeniedException"
NOBODY = "0f2a6b1c-7d3e-4f5a-8b9c-0d1e2f3a4b5c"
MULTI_REGION = "mrk-0f2a6b1c7d3e4f5a8b9c0d1e2f3a4b5c"
TWO_SPECS = (
    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."
)
TOO_MANY_BYTES = (
    "1 validation error detected: Value at 'numberOfBytes' failed to satisfy constraint:"
    " Member must have value less than or equal to 1024"
)


@pytest.fixture
async def key(api: Api, shared_keys: SharedKeys) -> Reply:
    return await shared_keys.get(api, *SYMMETRIC)


@pytest.fixture
def carol(api_of: Callable[[str], Api]) -> Api:
    return api_of("carol")


async def refusal(api: Api, operation: str, /, **request: object) -> tuple[str, str]:
    error = await api.error(operation, **request)
    return error.code, error.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (NOBODY, f"Key '{ACCOUNT_ARN}key/{NOBODY}' does not exist"),
        (f"{ACCOUNT_ARN}key/{NOBODY}", f"Key '{ACCOUNT_ARN}key/{NOBODY}' does not exist"),
        (MULTI_REGION, f"Key '{ACCOUNT_ARN}key/{MULTI_REGION}' does not exist"),
        ("nonsense", "Invalid keyId 'nonsense'"),
        ("mrk-nonsense", "Invalid keyId 'mrk-nonsense'"),
        (NOBODY.replace("-", ""), f"Invalid keyId '{NOBODY.replace('-', '')}'"),
        (NOBODY.upper(), f"Invalid keyId '{NOBODY.upper()}'"),
        (f"arn:kmsq:kms:elsewhere:000000000000:key/{NOBODY}", "Invalid arn elsewhere"),
    ],
)
async def test_a_key_that_is_not_found_is_named_by_its_arn(api: Api, name: str, message: str) -> None:
    for operation, more in (
        ("DescribeKey", {}),
        ("Encrypt", {"Plaintext": b"x"}),
        ("GetKeyPolicy", {}),
        ("EnableKey", {}),
    ):
        assert await refusal(api, operation, KeyId=name, **more) == (NOT_FOUND, message)


@pytest.mark.parametrize("name", ["alias/nothing", f"{ACCOUNT_ARN}alias/nothing"])
async def test_an_alias_that_is_not_found_is_named_by_its_arn(api: Api, name: str) -> None:
    expected = (NOT_FOUND, f"Alias {ACCOUNT_ARN}alias/nothing is not found.")
    assert await refusal(api, "DescribeKey", KeyId=name) == expected
    assert await refusal(api, "GenerateDataKey", KeyId=name, KeySpec="AES_256") == expected


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("GenerateDataKey", {"KeyId": "x"}, "Please specify either number of bytes or key spec."),
        (
            "CreateKey",
            {"KeySpec": "HMAC_256"},
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            "CreateKey",
            {"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"},
            TWO_SPECS,
        ),
        (
            "CreateKey",
            {"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"},
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
        ),
        (
            "ImportKeyMaterial",
            {"KeyId": "x", "ImportToken": b"x", "EncryptedKeyMaterial": b"x"},
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            "GenerateRandom",
            {"NumberOfBytes": 1025},
            TOO_MANY_BYTES,
        ),
    ],
)
async def test_a_request_that_is_invalid_is_told_so_in_the_words_of_aws(
    api: Api, operation: str, request_: dict[str, object], message: str
) -> None:
    assert await refusal(api, operation, **request_) == (INVALID, message)


@pytest.mark.parametrize("name", ["alias/aws/s3", "alias/"])
async def test_an_alias_that_nobody_can_have_is_not_found_and_not_made(api: Api, key: Reply, name: str) -> None:
    missing = (NOT_FOUND, f"Alias {ACCOUNT_ARN}{name} is not found.")
    assert await refusal(api, "DeleteAlias", AliasName=name) == missing
    assert await refusal(api, "UpdateAlias", AliasName=name, TargetKeyId=key["KeyId"]) == missing
    assert await api.code("CreateAlias", AliasName=name, TargetKeyId=key["KeyId"]) == "InvalidAliasNameException"


async def test_keys_of_other_accounts_are_never_shared_with_this_one(api: Api, key: Reply) -> None:
    assert key["KeyId"]
    await new_key(api)
    others = {"ResourceOwners": ["OTHER_ACCOUNTS_VIA_RAM"]}
    assert await api("ListKeys", **others) == {"Keys": [], "Truncated": False}
    first = await api("ListKeys", Limit=1)
    assert await api("ListKeys", Limit=1, ResourceOwners=["SELF"]) == first
    assert (await api("ListKeys", Limit=1, ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM", "SELF"]))["Keys"] == first["Keys"]
    await api("ListKeys", ResourceOwners=["SELF"], Marker=first["NextMarker"])
    assert await api.code("ListKeys", **others, Marker=first["NextMarker"]) == "InvalidMarkerException"


async def test_a_grant_made_again_has_the_same_id_and_another_token(api: Api, carol: Api) -> None:
    made = await new_key(api)
    request = {"KeyId": made["KeyId"], "GranteePrincipal": carol.arn, "Operations": ["Encrypt"], "Name": "once"}
    first, second = await api("CreateGrant", **request), await api("CreateGrant", **request)
    assert first["GrantId"] == second["GrantId"]
    assert first["GrantToken"] != second["GrantToken"]
    await api("RetireGrant", GrantToken=first["GrantToken"])
    assert await api.code("RetireGrant", GrantToken=second["GrantToken"]) == NOT_FOUND


async def test_a_digest_is_measured_for_algorithms_that_the_key_has(api: Api, shared_keys: SharedKeys) -> None:
    key = await shared_keys.get(api, *P256)
    digest = {"KeyId": key["KeyId"], "Message": b"x" * 32, "MessageType": "DIGEST"}
    for operation, more in (("Sign", {}), ("Verify", {"Signature": b"x"})):
        error = await refusal(api, operation, **digest, **more, SigningAlgorithm="ECDSA_SHA_384")
        assert error[0] == "InvalidKeyUsageException"
        assert error[1] == "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."
        short = {**digest, **more, "Message": b"x" * 31, "SigningAlgorithm": "ECDSA_SHA_256"}
        expected = (INVALID, "Digest is invalid length for algorithm ECDSA_SHA_256.")
        assert await refusal(api, operation, **short) == expected


async def test_tags_and_policy_names_are_refused_in_the_words_of_aws(api: Api, key: Reply) -> None:
    twice = [{"TagKey": "a", "TagValue": value} for value in ("1", "2")]
    reserved = [{"TagKey": "AWS:a", "TagValue": "1"}]
    for tags, message in ((twice, "Duplicate tag keys"), (reserved, "Tags beginning with aws: are reserved")):
        assert await refusal(api, "TagResource", KeyId=key["KeyId"], Tags=tags) == ("TagException", message)
        assert await refusal(api, "CreateKey", Tags=tags) == ("TagException", message)
    policy = (await api("GetKeyPolicy", KeyId=key["KeyId"]))["Policy"]
    for operation, more in (("GetKeyPolicy", {}), ("PutKeyPolicy", {"Policy": policy})):
        found = await refusal(api, operation, KeyId=key["KeyId"], PolicyName="other", **more)
        assert found == (NOT_FOUND, "No such policy exists")


async def test_names_and_texts_may_be_as_long_as_they_may_and_no_longer(api: Api, carol: Api) -> None:
    description, name = "x" * 8192, "x" * 256
    longest = {"TagKey": "k" * 128, "TagValue": "v" * 256}
    made = await new_key(api, Description=description, Tags=[longest])
    key = made["KeyId"]
    alias = f"alias/{uuid4()}"
    alias += "x" * (256 - len(alias))
    grant = {"KeyId": key, "GranteePrincipal": carol.arn, "Operations": ["Encrypt"]}
    context = {str(number): "x" * 384 for number in range(8)}
    await api("UpdateKeyDescription", KeyId=key, Description=description)
    await api("CreateAlias", AliasName=alias, TargetKeyId=key)
    await api("CreateGrant", **grant, Name=name, Constraints={"EncryptionContextSubset": context})
    for operation, request in (
        ("CreateKey", {"Description": f"{description}x"}),
        ("UpdateKeyDescription", {"KeyId": key, "Description": f"{description}x"}),
        ("CreateAlias", {"AliasName": f"{alias}x", "TargetKeyId": key}),
        ("TagResource", {"KeyId": key, "Tags": [{"TagKey": "k" * 129, "TagValue": ""}]}),
        ("TagResource", {"KeyId": key, "Tags": [{"TagKey": "k", "TagValue": "v" * 257}]}),
        ("CreateGrant", {**grant, "Name": f"{name}x"}),
        ("CreateGrant", {**grant, "Constraints": {"EncryptionContextSubset": {**context, "9": ""}}}),
        ("CreateGrant", {**grant, "Constraints": {"EncryptionContextEquals": {"0": "x" * 385}}}),
        ("Encrypt", {"KeyId": key, "Plaintext": b"x", "GrantTokens": ["x"] * 11}),
    ):
        assert await api.code(operation, **request) == INVALID, operation


async def test_no_context_and_an_empty_one_are_the_same(api: Api, key: Reply) -> None:
    for sealing, opening in (({}, {"EncryptionContext": {}}), ({"EncryptionContext": {}}, {})):
        blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x", **sealing))["CiphertextBlob"]
        assert (await api("Decrypt", CiphertextBlob=blob, **opening))["Plaintext"] == b"x"


@pytest.mark.parametrize(
    ("principal", "answer"),
    [
        ("*", ALLOWED),
        ({"AWS": "*"}, ALLOWED),
        ({"AWS": ["arn:kmsq:iam::000000000000:user/dave", "arn:kmsq:iam::000000000000:user/carol"]}, ALLOWED),
        ({"AWS": "arn:kmsq:iam::000000000000:user/dave"}, DENIED),
        ({"AWS": "arn:kmsq:iam::000000000000:root"}, DENIED),
        ({"AWS": "000000000000"}, DENIED),
    ],
    ids=str,
)
async def test_a_principal_is_everyone_or_one_and_the_root_only_delegates(
    api: Api, carol: Api, principal: object, answer: str
) -> None:
    made = await new_key(api)
    policy = json.loads((await api("GetKeyPolicy", KeyId=made["KeyId"]))["Policy"])
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:Encrypt", "Resource": "*"}
    policy["Statement"].append({**statement, "Condition": {"StringEquals": {"kms:CallerAccount": "000000000000"}}})
    await api("PutKeyPolicy", KeyId=made["KeyId"], PolicyName="default", Policy=json.dumps(policy))
    assert await carol.code("Encrypt", KeyId=made["KeyId"], Plaintext=b"x", DryRun=True) == answer


async def test_tags_decide_where_a_policy_asks_for_them(api: Api, carol: Api) -> None:
    made = await new_key(api, Tags=[{"TagKey": "team", "TagValue": "red"}])
    policy = json.loads((await api("GetKeyPolicy", KeyId=made["KeyId"]))["Policy"])
    hers = {"Effect": "Allow", "Principal": {"AWS": carol.arn}, "Resource": "*"}
    policy["Statement"] += [
        {**hers, "Action": "kms:Encrypt", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}},
        {
            **hers,
            "Action": "kms:TagResource",
            "Condition": {
                "StringEquals": {"aws:RequestTag/team": ["blue", "green"]},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "stage"]},
            },
        },
    ]
    await api("PutKeyPolicy", KeyId=made["KeyId"], Policy=json.dumps(policy))
    asked = {"KeyId": made["KeyId"], "Plaintext": b"x", "DryRun": True}
    assert await carol.code("Encrypt", **asked) == DENIED
    for wrong in ({"team": "red"}, {"team": "blue", "cost": "1"}, {"stage": "live"}):
        tags = [{"TagKey": name, "TagValue": value} for name, value in wrong.items()]
        assert await carol.code("TagResource", KeyId=made["KeyId"], Tags=tags) == DENIED
    await carol("TagResource", KeyId=made["KeyId"], Tags=[{"TagKey": "team", "TagValue": "blue"}])
    assert await carol.code("Encrypt", **asked) == ALLOWED
