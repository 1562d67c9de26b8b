"""MACs: HMACs that anybody with the key would compute, too."""

import hashlib
import hmac
import os

import pytest

from integration.api import Api, SharedKeys

USAGE = "GENERATE_VERIFY_MAC"
SIZES = (224, 256, 384, 512)


async def hmac_key(api: Api, shared_keys: SharedKeys, size: int) -> str:
    arn: str = (await shared_keys.get(api, f"HMAC_{size}", USAGE))["Arn"]
    return arn


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [1, 4096])
async def test_a_mac_is_made_and_verified(api: Api, shared_keys: SharedKeys, size: int, length: int) -> None:
    key, message = await hmac_key(api, shared_keys, size), os.urandom(length)
    common = {"KeyId": key, "Message": message, "MacAlgorithm": f"HMAC_SHA_{size}"}
    made = await api("GenerateMac", **common)
    mac = made.pop("Mac")
    assert len(mac) == size // 8
    assert made == {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{size}"}
    assert (await api("GenerateMac", **common))["Mac"] == mac
    verified = await api("VerifyMac", **common, Mac=mac)
    assert verified == {"KeyId": key, "MacValid": True, "MacAlgorithm": f"HMAC_SHA_{size}"}


@pytest.mark.parametrize("size", SIZES)
async def test_a_mac_that_does_not_fit_is_an_error_and_never_false(
    api: Api, shared_keys: SharedKeys, size: int
) -> None:
    key = await hmac_key(api, shared_keys, size)
    common = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{size}"}
    mac = (await api("GenerateMac", **common, Message=b"message"))["Mac"]
    flipped = bytes([mac[0] ^ 1]) + mac[1:]
    for message, wrong in (
        (b"message", flipped),
        (b"message", mac[:-1]),
        (b"message", mac + b"\0"),
        (b"message", b"\0"),
        (b"massage", mac),
        (b"message", hmac.digest(b"another key", b"message", f"sha{size}")),
    ):
        assert await api.code("VerifyMac", **common, Message=message, Mac=wrong) == "KMSInvalidMacException"


@pytest.mark.parametrize("size", SIZES)
async def test_a_key_has_its_own_algorithm_alone(api: Api, shared_keys: SharedKeys, size: int) -> None:
    key = await hmac_key(api, shared_keys, size)
    for other in set(SIZES) - {size}:
        request = {"KeyId": key, "Message": b"x", "MacAlgorithm": f"HMAC_SHA_{other}"}
        for error in (
            await api.error("GenerateMac", **request),
            await api.error("VerifyMac", **request, Mac=hashlib.new(f"sha{other}", b"x").digest()),
        ):
            assert error.code == "InvalidKeyUsageException"
            assert error.message == f"Algorithm HMAC_SHA_{other} is incompatible with key spec HMAC_{size}."


@pytest.mark.parametrize("length", [0, 4097])
async def test_a_message_has_between_1_and_4096_bytes(api: Api, shared_keys: SharedKeys, length: int) -> None:
    request = {"KeyId": await hmac_key(api, shared_keys, 256), "Message": b"x" * length, "MacAlgorithm": "HMAC_SHA_256"}
    assert await api.code("GenerateMac", **request) == "ValidationException"
    assert await api.code("VerifyMac", **request, Mac=b"x" * 32) == "ValidationException"


@pytest.mark.parametrize(
    ("spec", "usage"), [("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY")]
)
async def test_other_keys_make_no_macs(api: Api, shared_keys: SharedKeys, spec: str, usage: str) -> None:
    key = await shared_keys.get(api, spec, usage)
    request = {"KeyId": key["KeyId"], "Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}
    for operation, more in (("GenerateMac", {}), ("VerifyMac", {"Mac": b"x"})):
        error = await api.error(operation, **request, **more)
        assert error.code == "InvalidKeyUsageException"
        assert error.message == f"{key['Arn']} key usage is {usage} which is not valid for {operation}."
