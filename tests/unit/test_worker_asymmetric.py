"""GetPublicKey, DeriveSharedSecret, Encapsulate and Decapsulate, checked by whoever has the public key."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from fakes.asking import answer, ask, code, locked_refusal
from fakes.database import ACCOUNT, Database
from kmsq_schemas.models import (
    DecapsulateReply,
    DecapsulateRequest,
    DeriveSharedSecretReply,
    DeriveSharedSecretRequest,
    EncapsulateReply,
    EncapsulateRequest,
    GetPublicKeyReply,
    GetPublicKeyRequest,
)
from kmsq_schemas.models.enums import (
    CustomerMasterKeySpec,
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    Origin,
    SigningAlgorithm,
)
from kmsq_schemas.models.symmetric import RecipientInfo

ECDH = KeyAgreementAlgorithm.ECDH
ML_KEM = EncapsulationAlgorithm.ML_KEM
CURVES = {
    KeySpec.ECC_NIST_P256: (ec.SECP256R1(), 32),
    KeySpec.ECC_NIST_P384: (ec.SECP384R1(), 48),
    KeySpec.ECC_NIST_P521: (ec.SECP521R1(), 66),
}


@pytest.fixture
def database() -> Database:
    return Database()


def add(database: Database, spec: KeySpec, usage: KeyUsage) -> str:
    return database.add_key(key_spec=spec, key_usage=usage).key_id


async def public_key(database: Database, key_id: str) -> bytes:
    return (await answer(GetPublicKeyReply, database, GetPublicKeyRequest(key_id=key_id))).public_key


@pytest.mark.parametrize(
    ("spec", "usage", "old", "lists"),
    [
        (
            KeySpec.RSA_2048,
            KeyUsage.ENCRYPT_DECRYPT,
            CustomerMasterKeySpec.RSA_2048,
            {"encryption_algorithms": [EncryptionAlgorithm.RSAES_OAEP_SHA_1, EncryptionAlgorithm.RSAES_OAEP_SHA_256]},
        ),
        (
            KeySpec.ECC_NIST_P384,
            KeyUsage.SIGN_VERIFY,
            CustomerMasterKeySpec.ECC_NIST_P384,
            {"signing_algorithms": [SigningAlgorithm.ECDSA_SHA_384]},
        ),
        (
            KeySpec.ECC_NIST_P384,
            KeyUsage.KEY_AGREEMENT,
            CustomerMasterKeySpec.ECC_NIST_P384,
            {"key_agreement_algorithms": [ECDH]},
        ),
        (KeySpec.ML_KEM_768, KeyUsage.ENCAPSULATE_DECAPSULATE, None, {"encapsulation_algorithms": [ML_KEM]}),
    ],
)
async def test_a_public_key_comes_with_what_it_is_for(
    database: Database, spec: KeySpec, usage: KeyUsage, old: CustomerMasterKeySpec | None, lists: dict[str, object]
) -> None:
    key_id = add(database, spec, usage)
    database.add_alias("alias/pair", key_id)
    for name in (key_id, "alias/pair", ACCOUNT.key_arn(key_id), ACCOUNT.alias_arn("alias/pair")):
        found = await answer(GetPublicKeyReply, database, GetPublicKeyRequest(key_id=name))
        assert found.model_dump(exclude={"public_key"}, exclude_none=True) == {
            "key_id": ACCOUNT.key_arn(key_id),
            "key_spec": spec,
            "key_usage": usage,
            **({"customer_master_key_spec": old} if old else {}),
            **lists,
        }


@pytest.mark.parametrize(
    ("spec", "usage"),
    [(KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT), (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)],
)
async def test_what_is_no_key_pair_has_no_public_key(database: Database, spec: KeySpec, usage: KeyUsage) -> None:
    key_id = add(database, spec, usage)
    refused, why = await locked_refusal(database, GetPublicKeyRequest(key_id=key_id))
    assert refused == "UnsupportedOperation"
    assert why == f"{ACCOUNT.key_arn(key_id)} key spec is {spec}, which has no public key."


@pytest.mark.parametrize("spec", CURVES)
async def test_both_sides_derive_the_same_secret(database: Database, spec: KeySpec) -> None:
    curve, length = CURVES[spec]
    key_id = database.add_key(key_spec=spec, key_usage=KeyUsage.KEY_AGREEMENT, origin=Origin.EXTERNAL).key_id
    theirs = ec.generate_private_key(curve)
    sent = theirs.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = DeriveSharedSecretRequest(key_id=key_id, key_agreement_algorithm=ECDH, public_key=sent)
    found = await answer(DeriveSharedSecretReply, database, asked)
    ours = load_der_public_key(await public_key(database, key_id))
    assert isinstance(ours, ec.EllipticCurvePublicKey)
    assert found.shared_secret == theirs.exchange(ec.ECDH(), ours)
    assert len(found.shared_secret) == length
    assert (found.key_id, found.key_agreement_algorithm) == (ACCOUNT.key_arn(key_id), ECDH)
    assert found.key_origin is Origin.EXTERNAL
    assert await code(database, asked.model_copy(update={"recipient": RecipientInfo()})) == "UnsupportedOperation"


async def test_a_public_key_that_does_not_fit_is_refused_in_a_dry_run_too(database: Database) -> None:
    key_id = add(database, KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    for sent in (b"x", other_curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)):
        for dry_run in (None, True):
            asked = DeriveSharedSecretRequest(
                key_id=key_id, key_agreement_algorithm=ECDH, public_key=sent, dry_run=dry_run
            )
            assert await code(database, asked) == "Validation"


@pytest.mark.parametrize("spec", [KeySpec.ML_KEM_768, KeySpec.ML_KEM_1024])
async def test_a_secret_travels_from_whoever_has_the_public_key_to_whoever_may_decapsulate(
    database: Database, spec: KeySpec
) -> None:
    key_id = add(database, spec, KeyUsage.ENCAPSULATE_DECAPSULATE)
    made = await answer(EncapsulateReply, database, EncapsulateRequest(key_id=key_id, encapsulation_algorithm=ML_KEM))
    outside = load_der_public_key(await public_key(database, key_id))
    assert isinstance(outside, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey)
    for secret, ciphertext in ((made.shared_secret, made.shared_secret_ciphertext_blob), outside.encapsulate()):
        asked = DecapsulateRequest(
            key_id=key_id, shared_secret_ciphertext_blob=ciphertext, encapsulation_algorithm=ML_KEM
        )
        found = await answer(DecapsulateReply, database, asked)
        assert found.shared_secret == secret
        assert (found.key_id, found.encapsulation_algorithm) == (ACCOUNT.key_arn(key_id), ML_KEM)
    assert (made.key_id, made.encapsulation_algorithm) == (ACCOUNT.key_arn(key_id), ML_KEM)


async def test_a_foreign_ciphertext_gives_another_secret_and_one_of_another_length_an_error(database: Database) -> None:
    key_id = add(database, KeySpec.ML_KEM_768, KeyUsage.ENCAPSULATE_DECAPSULATE)
    other = await answer(
        EncapsulateReply,
        database,
        EncapsulateRequest(
            key_id=add(database, KeySpec.ML_KEM_768, KeyUsage.ENCAPSULATE_DECAPSULATE), encapsulation_algorithm=ML_KEM
        ),
    )
    foreign = other.shared_secret_ciphertext_blob
    asked = DecapsulateRequest(key_id=key_id, shared_secret_ciphertext_blob=foreign, encapsulation_algorithm=ML_KEM)
    assert (await answer(DecapsulateReply, database, asked)).shared_secret != other.shared_secret
    for dry_run in (None, True):
        short = asked.model_copy(update={"shared_secret_ciphertext_blob": foreign[:-1], "dry_run": dry_run})
        reply = await ask(database, short)
        assert reply.model_dump() == {"code": "InvalidCiphertextException", "message": ""}
