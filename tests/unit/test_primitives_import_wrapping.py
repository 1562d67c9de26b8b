"""Unwrapping what an importer wrapped."""

from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fakes.key_pairs import another, material
from kmsq_schemas.models.enums import AlgorithmSpec, KeySpec, WrappingKeySpec
from kmsq_worker.errors import InvalidCiphertextException, UnsupportedOperationException
from kmsq_worker.primitives import import_wrapping, imported, key_pairs
from kmsq_worker.primitives.import_wrapping import generate_wrapping_key, require_wrapping, unwrap
from kmsq_worker.primitives.key_pairs import PrivateKey
from kmsq_worker.secret import Secret

MODULUS_BYTES = {WrappingKeySpec.RSA_2048: 256, WrappingKeySpec.RSA_3072: 384, WrappingKeySpec.RSA_4096: 512}
DIRECT = [AlgorithmSpec.RSAES_OAEP_SHA_1, AlgorithmSpec.RSAES_OAEP_SHA_256]
KEY_WRAP = [AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1, AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256]
UNSUPPORTED = [AlgorithmSpec.RSAES_PKCS1_V1_5, AlgorithmSpec.SM2PKE]


@cache
def wrapping_key(spec: WrappingKeySpec = WrappingKeySpec.RSA_2048) -> tuple[PrivateKey, RSAPublicKey]:
    """Return what the worker keeps and what the importer gets."""
    made = generate_wrapping_key(spec)
    public_key = load_der_public_key(made.public_key)
    assert isinstance(public_key, RSAPublicKey)
    return key_pairs.load(made.private_key), public_key


def oaep(algorithm: AlgorithmSpec) -> OAEP:
    used = SHA256() if algorithm.endswith("256") else SHA1()  # noqa: S303  # the API's
    return OAEP(MGF1(used), used, None)


def wrap(public_key: RSAPublicKey, algorithm: AlgorithmSpec, given: bytes) -> bytes:
    """Do what the API reference tells importers to do."""
    if algorithm in DIRECT:
        return public_key.encrypt(given, oaep(algorithm))
    aes_key = Secret.random(32).reveal()
    return public_key.encrypt(aes_key, oaep(algorithm)) + aes_key_wrap_with_padding(aes_key, given)


def refuse(algorithm: AlgorithmSpec, wrapped: bytes) -> None:
    with pytest.raises(InvalidCiphertextException) as caught:
        unwrap(wrapping_key()[0], algorithm, wrapped)
    assert caught.value.message == str(caught.value) == ""


@pytest.mark.parametrize("spec", MODULUS_BYTES)
def test_a_wrapping_key_has_the_size_asked_for_and_both_halves_fit(spec: WrappingKeySpec) -> None:
    private_key, public_key = wrapping_key(spec)
    assert isinstance(private_key, RSAPrivateKey)
    assert private_key.public_key() == public_key
    assert public_key.key_size == 8 * MODULUS_BYTES[spec]


def test_every_import_gets_a_wrapping_key_of_its_own() -> None:
    assert len({generate_wrapping_key(WrappingKeySpec.RSA_2048).public_key for _ in range(5)}) == 5


def test_there_are_no_wrapping_keys_on_sm2() -> None:
    with pytest.raises(UnsupportedOperationException, match=r"^Key spec SM2 is not supported\.$"):
        generate_wrapping_key(WrappingKeySpec.SM2)


@pytest.mark.parametrize("algorithm", DIRECT + KEY_WRAP)
@pytest.mark.parametrize("spec", MODULUS_BYTES)
def test_wrapped_material_comes_back(spec: WrappingKeySpec, algorithm: AlgorithmSpec) -> None:
    private_key, public_key = wrapping_key(spec)
    for length in (28, 32, 48, 64) if algorithm in DIRECT else (1, 7, 8, 9, 32, 138, 2375, 5000):
        given = Secret.random(length).reveal()
        assert unwrap(private_key, algorithm, wrap(public_key, algorithm, given)).reveal() == given


@pytest.mark.parametrize("algorithm", KEY_WRAP)
def test_a_private_key_can_be_imported(algorithm: AlgorithmSpec) -> None:
    private_key, public_key = wrapping_key()
    given = material(KeySpec.RSA_2048).reveal()
    unwrapped = unwrap(private_key, algorithm, wrap(public_key, algorithm, given))
    assert imported.accept(KeySpec.RSA_2048, unwrapped).reveal() == given


@pytest.mark.parametrize("algorithm", DIRECT + KEY_WRAP)
def test_every_failure_looks_the_same(algorithm: AlgorithmSpec) -> None:
    public_key = wrapping_key()[1]
    good = wrap(public_key, algorithm, bytes(32))
    middle = len(good) // 2
    refused = [b"", b"\x00", good[:-1], good[1:], good + b"\x00", good + bytes(8), good[:255], bytes(len(good))]
    refused += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in (0, middle, 255, len(good) - 1)]
    refused += [wrap(public_key, other, bytes(32)) for other in DIRECT + KEY_WRAP if other is not algorithm]
    refused += [public_key.encrypt(bytes(32), PKCS1v15())]
    refused += [wrap(wrapping_key(WrappingKeySpec.RSA_3072)[1], algorithm, bytes(32))]
    for wrong in refused:
        refuse(algorithm, wrong)


@pytest.mark.parametrize("algorithm", KEY_WRAP)
def test_the_ephemeral_key_is_an_aes_256_key_and_the_wrapping_is_the_padded_one(algorithm: AlgorithmSpec) -> None:
    public_key = wrapping_key()[1]
    for length in (16, 24):
        short = bytes(length)
        refuse(algorithm, public_key.encrypt(short, oaep(algorithm)) + aes_key_wrap_with_padding(short, bytes(32)))
    for length in (0, 31, 33, 64):
        refuse(algorithm, public_key.encrypt(bytes(length), oaep(algorithm)) + bytes(40))
    refuse(algorithm, public_key.encrypt(bytes(32), oaep(algorithm)) + aes_key_wrap(bytes(32), bytes(32)))


@pytest.mark.parametrize("algorithm", UNSUPPORTED)
def test_wrapping_that_is_unsafe_or_unknown_is_unsupported(algorithm: AlgorithmSpec) -> None:
    private_key, public_key = wrapping_key()
    message = f"^Wrapping algorithm {algorithm} is not supported.$"
    with pytest.raises(UnsupportedOperationException, match=message):
        require_wrapping(algorithm)
    with pytest.raises(UnsupportedOperationException, match=message):
        unwrap(private_key, algorithm, public_key.encrypt(bytes(32), PKCS1v15()))


def test_all_other_algorithms_of_the_contract_are_supported() -> None:
    for algorithm in AlgorithmSpec:
        if algorithm not in UNSUPPORTED:
            require_wrapping(algorithm)
    assert set(AlgorithmSpec) == {*DIRECT, *KEY_WRAP, *UNSUPPORTED}


def test_a_key_of_a_foreign_type_is_our_own_mistake() -> None:
    foreign = another(KeySpec.ECC_NIST_P256)
    for algorithm in DIRECT + KEY_WRAP:
        with pytest.raises(TypeError, match="RSA key"):
            unwrap(foreign, algorithm, bytes(256))


def test_the_unwrapped_material_cannot_be_printed() -> None:
    private_key, public_key = wrapping_key()
    made = import_wrapping.generate_wrapping_key(WrappingKeySpec.RSA_2048)
    assert "<Secret" in repr(made)
    assert repr(unwrap(private_key, DIRECT[0], wrap(public_key, DIRECT[0], b"x" * 32))) == "<Secret 32 bytes>"
