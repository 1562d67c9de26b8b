"""A key that operations are tried on, in a state, with all that a request of each operation needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from integration.api import Api, Reply, new_key
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
OPEN_POLICY = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}'
MATERIAL = b"material" * 4

SPECS_OF: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("Sign", "Verify", "GetPublicKey"), SIGNER),
    **dict.fromkeys(("GenerateMac", "VerifyMac"), MAC_KEY),
    **dict.fromkeys(("Encapsulate", "Decapsulate"), KEM),
    "DeriveSharedSecret": AGREEMENT,
}
"""Spec and usage of the keys that operations are for; of all others, symmetric."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A key with an alias, a grant and what it made; another, enabled key with an alias; an import that is prepared."""

    key: str
    alias: str = "alias/none"
    grant: str = "0" * 64
    made: bytes = b"x"
    other: str
    other_alias: str = "alias/none"
    parcel: Request

    def requests(self) -> Mapping[str, Request]:
        """Return a request about the key for each operation that is about one."""
        key: Request = {"KeyId": self.key}
        return {
            **{operation: {**key, **more} for operation, more in ABOUT_A_KEY.items()},
            "Decrypt": {"CiphertextBlob": self.made},
            "ReEncrypt": {"CiphertextBlob": self.made, "DestinationKeyId": self.other},
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
    origin = "EXTERNAL" if is_external else "AWS_KMS"
    key = (await new_key(api, KeySpec=spec, KeyUsage=usage, Origin=origin))["KeyId"]
    other = (await new_key(api))["KeyId"]
    parcel: Reply = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x", **FOR_EVER}
    if (spec, usage) == SYMMETRIC and is_external:
        await import_material(api, key, MATERIAL)
        parcel |= await wrapped(api, key, MATERIAL)
    elif is_external:
        return Subject(key=key, other=other, parcel=parcel)  # it is pending import, and makes nothing
    aliases = [f"alias/{uuid4()}" for _ in range(2)]
    for alias, target in zip(aliases, (key, other), strict=True):
        await api("CreateAlias", AliasName=alias, TargetKeyId=target)
    grant = await api("CreateGrant", KeyId=key, **{**GRANT, "Operations": ["DescribeKey"]})
    made = await _make(api, key, usage)
    await bring_into(api, key, state)
    return Subject(
        key=key,
        alias=aliases[0],
        grant=grant["GrantId"],
        made=made,
        other=other,
        other_alias=aliases[1],
        parcel=parcel,
    )


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
