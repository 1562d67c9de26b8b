"""The client's envelopes and the second implementation agree on every vector, and with the page that publishes them."""

import hashlib
import io
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsq import errors
from kmsq.envelope import CellKey, EnvelopeHeader, inspect
from kmsq.envelope.cells import unsafe_cell_key
from kmsq.envelope.chunks import ChunkSealer
from kmsq.envelope.context import encode_context
from kmsq.envelope.message import begin_opening, begin_sealing, unsafe_begin_sealing
from kmsq.envelope.secret import DataKey
from kmsq.envelope.streams import open_bytes, open_steps, seal_bytes, seal_steps
from vectors import envelope_maker
from vectors.files import DOCUMENT, name_of, text, vectors

ENVELOPES = vectors("envelopes")
PAGE = DOCUMENT.parent / "envelope.md"
Vector = dict[str, Any]


def data_key(vector: Vector) -> DataKey:
    return DataKey(bytes.fromhex(vector["data_key"]))


def sealed(vector: Vector) -> bytes:
    return envelope_maker.seal(vector, envelope_maker.plaintext(vector["plaintext_bytes"]))


def opened(key: DataKey, envelope: bytes) -> bytes:
    source = io.BytesIO(envelope)
    opener = begin_opening(key, inspect(source))
    return open_bytes(opener, memoryview(envelope)[source.tell() :])


def opened_in_steps(key: DataKey, envelope: bytes) -> bytes:
    source, target = io.BytesIO(envelope), io.BytesIO()
    for _ in open_steps(begin_opening(key, inspect(source)), source, target):
        pass
    return target.getvalue()


def test_the_second_implementation_makes_the_published_vectors() -> None:
    for name in envelope_maker.MAKERS:
        assert envelope_maker.render(name) == text(name), name


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_the_client_seals_to_the_published_bytes(vector: Vector) -> None:
    def begin() -> tuple[EnvelopeHeader, ChunkSealer]:
        return unsafe_begin_sealing(
            data_key(vector),
            bytes.fromhex(vector["wrapped_key"]),
            encode_context(vector["context"]),
            salt=bytes.fromhex(vector["salt"]),
            nonce_prefix=bytes.fromhex(vector["nonce_prefix"]),
        )

    plaintext, target = envelope_maker.plaintext(vector["plaintext_bytes"]), io.BytesIO()
    made = seal_bytes(*begin(), plaintext)
    assert sum(seal_steps(*begin(), io.BytesIO(plaintext), target)) == len(plaintext)
    assert hashlib.sha256(made).hexdigest() == vector["envelope_sha256"]
    assert made == target.getvalue()
    assert made.hex() == vector.get("envelope", made.hex())
    assert made.hex().startswith(vector["header"])


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_both_open_what_is_published(vector: Vector) -> None:
    envelope, plaintext = sealed(vector), envelope_maker.plaintext(vector["plaintext_bytes"])
    assert hashlib.sha256(envelope).hexdigest() == vector["envelope_sha256"]
    assert opened(data_key(vector), envelope) == plaintext
    assert opened_in_steps(data_key(vector), envelope) == plaintext
    assert envelope_maker.open_envelope(bytes.fromhex(vector["data_key"]), envelope) == plaintext
    assert inspect(io.BytesIO(envelope)).context == vector["context"]


@pytest.mark.parametrize("vector", vectors("envelopes_refused"), ids=name_of)
def test_both_refuse_what_must_not_open(vector: Vector) -> None:
    whole = sealed(next(each for each in ENVELOPES if each["name"] == vector["of"]))
    envelope = b"".join(
        bytes.fromhex(piece) if isinstance(piece, str) else whole[slice(*piece)] for piece in vector["pieces"]
    )
    error = getattr(errors, vector["error"])
    with pytest.raises(error):
        opened(data_key(vector), envelope)
    with pytest.raises(error):
        opened_in_steps(data_key(vector), envelope)
    with pytest.raises(Exception):  # noqa: B017, PT011  # the second implementation refuses by any exception
        envelope_maker.open_envelope(bytes.fromhex(vector["data_key"]), envelope)


@pytest.mark.parametrize("vector", vectors("cells"), ids=name_of)
def test_cells_seal_to_the_published_bytes_and_open(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, wrapped = encode_context(vector["context"]), bytes.fromhex(vector["wrapped_key"])
    key: CellKey = unsafe_cell_key(data_key(vector), encoded, wrapped)
    assert key.stored.hex() == vector["stored"]
    for cell in vector["cells"]:
        plaintext, associated, iv = (bytes.fromhex(cell[name]) for name in ("plaintext", "associated", "iv"))
        monkeypatch.setattr(os, "urandom", lambda size, iv=iv: iv[:size])
        assert key.seal(plaintext, associated).hex() == cell["cell"]
        assert key.open(bytes.fromhex(cell["cell"]), associated) == plaintext


def test_the_page_shows_the_vector_it_names() -> None:
    page = PAGE.read_text(encoding="utf-8")
    example = next(vector for vector in ENVELOPES if vector["name"] == "short")
    digits = "".join(page[page.index("## Worked example") :].split())
    for field in ("data_key", "wrapped_key", "salt", "nonce_prefix", "message_key", "commitment", "envelope"):
        assert example[field] in digits, field


@given(
    key=st.binary(min_size=32, max_size=32),
    size=st.integers(0, 3 * envelope_maker.CHUNK),
    context=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5),
)
def test_each_opens_what_the_other_sealed(key: bytes, size: int, context: dict[str, str]) -> None:
    plaintext = envelope_maker.plaintext(size)
    header, sealer = begin_sealing(DataKey(key), b"wrapped", encode_context(context))
    assert envelope_maker.open_envelope(key, seal_bytes(header, sealer, plaintext)) == plaintext
    theirs = envelope_maker.seal(envelope_maker.header(key, context, "differential"), plaintext)
    assert opened(DataKey(key), theirs) == plaintext
