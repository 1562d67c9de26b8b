"""Sign and Verify, checked by the holder of nothing but the public key."""

import hashlib
from collections.abc import Sequence

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from fakes.asking import answer, ask, code, locked_refusal
from fakes.database import ACCOUNT, Database
from kmsq_schemas.models import (
    GetPublicKeyReply,
    GetPublicKeyRequest,
    SignReply,
    SignRequest,
    VerifyReply,
    VerifyRequest,
)
from kmsq_schemas.models.enums import KeySpec, KeyUsage, MessageType, SigningAlgorithm
from kmsq_worker import keyspecs

MESSAGE = b"pay 7 to bob"
SIGNING = [
    (spec, algorithm)
    for spec in (
        KeySpec.RSA_2048,
        KeySpec.ECC_NIST_P256,
        KeySpec.ECC_NIST_P384,
        KeySpec.ECC_NIST_P521,
        KeySpec.ECC_SECG_P256K1,
        KeySpec.ECC_NIST_EDWARDS25519,
        KeySpec.ML_DSA_44,
        KeySpec.ML_DSA_65,
        KeySpec.ML_DSA_87,
    )
    for algorithm in keyspecs.algorithms(spec, KeyUsage.SIGN_VERIFY).signing
    if algorithm is not SigningAlgorithm.ED25519_PH_SHA_512
]


@pytest.fixture
def database() -> Database:
    return Database()


def add(database: Database, spec: KeySpec) -> str:
    return database.add_key(key_spec=spec, key_usage=KeyUsage.SIGN_VERIFY).key_id


async def public_key(database: Database, key_id: str) -> bytes:
    return (await answer(GetPublicKeyReply, database, GetPublicKeyRequest(key_id=key_id))).public_key


