"""DryRun: whether a request would succeed, without doing it; for every operation that has it."""

from collections.abc import Callable

import pytest

from integration.api import Api, SharedKeys, new_key
from integration.api_requests import request_for
from kmsq_schemas.operations import SPECS, Operation

DRY = [operation for operation, spec in SPECS.items() if "dry_run" in spec.request.model_fields]


@pytest.mark.parametrize("operation", DRY)
async def test_a_dry_run_tells_whether_the_request_would_succeed(
    api: Api, api_of: Callable[[str], Api], shared_keys: SharedKeys, operation: Operation
) -> None:
    request = await request_for(operation, api, shared_keys)
    assert await api.code(operation, **request, DryRun=True) == "DryRunOperationException"
    assert await api_of("carol").code(operation, **request, DryRun=True) == "AccessDeniedException"
    await api(operation, **request, DryRun=False)


def test_as_many_operations_have_it_as_in_aws() -> None:
    assert len(DRY) == 17


async def test_a_dry_run_changes_nothing(api: Api, shared_keys: SharedKeys) -> None:
    for operation in ("CreateGrant", "RetireGrant", "RevokeGrant"):
        request = await request_for(operation, api, shared_keys)
        before = await api("ListGrants", KeyId=request["KeyId"])
        assert await api.code(operation, **request, DryRun=True) == "DryRunOperationException"
        assert await api("ListGrants", KeyId=request["KeyId"]) == before


@pytest.mark.parametrize("operation", ["Verify", "VerifyMac", "Decrypt", "Decapsulate", "ReEncrypt"])
async def test_a_dry_run_of_what_would_fail_fails(api: Api, shared_keys: SharedKeys, operation: str) -> None:
    wrong: dict[str, tuple[dict[str, object], str]] = {
        "Verify": ({"Signature": b"x"}, "KMSInvalidSignatureException"),
        "VerifyMac": ({"Mac": b"x"}, "KMSInvalidMacException"),
        "Decrypt": ({"EncryptionContext": {"a": "b"}}, "InvalidCiphertextException"),
        "Decapsulate": ({"SharedSecretCiphertextBlob": b"x"}, "InvalidCiphertextException"),
        "ReEncrypt": ({"SourceEncryptionContext": {"a": "b"}}, "InvalidCiphertextException"),
    }
    more, code = wrong[operation]
    request = {**await request_for(operation, api, shared_keys), **more}
    assert await api.code(operation, **request, DryRun=True) == code


async def test_a_dry_run_looks_at_the_state_and_the_usage_of_the_key(api: Api, shared_keys: SharedKeys) -> None:
    key = (await new_key(api))["KeyId"]
    await api("DisableKey", KeyId=key)
    request = {"KeyId": key, "Plaintext": b"x", "DryRun": True}
    assert await api.code("Encrypt", **request) == "DisabledException"
    request = {"KeyId": key, "KeySpec": "AES_256", "DryRun": True}
    assert await api.code("GenerateDataKey", **request) == "DisabledException"
    signer = (await shared_keys.get(api, "ECC_NIST_P256", "SIGN_VERIFY"))["KeyId"]
    request = {"KeyId": signer, "Plaintext": b"x", "DryRun": True}
    assert await api.code("Encrypt", **request) == "InvalidKeyUsageException"


async def test_modifiers_of_a_dry_run_are_unsupported(api: Api, shared_keys: SharedKeys) -> None:
    for operation in ("Decrypt", "ReEncrypt"):
        request = await request_for(operation, api, shared_keys)
        more = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
        assert await api.code(operation, **request, **more) == "UnsupportedOperationException"
