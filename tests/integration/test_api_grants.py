"""Grants: permissions on one key that are handed on and given back, with immediate effect."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from integration.api import Api, Reply, new_key

DENIED = "AccessDeniedException"


@pytest.fixture
async def key(api: Api) -> Reply:
    return await new_key(api)


@pytest.fixture
def carol(api_of: Callable[[str], Api]) -> Api:
    return api_of("carol")


@pytest.fixture
def dave(api_of: Callable[[str], Api]) -> Api:
    return api_of("dave")


async def grant(api: Api, key: Reply, grantee: Api, *operations: str, **more: object) -> Reply:
    request = {"KeyId": key["KeyId"], "GranteePrincipal": grantee.arn, "Operations": list(operations), **more}
    return await api("CreateGrant", **request)


async def grant_code(api: Api, key: Reply, grantee: Api, *operations: str, **more: object) -> str:
    request = {"KeyId": key["KeyId"], "GranteePrincipal": grantee.arn, "Operations": list(operations), **more}
    return await api.code("CreateGrant", **request)


async def may_encrypt(api: Api, key: Reply, **context: str) -> bool:
    request = {"KeyId": key["KeyId"], "Plaintext": b"x", "EncryptionContext": context, "DryRun": True}
    return {"DryRunOperationException": True, DENIED: False}[await api.code("Encrypt", **request)]


async def ids(api: Api, key: Reply, **filters: str) -> set[str]:
    return {entry["GrantId"] for entry in (await api("ListGrants", KeyId=key["KeyId"], **filters))["Grants"]}


async def test_a_grant_lets_its_grantee_do_what_it_names_and_nothing_else(api: Api, key: Reply, carol: Api) -> None:
    assert not await may_encrypt(carol, key)
    made = await grant(api, key, carol, "Encrypt", "DescribeKey")
    assert made.keys() == {"GrantId", "GrantToken"}
    assert len(made["GrantId"]) == 64
    blob = (await carol("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    assert (await carol("DescribeKey", KeyId=key["KeyId"]))["KeyMetadata"]["Arn"] == key["Arn"]
    assert await carol.code("Decrypt", CiphertextBlob=blob) == DENIED
    assert await carol.code("GenerateDataKey", KeyId=key["KeyId"], KeySpec="AES_256") == DENIED
    assert await carol.code("DisableKey", KeyId=key["KeyId"]) == DENIED
    other = await new_key(api)
    assert not await may_encrypt(carol, other)


async def test_a_grant_is_for_its_grantee_alone(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    await grant(api, key, carol, "Encrypt")
    assert await may_encrypt(carol, key)
    assert not await may_encrypt(dave, key)


async def test_re_encrypting_takes_a_grant_on_both_sides(api: Api, key: Reply, carol: Api) -> None:
    destination = await new_key(api)
    blob = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    request = {"CiphertextBlob": blob, "DestinationKeyId": destination["KeyId"]}
    await grant(api, key, carol, "ReEncryptFrom")
    assert await carol.code("ReEncrypt", **request) == DENIED
    await grant(api, destination, carol, "ReEncryptTo")
    moved = await carol("ReEncrypt", **request)
    assert (await api("Decrypt", CiphertextBlob=moved["CiphertextBlob"]))["Plaintext"] == b"x"


async def test_grants_let_others_sign_and_make_macs(api: Api, carol: Api) -> None:
    signer = await new_key(api, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    await grant(api, signer, carol, "Sign", "GetPublicKey")
    request = {"KeyId": signer["KeyId"], "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = (await carol("Sign", **request))["Signature"]
    assert (await carol("GetPublicKey", KeyId=signer["KeyId"]))["KeySpec"] == "ECC_NIST_P256"
    assert await carol.code("Verify", **request, Signature=signature) == DENIED
    maker = await new_key(api, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    await grant(api, maker, carol, "VerifyMac")
    request = {"KeyId": maker["KeyId"], "Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}
    mac = (await api("GenerateMac", **request))["Mac"]
    assert (await carol("VerifyMac", **request, Mac=mac))["MacValid"] is True
    assert await carol.code("GenerateMac", **request) == DENIED


async def test_a_subset_constraint_wants_at_least_its_pairs(api: Api, key: Reply, carol: Api) -> None:
    await grant(api, key, carol, "Encrypt", Constraints={"EncryptionContextSubset": {"tenant": "blue"}})
    assert await may_encrypt(carol, key, tenant="blue")
    assert await may_encrypt(carol, key, tenant="blue", order="17")
    for context in ({}, {"tenant": "red"}, {"Tenant": "blue"}, {"order": "17"}):
        assert not await may_encrypt(carol, key, **context)


async def test_an_equals_constraint_wants_exactly_its_pairs(api: Api, key: Reply, carol: Api) -> None:
    await grant(api, key, carol, "Encrypt", Constraints={"EncryptionContextEquals": {"tenant": "blue", "order": "17"}})
    assert await may_encrypt(carol, key, order="17", tenant="blue")
    for context in ({}, {"tenant": "blue"}, {"tenant": "blue", "order": "17", "more": ""}, {"tenant": "Blue"}):
        assert not await may_encrypt(carol, key, **context)


async def test_a_constraint_does_not_bind_what_has_no_context(api: Api, key: Reply, carol: Api) -> None:
    constraints = {"EncryptionContextEquals": {"tenant": "blue"}}
    await grant(api, key, carol, "Encrypt", "DescribeKey", Constraints=constraints)
    await carol("DescribeKey", KeyId=key["KeyId"])


async def test_grants_add_up(api: Api, key: Reply, carol: Api) -> None:
    for tenant in ("blue", "red"):
        await grant(api, key, carol, "Encrypt", Constraints={"EncryptionContextEquals": {"tenant": tenant}})
    assert await may_encrypt(carol, key, tenant="blue")
    assert await may_encrypt(carol, key, tenant="red")
    assert not await may_encrypt(carol, key, tenant="green")


async def test_grants_are_listed_with_everything_they_say(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    constraints = {"EncryptionContextSubset": {"tenant": "blue"}, "EncryptionContextEquals": {"tenant": "blue"}}
    more = {"RetiringPrincipal": dave.arn, "Name": "orders/1", "Constraints": constraints}
    full = await grant(api, key, carol, "Encrypt", "Decrypt", **more)
    plain = await grant(api, key, dave, "DescribeKey")
    listed = await api("ListGrants", KeyId=key["KeyId"])
    assert listed.pop("Truncated") is False
    grants = {entry["GrantId"]: entry for entry in listed.pop("Grants")}
    assert listed == {}
    for entry in grants.values():
        assert abs(entry.pop("CreationDate") - datetime.now(UTC)) < timedelta(hours=1)
    common = {"KeyId": key["Arn"], "IssuingAccount": "arn:kmsq:iam::000000000000:root"}
    operations = {"Operations": ["Encrypt", "Decrypt"]}
    assert grants == {
        full["GrantId"]: {**common, **more, **operations, "GrantId": full["GrantId"], "GranteePrincipal": carol.arn},
        plain["GrantId"]: {
            **common,
            "GrantId": plain["GrantId"],
            "GranteePrincipal": dave.arn,
            "Operations": ["DescribeKey"],
        },
    }
    assert await ids(api, key, GranteePrincipal=dave.arn) == {plain["GrantId"]}
    assert await ids(api, key, GrantId=full["GrantId"]) == {full["GrantId"]}
    assert await ids(api, key, GrantId=full["GrantId"], GranteePrincipal=dave.arn) == set()
    assert await ids(api, key, GrantId="0" * 64) == set()


async def test_the_same_grant_under_the_same_name_is_made_once(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    first = await grant(api, key, carol, "Encrypt", Name="once")
    assert (await grant(api, key, carol, "Encrypt", Name="once"))["GrantId"] == first["GrantId"]
    others = [
        await grant(api, key, carol, "Encrypt", Name="twice"),
        await grant(api, key, carol, "Encrypt", "Decrypt", Name="once"),
        await grant(api, key, dave, "Encrypt", Name="once"),
        await grant(api, key, carol, "Encrypt", Name="once", RetiringPrincipal=dave.arn),
        await grant(api, key, carol, "Encrypt", Name="once", Constraints={"EncryptionContextEquals": {"a": "b"}}),
        await grant(api, key, carol, "Encrypt"),
        await grant(api, key, carol, "Encrypt"),
    ]
    assert len({first["GrantId"], *(made["GrantId"] for made in others)}) == 8
    assert len(await ids(api, key)) == 8


async def test_a_revoked_grant_allows_nothing_from_then_on(api: Api, key: Reply, carol: Api) -> None:
    made = await grant(api, key, carol, "Encrypt")
    assert await may_encrypt(carol, key)
    request = {"KeyId": key["KeyId"], "GrantId": made["GrantId"]}
    assert await carol.code("RevokeGrant", **request) == DENIED
    assert await api("RevokeGrant", **request) == {}
    assert not await may_encrypt(carol, key)
    assert await ids(api, key) == set()
    assert await api.code("RevokeGrant", **request) == "NotFoundException"


async def test_a_retiring_principal_retires_and_another_does_not(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    made = await grant(api, key, carol, "Encrypt", RetiringPrincipal=dave.arn)
    request = {"KeyId": key["Arn"], "GrantId": made["GrantId"]}
    assert await carol.code("RetireGrant", **request) == DENIED
    assert await dave("RetireGrant", **request) == {}
    assert not await may_encrypt(carol, key)
    assert await api.code("RetireGrant", **request) == "NotFoundException"


async def test_a_grantee_retires_a_grant_that_allows_it(api: Api, key: Reply, carol: Api) -> None:
    made = await grant(api, key, carol, "Encrypt", "RetireGrant")
    kept = await grant(api, key, carol, "Encrypt")
    assert await carol.code("RetireGrant", KeyId=key["Arn"], GrantId=kept["GrantId"]) == DENIED
    await carol("RetireGrant", KeyId=key["Arn"], GrantId=made["GrantId"])
    assert await ids(api, key) == {kept["GrantId"]}


async def test_a_grant_is_retired_by_its_token(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    made = await grant(api, key, carol, "Encrypt", RetiringPrincipal=dave.arn)
    assert await carol.code("RetireGrant", GrantToken=made["GrantToken"]) == DENIED
    assert await dave("RetireGrant", GrantToken=made["GrantToken"]) == {}
    assert await ids(api, key) == set()
    for wrong in ("x", made["GrantToken"][:-4], made["GrantToken"].swapcase()):
        assert await dave.code("RetireGrant", GrantToken=wrong) == "InvalidGrantTokenException"


@pytest.mark.parametrize(
    "names", [(), ("KeyId",), ("GrantId",), ("GrantToken", "KeyId"), ("GrantToken", "KeyId", "GrantId")]
)
async def test_a_grant_to_retire_is_named_in_one_of_two_ways(
    api: Api, key: Reply, carol: Api, names: tuple[str, ...]
) -> None:
    made = await grant(api, key, carol, "Encrypt")
    values = {**made, "KeyId": key["Arn"]}
    assert await api.code("RetireGrant", **{name: values[name] for name in names}) == "ValidationException"


async def test_retirable_grants_of_all_keys_are_listed(api: Api, carol: Api, dave: Api) -> None:
    keys = [await new_key(api) for _ in range(2)]
    made = {(await grant(api, one, carol, "Encrypt", RetiringPrincipal=dave.arn))["GrantId"]: one for one in keys}
    await grant(api, keys[0], dave, "Encrypt", RetiringPrincipal=carol.arn)
    pages = await api.pages("ListRetirableGrants", RetiringPrincipal=dave.arn, Limit=100)
    found = {entry["GrantId"]: entry for page in pages for entry in page["Grants"]}
    assert {entry["RetiringPrincipal"] for entry in found.values()} == {dave.arn}
    assert {grant_id: found[grant_id]["KeyId"] for grant_id in made} == {
        grant_id: one["Arn"] for grant_id, one in made.items()
    }
    assert await carol.code("ListRetirableGrants", RetiringPrincipal=dave.arn) == DENIED


async def test_a_token_is_taken_and_never_needed(api: Api, key: Reply, carol: Api) -> None:
    made = await grant(api, key, carol, "Encrypt")
    request = {"KeyId": key["KeyId"], "Plaintext": b"x"}
    await carol("Encrypt", **request)
    await carol("Encrypt", **request, GrantTokens=[made["GrantToken"]])
    too_many = [made["GrantToken"]] * 11
    assert await carol.code("Encrypt", **request, GrantTokens=too_many) == "ValidationException"


async def test_a_grantee_grants_what_he_may_and_no_more(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    assert await grant_code(carol, key, dave, "Encrypt") == DENIED
    await grant(api, key, carol, "Encrypt", "CreateGrant")
    await grant(carol, key, dave, "Encrypt")
    assert await may_encrypt(dave, key)
    for operations in (("Decrypt",), ("Encrypt", "Decrypt"), ("Encrypt", "RetireGrant")):
        assert await grant_code(carol, key, dave, *operations) == DENIED
    assert await grant_code(dave, key, carol, "Encrypt") == DENIED  # his does not say CreateGrant


async def test_a_grantees_grants_are_as_constrained_as_his_own(api: Api, key: Reply, carol: Api, dave: Api) -> None:
    own = {"EncryptionContextSubset": {"tenant": "blue"}}
    await grant(api, key, carol, "Encrypt", "CreateGrant", Constraints=own)
    assert await grant_code(carol, key, dave, "Encrypt") == DENIED
    for looser in ({"EncryptionContextSubset": {"order": "17"}}, {"EncryptionContextEquals": {"tenant": "red"}}):
        assert await grant_code(carol, key, dave, "Encrypt", Constraints=looser) == DENIED
    stricter = {"EncryptionContextEquals": {"tenant": "blue", "order": "17"}}
    await grant(carol, key, dave, "Encrypt", Constraints=stricter)
    assert await may_encrypt(dave, key, tenant="blue", order="17")
    assert not await may_encrypt(dave, key, tenant="blue")
