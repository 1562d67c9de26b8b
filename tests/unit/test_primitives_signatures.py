"""Signing and verifying, beyond the published vectors."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fakes.key_pairs import another, private_key, rsa_private_key
from kmsq_schemas.models.enums import KeySpec, KeyUsage, MessageType, SigningAlgorithm
from kmsq_worker import keyspecs
from kmsq_worker.errors import KMSInvalidSignatureException, UnsupportedOperationException, ValidationException
from kmsq_worker.primitives import key_pairs
from kmsq_worker.primitives.key_pairs import MLDSAPrivateKey, PrivateKey, PublicKey
from kmsq_worker.primitives.signatures import require_message, sign, verify
from vectors import rsa_by_hand

RAW, DIGEST, EXTERNAL_MU = MessageType
UNSUPPORTED = {SigningAlgorithm.ED25519_PH_SHA_512, SigningAlgorithm.SM2DSA}
MESSAGE = b"pay 100 to Bob"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4 §D.1.2.3
SIGNING = [
    (spec, algorithm)
    for spec in KeySpec
    if keyspecs.is_supported(spec) and spec not in (KeySpec.RSA_3072, KeySpec.RSA_4096)  # which take long to make
    for algorithm in keyspecs.algorithms(spec, KeyUsage.SIGN_VERIFY).signing
    if algorithm not in UNSUPPORTED
]
HASHED = [(spec, algorithm) for spec, algorithm in SIGNING if spec.startswith(("RSA", "ECC_NIST_P", "ECC_SECG"))]
SUPPORTED = [algorithm for algorithm in SigningAlgorithm if algorithm not in UNSUPPORTED]
FAMILIES = {
    "RSASSA": KeySpec.RSA_2048,
    "ECDSA": KeySpec.ECC_NIST_P256,
    "ED25519": KeySpec.ECC_NIST_EDWARDS25519,
    "ML_DSA": KeySpec.ML_DSA_44,
    "ML_KEM": KeySpec.ML_KEM_768,
}
ML_DSA = [spec for spec in KeySpec if spec.startswith("ML_DSA")]


def public_key(spec: KeySpec) -> PublicKey:
    """Return the public half as somebody else loads it."""
    loaded = load_der_public_key(key_pairs.public_key(private_key(spec)))
    assert isinstance(loaded, PublicKey)
    return loaded


def digest(algorithm: SigningAlgorithm, message: bytes) -> bytes:
    return hashlib.new(f"sha{algorithm[-3:]}", message).digest()


def refuse(
    key: PrivateKey | PublicKey, algorithm: SigningAlgorithm, kind: MessageType, message: bytes, signature: bytes
) -> None:
    with pytest.raises(KMSInvalidSignatureException) as caught:
        verify(key, algorithm, kind, message, signature)
    assert caught.value.message == str(caught.value) == ""


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_a_signature_verifies_with_either_half_and_only_for_its_message(
    spec: KeySpec, algorithm: SigningAlgorithm
) -> None:
    signature = sign(private_key(spec), algorithm, RAW, MESSAGE)
    for key in (private_key(spec), public_key(spec)):
        verify(key, algorithm, RAW, MESSAGE, signature)
        refuse(key, algorithm, RAW, b"pay 900 to Bob", signature)
    refuse(another(spec), algorithm, RAW, MESSAGE, signature)


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_messages_may_be_empty_or_long(spec: KeySpec, algorithm: SigningAlgorithm) -> None:
    for message in (b"", bytes(4096), bytes(100_000)):
        verify(public_key(spec), algorithm, RAW, message, sign(private_key(spec), algorithm, RAW, message))


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_a_malformed_signature_is_an_invalid_one(spec: KeySpec, algorithm: SigningAlgorithm) -> None:
    signature = sign(private_key(spec), algorithm, RAW, MESSAGE)
    length = len(signature)
    wrong = [signature[:-1], signature[1:], signature + b"\x00", b"\x00" + signature, signature * 2, signature[::-1]]
    wrong += [b"", b"\x00", b"\x30", b"\x30\x80", bytes(length), b"\xff" * length, bytes(6144)]
    for signature in wrong:
        refuse(public_key(spec), algorithm, RAW, MESSAGE, signature)


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_a_signature_of_another_algorithm_of_the_same_key_is_invalid(
    spec: KeySpec, algorithm: SigningAlgorithm
) -> None:
    signature = sign(private_key(spec), algorithm, RAW, MESSAGE)
    for other in keyspecs.algorithms(spec, KeyUsage.SIGN_VERIFY).signing:
        if other not in UNSUPPORTED | {algorithm}:
            refuse(public_key(spec), other, RAW, MESSAGE, signature)


# Digests and μ.


@pytest.mark.parametrize(("spec", "algorithm"), HASHED)
def test_a_message_and_its_digest_have_the_same_signatures(spec: KeySpec, algorithm: SigningAlgorithm) -> None:
    hashed = digest(algorithm, MESSAGE)
    verify(public_key(spec), algorithm, DIGEST, hashed, sign(private_key(spec), algorithm, RAW, MESSAGE))
    verify(public_key(spec), algorithm, RAW, MESSAGE, sign(private_key(spec), algorithm, DIGEST, hashed))
    refuse(public_key(spec), algorithm, RAW, hashed, sign(private_key(spec), algorithm, DIGEST, hashed))


@pytest.mark.parametrize(("spec", "algorithm"), HASHED)
def test_a_digest_of_another_length_is_refused(spec: KeySpec, algorithm: SigningAlgorithm) -> None:
    text = f"^Digest is invalid length for algorithm {algorithm}.$"
    length = len(digest(algorithm, b""))
    for wrong in (0, 20, length - 1, length + 1, 2 * length):
        with pytest.raises(ValidationException, match=text):
            sign(private_key(spec), algorithm, DIGEST, bytes(wrong))
        with pytest.raises(ValidationException, match=text):
            verify(public_key(spec), algorithm, DIGEST, bytes(wrong), b"")


@pytest.mark.parametrize("spec", ML_DSA)
def test_ml_dsa_signs_the_representative_that_fips_204_defines(spec: KeySpec) -> None:
    """μ = H(H(public key) ‖ 0 ‖ length of the context ‖ context ‖ message), with no context (§5.2, §6.2)."""
    algorithm = SigningAlgorithm.ML_DSA_SHAKE_256
    key = private_key(spec)
    assert isinstance(key, MLDSAPrivateKey)
    hashed_key = hashlib.shake_256(key.public_key().public_bytes_raw()).digest(64)
    mu = hashlib.shake_256(hashed_key + b"\x00\x00" + MESSAGE).digest(64)
    verify(public_key(spec), algorithm, EXTERNAL_MU, mu, sign(key, algorithm, RAW, MESSAGE))
    verify(public_key(spec), algorithm, RAW, MESSAGE, sign(key, algorithm, EXTERNAL_MU, mu))
    for wrong in (0, 32, 63, 65):
        with pytest.raises(ValidationException, match=f"^Digest is invalid length for algorithm {algorithm}.$"):
            sign(key, algorithm, EXTERNAL_MU, bytes(wrong))
        with pytest.raises(ValidationException):
            verify(key, algorithm, EXTERNAL_MU, bytes(wrong), b"")


@pytest.mark.parametrize("algorithm", SUPPORTED)
def test_each_algorithm_takes_its_own_message_types(algorithm: SigningAlgorithm) -> None:
    taken = {RAW}
    if algorithm.startswith(("RSA", "ECDSA")):
        taken.add(DIGEST)
    if algorithm.startswith("ML_DSA"):
        taken.add(EXTERNAL_MU)
    for kind in set(MessageType) - taken:
        with pytest.raises(
            ValidationException, match=f"^MessageType {kind} is incompatible with algorithm {algorithm}"
        ):
            require_message(algorithm, kind, bytes(64))
    require_message(algorithm, RAW, b"")


@pytest.mark.parametrize("algorithm", sorted(UNSUPPORTED))
def test_what_the_library_lacks_is_unsupported_whatever_the_message(algorithm: SigningAlgorithm) -> None:
    key = private_key(KeySpec.ECC_NIST_EDWARDS25519)
    for kind in MessageType:
        with pytest.raises(UnsupportedOperationException, match=f"^Algorithm {algorithm} is not supported.$"):
            sign(key, algorithm, kind, bytes(64))
        with pytest.raises(UnsupportedOperationException):
            verify(key, algorithm, kind, bytes(64), bytes(64))


@pytest.mark.parametrize("algorithm", SUPPORTED)
def test_a_key_of_a_foreign_type_is_our_own_mistake(algorithm: SigningAlgorithm) -> None:
    for family, spec in FAMILIES.items():
        if not algorithm.startswith(family):
            with pytest.raises(TypeError, match="is needed"):
                sign(private_key(spec), algorithm, RAW, MESSAGE)
            with pytest.raises(TypeError, match="is needed"):
                verify(public_key(spec), algorithm, RAW, MESSAGE, bytes(64))


# Second opinions: RSA by the standard's own steps, ECDSA by its equation.


@pytest.mark.parametrize("algorithm", [algorithm for _, algorithm in SIGNING if algorithm.startswith("RSASSA")])
def test_rsa_signatures_are_what_rfc_8017_writes_down(algorithm: SigningAlgorithm) -> None:
    key = rsa_private_key()
    public = key.public_key().public_numbers()
    signature = sign(key, algorithm, RAW, MESSAGE)
    encoded = rsa_by_hand.open_signature(public.n, public.e, signature)
    hash_name = f"sha{algorithm[-3:]}"
    if algorithm.startswith("RSASSA_PSS"):
        salt = rsa_by_hand.pss_salt(encoded, hash_name, MESSAGE)
        assert salt is not None
        assert len(salt) == len(digest(algorithm, b""))
        assert sign(key, algorithm, RAW, MESSAGE) != signature
    else:
        assert encoded == rsa_by_hand.pkcs1_v1_5(256, hash_name, MESSAGE)
        assert sign(key, algorithm, RAW, MESSAGE) == signature


@pytest.mark.parametrize("algorithm", [algorithm for _, algorithm in SIGNING if algorithm.startswith("RSASSA_PSS")])
def test_pss_signatures_of_others_verify_if_their_salt_is_as_long_as_the_digest(algorithm: SigningAlgorithm) -> None:
    key = rsa_private_key()
    numbers = key.private_numbers()
    length = len(digest(algorithm, b""))
    for salt_bytes in (0, 20, length - 1, length, length + 1, 256 - length - 2):
        encoded = rsa_by_hand.pss(256, f"sha{algorithm[-3:]}", MESSAGE, bytes(salt_bytes))
        signature = pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
        if salt_bytes == length:
            verify(key, algorithm, RAW, MESSAGE, signature)
        else:
            refuse(key, algorithm, RAW, MESSAGE, signature)


def test_an_ecdsa_signature_is_strict_der_of_two_numbers_in_range() -> None:
    algorithm = SigningAlgorithm.ECDSA_SHA_256
    key = private_key(KeySpec.ECC_NIST_P256)
    signature = sign(key, algorithm, RAW, MESSAGE)
    r, s = decode_dss_signature(signature)
    assert 0 < r < P256_ORDER
    assert 0 < s < P256_ORDER
    verify(key, algorithm, RAW, MESSAGE, encode_dss_signature(r, P256_ORDER - s))  # as the standard has it: both are
    for wrong in ((0, s), (r, 0), (r + P256_ORDER, s), (r, s + P256_ORDER), (s, r), (0, 0)):
        refuse(key, algorithm, RAW, MESSAGE, encode_dss_signature(*wrong))
    padded = b"\x30" + bytes([signature[1] + 1]) + b"\x02" + bytes([signature[3] + 1]) + b"\x00" + signature[4:]
    refuse(key, algorithm, RAW, MESSAGE, padded)
    refuse(key, algorithm, RAW, MESSAGE, b"\x30\x81" + signature[1:])
    refuse(key, algorithm, RAW, MESSAGE, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def test_ecdsa_never_repeats_a_nonce() -> None:
    """Its first number is a function of the nonce: the same one twice gives the private key away."""
    key = private_key(KeySpec.ECC_NIST_P256)
    made = {decode_dss_signature(sign(key, SigningAlgorithm.ECDSA_SHA_256, RAW, MESSAGE))[0] for _ in range(1_000)}
    assert len(made) == 1_000