def verify_outside(der: bytes, algorithm: SigningAlgorithm, message: bytes, signature: bytes) -> None:
    """Verify as anybody would who has the public key. Raises `InvalidSignature`."""
    key = load_der_public_key(der)
    digest: hashes.HashAlgorithm = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[
        algorithm[-3:]
    ]
    match key:
        case rsa.RSAPublicKey() if "PSS" in algorithm:
            key.verify(signature, message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        case rsa.RSAPublicKey():
            key.verify(signature, message, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePublicKey():
            key.verify(signature, message, ec.ECDSA(digest))
        case (
            ed25519.Ed25519PublicKey() | mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey()
        ):
            key.verify(signature, message)
        case _:
            raise TypeError(key)


def mu(der: bytes, message: bytes) -> bytes:
    """Compute what ML-DSA signs of a message (FIPS 204 §6.2), with the empty context."""
    raw = load_der_public_key(der).public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.shake_256(hashlib.shake_256(raw).digest(64) + bytes(2) + message).digest(64)


def other_forms(algorithm: SigningAlgorithm, der: bytes) -> Sequence[tuple[MessageType, bytes]]:
    """Return the message in the forms other than RAW that the algorithm takes."""
    if algorithm is SigningAlgorithm.ML_DSA_SHAKE_256:
        return [(MessageType.EXTERNAL_MU, mu(der, MESSAGE))]
    if algorithm is SigningAlgorithm.ED25519_SHA_512:
        return []
    return [(MessageType.DIGEST, hashlib.new(f"sha{algorithm[-3:]}", MESSAGE).digest())]


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
async def test_the_public_key_verifies_what_was_signed_in_every_form_of_the_message(
    database: Database, spec: KeySpec, algorithm: SigningAlgorithm
) -> None:
    key_id = add(database, spec)
    der = await public_key(database, key_id)
    for message_type, message in [(None, MESSAGE), (MessageType.RAW, MESSAGE), *other_forms(algorithm, der)]:
        asked = SignRequest(key_id=key_id, message=message, message_type=message_type, signing_algorithm=algorithm)
        signed = await answer(SignReply, database, asked)
        assert (signed.key_id, signed.signing_algorithm) == (ACCOUNT.key_arn(key_id), algorithm)
        verify_outside(der, algorithm, MESSAGE, signed.signature)
        with pytest.raises(InvalidSignature):
            verify_outside(der, algorithm, MESSAGE + b"!", signed.signature)


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
async def test_a_signature_verifies_or_the_answer_is_an_error_and_never_false(
    database: Database, spec: KeySpec, algorithm: SigningAlgorithm
) -> None:
    key_id, other = add(database, spec), add(database, spec)
    signed = await answer(SignReply, database, SignRequest(key_id=key_id, message=MESSAGE, signing_algorithm=algorithm))
    right = VerifyRequest(key_id=key_id, message=MESSAGE, signature=signed.signature, signing_algorithm=algorithm)
    verified = await answer(VerifyReply, database, right)
    assert verified.model_dump() == {
        "key_id": ACCOUNT.key_arn(key_id),
        "signature_valid": True,
        "signing_algorithm": algorithm,
    }
    for message_type, message in other_forms(algorithm, await public_key(database, key_id)):
        alike = right.model_copy(update={"message": message, "message_type": message_type})
        assert await code(database, alike) == "VerifyReply"
    for wrong in (
        {"message": MESSAGE + b"!"},
        {"signature": signed.signature[:-1] + bytes([signed.signature[-1] ^ 1])},
        {"signature": signed.signature[:-1]},
        {"signature": b"x"},
        {"key_id": other},
    ):
        for dry_run in (None, True):
            reply = await ask(database, right.model_copy(update={**wrong, "dry_run": dry_run}))
            assert reply.model_dump() == {"code": "KMSInvalidSignatureException", "message": ""}


async def test_every_signature_is_checked_under_the_algorithm_that_it_was_asked_for(database: Database) -> None:
    key_id = add(database, KeySpec.RSA_2048)
    pss, pkcs1 = SigningAlgorithm.RSASSA_PSS_SHA_256, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256
    signed = await answer(SignReply, database, SignRequest(key_id=key_id, message=MESSAGE, signing_algorithm=pss))
    asked = VerifyRequest(key_id=key_id, message=MESSAGE, signature=signed.signature, signing_algorithm=pkcs1)
    assert await code(database, asked) == "KMSInvalidSignature"


@pytest.mark.parametrize(
    ("algorithm", "message_type", "message", "expected"),
    [
        ("ECDSA_SHA_256", "DIGEST", bytes(31), "Validation"),
        ("ECDSA_SHA_256", "EXTERNAL_MU", bytes(64), "Validation"),
        ("ECDSA_SHA_384", "RAW", b"x", "InvalidKeyUsage"),
        ("RSASSA_PSS_SHA_256", None, b"x", "InvalidKeyUsage"),
        ("ED25519_SHA_512", "DIGEST", bytes(64), "InvalidKeyUsage"),
        ("ED25519_PH_SHA_512", "DIGEST", bytes(64), "UnsupportedOperation"),
        ("SM2DSA", None, b"x", "UnsupportedOperation"),
    ],
)
async def test_what_the_key_does_not_sign_is_refused_while_it_is_locked(
    database: Database, algorithm: str, message_type: str | None, message: bytes, expected: str
) -> None:
    key_id = add(database, KeySpec.ECC_NIST_P256)
    signing = SigningAlgorithm(algorithm)
    form = MessageType(message_type) if message_type else None
    sign = SignRequest(key_id=key_id, message=message, message_type=form, signing_algorithm=signing)
    verify = VerifyRequest(signature=b"x", **dict(sign))
    for asked in (sign, verify, sign.model_copy(update={"dry_run": True})):
        refused, why = await locked_refusal(database, asked)
        assert refused == expected
        if expected == "InvalidKeyUsage":
            assert why == f"Algorithm {algorithm} is incompatible with key spec ECC_NIST_P256."
        assert (await locked_refusal(database, asked, principal="bob"))[0] == "AccessDenied"


async def test_an_algorithm_that_is_listed_but_not_there_is_refused_with_its_own_key(database: Database) -> None:
    key_id = add(database, KeySpec.ECC_NIST_EDWARDS25519)
    ph = SigningAlgorithm.ED25519_PH_SHA_512
    shown = await answer(GetPublicKeyReply, database, GetPublicKeyRequest(key_id=key_id))
    assert ph in (shown.signing_algorithms or ())
    asked = SignRequest(key_id=key_id, message=bytes(64), message_type=MessageType.DIGEST, signing_algorithm=ph)
    assert (await locked_refusal(database, asked))[0] == "UnsupportedOperation"
