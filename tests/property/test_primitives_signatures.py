"""Whatever is signed verifies; nothing else does, and nothing crashes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.key_pairs import private_key
from kmsq_schemas.models.enums import KeySpec, MessageType, SigningAlgorithm
from kmsq_worker.errors import KMSInvalidSignatureException, ValidationException
from kmsq_worker.primitives.signatures import sign, verify

RAW, DIGEST, EXTERNAL_MU = MessageType
ALGORITHMS = [
    *[(KeySpec.RSA_2048, algorithm) for algorithm in SigningAlgorithm if algorithm.startswith("RSASSA")],
    (KeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_256),
    (KeySpec.ECC_NIST_P384, SigningAlgorithm.ECDSA_SHA_384),
    (KeySpec.ECC_NIST_P521, SigningAlgorithm.ECDSA_SHA_512),
    (KeySpec.ECC_SECG_P256K1, SigningAlgorithm.ECDSA_SHA_256),
    (KeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512),
    (KeySpec.ML_DSA_44, SigningAlgorithm.ML_DSA_SHAKE_256),
    (KeySpec.ML_DSA_65, SigningAlgorithm.ML_DSA_SHAKE_256),
    (KeySpec.ML_DSA_87, SigningAlgorithm.ML_DSA_SHAKE_256),
]
HASHED = [chosen for chosen in ALGORITHMS if chosen[1].startswith(("RSASSA", "ECDSA"))]
Chosen = tuple[KeySpec, SigningAlgorithm]
messages = st.binary(max_size=4096)
places = st.integers(0, 2**20)  # in a signature, modulo its length: ECDSA's is not always the same


@given(chosen=st.sampled_from(ALGORITHMS), message=messages, other=messages)
def test_a_signature_verifies_for_its_own_message_alone(chosen: Chosen, message: bytes, other: bytes) -> None:
    spec, algorithm = chosen
    signature = sign(private_key(spec), algorithm, RAW, message)
    verify(private_key(spec), algorithm, RAW, message, signature)
    if other != message:
        with pytest.raises(KMSInvalidSignatureException):
            verify(private_key(spec), algorithm, RAW, other, signature)


@given(chosen=st.sampled_from(ALGORITHMS), message=messages, place=places)
def test_any_flipped_bit_of_a_signature_counts(chosen: Chosen, message: bytes, place: int) -> None:
    spec, algorithm = chosen
    signature = bytearray(sign(private_key(spec), algorithm, RAW, message))
    bit = place % (8 * len(signature))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(KMSInvalidSignatureException):
        verify(private_key(spec), algorithm, RAW, message, bytes(signature))


@given(chosen=st.sampled_from(ALGORITHMS), message=messages, signature=st.binary(max_size=6144), place=places)
def test_any_bytes_are_an_invalid_signature(chosen: Chosen, message: bytes, signature: bytes, place: int) -> None:
    spec, algorithm = chosen
    real = sign(private_key(spec), algorithm, RAW, message)
    for wrong in (signature, real[: place % len(real)] + signature):
        if wrong != real:
            with pytest.raises(KMSInvalidSignatureException) as caught:
                verify(private_key(spec), algorithm, RAW, message, wrong)
            assert caught.value.message == str(caught.value) == ""


@given(chosen=st.sampled_from(HASHED), message=messages)
def test_a_digest_stands_for_its_message(chosen: Chosen, message: bytes) -> None:
    spec, algorithm = chosen
    digest = hashlib.new(f"sha{algorithm[-3:]}", message).digest()
    verify(private_key(spec), algorithm, DIGEST, digest, sign(private_key(spec), algorithm, RAW, message))
    verify(private_key(spec), algorithm, RAW, message, sign(private_key(spec), algorithm, DIGEST, digest))


@given(chosen=st.sampled_from(ALGORITHMS), kind=st.sampled_from(MessageType), message=st.binary(max_size=70))
def test_a_message_is_signed_or_refused_and_never_anything_else(
    chosen: Chosen, kind: MessageType, message: bytes
) -> None:
    spec, algorithm = chosen
    try:
        signature = sign(private_key(spec), algorithm, kind, message)
    except ValidationException as error:
        assert kind is not RAW
        with pytest.raises(ValidationException, match=str(error)):
            verify(private_key(spec), algorithm, kind, message, b"")
    else:
        verify(private_key(spec), algorithm, kind, message, signature)
