"""Imported HMAC keys and key pairs, beside the same keys outside: what one side makes, the other takes."""

import hmac
import os
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from integration.api import Api, describe, new_key
from integration.api_import import OAEP as DIRECT
from integration.api_import import WITH_AES, import_code, imported_key, parameters
from integration.api_openssl import OpenSSL, needs_openssl

AnyKey = Any  # of the library; each test knows which it has

SIGNERS = {
    ("RSA_2048", "RSASSA_PSS_SHA_256"): (PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256()),
    ("RSA_3072", "RSASSA_PKCS1_V1_5_SHA_384"): (PKCS1v15(), SHA384()),
    ("RSA_4096", "RSASSA_PSS_SHA_512"): (PSS(MGF1(SHA512()), PSS.DIGEST_LENGTH), SHA512()),
    ("ECC_NIST_P256", "ECDSA_SHA_256"): (ECDSA(SHA256()),),
    ("ECC_NIST_P384", "ECDSA_SHA_384"): (ECDSA(SHA384()),),
    ("ECC_NIST_P521", "ECDSA_SHA_512"): (ECDSA(SHA512()),),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256"): (ECDSA(SHA256()),),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"): (),
    ("ML_DSA_44", "ML_DSA_SHAKE_256"): (),
    ("ML_DSA_65", "ML_DSA_SHAKE_256"): (),
    ("ML_DSA_87", "ML_DSA_SHAKE_256"): (),
}


@cache  # RSA keys take up to a second
def outside(spec: str, _number: int = 0) -> AnyKey:
    match spec.split("_"):
        case ["RSA", bits]:
            return generate_rsa(65_537, int(bits))
        case ["ML", *_]:
            classes = (MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey, MLKEM768PrivateKey, MLKEM1024PrivateKey)
            return {each.__name__.removesuffix("PrivateKey"): each for each in classes}[
                spec.replace("_", "")
            ].generate()
        case [*_, "EDWARDS25519"]:
            return Ed25519PrivateKey.generate()
        case [*_, curve]:
            curves = {"P256": SECP256R1(), "P384": SECP384R1(), "P521": SECP521R1(), "P256K1": SECP256K1()}
            return generate_private_key(curves[curve])
        case _:
            raise ValueError(spec)


def pkcs8(key: AnyKey) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def public_half(key: AnyKey) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


