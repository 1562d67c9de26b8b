"""Signatures against published vectors: FIPS 186 (RSA, ECDSA), the Ed25519 authors' file, FIPS 204 (ML-DSA)."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kmsq_schemas.models.enums import MessageType, SigningAlgorithm
from kmsq_worker.errors import KMSInvalidSignatureException
from kmsq_worker.primitives.key_pairs import MLDSAPrivateKey, PublicKey
from kmsq_worker.primitives.signatures import sign, verify
from vectors import rsa_by_hand
from vectors.nist_files import CURVES, ROOT, Case, blocks, counted, point

RSA = "asymmetric/RSA/FIPS_186-2"
ECDSA = "asymmetric/ECDSA"
SIZES = ("[mod = 2048]", "[mod = 3072]", "[mod = 4096]")  # what keys have; the files also hold smaller ones
HASHES = ("SHA256", "SHA384", "SHA512")


def is_valid(key: PublicKey, algorithm: SigningAlgorithm, message: bytes, signature: bytes) -> bool:
    """Verify the message and its digest, which have to agree."""
    digest = hashlib.new(f"sha{algorithm[-3:]}", message).digest()
    refusals = 0
    for message_type, data in ((MessageType.RAW, message), (MessageType.DIGEST, digest)):
        try:
            verify(key, algorithm, message_type, data, signature)
        except KMSInvalidSignatureException:
            refusals += 1
    assert refusals != 1
    return refusals == 0


def rsa_cases(name: str) -> list[tuple[RSAPublicNumbers, Case]]:
    """Return the cases of the sizes and hashes that keys have. The modulus stands once for many cases."""
    cases = []
    n = 0
    for section, case in blocks(f"{RSA}/{name}"):
        n = int(case.get("n", hex(n)), 16)
        if section in SIZES and case.get("SHAAlg") in HASHES:
            cases.append((RSAPublicNumbers(int(case["e"], 16), n), case))
    return cases


def test_rsassa_pkcs1_v1_5_accepts_what_nist_accepts() -> None:
    cases = rsa_cases("SigVer15_186-3.rsp")
    accepted = 0
    for numbers, case in cases:
        algorithm = SigningAlgorithm(f"RSASSA_PKCS1_V1_5_SHA_{case['SHAAlg'][3:]}")
        valid = is_valid(numbers.public_key(), algorithm, bytes.fromhex(case["Msg"]), bytes.fromhex(case["S"]))
        assert valid == (case["Result"] == "P"), case["Result"]
        accepted += valid
    assert (len(cases), accepted) == (162, 27)


def test_rsassa_pss_refuses_every_salt_that_is_not_as_long_as_the_digest() -> None:
    """NIST's valid signatures have salts of 10 bytes: RFC 8017's steps accept them, AWS and kmsq do not."""
    cases = rsa_cases("SigVerPSS_186-3.rsp")
    accepted = 0
    for numbers, case in cases:
        algorithm = SigningAlgorithm(f"RSASSA_PSS_SHA_{case['SHAAlg'][3:]}")
        message, signature = bytes.fromhex(case["Msg"]), bytes.fromhex(case["S"])
        encoded = rsa_by_hand.open_signature(numbers.n, numbers.e, signature)
        salt = rsa_by_hand.pss_salt(encoded, case["SHAAlg"].lower(), message)
        assert (salt is not None) == (case["Result"] == "P"), case["Result"]
        assert salt is None or salt.hex() == case["SaltVal"]
        assert not is_valid(numbers.public_key(), algorithm, message, signature)
        accepted += salt is not None
    assert (len(cases), accepted) == (162, 27)


def ecdsa_cases(name: str) -> list[tuple[SigningAlgorithm, str, Case]]:
    cases = []
    for section, case in blocks(f"{ECDSA}/{name}"):
        curve, _, hashing = section.strip("[]").partition(",")
        if curve in CURVES and hashing.replace("-", "") in HASHES:
            cases.append((SigningAlgorithm(f"ECDSA_SHA_{hashing[4:]}"), curve, case))
    return cases


@pytest.mark.parametrize(
    ("name", "step", "count", "valid_count"),
    [
        ("FIPS_186-3/SigVer.rsp", 1, 135, 27),
        ("FIPS_186-3/SigGen.txt", 1, 135, 135),
        ("SECP256K1/SigGen.txt", 5, 135, 135),  # every fifth: this curve is slow
    ],
)
def test_ecdsa_accepts_what_nist_accepts(name: str, step: int, count: int, valid_count: int) -> None:
    cases = ecdsa_cases(name)[::step]
    assert len(cases) == count
    accepted = 0
    for algorithm, curve, case in cases:
        signature = encode_dss_signature(int(case["R"], 16), int(case["S"], 16))
        key = point(CURVES[curve], case).public_key()
        valid = is_valid(key, algorithm, bytes.fromhex(case["Msg"]), signature)
        assert valid == case.get("Result", "P").startswith("P")
        accepted += valid
    assert accepted == valid_count


def test_ed25519_makes_and_accepts_its_authors_signatures() -> None:
    """Every fourth of 1,024 lines; the messages are as long as their line number."""
    lines = (ROOT / "asymmetric/Ed25519/sign.input").read_text(encoding="ascii").splitlines()[::4]
    assert len(lines) == 256
    for line in lines:
        private, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        signature = signed[:64]
        key = Ed25519PublicKey.from_public_bytes(public)
        ours = sign(Ed25519PrivateKey.from_private_bytes(private[:32]), *ED25519_RAW, message)
        assert ours == signature
        verify(key, *ED25519_RAW, message, signature)
        with pytest.raises(KMSInvalidSignatureException):
            verify(key, *ED25519_RAW, message + b"\x00", signature)


ED25519_RAW = (SigningAlgorithm.ED25519_SHA_512, MessageType.RAW)
ML_DSA_MU = (SigningAlgorithm.ML_DSA_SHAKE_256, MessageType.EXTERNAL_MU)
ML_DSA_SEEDED: dict[str, tuple[Callable[[bytes], MLDSAPrivateKey], int]] = {
    "44": (mldsa.MLDSA44PrivateKey.from_seed_bytes, 2420),
    "65": (mldsa.MLDSA65PrivateKey.from_seed_bytes, 3309),
    "87": (mldsa.MLDSA87PrivateKey.from_seed_bytes, 4627),
}


@pytest.mark.parametrize("size", ML_DSA_SEEDED)
def test_ml_dsa_accepts_the_reference_implementations_signatures(size: str) -> None:
    """They have contexts, which reach us inside μ (FIPS 204 §6.2), computed here with hashlib alone."""
    from_seed, signature_bytes = ML_DSA_SEEDED[size]
    cases = list(counted(f"asymmetric/MLDSA/kat_MLDSA_{size}_det_pure.rsp"))
    assert len(cases) == 100
    for case in cases:
        public, context, message = (bytes.fromhex(case[name]) for name in ("pk", "ctx", "msg"))
        signature = bytes.fromhex(case["sm"])[:signature_bytes]
        key = from_seed(bytes.fromhex(case["xi"]))
        assert key.public_key().public_bytes_raw() == public
        prefixed = b"\x00" + len(context).to_bytes(1, "big") + context + message
        mu = hashlib.shake_256(hashlib.shake_256(public).digest(64) + prefixed).digest(64)
        verify(key, *ML_DSA_MU, mu, signature)
        with pytest.raises(KMSInvalidSignatureException):
            verify(key, *ML_DSA_MU, mu[::-1], signature)
        with pytest.raises(KMSInvalidSignatureException):  # without the context it is another message
            verify(key, SigningAlgorithm.ML_DSA_SHAKE_256, MessageType.RAW, message, signature)


def test_the_cause_of_a_refusal_is_kept_for_us() -> None:
    key = Ed25519PrivateKey.generate()
    with pytest.raises(KMSInvalidSignatureException) as caught:
        verify(key, *ED25519_RAW, b"", bytes(64))
    assert isinstance(caught.value.__cause__, InvalidSignature)
    assert caught.value.message == str(caught.value) == ""
