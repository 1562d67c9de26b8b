"""RSA encryption, beyond the published vectors."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384

from fakes.key_pairs import another, private_key, rsa_private_key
from kmsq_schemas.models.enums import EncryptionAlgorithm, KeySpec
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.primitives.rsa_encryption import decrypt, encrypt, plaintext_max_bytes
from vectors import rsa_by_hand

ALGORITHMS = [EncryptionAlgorithm.RSAES_OAEP_SHA_1, EncryptionAlgorithm.RSAES_OAEP_SHA_256]
HASHES = dict(zip(ALGORITHMS, ("sha1", "sha256"), strict=True))
LIMITS = {  # AWS KMS API: Encrypt, Plaintext
    KeySpec.RSA_2048: (214, 190),
    KeySpec.RSA_3072: (342, 318),
    KeySpec.RSA_4096: (470, 446),
}


def refuse(algorithm: EncryptionAlgorithm, ciphertext: bytes) -> None:
    with pytest.raises(InvalidCiphertextException) as caught:
        decrypt(rsa_private_key(), algorithm, ciphertext)
    assert caught.value.message == str(caught.value) == ""
    assert caught.value.reason == "oaep"


@pytest.mark.parametrize("spec", LIMITS)
def test_the_longest_plaintext_is_the_one_of_the_api(spec: KeySpec) -> None:
    key = rsa_private_key(spec)
    for algorithm, limit in zip(ALGORITHMS, LIMITS[spec], strict=True):
        assert plaintext_max_bytes(key.key_size, algorithm) == limit
        longest = bytes(limit)
        for half in (key, key.public_key()):
            ciphertext = encrypt(half, algorithm, longest)
            assert len(ciphertext) == key.key_size // 8
            assert decrypt(key, algorithm, ciphertext) == longest
            message = f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {limit} bytes."
            with pytest.raises(ValidationException) as caught:
                encrypt(half, algorithm, longest + b"\x00")
            assert caught.value.message == message


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_ciphertext_is_what_rfc_8017_writes_down(algorithm: EncryptionAlgorithm) -> None:
    """§7.1.2 by hand: the label is empty, and the masks are made with the same hash."""
    numbers = rsa_private_key().private_numbers()
    ciphertext = encrypt(rsa_private_key(), algorithm, b"a plaintext")
    encoded = pow(int.from_bytes(ciphertext, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    name = HASHES[algorithm]
    label = hashlib.new(name, b"").digest()
    first, masked_seed, masked = encoded[0], encoded[1 : 1 + len(label)], encoded[1 + len(label) :]
    seed = exclusive_or(masked_seed, rsa_by_hand.mask(masked, len(masked_seed), name))
    block = exclusive_or(masked, rsa_by_hand.mask(seed, len(masked), name))
    assert first == 0
    assert block[: len(label)] == label
    assert block[len(label) :].lstrip(b"\x00") == b"\x01a plaintext"


def exclusive_or(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_encrypting_twice_gives_two_ciphertexts(algorithm: EncryptionAlgorithm) -> None:
    assert len({encrypt(rsa_private_key(), algorithm, b"x") for _ in range(100)}) == 100


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_failure_to_decrypt_looks_the_same(algorithm: EncryptionAlgorithm) -> None:
    good = encrypt(rsa_private_key(), algorithm, b"x")
    modulus = rsa_private_key().public_key().public_numbers().n
    lengths = [good[:-1], good[1:], good + b"\x00", b"\x00" + good, b"", b"\x00", bytes(6144)]
    values = [bytes(256), b"\x00" * 255 + b"\x01", b"\xff" * 256, modulus.to_bytes(256, "big"), good[::-1]]
    flipped = [bytes([good[0] ^ 1]) + good[1:], good[:-1] + bytes([good[-1] ^ 1])]
    for wrong in lengths + values + flipped:
        refuse(algorithm, wrong)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_other_paddings_are_refused(algorithm: EncryptionAlgorithm) -> None:
    public = rsa_private_key().public_key()
    own = SHA1() if algorithm is EncryptionAlgorithm.RSAES_OAEP_SHA_1 else SHA256()  # noqa: S303  # the API's
    for padding in (
        PKCS1v15(),
        OAEP(MGF1(SHA384()), SHA384(), None),
        OAEP(MGF1(SHA384()), own, None),
        OAEP(MGF1(own), own, b"label"),
    ):
        refuse(algorithm, public.encrypt(b"x", padding))


def test_another_key_does_not_decrypt() -> None:
    for algorithm in ALGORITHMS:
        with pytest.raises(InvalidCiphertextException):
            decrypt(another(KeySpec.RSA_2048), algorithm, encrypt(rsa_private_key(), algorithm, b"x"))


def test_a_key_of_a_foreign_type_is_our_own_mistake() -> None:
    for spec in (KeySpec.ECC_NIST_P256, KeySpec.ECC_NIST_EDWARDS25519, KeySpec.ML_KEM_768):
        foreign = private_key(spec)
        with pytest.raises(TypeError, match="RSA key"):
            encrypt(foreign, EncryptionAlgorithm.RSAES_OAEP_SHA_1, b"x")
        with pytest.raises(TypeError, match="RSA key"):
            decrypt(foreign, EncryptionAlgorithm.RSAES_OAEP_SHA_1, b"x")
