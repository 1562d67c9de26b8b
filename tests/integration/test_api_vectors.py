"""Published vectors through imported keys: RFC 4231, PKCS #1, NIST's ECDSA, Ed25519's, the reference ML-DSA and ML-KEM."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from integration.api import Api
from integration.api_import import imported_key
from vectors.nist_files import CURVES, ROOT, Case, blocks, counted, labelled, rsa_private_key

AnyKey = Any  # of the library
FromSeed = Callable[[bytes], AnyKey]
KEYS_OF_EACH = 3  # an import makes an RSA key, which takes its time

OAEP_FILES = {
    "RSAES_OAEP_SHA_1": "asymmetric/RSA/pkcs-1v2-1d2-vec/oaep-vect.txt",
    "RSAES_OAEP_SHA_256": "asymmetric/RSA/oaep-custom/oaep-sha256-sha256.txt",
}
ECDSA_FILES = {
    "ECC_NIST_P256": ("asymmetric/ECDSA/FIPS_186-3/SigGen.txt", "P-256", "256"),
    "ECC_NIST_P384": ("asymmetric/ECDSA/FIPS_186-3/SigGen.txt", "P-384", "384"),
    "ECC_NIST_P521": ("asymmetric/ECDSA/FIPS_186-3/SigGen.txt", "P-521", "512"),
    "ECC_SECG_P256K1": ("asymmetric/ECDSA/SECP256K1/SigGen.txt", "K-256", "256"),
}
ML_DSA: dict[str, tuple[FromSeed, int]] = {
    "44": (mldsa.MLDSA44PrivateKey.from_seed_bytes, 2420),
    "65": (mldsa.MLDSA65PrivateKey.from_seed_bytes, 3309),
    "87": (mldsa.MLDSA87PrivateKey.from_seed_bytes, 4627),
}
ML_KEM: dict[str, FromSeed] = {
    "768": mlkem.MLKEM768PrivateKey.from_seed_bytes,
    "1024": mlkem.MLKEM1024PrivateKey.from_seed_bytes,
}


def pkcs8(key: AnyKey) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def unhex(case: Case, *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


@pytest.mark.parametrize("size", [224, 256, 384, 512])
async def test_hmac_gives_the_macs_of_rfc_4231(api: Api, size: int) -> None:
    """A key takes as many bytes as its hash has: shorter keys are the same with zeros behind, longer ones hashed."""
    cases = [case for _, case in blocks(f"HMAC/rfc-4231-sha{size}.txt") if "Key" in case][1::2]
    assert sorted(len(case["Key"]) // 2 for case in cases) == [4, 25, 131]
    for case in cases:
        secret, message, mac = unhex(case, "Key", "Msg", "MD")
        material = secret if len(secret) <= size // 8 else hashlib.new(f"sha{size}", secret).digest()
        key = await imported_key(api, material.ljust(size // 8, b"\0"), f"HMAC_{size}", "GENERATE_VERIFY_MAC")
        common = {"KeyId": key["KeyId"], "Message": message, "MacAlgorithm": f"HMAC_SHA_{size}"}
        assert (await api("GenerateMac", **common))["Mac"] == mac
        assert (await api("VerifyMac", **common, Mac=mac))["MacValid"] is True


@pytest.mark.parametrize("algorithm", OAEP_FILES)
async def test_rsa_oaep_decrypts_the_published_ciphertexts(api: Api, algorithm: str) -> None:
    by_key: dict[bytes, list[Case]] = {}
    for case in labelled(OAEP_FILES[algorithm]):
        private = rsa_private_key(case)
        if private.key_size == 2048:
            by_key.setdefault(pkcs8(private), []).append(case)
    for material, cases in islice(by_key.items(), 2):
        assert len(cases) == 6
        key = await imported_key(api, material, "RSA_2048", "ENCRYPT_DECRYPT")
        for case in cases:
            blob, message = unhex(case, "Encryption", "Message")
            opened = await api("Decrypt", KeyId=key["KeyId"], CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
            assert opened["Plaintext"] == message


def ecdsa_cases(spec: str) -> Iterator[Case]:
    name, curve, bits = ECDSA_FILES[spec]
    for section, case in blocks(name):
        if section == f"[{curve},SHA-{bits}]" and "d" in case:
            yield case


@pytest.mark.parametrize("spec", ECDSA_FILES)
async def test_ecdsa_verifies_nists_signatures(api: Api, spec: str) -> None:
    _, curve, bits = ECDSA_FILES[spec]
    cases = list(islice(ecdsa_cases(spec), KEYS_OF_EACH))
    assert len(cases) == KEYS_OF_EACH
    for case in cases:
        private = derive_private_key(int(case["d"], 16), CURVES[curve])
        assert private.public_key().public_numbers().x == int(case["Qx"], 16)
        key = await imported_key(api, pkcs8(private), spec, "SIGN_VERIFY")
        r, s = int(case["R"], 16), int(case["S"], 16)
        common = {"KeyId": key["KeyId"], "SigningAlgorithm": f"ECDSA_SHA_{bits}"}
        message = bytes.fromhex(case["Msg"])
        digest = hashlib.new(f"sha{bits}", message).digest()
        for what in ({"Message": message}, {"Message": digest, "MessageType": "DIGEST"}):
            request = {**common, **what}
            assert (await api("Verify", **request, Signature=encode_dss_signature(r, s)))["SignatureValid"] is True
            wrong = encode_dss_signature(r, s + 1)
            assert await api.code("Verify", **request, Signature=wrong) == "KMSInvalidSignatureException"


async def test_ed25519_makes_its_authors_signatures(api: Api) -> None:
    lines = (ROOT / "asymmetric/Ed25519/sign.input").read_text(encoding="ascii").splitlines()
    for line in lines[1 :: len(lines) // KEYS_OF_EACH]:
        private, _, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        material = pkcs8(Ed25519PrivateKey.from_private_bytes(private[:32]))
        key = await imported_key(api, material, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
        common = {"KeyId": key["KeyId"], "Message": message, "SigningAlgorithm": "ED25519_SHA_512"}
        assert (await api("Sign", **common))["Signature"] == signed[:64]
        assert (await api("Verify", **common, Signature=signed[:64]))["SignatureValid"] is True


@pytest.mark.parametrize("size", ML_DSA)
async def test_ml_dsa_verifies_the_reference_implementations_signatures(api: Api, size: str) -> None:
    """They have contexts, which reach the service inside μ (FIPS 204 §6.2)."""
    from_seed, signature_bytes = ML_DSA[size]
    for case in islice(counted(f"asymmetric/MLDSA/kat_MLDSA_{size}_det_pure.rsp"), KEYS_OF_EACH):
        seed, public, context, message, signed = unhex(case, "xi", "pk", "ctx", "msg", "sm")
        key = await imported_key(api, pkcs8(from_seed(seed)), f"ML_DSA_{size}", "SIGN_VERIFY")
        prefixed = b"\0" + len(context).to_bytes(1, "big") + context + message
        mu = hashlib.shake_256(hashlib.shake_256(public).digest(64) + prefixed).digest(64)
        common = {"KeyId": key["KeyId"], "SigningAlgorithm": "ML_DSA_SHAKE_256", "MessageType": "EXTERNAL_MU"}
        signature = signed[:signature_bytes]
        assert (await api("Verify", **common, Message=mu, Signature=signature))["SignatureValid"] is True
        code = await api.code("Verify", **common, Message=mu[::-1], Signature=signature)
        assert code == "KMSInvalidSignatureException"


@pytest.mark.parametrize("size", ML_KEM)
async def test_ml_kem_decapsulates_as_the_reference_implementation_does(api: Api, size: str) -> None:
    """`ct_n` was made for nobody: its secret `ss_n` shows the implicit rejection."""
    for case in islice(counted(f"asymmetric/MLKEM/kat_MLKEM_{size}.rsp"), KEYS_OF_EACH):
        material = pkcs8(ML_KEM[size](bytes.fromhex(case["d"] + case["z"])))
        key = await imported_key(api, material, f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE")
        common = {"KeyId": key["KeyId"], "EncapsulationAlgorithm": "ML_KEM"}
        for ciphertext, secret in (("ct", "ss"), ("ct_n", "ss_n")):
            blob, expected = unhex(case, ciphertext, secret)
            opened = await api("Decapsulate", **common, SharedSecretCiphertextBlob=blob)
            assert opened["SharedSecret"] == expected
