"""Encrypt, Decrypt and ReEncrypt with RSA keys, whose other half anybody may hold."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fakes.asking import answer, ask, code, locked_refusal
from fakes.database import ACCOUNT, Database
from fakes.deliveries import request
from fakes.workers import turn_lane
from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    GetPublicKeyReply,
    GetPublicKeyRequest,
    ReEncryptReply,
    ReEncryptRequest,
)
from kmsq_schemas.models.enums import EncryptionAlgorithm, KeySpec, KeyUsage

CONTEXT = {"invoice": "7"}
SHA_1 = EncryptionAlgorithm.RSAES_OAEP_SHA_1
SHA_256 = EncryptionAlgorithm.RSAES_OAEP_SHA_256
SYMMETRIC = EncryptionAlgorithm.SYMMETRIC_DEFAULT
LIMITS = {SHA_1: 214, SHA_256: 190}  # bytes of plaintext under RSA_2048


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def rsa(database: Database) -> str:
    return database.add_key(key_spec=KeySpec.RSA_2048).key_id


async def sealed(
    database: Database, key_id: str, algorithm: EncryptionAlgorithm | None = None, plaintext: bytes = b"secret"
) -> bytes:
    asked = EncryptRequest(key_id=key_id, plaintext=plaintext, encryption_algorithm=algorithm)
    reply = await answer(EncryptReply, database, asked)
    assert (reply.key_id, reply.encryption_algorithm) == (ACCOUNT.key_arn(key_id), algorithm or SYMMETRIC)
    return reply.ciphertext_blob


async def opened(
    database: Database, blob: bytes, key_id: str | None = None, algorithm: EncryptionAlgorithm | None = None
) -> DecryptReply:
    asked = DecryptRequest(ciphertext_blob=blob, key_id=key_id, encryption_algorithm=algorithm)
    return await answer(DecryptReply, database, asked)


async def sealed_outside(database: Database, key_id: str, algorithm: EncryptionAlgorithm, plaintext: bytes) -> bytes:
    der = (await answer(GetPublicKeyReply, database, GetPublicKeyRequest(key_id=key_id))).public_key
    key = load_der_public_key(der)
    assert isinstance(key, RSAPublicKey)
    used: hashes.HashAlgorithm = hashes.SHA1() if algorithm is SHA_1 else hashes.SHA256()  # noqa: S303  # the API's
    return key.encrypt(plaintext, padding.OAEP(padding.MGF1(used), used, None))


@pytest.mark.parametrize("algorithm", LIMITS)
async def test_what_was_encrypted_here_or_outside_is_decrypted_under_every_name_of_the_key(
    database: Database, rsa: str, algorithm: EncryptionAlgorithm
) -> None:
    database.add_alias("alias/rsa", rsa)
    for blob in (
        await sealed(database, rsa, algorithm),
        await sealed_outside(database, rsa, algorithm, b"secret"),
    ):
        for name in (rsa, "alias/rsa", ACCOUNT.key_arn(rsa), ACCOUNT.alias_arn("alias/rsa")):
            assert (await opened(database, blob, name, algorithm)).model_dump(exclude_none=True) == {
                "key_id": ACCOUNT.key_arn(rsa),
                "plaintext": b"secret",
                "encryption_algorithm": algorithm,
            }


@pytest.mark.parametrize(("algorithm", "limit"), LIMITS.items())
async def test_a_plaintext_has_to_fit_into_the_modulus_in_a_dry_run_too(
    database: Database, rsa: str, algorithm: EncryptionAlgorithm, limit: int
) -> None:
    longest = EncryptRequest(key_id=rsa, plaintext=bytes(limit), encryption_algorithm=algorithm)
    assert await code(database, longest) == "EncryptReply"
    assert await code(database, longest.model_copy(update={"dry_run": True})) == "DryRunOperation"
    longer = longest.model_copy(update={"plaintext": bytes(limit + 1)})
    for asked in (longer, longer.model_copy(update={"dry_run": True})):
        assert await code(database, asked) == "Validation"
    moved = ReEncryptRequest(
        ciphertext_blob=await sealed(database, database.add_key().key_id, plaintext=bytes(limit + 1)),
        destination_key_id=rsa,
        destination_encryption_algorithm=algorithm,
    )
    for asked_to_move in (moved, moved.model_copy(update={"dry_run": True})):
        assert await code(database, asked_to_move) == "Validation"


async def test_all_failures_to_decrypt_look_alike(database: Database, rsa: str) -> None:
    blob = await sealed(database, rsa, SHA_256)
    other = database.add_key(key_spec=KeySpec.RSA_2048).key_id
    spoilt = {
        "flipped": (blob[:-1] + bytes([blob[-1] ^ 1]), rsa, SHA_256),
        "another key": (blob, other, SHA_256),
        "another algorithm": (blob, rsa, SHA_1),
        "short": (blob[:-1], rsa, SHA_256),
        "long": (blob + b"x", rsa, SHA_256),
        "beyond the modulus": (b"\xff" * len(blob), rsa, SHA_256),
        "a symmetric blob": (await sealed(database, database.add_key().key_id), rsa, SHA_256),
    }
    for what, (tampered, key_id, algorithm) in spoilt.items():
        for dry_run in (None, True):
            lane = await turn_lane(database)
            asked = DecryptRequest(
                ciphertext_blob=tampered, key_id=key_id, encryption_algorithm=algorithm, dry_run=dry_run
            )
            (reply,) = await lane.run(request(asked))
            assert reply.model_dump() == {"code": "InvalidCiphertextException", "message": ""}, what
            assert lane.records[0]["reason"] == "oaep"


async def test_whoever_decrypts_has_to_name_the_key(database: Database, rsa: str) -> None:
    blob = await sealed(database, rsa, SHA_256)
    nameless = DecryptRequest(ciphertext_blob=blob, encryption_algorithm=SHA_256)
    moved = ReEncryptRequest(ciphertext_blob=blob, destination_key_id=rsa, source_encryption_algorithm=SHA_256)
    for asked, principal in ((nameless, "alice"), (nameless, "bob"), (moved, "alice")):
        refused, why = await locked_refusal(database, asked, principal=principal)
        assert refused == "Validation"
        assert why == f"Ciphertexts of {SHA_256} do not name their key: the request must (KeyId, SourceKeyId)."


async def test_without_an_algorithm_the_symmetric_one_is_meant(database: Database, rsa: str) -> None:
    symmetric = database.add_key().key_id
    blob, cipher = await sealed(database, symmetric), await sealed(database, rsa, SHA_256)
    why = "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."
    for algorithm in (None, SYMMETRIC):
        asked = EncryptRequest(key_id=rsa, plaintext=b"x", encryption_algorithm=algorithm)
        assert await locked_refusal(database, asked) == ("InvalidKeyUsage", why)
        to_rsa = ReEncryptRequest(
            ciphertext_blob=blob, destination_key_id=rsa, destination_encryption_algorithm=algorithm
        )
        assert await locked_refusal(database, to_rsa) == ("InvalidKeyUsage", why)
        of_rsa = DecryptRequest(ciphertext_blob=blob, key_id=rsa, encryption_algorithm=algorithm)
        assert (await locked_refusal(database, of_rsa))[0] == "IncorrectKey"
        unread = DecryptRequest(ciphertext_blob=cipher, key_id=rsa, encryption_algorithm=algorithm)
        assert await locked_refusal(database, unread) == ("InvalidCiphertext", "")


@pytest.mark.parametrize("algorithm", LIMITS)
async def test_a_symmetric_key_has_no_other_algorithm(database: Database, algorithm: EncryptionAlgorithm) -> None:
    key_id = database.add_key().key_id
    blob = await sealed(database, key_id)
    why = f"Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT."
    for asked in (
        EncryptRequest(key_id=key_id, plaintext=b"x", encryption_algorithm=algorithm),
        DecryptRequest(ciphertext_blob=blob, key_id=key_id, encryption_algorithm=algorithm),
        ReEncryptRequest(
            ciphertext_blob=blob,
            source_key_id=key_id,
            source_encryption_algorithm=algorithm,
            destination_key_id=key_id,
        ),
    ):
        assert await locked_refusal(database, asked) == ("InvalidKeyUsage", why)


async def test_an_algorithm_that_the_library_lacks_is_refused(database: Database, rsa: str) -> None:
    sm2 = EncryptionAlgorithm.SM2PKE
    for asked in (
        EncryptRequest(key_id=rsa, plaintext=b"x", encryption_algorithm=sm2),
        DecryptRequest(ciphertext_blob=b"x", key_id=rsa, encryption_algorithm=sm2),
        ReEncryptRequest(ciphertext_blob=b"x", destination_key_id=rsa, source_encryption_algorithm=sm2),
    ):
        assert await locked_refusal(database, asked) == ("UnsupportedOperation", f"Algorithm {sm2} is not supported.")


async def test_an_encryption_context_is_for_symmetric_keys_alone(database: Database, rsa: str) -> None:
    symmetric = database.add_key().key_id
    blob, cipher = await sealed(database, symmetric), await sealed(database, rsa, SHA_256)
    encrypt = EncryptRequest(key_id=rsa, plaintext=b"x", encryption_algorithm=SHA_256, encryption_context=CONTEXT)
    decrypt = DecryptRequest(
        ciphertext_blob=cipher, key_id=rsa, encryption_algorithm=SHA_256, encryption_context=CONTEXT
    )
    into = ReEncryptRequest(
        ciphertext_blob=blob,
        destination_key_id=rsa,
        destination_encryption_algorithm=SHA_256,
        destination_encryption_context=CONTEXT,
    )
    out_of = ReEncryptRequest(
        ciphertext_blob=cipher,
        source_key_id=rsa,
        source_encryption_algorithm=SHA_256,
        source_encryption_context=CONTEXT,
        destination_key_id=symmetric,
    )
    for asked in (encrypt, decrypt, into, out_of):
        assert (await locked_refusal(database, asked))[0] == "Validation"
        assert (await locked_refusal(database, asked, principal="bob"))[0] == "AccessDenied"
    assert await code(database, encrypt.model_copy(update={"encryption_context": {}})) == "EncryptReply"


async def test_re_encryption_goes_from_any_kind_of_key_to_any_other(database: Database, rsa: str) -> None:
    keys = {rsa: SHA_256, database.add_key(key_spec=KeySpec.RSA_3072).key_id: SHA_1}
    kinds: dict[str, EncryptionAlgorithm | None] = {**keys, database.add_key().key_id: None}
    for source, source_algorithm in kinds.items():
        blob = await sealed(database, source, source_algorithm)
        for destination, destination_algorithm in kinds.items():
            asked = ReEncryptRequest(
                ciphertext_blob=blob,
                source_key_id=source if source_algorithm else None,
                source_encryption_algorithm=source_algorithm,
                destination_key_id=destination,
                destination_encryption_algorithm=destination_algorithm,
            )
            moved = await answer(ReEncryptReply, database, asked)
            found = await opened(database, moved.ciphertext_blob, destination, destination_algorithm)
            assert found.plaintext == b"secret"
            materials = database.tables.materials
            assert moved.model_dump(exclude={"ciphertext_blob"}) == {
                "source_key_id": ACCOUNT.key_arn(source),
                "key_id": ACCOUNT.key_arn(destination),
                "source_encryption_algorithm": source_algorithm or SYMMETRIC,
                "destination_encryption_algorithm": destination_algorithm or SYMMETRIC,
                "source_key_material_id": None if source_algorithm else materials[source, 1].material_id,
                "destination_key_material_id": None if destination_algorithm else materials[destination, 1].material_id,
            }
            assert await code(database, asked.model_copy(update={"dry_run": True})) == "DryRunOperation"


async def test_a_key_for_signatures_does_not_encrypt(database: Database) -> None:
    key_id = database.add_key(key_spec=KeySpec.RSA_2048, key_usage=KeyUsage.SIGN_VERIFY).key_id
    for asked in (
        EncryptRequest(key_id=key_id, plaintext=b"x", encryption_algorithm=SHA_256),
        DecryptRequest(ciphertext_blob=b"x", key_id=key_id, encryption_algorithm=SHA_256),
    ):
        operation = type(asked).__name__.removesuffix("Request")
        why = f"{ACCOUNT.key_arn(key_id)} key usage is SIGN_VERIFY which is not valid for {operation}."
        assert await locked_refusal(database, asked) == ("InvalidKeyUsage", why)


async def test_a_key_that_does_not_exist_is_said_to_be_missing(database: Database) -> None:
    asked = DecryptRequest(ciphertext_blob=b"x", key_id="alias/none", encryption_algorithm=SHA_256)
    reply = await ask(database, asked)
    assert reply.model_dump() == {
        "code": "NotFoundException",
        "message": f"Alias {ACCOUNT.alias_arn('alias/none')} is not found.",
    }
