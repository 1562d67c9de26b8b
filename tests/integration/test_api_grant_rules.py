"""What grants can be: the operations of their keys, forms of names, and what kmsq has not."""

from collections.abc import Callable

import pytest

from integration.api import Api, Reply, SharedKeys, new_key
from integration.api_specs import ALGORITHMS

ANYWHERE = {"CreateGrant", "DescribeKey", "RetireGrant"}
BY_USAGE = {
    "ENCRYPT_DECRYPT": {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"},
    "SIGN_VERIFY": {"Sign", "Verify"},
    "GENERATE_VERIFY_MAC": {"GenerateMac", "VerifyMac"},
    "KEY_AGREEMENT": {"DeriveSharedSecret"},
    "ENCAPSULATE_DECAPSULATE": {"Encapsulate", "Decapsulate"},
}
DATA_KEYS = {f"GenerateDataKey{what}{how}" for what in ("", "Pair") for how in ("", "WithoutPlaintext")}
ALL = ANYWHERE | DATA_KEYS | {"GetPublicKey"} | {name for names in BY_USAGE.values() for name in names}


@pytest.fixture
async def key(api: Api) -> Reply:
    return await new_key(api)


@pytest.fixture
def carol(api_of: Callable[[str], Api]) -> Api:
    return api_of("carol")


async def code(api: Api, key: Reply, *operations: str, grantee: str, **more: object) -> str:
    request = {"KeyId": key["KeyId"], "GranteePrincipal": grantee, "Operations": list(operations), **more}
    return await api.code("CreateGrant", **request)


@pytest.mark.parametrize(("spec", "usage"), ALGORITHMS)
async def test_a_grant_names_operations_that_its_key_can_do(
    api: Api, shared_keys: SharedKeys, carol: Api, spec: str, usage: str
) -> None:
    key = await shared_keys.get(api, spec, usage)
    fitting = ANYWHERE | BY_USAGE[usage]
    if spec == "SYMMETRIC_DEFAULT":
        fitting |= DATA_KEYS
    elif usage != "GENERATE_VERIFY_MAC":
        fitting |= {"GetPublicKey"}
    request = {"KeyId": key["KeyId"], "GranteePrincipal": carol.arn}
    made = await api("CreateGrant", **request, Operations=sorted(fitting))
    await api("RevokeGrant", KeyId=key["KeyId"], GrantId=made["GrantId"])
    for operation in ALL - fitting:
        assert await code(api, key, operation, grantee=carol.arn) == "ValidationException", operation


async def test_a_key_without_context_takes_no_constraints(api: Api, shared_keys: SharedKeys, carol: Api) -> None:
    for spec, usage, operation in (
        ("HMAC_256", "GENERATE_VERIFY_MAC", "GenerateMac"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "Encrypt"),
    ):
        key = await shared_keys.get(api, spec, usage)
        constraints = {"EncryptionContextSubset": {"a": "b"}}
        found = await code(api, key, operation, grantee=carol.arn, Constraints=constraints)
        assert found == "ValidationException"


async def test_ids_and_principals_have_forms(api: Api, key: Reply, carol: Api) -> None:
    for wrong in ("carol", "arn:kmsq:iam::111111111111:user/carol", "arn:kmsq:kms:local:000000000000:key/x"):
        assert await code(api, key, "Encrypt", grantee=wrong) == "InvalidArnException"
        assert await code(api, key, "Encrypt", grantee=carol.arn, RetiringPrincipal=wrong) == "InvalidArnException"
    nobody = {"KeyId": key["KeyId"], "Operations": ["Encrypt"]}
    assert await api.code("CreateGrant", **nobody) == "ValidationException"
    assert await code(api, key, grantee=carol.arn) == "ValidationException"
    for operation in ("RevokeGrant", "RetireGrant", "ListGrants"):
        assert await api.code(operation, KeyId=key["KeyId"], GrantId="x") == "InvalidGrantIdException"
    for operation in ("RevokeGrant", "RetireGrant"):
        assert await api.code(operation, KeyId=key["KeyId"], GrantId="0" * 64) == "NotFoundException"
    assert await code(api, key, "Encrypt", grantee=carol.arn, Name="no spaces") == "ValidationException"


async def test_service_principals_are_unsupported(api: Api, key: Reply, carol: Api) -> None:
    common = {"KeyId": key["KeyId"], "Operations": ["Encrypt"]}
    service = "orders.amazonaws.com"
    unsupported = "UnsupportedOperationException"
    assert await api.code("CreateGrant", **common, GranteeServicePrincipal=service) == unsupported
    more = {"GranteePrincipal": carol.arn, "RetiringServicePrincipal": service}
    assert await api.code("CreateGrant", **common, **more) == unsupported
    assert await api.code("ListRetirableGrants", RetiringServicePrincipal=service) == unsupported
    assert await api.code("ListGrants", KeyId=key["KeyId"], GranteeServicePrincipal=service) == unsupported
