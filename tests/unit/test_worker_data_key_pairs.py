"""Data key pairs: whoever decrypts the wrapped private key holds the other half of the public key."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from fakes.asking import answer, code, locked_refusal
from fakes.database import ACCOUNT, Database
from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    GenerateDataKeyPairReply,
    GenerateDataKeyPairRequest,
    GenerateDataKeyPairWithoutPlaintextReply,
    GenerateDataKeyPairWithoutPlaintextRequest,
    GenerateDataKeyRequest,
)
from kmsq_schemas.models.enums import DataKeyPairSpec, DataKeySpec, KeySpec, KeyUsage
from kmsq_schemas.models.symmetric import RecipientInfo
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret

CONTEXT = {"invoice": "7"}
UNSUPPORTED = {DataKeyPairSpec.SM2, DataKeyPairSpec.ML_KEM_512}


@pytest.fixture
def database() -> Database:
    return Database()


async def opened(database: Database, blob: bytes) -> DecryptReply:
    return await answer(DecryptReply, database, DecryptRequest(ciphertext_blob=blob, encryption_context=CONTEXT))


def public_half(private_key: bytes) -> bytes:
    loaded = load_der_private_key(private_key, None)
    return loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("spec", [spec for spec in DataKeyPairSpec if spec not in UNSUPPORTED])
async def test_the_private_key_comes_in_plaintext_and_wrapped_and_fits_the_public_key(
    database: Database, spec: DataKeyPairSpec
) -> None:
    key_id = database.add_key().key_id
    made = await answer(
        GenerateDataKeyPairReply,
        database,
        GenerateDataKeyPairRequest(key_id=key_id, key_pair_spec=spec, encryption_context=CONTEXT),
    )
    unwrapped = await opened(database, made.private_key_ciphertext_blob)
    assert unwrapped.plaintext == made.private_key_plaintext
    assert public_half(made.private_key_plaintext) == made.public_key
    assert key_pairs.spec_of(key_pairs.load(Secret(made.private_key_plaintext))) == spec.value
    assert (made.key_id, made.key_pair_spec) == (ACCOUNT.key_arn(key_id), spec)
    assert made.key_material_id == database.tables.materials[key_id, 1].material_id == unwrapped.key_material_id


async def test_without_plaintext_the_private_key_comes_wrapped_alone(database: Database) -> None:
    key_id = database.add_key().key_id
    database.add_alias("alias/a", key_id)
    asked = GenerateDataKeyPairWithoutPlaintextRequest(
        key_id="alias/a", key_pair_spec=DataKeyPairSpec.ECC_NIST_P256, encryption_context=CONTEXT
    )
    made = await answer(GenerateDataKeyPairWithoutPlaintextReply, database, asked)
    assert public_half((await opened(database, made.private_key_ciphertext_blob)).plaintext) == made.public_key
    assert made.key_id == ACCOUNT.key_arn(key_id)
    assert made.key_material_id == database.tables.materials[key_id, 1].material_id
    another = DecryptRequest(ciphertext_blob=made.private_key_ciphertext_blob)
    assert await code(database, another) == "InvalidCiphertext"


async def test_no_two_key_pairs_are_alike(database: Database) -> None:
    key_id = database.add_key().key_id
    asked = GenerateDataKeyPairRequest(key_id=key_id, key_pair_spec=DataKeyPairSpec.ECC_NIST_EDWARDS25519)
    made = [await answer(GenerateDataKeyPairReply, database, asked) for _ in range(2)]
    assert made[0].private_key_plaintext != made[1].private_key_plaintext


@pytest.mark.parametrize("spec", UNSUPPORTED)
async def test_key_pairs_that_the_library_lacks_are_refused_in_a_dry_run_too(
    database: Database, spec: DataKeyPairSpec
) -> None:
    key_id = database.add_key().key_id
    for dry_run in (None, True):
        for kind in (GenerateDataKeyPairRequest, GenerateDataKeyPairWithoutPlaintextRequest):
            asked = kind(key_id=key_id, key_pair_spec=spec, dry_run=dry_run)
            assert await locked_refusal(database, asked) == (
                "UnsupportedOperation",
                f"KeyPairSpec {spec} is not supported.",
            )


async def test_a_recipient_is_refused(database: Database) -> None:
    asked = GenerateDataKeyPairRequest(
        key_id=database.add_key().key_id, key_pair_spec=DataKeyPairSpec.ECC_NIST_P256, recipient=RecipientInfo()
    )
    assert (await locked_refusal(database, asked))[0] == "UnsupportedOperation"


@pytest.mark.parametrize("usage", [KeyUsage.ENCRYPT_DECRYPT, KeyUsage.SIGN_VERIFY])
async def test_data_keys_of_either_kind_are_made_under_symmetric_keys_alone(
    database: Database, usage: KeyUsage
) -> None:
    key_id = database.add_key(key_spec=KeySpec.RSA_2048, key_usage=usage).key_id
    spec = DataKeyPairSpec.ECC_NIST_P256
    for asked in (
        GenerateDataKeyPairRequest(key_id=key_id, key_pair_spec=spec),
        GenerateDataKeyPairWithoutPlaintextRequest(key_id=key_id, key_pair_spec=spec),
        GenerateDataKeyRequest(key_id=key_id, key_spec=DataKeySpec.AES_256),
        GenerateDataKeyRequest(key_id=key_id, key_spec=DataKeySpec.AES_256, dry_run=True),
    ):
        refused, why = await locked_refusal(database, asked)
        assert refused == "InvalidKeyUsage"
        if usage is KeyUsage.ENCRYPT_DECRYPT:
            assert why == "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."
