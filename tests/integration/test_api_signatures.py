"""GetPublicKey, Sign, Verify: what is signed inside verifies outside, with two other implementations."""

import hashlib
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey, MLDSA87PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey, MLKEM1024PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from integration.api import Api, Reply, SharedKeys
from integration.api_openssl import OpenSSL, needs_openssl
from integration.api_specs import ALGORITHMS, ASYMMETRIC, LISTS, SIGNING

PUBLIC_KEYS = {
    **dict.fromkeys(("RSA_2048", "RSA_3072", "RSA_4096"), RSAPublicKey),
    **dict.fromkeys(("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"), EllipticCurvePublicKey),
    "ECC_NIST_EDWARDS25519": Ed25519PublicKey,
    "ML_DSA_44": MLDSA44PublicKey,
    "ML_DSA_65": MLDSA65PublicKey,
    "ML_DSA_87": MLDSA87PublicKey,
    "ML_KEM_768": MLKEM768PublicKey,
    "ML_KEM_1024": MLKEM1024PublicKey,
}
HASHES = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
HASHING = [pair for pair in SIGNING if pair[1].startswith(("RSA", "ECDSA"))]
INVALID = "KMSInvalidSignatureException"


async def signing_key(api: Api, shared_keys: SharedKeys, spec: str) -> Reply:
    return await shared_keys.get(api, spec, "SIGN_VERIFY")


async def public_key(api: Api, key: Reply) -> bytes:
    der: bytes = (await api("GetPublicKey", KeyId=key["KeyId"]))["PublicKey"]
    return der


def check(public: bytes, algorithm: str, message: bytes, signature: bytes) -> None:
    """Verify with the library. Raises `InvalidSignature`."""
    key = load_der_public_key(public)
    match key:
        case RSAPublicKey() if "PSS" in algorithm:
            hashed = HASHES[algorithm[-3:]]
            key.verify(signature, message, PSS(MGF1(hashed), PSS.DIGEST_LENGTH), hashed)
        case RSAPublicKey():
            key.verify(signature, message, PKCS1v15(), HASHES[algorithm[-3:]])
        case EllipticCurvePublicKey():
            key.verify(signature, message, ECDSA(HASHES[algorithm[-3:]]))
        case Ed25519PublicKey() | MLDSA44PublicKey() | MLDSA65PublicKey() | MLDSA87PublicKey():
            key.verify(signature, message)
        case _:
            raise AssertionError(type(key))


@pytest.mark.parametrize(("spec", "usage"), ASYMMETRIC)
async def test_a_public_key_loads_and_says_what_it_is_for(
    api: Api, shared_keys: SharedKeys, spec: str, usage: str
) -> None:
    key = await shared_keys.get(api, spec, usage)
    shown = await api("GetPublicKey", KeyId=key["KeyId"])
    loaded = load_der_public_key(shown.pop("PublicKey"))
    assert isinstance(loaded, PUBLIC_KEYS[spec])
    if isinstance(loaded, RSAPublicKey | EllipticCurvePublicKey):
        assert str(loaded.key_size) in spec
    assert set(shown.pop(LISTS[usage])) == ALGORITHMS[spec, usage]
    shown.pop("CustomerMasterKeySpec", None)
    assert shown == {"KeyId": key["Arn"], "KeySpec": spec, "KeyUsage": usage}


