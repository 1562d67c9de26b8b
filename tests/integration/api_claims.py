"""Short claims about operations, for `test_service_operations`; each family has files of its own, `test_api_…`."""

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from integration.api import Api, describe, new_key
from integration.api_import import import_material
from integration.api_requests import AGREEMENT, ENCAPSULATION, GRANT, KEM, MAC, MAC_KEY, MESSAGE, SIGNER, SOMEBODY, TAG


async def tags_are_added_listed_and_removed(api: Api) -> None:
    key = (await new_key(api, Tags=[{"TagKey": "Straße", "TagValue": ""}]))["KeyId"]
    await api("TagResource", KeyId=key, Tags=[TAG])
    await api("UntagResource", KeyId=key, TagKeys=["Straße"])
    assert await api("ListResourceTags", KeyId=key) == {"Tags": [TAG], "Truncated": False}


async def a_key_is_rotated_on_a_schedule(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    await api("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    shown = await api("GetKeyRotationStatus", KeyId=key)
    assert (shown["KeyRotationEnabled"], shown["RotationPeriodInDays"]) == (True, 90)
    await api("DisableKeyRotation", KeyId=key)
    assert (await api("GetKeyRotationStatus", KeyId=key))["KeyRotationEnabled"] is False


async def what_belongs_to_a_key_is_looked_at(api: Api) -> None:
    key = await new_key(api)
    assert (await api("ListKeyPolicies", KeyId=key["KeyId"]))["PolicyNames"] == ["default"]
    used = await api("GetKeyLastUsage", KeyId=key["KeyId"])
    assert (used["KeyId"], used["KeyCreationDate"]) == (key["Arn"], key["CreationDate"])


async def grants_are_created_listed_retired_and_revoked(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    constraints = {"EncryptionContextSubset": {"tenant": "blue"}}
    made = [
        (await api("CreateGrant", KeyId=key, **GRANT, RetiringPrincipal=SOMEBODY, Constraints=constraints))["GrantId"]
        for _ in range(2)
    ]
    listed = (await api("ListGrants", KeyId=key))["Grants"]
    assert {entry["GrantId"]: entry["Constraints"] for entry in listed} == dict.fromkeys(made, constraints)
    retirable = await api.pages("ListRetirableGrants", RetiringPrincipal=SOMEBODY)
    assert set(made) <= {entry["GrantId"] for page in retirable for entry in page["Grants"]}
    await api("RetireGrant", KeyId=key, GrantId=made[0])
    await api("RevokeGrant", KeyId=key, GrantId=made[1])
    assert (await api("ListGrants", KeyId=key))["Grants"] == []


def spec_and_usage(pair: tuple[str, str]) -> dict[str, str]:
    spec, usage = pair
    return {"KeySpec": spec, "KeyUsage": usage}


async def messages_are_signed_and_authenticated(api: Api) -> None:
    signer = (await new_key(api, **spec_and_usage(SIGNER)))["KeyId"]
    assert isinstance(
        load_der_public_key((await api("GetPublicKey", KeyId=signer))["PublicKey"]), EllipticCurvePublicKey
    )
    signature = (await api("Sign", KeyId=signer, **MESSAGE))["Signature"]
    assert (await api("Verify", KeyId=signer, **MESSAGE, Signature=signature))["SignatureValid"] is True
    maker = (await new_key(api, **spec_and_usage(MAC_KEY)))["KeyId"]
    mac = (await api("GenerateMac", KeyId=maker, **MAC))["Mac"]
    assert (await api("VerifyMac", KeyId=maker, **MAC, Mac=mac))["MacValid"] is True


async def secrets_are_agreed_on_and_encapsulated(api: Api) -> None:
    keys = [(await new_key(api, **spec_and_usage(AGREEMENT)))["KeyId"] for _ in range(2)]
    publics = [(await api("GetPublicKey", KeyId=key))["PublicKey"] for key in keys]
    secrets = {
        (await api("DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public))["SharedSecret"]
        for key, public in zip(keys, reversed(publics), strict=True)
    }
    assert len(secrets) == 1
    common = {"KeyId": (await new_key(api, **spec_and_usage(KEM)))["KeyId"]}
    made = await api("Encapsulate", **common, **ENCAPSULATION)
    sealed = {"SharedSecretCiphertextBlob": made["SharedSecretCiphertextBlob"]}
    assert (await api("Decapsulate", **common, **ENCAPSULATION, **sealed))["SharedSecret"] == made["SharedSecret"]


async def data_key_pairs_are_generated(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    request = {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": {"κλειδί": "ключ"}}
    made = await api("GenerateDataKeyPair", **request)
    hidden = await api("GenerateDataKeyPairWithoutPlaintext", **request)
    for pair in (made, hidden):
        blob = {"CiphertextBlob": pair["PrivateKeyCiphertextBlob"], "EncryptionContext": request["EncryptionContext"]}
        plaintext = (await api("Decrypt", **blob))["Plaintext"]
        assert pair.get("PrivateKeyPlaintext", plaintext) == plaintext
        public = load_der_private_key(plaintext, None).public_key()
        assert public == load_der_public_key(pair["PublicKey"])


async def material_is_imported_and_deleted(api: Api) -> None:
    key = (await new_key(api, Origin="EXTERNAL"))["KeyId"]
    made = await import_material(api, key, bytes(range(32)))
    assert (await describe(api, key))["CurrentKeyMaterialId"] == made["KeyMaterialId"]
    await api("DeleteImportedKeyMaterial", KeyId=key)
    assert (await describe(api, key))["KeyState"] == "PendingImport"


async def batches_do_to_many_what_single_operations_do_to_one(api: Api) -> None:
    key, other = (await new_key(api))["KeyId"], (await new_key(api))["KeyId"]
    plaintexts = [b"a", b"b"]
    sealed = (await api("BatchEncrypt", KeyId=key, Plaintexts=plaintexts))["CiphertextBlobs"]
    moved = (await api("BatchReEncrypt", CiphertextBlobs=sealed, DestinationKeyId=other))["CiphertextBlobs"]
    length = {"NumberOfKeys": 2, "KeySpec": "AES_256"}
    made = await api("BatchGenerateDataKey", KeyId=key, **length)
    hidden = (await api("BatchGenerateDataKeyWithoutPlaintext", KeyId=key, **length))["CiphertextBlobs"]
    opened = await api("BatchDecrypt", CiphertextBlobs=[*moved, *made["CiphertextBlobs"], *hidden])
    assert opened["Plaintexts"][:4] == [*plaintexts, *made["Plaintexts"]]
    assert [len(data_key) for data_key in opened["Plaintexts"][2:]] == [32] * 4
    maker = (await new_key(api, **spec_and_usage(MAC_KEY)))["KeyId"]
    macs = (await api("BatchGenerateMac", KeyId=maker, Messages=[b"x"], MacAlgorithm="HMAC_SHA_256"))["Macs"]
    assert macs == [(await api("GenerateMac", KeyId=maker, **MAC))["Mac"]]


CLAIMS = (
    tags_are_added_listed_and_removed,
    a_key_is_rotated_on_a_schedule,
    what_belongs_to_a_key_is_looked_at,
    grants_are_created_listed_retired_and_revoked,
    messages_are_signed_and_authenticated,
    secrets_are_agreed_on_and_encapsulated,
    data_key_pairs_are_generated,
    material_is_imported_and_deleted,
    batches_do_to_many_what_single_operations_do_to_one,
)
