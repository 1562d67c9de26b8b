"""Many under one derivation, or each under its own: nobody who opens them can tell."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker import envelope
from kmsq_worker.envelope import BlobHeader, Opener, Sealer
from kmsq_worker.errors import InvalidCiphertextException
from kmsq_worker.secret import Secret

MATERIAL = Secret.random(32)
HEADERS = [BlobHeader(str(uuid.UUID(int=number)), number) for number in (1, 2)]
texts = st.text("abä", max_size=3)
contexts = st.dictionaries(texts, texts, max_size=3)
plaintexts = st.binary(min_size=1, max_size=300)


@given(header=st.builds(BlobHeader, st.uuids().map(str), st.integers(0, 2**32 - 1)), plaintext=plaintexts)
def test_blobs_of_one_material_name_it_alike(header: BlobHeader, plaintext: bytes) -> None:
    (sealed,) = Sealer(MATERIAL, header).seal([plaintext], [b""])
    single = envelope.seal(MATERIAL, header, plaintext, {})
    assert envelope.parse_header(sealed) == envelope.parse_header(single) == header
    named = envelope.named_material(sealed)
    assert named == envelope.named_material(single)
    assert named == uuid.UUID(header.key_id).bytes + header.material_number.to_bytes(4, "big")


@given(items=st.lists(st.tuples(plaintexts, contexts, st.booleans(), st.sampled_from(HEADERS)), max_size=8))
def test_what_is_sealed_either_way_opens_either_way(
    items: list[tuple[bytes, dict[str, str], bool, BlobHeader]],
) -> None:
    sealers, opener = {header: Sealer(MATERIAL, header) for header in HEADERS}, Opener()
    for plaintext, context, together, header in items:
        associated = envelope.encode_context(context)
        if together:
            (blob,) = sealers[header].seal([plaintext], [associated])
        else:
            blob = envelope.seal(MATERIAL, header, plaintext, context)
        assert envelope.open_blob(MATERIAL, blob, context) == opener.open(MATERIAL, blob, associated) == plaintext


@given(blob=st.binary(max_size=400), front=st.booleans(), context=contexts)
def test_any_bytes_are_refused_as_open_blob_refuses_them(*, blob: bytes, front: bool, context: dict[str, str]) -> None:
    junk = b"\x01\x01" * front + blob
    opener, reasons = Opener(), set[str | None]()
    for _ in range(2):
        with pytest.raises(InvalidCiphertextException) as caught:
            opener.open(MATERIAL, junk, envelope.encode_context(context))
        reasons.add(caught.value.reason)
        assert caught.value.message == ""
    with pytest.raises(InvalidCiphertextException) as single:
        envelope.open_blob(MATERIAL, junk, context)
    assert reasons == {single.value.reason}


@given(plaintext=plaintexts, context=contexts, data=st.data())
def test_any_change_is_refused_as_open_blob_refuses_it(
    plaintext: bytes, context: dict[str, str], data: st.DataObject
) -> None:
    opener, associated = Opener(), envelope.encode_context(context)
    (blob,) = Sealer(MATERIAL, HEADERS[0]).seal([plaintext], [associated])
    assert opener.open(MATERIAL, blob, associated) == plaintext
    changed = bytearray(blob)
    changed[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidCiphertextException) as caught:
        opener.open(MATERIAL, bytes(changed), associated)
    with pytest.raises(InvalidCiphertextException) as single:
        envelope.open_blob(MATERIAL, bytes(changed), context)
    assert caught.value.reason == single.value.reason


@given(count=st.integers(1, 600), plaintext=plaintexts)
def test_equal_plaintexts_never_give_equal_blobs(count: int, plaintext: bytes) -> None:
    sealer = Sealer(MATERIAL, HEADERS[0])
    assert len({blob[82:] for blob in sealer.seal([plaintext] * count, [b""] * count)}) == count
