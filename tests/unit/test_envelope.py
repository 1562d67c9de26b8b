"""What the envelope promises beyond its vectors."""

import inspect
import uuid
from unittest.mock import patch

import pytest

from kmsq_worker import envelope
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.secret import Secret

KEY_ID = str(uuid.uuid4())
HEADER = BlobHeader(KEY_ID, 1)


@pytest.fixture
def material() -> Secret:
    return Secret.random(envelope.MATERIAL_BYTES)


def test_the_constants_add_up() -> None:
    fields = envelope.KEY_ID_BYTES + envelope.MATERIAL_NUMBER_BYTES + envelope.SALT_BYTES
    assert 2 + fields + envelope.COMMITMENT_BYTES + envelope.IV_BYTES == envelope.HEADER_BYTES == 82
    assert envelope.BLOB_MIN_BYTES == 99
    assert envelope.PLAINTEXT_MAX_BYTES + envelope.OVERHEAD_BYTES <= envelope.BLOB_MAX_BYTES


def test_every_bit_of_a_blob_counts(material: Secret) -> None:
    blob = envelope.seal(material, HEADER, b"hello", {"tenant": "acme"})
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidCiphertextException) as caught:
            envelope.open_blob(material, bytes(changed), {"tenant": "acme"})
        assert caught.value.message == str(caught.value) == ""


def test_nothing_is_decrypted_before_the_commitment_is_compared(material: Secret) -> None:
    blob = envelope.seal(material, HEADER, b"hello", {})
    with patch.object(envelope, "AESGCM") as aesgcm, pytest.raises(InvalidCiphertextException):
        envelope.open_blob(Secret.random(32), blob, {})
    aesgcm.assert_not_called()


def test_salts_and_ivs_never_repeat(material: Secret) -> None:
    count = 5_000
    blobs = [envelope.seal(material, HEADER, b"hello", {}) for _ in range(count)]
    assert len({blob[22:38] for blob in blobs}) == count
    assert len({blob[70:82] for blob in blobs}) == count
    assert len({blob[38:70] for blob in blobs}) == count


def test_seal_takes_no_nonce() -> None:
    assert list(inspect.signature(envelope.seal).parameters) == ["material", "header", "plaintext", "context"]


@pytest.mark.parametrize(("salt", "iv"), [(15, 12), (17, 12), (16, 11), (16, 16), (0, 0)])
def test_the_unsafe_door_takes_no_other_lengths(material: Secret, salt: int, iv: int) -> None:
    with pytest.raises(ValueError, match="16 and 12"):
        envelope.unsafe_seal_with(material, HEADER, b"hello", {}, salt=bytes(salt), iv=bytes(iv))


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_material_of_another_length_neither_seals_nor_opens(material: Secret, length: int) -> None:
    blob = envelope.seal(material, HEADER, b"hello", {})
    wrong = Secret.random(length)
    with pytest.raises(ValueError, match="32 bytes"):
        envelope.seal(wrong, HEADER, b"hello", {})
    with pytest.raises(ValueError, match="32 bytes"):
        envelope.open_blob(wrong, blob, {})


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        "0e94f6ba7d534c5f9d2c6a1f4b0c8d11",
        "0E94F6BA-7D53-4C5F-9D2C-6A1F4B0C8D11",
        "0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d1",
        "0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d1100",
        "0e94 f6ba 7d53 4c5f 9d2c 6a1f4b0c8d1",
        "0e94f6b-a7d53-4c5f-9d2c-6a1f4b0c8d11",
        "{0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d11}",
        "mrk-0e94f6ba7d534c5f9d2c6a1f4b0c8d11",
    ],
)
def test_only_the_canonical_text_of_a_uuid_is_a_key_id(material: Secret, key_id: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # also what bytes.fromhex says
        envelope.seal(material, BlobHeader(key_id, 1), b"hello", {})
    with pytest.raises(ValueError):  # noqa: PT011
        envelope.material_id(material, key_id)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_material_number_fits_32_bits(material: Secret, number: int) -> None:
    with pytest.raises(OverflowError):
        envelope.seal(material, BlobHeader(KEY_ID, number), b"hello", {})


@pytest.mark.parametrize("context", [{"k": "\ud800"}, {"\udcff": "v"}, {"k": "v" * 8184}], ids=["value", "key", "size"])
def test_a_context_that_cannot_be_encoded_is_the_requests_fault_when_opening_too(
    material: Secret, context: dict[str, str]
) -> None:
    blob = envelope.seal(material, HEADER, b"hello", {})
    with pytest.raises(ValidationException) as caught:
        envelope.open_blob(material, blob, context)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ == (caught.value.__context__ is not None)


def test_material_ids_recognise_material_within_a_key_only(material: Secret) -> None:
    named = envelope.material_id(material, KEY_ID)
    assert len(named) == 64
    assert named == envelope.material_id(Secret(material.reveal()), KEY_ID)
    assert named != envelope.material_id(material, str(uuid.uuid4()))
    assert named != envelope.material_id(Secret.random(32), KEY_ID)