@pytest.mark.parametrize(
    ("spec", "usage"), [("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
)
async def test_a_symmetric_key_has_no_public_half(api: Api, shared_keys: SharedKeys, spec: str, usage: str) -> None:
    key = await shared_keys.get(api, spec, usage)
    assert await api.code("GetPublicKey", KeyId=key["KeyId"]) == "UnsupportedOperationException"


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
async def test_a_signature_verifies_inside_and_outside(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    public = await public_key(api, key)
    for message in (b"x", os.urandom(4096)):
        common = {"KeyId": key["KeyId"], "Message": message, "SigningAlgorithm": algorithm}
        made = await api("Sign", **common)
        signature = made.pop("Signature")
        assert made == {"KeyId": key["Arn"], "SigningAlgorithm": algorithm}
        check(public, algorithm, message, signature)
        verified = await api("Verify", **common, Signature=signature, MessageType="RAW")
        assert verified == {"KeyId": key["Arn"], "SignatureValid": True, "SigningAlgorithm": algorithm}


@needs_openssl
@pytest.mark.parametrize(
    ("spec", "algorithm"), [(spec, algorithm) for spec, algorithm in SIGNING if not spec.startswith("ML")]
)
async def test_a_signature_verifies_with_openssl(
    api: Api, shared_keys: SharedKeys, openssl: OpenSSL, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    public = await public_key(api, key)
    request = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm}
    signature = (await api("Sign", **request, Message=b"message"))["Signature"]
    assert await openssl.verify(public, algorithm, b"message", signature)
    assert not await openssl.verify(public, algorithm, b"massage", signature)


@pytest.mark.parametrize(("spec", "algorithm"), HASHING)
async def test_the_digest_of_a_message_signs_as_the_message(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    message = os.urandom(10_000)  # more than a request may carry
    digest = hashlib.new(f"sha{algorithm[-3:]}", message).digest()
    common = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm, "Message": digest, "MessageType": "DIGEST"}
    signature = (await api("Sign", **common))["Signature"]
    check(await public_key(api, key), algorithm, message, signature)
    assert (await api("Verify", **common, Signature=signature))["SignatureValid"] is True


@pytest.mark.parametrize(("spec", "algorithm"), HASHING)
async def test_a_digest_of_another_length_is_refused(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    right = int(algorithm[-3:]) // 8
    for length in {1, 28, 32, 48, 64, right - 1, right + 1} - {right}:
        request = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm, "Message": b"x" * length}
        for operation, more in (("Sign", {}), ("Verify", {"Signature": b"x"})):
            assert await api.code(operation, **request, MessageType="DIGEST", **more) == "ValidationException"


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
async def test_a_signature_that_does_not_fit_is_an_error_and_never_false(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    common = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm}
    signature = (await api("Sign", **common, Message=b"message"))["Signature"]
    middle = len(signature) // 2
    flipped = signature[:middle] + bytes([signature[middle] ^ 1]) + signature[middle + 1 :]
    for message, wrong in (
        (b"massage", signature),
        (b"message", flipped),
        (b"message", signature[:-1]),
        (b"message", signature + b"\0"),
        (b"message", b"x"),
    ):
        assert await api.code("Verify", **common, Message=message, Signature=wrong) == INVALID


async def test_a_signature_of_another_key_or_algorithm_does_not_verify(api: Api, shared_keys: SharedKeys) -> None:
    key = await signing_key(api, shared_keys, "RSA_2048")
    common = {"KeyId": key["KeyId"], "Message": b"message"}
    made = {
        algorithm: (await api("Sign", **common, SigningAlgorithm=algorithm))["Signature"]
        for algorithm in ALGORITHMS["RSA_2048", "SIGN_VERIFY"]
    }
    for algorithm, signature in made.items():
        for other in made.keys() - {algorithm}:
            assert await api.code("Verify", **common, SigningAlgorithm=other, Signature=signature) == INVALID
    p256, k256 = [await signing_key(api, shared_keys, spec) for spec in ("ECC_NIST_P256", "ECC_SECG_P256K1")]
    request = {"Message": b"message", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = (await api("Sign", KeyId=p256["KeyId"], **request))["Signature"]
    assert await api.code("Verify", KeyId=k256["KeyId"], **request, Signature=signature) == INVALID


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "ECDSA_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_384"),
        ("ECC_NIST_P384", "ECDSA_SHA_256"),
        ("ECC_NIST_P521", "RSASSA_PSS_SHA_512"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_512"),
        ("ECC_NIST_EDWARDS25519", "ECDSA_SHA_512"),
        ("ML_DSA_44", "ED25519_SHA_512"),
        ("RSA_2048", "ML_DSA_SHAKE_256"),
    ],
)
async def test_a_key_has_the_algorithms_of_its_spec_alone(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    request = {"KeyId": key["KeyId"], "Message": b"x", "SigningAlgorithm": algorithm}
    for operation, more in (("Sign", {}), ("Verify", {"Signature": b"x"})):
        error = await api.error(operation, **request, **more)
        assert error.code == "InvalidKeyUsageException"
        assert error.message == f"Algorithm {algorithm} is incompatible with key spec {spec}."


@pytest.mark.parametrize(
    ("spec", "usage", "algorithm"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "ECDSA_SHA_256"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "ECDSA_SHA_256"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "ECDSA_SHA_256"),
    ],
)
async def test_a_key_of_another_usage_does_not_sign(
    api: Api, shared_keys: SharedKeys, spec: str, usage: str, algorithm: str
) -> None:
    key = await shared_keys.get(api, spec, usage)
    request = {"KeyId": key["KeyId"], "Message": b"x", "SigningAlgorithm": algorithm}
    for operation, more in (("Sign", {}), ("Verify", {"Signature": b"x"})):
        error = await api.error(operation, **request, **more)
        assert error.code == "InvalidKeyUsageException"
        assert error.message == f"{key['Arn']} key usage is {usage} which is not valid for {operation}."


@pytest.mark.parametrize("length", [0, 4097])
async def test_a_message_has_between_1_and_4096_bytes(api: Api, shared_keys: SharedKeys, length: int) -> None:
    key = await signing_key(api, shared_keys, "ECC_NIST_P256")
    request = {"KeyId": key["KeyId"], "Message": b"x" * length, "SigningAlgorithm": "ECDSA_SHA_256"}
    assert await api.code("Sign", **request) == "ValidationException"
    assert await api.code("Verify", **request, Signature=b"x") == "ValidationException"


@pytest.mark.parametrize(
    ("spec", "algorithm", "message_type"),
    [
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "DIGEST"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "EXTERNAL_MU"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "DIGEST"),
        ("ECC_NIST_P256", "ECDSA_SHA_256", "EXTERNAL_MU"),
        ("RSA_2048", "RSASSA_PSS_SHA_256", "EXTERNAL_MU"),
    ],
)
async def test_an_algorithm_takes_the_types_of_message_that_it_knows(
    api: Api, shared_keys: SharedKeys, spec: str, algorithm: str, message_type: str
) -> None:
    key = await signing_key(api, shared_keys, spec)
    request = {"KeyId": key["KeyId"], "Message": b"x" * 64, "SigningAlgorithm": algorithm, "MessageType": message_type}
    assert await api.code("Sign", **request) == "ValidationException"
    assert await api.code("Verify", **request, Signature=b"x" * 64) == "ValidationException"


async def test_ed25519ph_is_listed_and_unsupported(api: Api, shared_keys: SharedKeys) -> None:
    key = await signing_key(api, shared_keys, "ECC_NIST_EDWARDS25519")
    request = {"KeyId": key["KeyId"], "Message": b"x" * 64, "MessageType": "DIGEST"}
    code = await api.code("Sign", **request, SigningAlgorithm="ED25519_PH_SHA_512")
    assert code == "UnsupportedOperationException"


@pytest.mark.parametrize("size", [44, 65, 87])
async def test_ml_dsa_signs_a_representative_computed_outside(api: Api, shared_keys: SharedKeys, size: int) -> None:
    key = await signing_key(api, shared_keys, f"ML_DSA_{size}")
    public = await public_key(api, key)
    loaded = load_der_public_key(public)
    assert isinstance(loaded, MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey)
    message = os.urandom(10_000)
    # FIPS 204, algorithm 7, step 6, with the empty context: μ = H(H(pk, 64) ‖ 0 ‖ 0 ‖ M, 64).
    hashed_key = hashlib.shake_256(loaded.public_bytes_raw()).digest(64)
    mu = hashlib.shake_256(hashed_key + b"\0\0" + message).digest(64)
    common = {"KeyId": key["KeyId"], "SigningAlgorithm": "ML_DSA_SHAKE_256", "MessageType": "EXTERNAL_MU"}
    signature = (await api("Sign", **common, Message=mu))["Signature"]
    check(public, "ML_DSA_SHAKE_256", message, signature)
    assert (await api("Verify", **common, Message=mu, Signature=signature))["SignatureValid"] is True
    for length in (63, 65):
        assert await api.code("Sign", **common, Message=b"x" * length) == "ValidationException"
