"""Every use of a key that is no symmetric encryption, as a request that succeeds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fakes.asking import answer
from fakes.database import Database
from kmsq_schemas.models import (
    DecapsulateRequest,
    DecryptRequest,
    DeriveSharedSecretRequest,
    EncapsulateReply,
    EncapsulateRequest,
    EncryptReply,
    EncryptRequest,
    GenerateDataKeyPairRequest,
    GenerateDataKeyPairWithoutPlaintextRequest,
    GenerateMacReply,
    GenerateMacRequest,
    GetPublicKeyRequest,
    ReEncryptRequest,
    Request,
    SignReply,
    SignRequest,
    VerifyMacRequest,
    VerifyRequest,
)
from kmsq_schemas.models.enums import (
    DataKeyPairSpec,
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    SigningAlgorithm,
)

ECDSA = SigningAlgorithm.ECDSA_SHA_256
HMAC = MacAlgorithm.HMAC_SHA_256
ML_KEM = EncapsulationAlgorithm.ML_KEM
OAEP = EncryptionAlgorithm.RSAES_OAEP_SHA_256

Asking = Callable[[Database, str], Awaitable[Request]]


@dataclass(frozen=True, slots=True)
class Use:
    """What a key must be for a use, and how to ask for it of a key that is that."""

    spec: KeySpec
    usage: KeyUsage
    asking: Asking

    def add_key(self, database: Database) -> str:
        """Insert a key for this use."""
        return database.add_key(key_spec=self.spec, key_usage=self.usage).key_id


async def _get_public_key(_: Database, key_id: str) -> Request:
    return GetPublicKeyRequest(key_id=key_id)


async def _sign(_: Database, key_id: str) -> Request:
    return SignRequest(key_id=key_id, message=b"x", signing_algorithm=ECDSA)


async def _verify(database: Database, key_id: str) -> Request:
    signed = await answer(SignReply, database, await _sign(database, key_id))
    return VerifyRequest(key_id=key_id, message=b"x", signature=signed.signature, signing_algorithm=ECDSA)


async def _derive(_: Database, key_id: str) -> Request:
    public_key = generate_private_key(SECP256R1()).public_key()
    return DeriveSharedSecretRequest(
        key_id=key_id,
        key_agreement_algorithm=KeyAgreementAlgorithm.ECDH,
        public_key=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


async def _encapsulate(_: Database, key_id: str) -> Request:
    return EncapsulateRequest(key_id=key_id, encapsulation_algorithm=ML_KEM)


async def _decapsulate(database: Database, key_id: str) -> Request:
    made = await answer(EncapsulateReply, database, await _encapsulate(database, key_id))
    blob = made.shared_secret_ciphertext_blob
    return DecapsulateRequest(key_id=key_id, shared_secret_ciphertext_blob=blob, encapsulation_algorithm=ML_KEM)


async def _generate_mac(_: Database, key_id: str) -> Request:
    return GenerateMacRequest(key_id=key_id, message=b"x", mac_algorithm=HMAC)


async def _verify_mac(database: Database, key_id: str) -> Request:
    made = await answer(GenerateMacReply, database, await _generate_mac(database, key_id))
    return VerifyMacRequest(key_id=key_id, message=b"x", mac=made.mac, mac_algorithm=HMAC)


async def _generate_pair(_: Database, key_id: str) -> Request:
    return GenerateDataKeyPairRequest(key_id=key_id, key_pair_spec=DataKeyPairSpec.ECC_NIST_P256)


async def _generate_wrapped_pair(_: Database, key_id: str) -> Request:
    return GenerateDataKeyPairWithoutPlaintextRequest(key_id=key_id, key_pair_spec=DataKeyPairSpec.ECC_NIST_P256)


async def _encrypt(_: Database, key_id: str) -> Request:
    return EncryptRequest(key_id=key_id, plaintext=b"x", encryption_algorithm=OAEP)


async def _decrypt(database: Database, key_id: str) -> Request:
    made = await answer(EncryptReply, database, await _encrypt(database, key_id))
    return DecryptRequest(ciphertext_blob=made.ciphertext_blob, key_id=key_id, encryption_algorithm=OAEP)


async def _re_encrypt(database: Database, key_id: str, *, outwards: bool) -> Request:
    other = database.add_key().key_id
    sealed = EncryptRequest(key_id=other, plaintext=b"x")
    made = await answer(EncryptReply, database, await _encrypt(database, key_id) if outwards else sealed)
    return ReEncryptRequest(
        ciphertext_blob=made.ciphertext_blob,
        source_key_id=key_id if outwards else other,
        source_encryption_algorithm=OAEP if outwards else None,
        destination_key_id=other if outwards else key_id,
        destination_encryption_algorithm=None if outwards else OAEP,
    )


_PAIR = (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
_KEM = (KeySpec.ML_KEM_768, KeyUsage.ENCAPSULATE_DECAPSULATE)
_MAC = (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
_SYMMETRIC = (KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT)
_RSA = (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)

USES: Mapping[str, Use] = {
    "get public key": Use(*_PAIR, _get_public_key),
    "sign": Use(*_PAIR, _sign),
    "verify": Use(*_PAIR, _verify),
    "derive": Use(KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT, _derive),
    "encapsulate": Use(*_KEM, _encapsulate),
    "decapsulate": Use(*_KEM, _decapsulate),
    "generate mac": Use(*_MAC, _generate_mac),
    "verify mac": Use(*_MAC, _verify_mac),
    "generate pair": Use(*_SYMMETRIC, _generate_pair),
    "generate wrapped pair": Use(*_SYMMETRIC, _generate_wrapped_pair),
    "encrypt with RSA": Use(*_RSA, _encrypt),
    "decrypt with RSA": Use(*_RSA, _decrypt),
    "re-encrypt from RSA": Use(*_RSA, partial(_re_encrypt, outwards=True)),
    "re-encrypt to RSA": Use(*_RSA, partial(_re_encrypt, outwards=False)),
}
"""Grouped as the operations' modules are."""
