"""What is encrypted, wrapped, agreed on or authenticated comes back; other bytes are refused in the one way."""

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from hypothesis import given
from hypothesis import strategies as st

from fakes.key_pairs import private_key, rsa_private_key
from kmsq_schemas.models.enums import AlgorithmSpec, EncryptionAlgorithm, KeySpec, MacAlgorithm
from kmsq_worker.errors import InvalidCiphertextException, KMSInvalidMacException, ValidationException
from kmsq_worker.primitives import agreement, import_wrapping, kem, key_pairs, macs, rsa_encryption
from kmsq_worker.secret import Secret

oaep = st.sampled_from([EncryptionAlgorithm.RSAES_OAEP_SHA_1, EncryptionAlgorithm.RSAES_OAEP_SHA_256])
wrappings = st.sampled_from([algorithm for algorithm in AlgorithmSpec if algorithm.startswith(("RSAES_O", "RSA_AES"))])
curves = st.sampled_from([KeySpec.ECC_NIST_P256, KeySpec.ECC_NIST_P384, KeySpec.ECC_NIST_P521])
lattices = st.sampled_from([(KeySpec.ML_KEM_768, 1088), (KeySpec.ML_KEM_1024, 1568)])
PADDING = OAEP(MGF1(SHA256()), SHA256(), None)


@given(algorithm=oaep, plaintext=st.binary(max_size=190))
def test_what_is_encrypted_is_decrypted(algorithm: EncryptionAlgorithm, plaintext: bytes) -> None:
    ciphertext = rsa_encryption.encrypt(rsa_private_key(), algorithm, plaintext)
    assert rsa_encryption.decrypt(rsa_private_key(), algorithm, ciphertext) == plaintext


@given(algorithm=oaep, plaintext=st.binary(max_size=300))
def test_a_plaintext_is_encrypted_or_refused(algorithm: EncryptionAlgorithm, plaintext: bytes) -> None:
    if len(plaintext) <= rsa_encryption.plaintext_max_bytes(2048, algorithm):
        assert len(rsa_encryption.encrypt(rsa_private_key(), algorithm, plaintext)) == 256
    else:
        with pytest.raises(ValidationException):
            rsa_encryption.encrypt(rsa_private_key(), algorithm, plaintext)


@given(algorithm=oaep, ciphertext=st.binary(max_size=600) | st.binary(min_size=256, max_size=256))
def test_any_bytes_do_not_decrypt(algorithm: EncryptionAlgorithm, ciphertext: bytes) -> None:
    with pytest.raises(InvalidCiphertextException) as caught:
        rsa_encryption.decrypt(rsa_private_key(), algorithm, ciphertext)
    assert caught.value.message == str(caught.value) == ""


@given(material=st.binary(min_size=1, max_size=5000), aes_key=st.binary(min_size=32, max_size=32))
def test_wrapped_material_comes_back(material: bytes, aes_key: bytes) -> None:
    wrapped = rsa_private_key().public_key().encrypt(aes_key, PADDING) + aes_key_wrap_with_padding(aes_key, material)
    unwrapped = import_wrapping.unwrap(rsa_private_key(), AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256, wrapped)
    assert unwrapped.reveal() == material


@given(material=st.binary(min_size=1, max_size=200), data=st.data())
def test_any_flipped_bit_of_wrapped_material_counts(material: bytes, data: st.DataObject) -> None:
    aes_key = bytes(32)
    wrapped = bytearray(rsa_private_key().public_key().encrypt(aes_key, PADDING))
    wrapped += aes_key_wrap_with_padding(aes_key, material)
    bit = data.draw(st.integers(0, 8 * len(wrapped) - 1))
    wrapped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidCiphertextException) as caught:
        import_wrapping.unwrap(rsa_private_key(), AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256, bytes(wrapped))
    assert caught.value.message == str(caught.value) == ""


@given(algorithm=wrappings, wrapped=st.binary(max_size=6144), key_bytes=st.integers(0, 64))
def test_any_bytes_do_not_unwrap(algorithm: AlgorithmSpec, wrapped: bytes, key_bytes: int) -> None:
    inner = rsa_private_key().public_key().encrypt(bytes(key_bytes), PADDING)
    for wrong in (wrapped, inner + wrapped if algorithm.startswith("RSA_AES") else wrapped[:256]):
        with pytest.raises(InvalidCiphertextException) as caught:
            import_wrapping.unwrap(rsa_private_key(), algorithm, wrong)
        assert caught.value.message == str(caught.value) == ""


@given(spec=curves, public_key=st.binary(max_size=600), data=st.data())
def test_any_bytes_are_no_public_key(spec: KeySpec, public_key: bytes, data: st.DataObject) -> None:
    real = key_pairs.public_key(private_key(spec))
    cut = data.draw(st.integers(0, len(real) - 1))
    for wrong in (public_key, real[:cut], real + public_key + b"\x00"):
        with pytest.raises(ValidationException):
            agreement.derive_shared_secret(private_key(spec), wrong)


@given(spec=curves, data=st.data())
def test_any_flipped_bit_of_a_public_key_is_refused(spec: KeySpec, data: st.DataObject) -> None:
    """An altered coordinate belongs to no point, but by a chance of 2⁻²⁵⁶."""
    public_key = bytearray(key_pairs.public_key(private_key(spec)))
    bit = data.draw(st.integers(0, 8 * len(public_key) - 1))
    public_key[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValidationException):
        agreement.derive_shared_secret(private_key(spec), bytes(public_key))


@given(lattice=lattices, data=st.data())
def test_a_ciphertext_of_the_right_length_gives_some_secret(lattice: tuple[KeySpec, int], data: st.DataObject) -> None:
    spec, length = lattice
    ciphertext = data.draw(st.binary(min_size=length, max_size=length))
    secret = kem.decapsulate(private_key(spec), ciphertext)
    assert len(secret) == 32
    assert kem.decapsulate(private_key(spec), ciphertext) == secret


@given(lattice=lattices, ciphertext=st.binary(max_size=2000))
def test_a_ciphertext_of_another_length_is_invalid(lattice: tuple[KeySpec, int], ciphertext: bytes) -> None:
    spec, length = lattice
    if len(ciphertext) != length:
        with pytest.raises(InvalidCiphertextException):
            kem.decapsulate(private_key(spec), ciphertext)


@given(algorithm=st.sampled_from(MacAlgorithm), message=st.binary(max_size=4096), other=st.binary(max_size=100))
def test_a_mac_verifies_and_other_bytes_do_not(algorithm: MacAlgorithm, message: bytes, other: bytes) -> None:
    key = Secret.random(int(algorithm[-3:]) // 8)
    mac = macs.generate_mac(key, algorithm, message)
    macs.verify_mac(key, algorithm, message, mac)
    for wrong in (other, mac + other + b"\x00", other + b"\x00" + mac):
        with pytest.raises(KMSInvalidMacException):
            macs.verify_mac(key, algorithm, message, wrong)