@pytest.mark.parametrize("size", [224, 256, 384, 512])
async def test_an_imported_hmac_key_makes_the_macs_that_anybody_makes(api: Api, size: int) -> None:
    material, message = os.urandom(size // 8), os.urandom(4096)
    key = await imported_key(api, material, f"HMAC_{size}", "GENERATE_VERIFY_MAC")
    common = {"KeyId": key["KeyId"], "Message": message, "MacAlgorithm": f"HMAC_SHA_{size}"}
    mac = hmac.digest(material, message, f"sha{size}")
    assert (await api("GenerateMac", **common))["Mac"] == mac
    assert (await api("VerifyMac", **common, Mac=mac))["MacValid"] is True


@pytest.mark.parametrize(("spec", "algorithm"), SIGNERS)
async def test_imported_signing_keys_sign_and_verify_with_the_key_outside(api: Api, spec: str, algorithm: str) -> None:
    mine = outside(spec)
    key = await imported_key(api, pkcs8(mine), spec, "SIGN_VERIFY")
    shown = await describe(api, key["KeyId"])
    assert (shown["KeyState"], shown["Origin"], shown["KeySpec"]) == ("Enabled", "EXTERNAL", spec)
    assert (await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"] == public_half(mine)
    common = {"KeyId": key["KeyId"], "Message": b"message", "SigningAlgorithm": algorithm}
    signature = (await api("Sign", **common))["Signature"]
    mine.public_key().verify(signature, b"message", *SIGNERS[spec, algorithm])
    signature = mine.sign(b"message", *SIGNERS[spec, algorithm])
    assert (await api("Verify", **common, Signature=signature))["SignatureValid"] is True


@needs_openssl
@pytest.mark.parametrize(("spec", "algorithm"), [pair for pair in SIGNERS if not pair[0].startswith("ML")])
async def test_imported_keys_verify_what_openssl_signs(api: Api, openssl: OpenSSL, spec: str, algorithm: str) -> None:
    mine = pkcs8(outside(spec))
    key = await imported_key(api, mine, spec, "SIGN_VERIFY")
    signature = await openssl.sign(mine, algorithm, b"message")
    common = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm, "Signature": signature}
    assert (await api("Verify", **common, Message=b"message"))["SignatureValid"] is True
    assert await api.code("Verify", **common, Message=b"massage") == "KMSInvalidSignatureException"


@needs_openssl
@pytest.mark.parametrize(("algorithm", "digest"), [("RSAES_OAEP_SHA_1", "sha1"), ("RSAES_OAEP_SHA_256", "sha256")])
async def test_openssl_decrypts_what_imported_keys_encrypt(
    api: Api, openssl: OpenSSL, algorithm: str, digest: str
) -> None:
    mine = pkcs8(outside("RSA_2048"))
    key = await imported_key(api, mine, "RSA_2048", "ENCRYPT_DECRYPT")
    sealed = await api("Encrypt", KeyId=key["KeyId"], Plaintext=b"from inside", EncryptionAlgorithm=algorithm)
    assert await openssl.decrypt(mine, sealed["CiphertextBlob"], digest) == b"from inside"


@pytest.mark.parametrize(("algorithm", "hashed"), [("RSAES_OAEP_SHA_1", SHA1()), ("RSAES_OAEP_SHA_256", SHA256())])  # noqa: S303  the API's own
async def test_imported_rsa_keys_encrypt_for_the_key_outside(api: Api, algorithm: str, hashed: SHA1 | SHA256) -> None:
    mine = outside("RSA_2048")
    key = await imported_key(api, pkcs8(mine), "RSA_2048", "ENCRYPT_DECRYPT")
    common = {"KeyId": key["KeyId"], "EncryptionAlgorithm": algorithm}
    padding = OAEP(MGF1(hashed), hashed, None)
    sealed = await api("Encrypt", **common, Plaintext=b"from inside")
    assert mine.decrypt(sealed["CiphertextBlob"], padding) == b"from inside"
    blob = mine.public_key().encrypt(b"from outside", padding)
    assert (await api("Decrypt", **common, CiphertextBlob=blob))["Plaintext"] == b"from outside"


@pytest.mark.parametrize("curve", ["P256", "P384", "P521"])
async def test_imported_keys_agree_as_the_key_outside_does(api: Api, curve: str) -> None:
    mine, other = [outside(f"ECC_NIST_{curve}", number) for number in range(2)]
    key = await imported_key(api, pkcs8(mine), f"ECC_NIST_{curve}", "KEY_AGREEMENT")
    request = {"KeyId": key["KeyId"], "KeyAgreementAlgorithm": "ECDH", "PublicKey": public_half(other)}
    derived = await api("DeriveSharedSecret", **request)
    assert derived["SharedSecret"] == mine.exchange(ECDH(), other.public_key())
    assert derived["KeyOrigin"] == "EXTERNAL"


@pytest.mark.parametrize("spec", ["ML_KEM_768", "ML_KEM_1024"])
async def test_imported_keys_encapsulate_for_the_key_outside(api: Api, spec: str) -> None:
    mine = outside(spec)
    key = await imported_key(api, pkcs8(mine), spec, "ENCAPSULATE_DECAPSULATE")
    made = await api("Encapsulate", KeyId=key["KeyId"], EncapsulationAlgorithm="ML_KEM")
    assert mine.decapsulate(made["SharedSecretCiphertextBlob"]) == made["SharedSecret"]


async def test_material_of_another_kind_is_refused(api: Api) -> None:
    p256 = outside("ECC_NIST_P256")
    pem = p256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    sec1 = p256.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key = (await new_key(api, Origin="EXTERNAL", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"))["KeyId"]
    others = [pkcs8(outside(spec)) for spec in ("ECC_NIST_P384", "ECC_SECG_P256K1", "RSA_2048")]
    for wrong in (os.urandom(32), pem, sec1, public_half(p256), pkcs8(p256)[:-1], *others):
        assert await import_code(api, key, wrong, WITH_AES) == "IncorrectKeyMaterialException"
    for spec, length in (("HMAC_224", 32), ("HMAC_384", 32), ("HMAC_512", 48)):
        key = (await new_key(api, Origin="EXTERNAL", KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC"))["KeyId"]
        assert await import_code(api, key, os.urandom(length)) == "IncorrectKeyMaterialException"


async def test_the_material_of_a_key_pair_never_changes(api: Api) -> None:
    mine = outside("ECC_NIST_P256")
    key = await imported_key(api, pkcs8(mine), "ECC_NIST_P256", "SIGN_VERIFY")
    another = pkcs8(outside("ECC_NIST_P256", 1))
    for more in ({}, {"ImportType": "NEW_KEY_MATERIAL"}):
        code = await import_code(api, key["KeyId"], another, WITH_AES, **more)
        assert code == "IncorrectKeyMaterialException"
    await api("DeleteImportedKeyMaterial", KeyId=key["KeyId"])
    assert await import_code(api, key["KeyId"], another, WITH_AES) == "IncorrectKeyMaterialException"
    assert await api.code("GetPublicKey", KeyId=key["KeyId"]) == "KMSInvalidStateException"


async def test_rsa_private_keys_are_wrapped_with_an_aes_key(api: Api) -> None:
    key = (await new_key(api, Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"))["KeyId"]
    request = {"KeyId": key, "WrappingAlgorithm": DIRECT, "WrappingKeySpec": "RSA_4096"}
    assert await api.code("GetParametersForImport", **request) == "ValidationException"
    assert (await parameters(api, key, WITH_AES))["PublicKey"]
