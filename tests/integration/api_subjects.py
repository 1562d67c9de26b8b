"""A key that operations are tried on, in a state, with all that a request of each operation needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import uuid4

from integration.api import Api, new_key
from integration.api_import import FOR_EVER, OAEP, import_material, wrapped
from integration.api_requests import (
    AGREEMENT,
    ENCAPSULATION,
    GRANT,
    KEM,
    MAC,
    MAC_KEY,
    MESSAGE,
    PUBLIC_KEY,
    SIGNER,
    SYMMETRIC,
    TAG,
    Request,
)

STATES = ENABLED, DISABLED, PENDING_DELETION, PENDING_IMPORT = "Enabled", "Disabled", "PendingDeletion", "PendingImport"
IMPORTING = ("GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial")
OF_KEYS_WITH_MATERIAL = (
    *IMPORTING,
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "BatchEncrypt",
    "BatchDecrypt",
    "BatchReEncrypt",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
)
OPEN_POLICY = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}'
MATERIAL = b"material" * 4

SPECS_OF: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("Sign", "Verify", "GetPublicKey"), SIGNER),
    **dict.fromkeys(("GenerateMac", "VerifyMac", "BatchGenerateMac"), MAC_KEY),
    **dict.fromkeys(("Encapsulate", "Decapsulate"), KEM),
    "DeriveSharedSecret": AGREEMENT,
}
"""Spec and usage of the keys that operations are for; of all others, symmetric."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A key with an alias; another, enabled key with an alias; what the key made, its grant, an import, if needed."""

    key: str
    alias: str
    other: str
    other_alias: str
    grant: str = "0" * 64
    made: bytes = b"x"
    parcel: Request = field(default_factory=dict)

    def requests(self) -> Mapping[str, Request]:
        """Return a request about the key for each operation that is about one."""
        key: Request = {"KeyId": self.key}
        return {
            **{operation: {**key, **more} for operation, more in ABOUT_A_KEY.items()},
            "Decrypt": {"CiphertextBlob": self.made},
            "ReEncrypt": {"CiphertextBlob": self.made, "DestinationKeyId": self.other},
            "BatchDecrypt": {"CiphertextBlobs": [self.made]},
            "BatchReEncrypt": {"CiphertextBlobs": [self.made], "DestinationKeyId": self.other},
            "Verify": {**key, **MESSAGE, "Signature": self.made},
            "VerifyMac": {**key, **MAC, "Mac": self.made},
            "Decapsulate": {**key, **ENCAPSULATION, "SharedSecretCiphertextBlob": self.made},
            "RetireGrant": {**key, "GrantId": self.grant},
            "RevokeGrant": {**key, "GrantId": self.grant},
            "CreateAlias": {"AliasName": f"alias/{uuid4()}", "TargetKeyId": self.key},
            "UpdateAlias": {"AliasName": self.other_alias, "TargetKeyId": self.key},
            "DeleteAlias": {"AliasName": self.alias},
            "ImportKeyMaterial": {**key, **self.parcel},
        }


ABOUT_A_KEY: Mapping[str, Request] = {
    "BatchEncrypt": {"Plaintexts": [b"x"]},
    "BatchGenerateDataKey": {"NumberOfKeys": 1, "KeySpec": "AES_256"},
    "BatchGenerateDataKeyWithoutPlaintext": {"NumberOfKeys": 1, "KeySpec": "AES_256"},
    "BatchGenerateMac": {"Messages": [b"x"], "MacAlgorithm": "HMAC_SHA_256"},
    "CancelKeyDeletion": {},
    "CreateGrant": GRANT,
    "DeleteImportedKeyMaterial": {},
    "DeriveSharedSecret": {"KeyAgreementAlgorithm": "ECDH", "PublicKey": PUBLIC_KEY},
    "DescribeKey": {},
    "DisableKey": {},
    "DisableKeyRotation": {},
    "EnableKey": {},
    "EnableKeyRotation": {},
    "Encapsulate": ENCAPSULATION,
    "Encrypt": {"Plaintext": b"x"},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "GenerateMac": MAC,
    "GetKeyLastUsage": {},
    "GetKeyPolicy": {},
    "GetKeyRotationStatus": {},
    "GetParametersForImport": {"WrappingAlgorithm": OAEP, "WrappingKeySpec": "RSA_2048"},
    "GetPublicKey": {},
    "ListAliases": {},
    "ListGrants": {},
    "ListKeyPolicies": {},
    "ListKeyRotations": {},
    "ListResourceTags": {},
    "PutKeyPolicy": {"Policy": OPEN_POLICY},
    "RotateKeyOnDemand": {},
    "ScheduleKeyDeletion": {},
    "Sign": MESSAGE,
    "TagResource": {"Tags": [TAG]},
    "UntagResource": {"TagKeys": ["Stage"]},
    "UpdateKeyDescription": {"Description": "x"},
}


async def new_subject(api: Api, operation: str, state: str = ENABLED) -> Subject:
    """Make a subject for `operation` and bring its key into `state`."""
    spec, usage = SPECS_OF.get(operation, SYMMETRIC)
    is_external = state == PENDING_IMPORT or operation in IMPORTING
    # Some of the keys that wait for an import had material, which takes its time, and some never had any.
    has_material = not is_external or operation in OF_KEYS_WITH_MATERIAL
    origin = "EXTERNAL" if is_external else "AWS_KMS"
    key = (await new_key(api, KeySpec=spec, KeyUsage=usage, Origin=origin))["KeyId"]
    other = (await new_key(api))["KeyId"]
    aliases = [f"alias/{uuid4()}" for _ in range(2)]
    for alias, target in zip(aliases, (key, other), strict=True):
        await api("CreateAlias", AliasName=alias, TargetKeyId=target)
    subject = Subject(key=key, alias=aliases[0], other=other, other_alias=aliases[1])
    if is_external and has_material:
        await import_material(api, key, MATERIAL)
    if has_material:
        grant = await api("CreateGrant", KeyId=key, **{**GRANT, "Operations": ["DescribeKey"]})
        subject = replace(subject, grant=grant["GrantId"], made=await _make(api, key, usage))
    if operation == "ImportKeyMaterial":
        subject = replace(subject, parcel={**await wrapped(api, key, MATERIAL), **FOR_EVER})
    if has_material:
        await bring_into(api, key, state)
    return subject


async def bring_into(api: Api, key: str, state: str) -> None:
    """Bring an enabled key into `state`; into PendingImport, one of origin EXTERNAL."""
    change = {
        DISABLED: "DisableKey",
        PENDING_DELETION: "ScheduleKeyDeletion",
        PENDING_IMPORT: "DeleteImportedKeyMaterial",
    }.get(state)
    if change is not None:
        await api(change, KeyId=key)


async def _make(api: Api, key: str, usage: str) -> bytes:
    operation, request, member = MAKING[usage]
    made: bytes = (await api(operation, KeyId=key, **request))[member]
    return made


MAKING: Mapping[str, tuple[str, Request, str]] = {
    "ENCRYPT_DECRYPT": ("Encrypt", {"Plaintext": b"x"}, "CiphertextBlob"),
    "SIGN_VERIFY": ("Sign", MESSAGE, "Signature"),
    "GENERATE_VERIFY_MAC": ("GenerateMac", MAC, "Mac"),
    "ENCAPSULATE_DECAPSULATE": ("Encapsulate", ENCAPSULATION, "SharedSecretCiphertextBlob"),
    "KEY_AGREEMENT": ("GetPublicKey", {}, "PublicKey"),
}
