"""The worker's envelope and the second implementation agree on every vector, and with the page that publishes them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kmsq_schemas.errors import ErrorCode
from kmsq_worker import envelope
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.errors import KmsError
from kmsq_worker.secret import Secret
from vectors import vector_maker
from vectors.files import DOCUMENT, name_of, text, vectors

BLOBS = vectors("blobs")
Vector = dict[str, Any]


def secret(digits: str) -> Secret:
    return Secret(bytes.fromhex(digits))


@pytest.mark.parametrize("name", vector_maker.MAKERS)
def test_the_second_implementation_makes_the_published_vectors(name: str) -> None:
    assert vector_maker.render(name) == text(name)


@pytest.mark.parametrize("vector", BLOBS, ids=name_of)
def test_the_worker_seals_to_the_published_bytes(vector: Vector) -> None:
    header = BlobHeader(vector["key_id"], vector["material_number"])
    blob = envelope.unsafe_seal_with(
        secret(vector["material"]),
        header,
        bytes.fromhex(vector["plaintext"]),
        vector["context"],
        salt=bytes.fromhex(vector["salt"]),
        iv=bytes.fromhex(vector["iv"]),
    )
    assert blob.hex() == vector["blob"]
    assert envelope.encode_context(vector["context"]).hex() == vector["encoded_context"]


@pytest.mark.parametrize("vector", BLOBS, ids=name_of)
def test_both_open_what_is_published(vector: Vector) -> None:
    blob, plaintext = bytes.fromhex(vector["blob"]), bytes.fromhex(vector["plaintext"])
    assert envelope.parse_header(blob) == BlobHeader(vector["key_id"], vector["material_number"])
    assert envelope.open_blob(secret(vector["material"]), blob, vector["context"]) == plaintext
    assert vector_maker.open_blob(bytes.fromhex(vector["material"]), blob, vector["context"]) == plaintext


@pytest.mark.parametrize("vector", vectors("blobs_refused"), ids=name_of)
def test_both_refuse_what_must_not_open(vector: Vector) -> None:
    blob = bytes.fromhex(vector["blob"])
    with pytest.raises(KmsError) as caught:
        envelope.open_blob(secret(vector["material"]), blob, vector["context"])
    assert caught.value.code == ErrorCode(vector["code"])
    assert caught.value.message == str(caught.value) == ""
    assert caught.value.reason == vector["reason"]
    with pytest.raises(Exception):  # noqa: B017, PT011  # the second implementation refuses by any exception
        vector_maker.open_blob(bytes.fromhex(vector["material"]), blob, vector["context"])


@pytest.mark.parametrize("vector", vectors("seals_refused"), ids=name_of)
def test_what_must_not_seal_does_not(vector: Vector) -> None:
    header = BlobHeader(vector["key_id"], vector["material_number"])
    with pytest.raises(KmsError) as caught:
        envelope.seal(secret(vector["material"]), header, bytes.fromhex(vector["plaintext"]), vector["context"])
    assert caught.value.code == ErrorCode(vector["code"])


@pytest.mark.parametrize("vector", vectors("two_keys"), ids=name_of)
def test_a_ciphertext_valid_under_two_keys_opens_under_one(vector: Vector) -> None:
    blob = bytes.fromhex(vector["blob"])
    plain = [AESGCM(bytes.fromhex(key)).decrypt(blob[70:82], blob[82:], blob[:82]) for key in vector["message_keys"]]
    assert plain[0] != plain[1]  # AES-GCM itself is content with both

    assert envelope.open_blob(secret(vector["opens_under"]), blob, vector["context"]) == plain[0]
    with pytest.raises(KmsError) as caught:
        envelope.open_blob(secret(vector["refused_under"]), blob, vector["context"])
    assert caught.value.reason == "commitment"


def test_the_page_shows_the_vector_it_names() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    example = next(vector for vector in BLOBS if vector["name"] == "one-pair")
    shown = page[page.index("## Worked example") :].replace("\n", " ")
    digits = "".join(shown.split())
    for field in ("material", "salt", "iv", "encoded_context", "message_key", "commitment", "blob"):
        assert example[field] in digits, field


@given(
    material=st.binary(min_size=32, max_size=32),
    number=st.integers(0, 2**32 - 1),
    plaintext=st.binary(min_size=1, max_size=4096),
    context=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5),
)
def test_each_opens_what_the_other_sealed(
    material: bytes, number: int, plaintext: bytes, context: dict[str, str]
) -> None:
    header = BlobHeader(vector_maker.KEY_ID, number)
    ours = envelope.seal(Secret(material), header, plaintext, context)
    theirs = bytes.fromhex(vector_maker.seal(material, number, context, plaintext, "differential")["blob"])
    assert vector_maker.open_blob(material, ours, context) == plaintext
    assert envelope.open_blob(Secret(material), theirs, context) == plaintext
