"""A valid request of each operation of AWS KMS that is served, made anew each time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integration.api import Api, Reply, SharedKeys, new_key
from integration.api_import import FOR_EVER, OAEP, import_material, wrapped

SYMMETRIC = ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
SIGNER = ("ECC_NIST_P256", "SIGN_VERIFY")
MAC_KEY = ("HMAC_256", "GENERATE_VERIFY_MAC")
AGREEMENT = ("ECC_NIST_P256", "KEY_AGREEMENT")
KEM = ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE")
SOMEBODY = "arn:kmsq:iam::000000000000:user/dave"
PUBLIC_KEY = (
    generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)

MESSAGE = {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}
MAC = {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}
ENCAPSULATION = {"EncapsulationAlgorithm": "ML_KEM"}
TAG = {"TagKey": "Stage", "TagValue": "test"}
GRANT = {"GranteePrincipal": SOMEBODY, "Operations": ["Encrypt"]}

Request: TypeAlias = Mapping[str, object]

WITHOUT_KEY: Mapping[str, Request] = {
    "CreateKey": {},
    "GenerateRandom": {"NumberOfBytes": 32},
    "ListAliases": {},
    "ListKeys": {},
    "ListRetirableGrants": {"RetiringPrincipal": SOMEBODY},
}
ON_SHARED_KEY: Mapping[str, tuple[tuple[str, str], Request]] = {
    "DeriveSharedSecret": (AGREEMENT, {"KeyAgreementAlgorithm": "ECDH", "PublicKey": PUBLIC_KEY}),
    "DescribeKey": (SYMMETRIC, {}),
    "Encapsulate": (KEM, ENCAPSULATION),
    "Encrypt": (SYMMETRIC, {"Plaintext": b"x"}),
    "GenerateDataKey": (SYMMETRIC, {"KeySpec": "AES_256"}),
    "GenerateDataKeyPair": (SYMMETRIC, {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyPairWithoutPlaintext": (SYMMETRIC, {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyWithoutPlaintext": (SYMMETRIC, {"KeySpec": "AES_256"}),
    "GenerateMac": (MAC_KEY, MAC),
    "GetKeyLastUsage": (SYMMETRIC, {}),
    "GetKeyPolicy": (SYMMETRIC, {}),
    "GetKeyRotationStatus": (SYMMETRIC, {}),
    "GetPublicKey": (SIGNER, {}),
    "ListGrants": (SYMMETRIC, {}),
    "ListKeyPolicies": (SYMMETRIC, {}),
    "ListKeyRotations": (SYMMETRIC, {}),
    "ListResourceTags": (SYMMETRIC, {}),
    "Sign": (SIGNER, MESSAGE),
}
ON_NEW_KEY: Mapping[str, Request] = {
    "CreateGrant": GRANT,
    "DisableKey": {},
    "DisableKeyRotation": {},
    "EnableKey": {},
    "EnableKeyRotation": {},
    "RotateKeyOnDemand": {},
    "ScheduleKeyDeletion": {"PendingWindowInDays": 7},
    "TagResource": {"Tags": [TAG]},
    "UntagResource": {"TagKeys": ["Stage"]},
    "UpdateKeyDescription": {"Description": "new"},
}


async def request_for(operation: str, api: Api, keys: SharedKeys) -> Request:
    """Return a request that `api`'s principal, an administrator, may make, and that succeeds."""
    if operation in WITHOUT_KEY:
        return WITHOUT_KEY[operation]
    if operation in ON_SHARED_KEY:
        pair, request = ON_SHARED_KEY[operation]
        return {"KeyId": (await keys.get(api, *pair))["KeyId"], **request}
    if operation in ON_NEW_KEY:
        return {"KeyId": (await new_key(api))["KeyId"], **ON_NEW_KEY[operation]}
    return await PREPARED[operation](api, keys)


async def _blob(api: Api, keys: SharedKeys) -> bytes:
    key = await keys.get(api, *SYMMETRIC)
    blob: bytes = (await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"x"))["CiphertextBlob"]
    return blob


async def _alias(api: Api) -> str:
    alias = f"alias/{uuid4()}"
    await api("CreateAlias", AliasName=alias, TargetKeyId=(await new_key(api))["KeyId"])
    return alias


async def _grant(api: Api) -> Reply:
    key = (await new_key(api))["KeyId"]
    return {"KeyId": key, "GrantId": (await api("CreateGrant", KeyId=key, **GRANT))["GrantId"]}


async def _cancel_key_deletion(api: Api, _: SharedKeys) -> Request:
    key = (await new_key(api))["KeyId"]
    await api("ScheduleKeyDeletion", KeyId=key)
    return {"KeyId": key}


async def _create_alias(api: Api, _: SharedKeys) -> Request:
    return {"AliasName": f"alias/{uuid4()}", "TargetKeyId": (await new_key(api))["KeyId"]}


async def _decapsulate(api: Api, keys: SharedKeys) -> Request:
    common = {"KeyId": (await keys.get(api, *KEM))["KeyId"], **ENCAPSULATION}
    made = await api("Encapsulate", **common)
    return {**common, "SharedSecretCiphertextBlob": made["SharedSecretCiphertextBlob"]}


async def _decrypt(api: Api, keys: SharedKeys) -> Request:
    return {"CiphertextBlob": await _blob(api, keys)}


async def _delete_alias(api: Api, _: SharedKeys) -> Request:
    return {"AliasName": await _alias(api)}


async def _delete_imported(api: Api, _: SharedKeys) -> Request:
    key = (await new_key(api, Origin="EXTERNAL"))["KeyId"]
    await import_material(api, key, b"m" * 32)
    return {"KeyId": key}


async def _get_parameters(api: Api, _: SharedKeys) -> Request:
    key = (await new_key(api, Origin="EXTERNAL"))["KeyId"]
    return {"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": "RSA_2048"}


async def _import(api: Api, _: SharedKeys) -> Request:
    key = (await new_key(api, Origin="EXTERNAL"))["KeyId"]
    return {**await wrapped(api, key, b"m" * 32), **FOR_EVER}


async def _put_key_policy(api: Api, _: SharedKeys) -> Request:
    key = (await new_key(api))["KeyId"]
    return {"KeyId": key, "Policy": (await api("GetKeyPolicy", KeyId=key))["Policy"]}


async def _re_encrypt(api: Api, keys: SharedKeys) -> Request:
    destination = await keys.get(api, *SYMMETRIC)
    return {"CiphertextBlob": await _blob(api, keys), "DestinationKeyId": destination["KeyId"]}


async def _revoke_grant(api: Api, _: SharedKeys) -> Request:
    return await _grant(api)


async def _update_alias(api: Api, _: SharedKeys) -> Request:
    return {"AliasName": await _alias(api), "TargetKeyId": (await new_key(api))["KeyId"]}


async def _verify(api: Api, keys: SharedKeys) -> Request:
    common = {"KeyId": (await keys.get(api, *SIGNER))["KeyId"], **MESSAGE}
    return {**common, "Signature": (await api("Sign", **common))["Signature"]}


async def _verify_mac(api: Api, keys: SharedKeys) -> Request:
    common = {"KeyId": (await keys.get(api, *MAC_KEY))["KeyId"], **MAC}
    return {**common, "Mac": (await api("GenerateMac", **common))["Mac"]}


PREPARED: Mapping[str, Callable[[Api, SharedKeys], Awaitable[Request]]] = {
    "CancelKeyDeletion": _cancel_key_deletion,
    "CreateAlias": _create_alias,
    "Decapsulate": _decapsulate,
    "Decrypt": _decrypt,
    "DeleteAlias": _delete_alias,
    "DeleteImportedKeyMaterial": _delete_imported,
    "GetParametersForImport": _get_parameters,
    "ImportKeyMaterial": _import,
    "PutKeyPolicy": _put_key_policy,
    "ReEncrypt": _re_encrypt,
    "RetireGrant": _revoke_grant,
    "RevokeGrant": _revoke_grant,
    "UpdateAlias": _update_alias,
    "Verify": _verify,
    "VerifyMac": _verify_mac,
}
TABLES = (WITHOUT_KEY, ON_SHARED_KEY, ON_NEW_KEY, PREPARED)
