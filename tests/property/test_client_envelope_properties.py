"""Laws of envelopes and cells: everything comes back, and nothing that was changed does."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmsq.envelope import inspect
from kmsq.envelope.cells import unsafe_cell_key
from kmsq.envelope.chunks import CHUNK_BYTES, SEALED_CHUNK_BYTES, plaintext_bytes, sealed_bytes
from kmsq.envelope.context import decode_context, encode_context
from kmsq.envelope.message import begin_opening, begin_sealing
from kmsq.envelope.secret import DataKey
from kmsq.envelope.streams import STEP_CHUNKS, open_bytes, open_steps, seal_bytes, seal_steps
from kmsq.errors import InvalidEnvelope

KEY = DataKey(bytes(range(32)))
CONTEXT = encode_context({"order": "17"})
STEP_BYTES = STEP_CHUNKS * CHUNK_BYTES
PATTERN = bytes(range(251)) * (2 * STEP_BYTES // 251 + 1)  # no two chunks of it are alike

contexts = st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4)
# Around the boundaries of chunks and of steps, where a mistake would be.
sizes = st.builds(
    lambda base, off: max(0, base + off),
    st.sampled_from([0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, STEP_BYTES, STEP_BYTES + CHUNK_BYTES]),
    st.integers(-20, 20),
)


def seal(size: int, context: bytes = CONTEXT) -> bytes:
    header, sealer = begin_sealing(KEY, b"wrapped", context)
    return seal_bytes(header, sealer, PATTERN[:size])


def open_both_ways(sealed: bytes) -> bytes:
    """Open at once and in steps, which must agree, on failing too."""
    source, target = io.BytesIO(sealed), io.BytesIO()
    header = inspect(source)
    chunks = memoryview(sealed)[source.tell() :]
    try:
        opened = open_bytes(begin_opening(KEY, header), chunks)
    except InvalidEnvelope:
        with pytest.raises(InvalidEnvelope):
            list(open_steps(begin_opening(KEY, header), source, target))
        assert PATTERN.startswith(target.getvalue())  # only what is authentic, in its order
        raise
    assert sum(open_steps(begin_opening(KEY, header), source, target)) == len(opened)
    assert target.getvalue() == opened
    return opened


@given(sizes, contexts)
@example(STEP_BYTES, {})
@example(2 * STEP_BYTES, {})
def test_what_is_sealed_opens_to_the_same(size: int, context: dict[str, str]) -> None:
    encoded = encode_context(context)
    sealed = seal(size, encoded)
    assert open_both_ways(sealed) == PATTERN[:size]
    header, sealer = begin_sealing(KEY, b"wrapped", encoded)
    target = io.BytesIO()
    assert sum(seal_steps(header, sealer, io.BytesIO(PATTERN[:size]), target)) == size
    assert open_both_ways(target.getvalue()) == PATTERN[:size]
    assert inspect(io.BytesIO(sealed)).context == context


@given(sizes)
def test_lengths_follow_from_each_other(size: int) -> None:
    assert plaintext_bytes(sealed_bytes(size)) == size


@given(sizes, st.data())
def test_no_flipped_bit_goes_unnoticed(size: int, data: st.DataObject) -> None:
    sealed = bytearray(seal(size))
    # The wrapped key itself is the service's to check; its bytes are the last of the header.
    header = len(inspect(io.BytesIO(sealed)).encode())
    positions = st.one_of(st.integers(0, header - len(b"wrapped") - 1), st.integers(header, len(sealed) - 1))
    sealed[data.draw(positions)] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(InvalidEnvelope):
        open_both_ways(bytes(sealed))


@given(sizes, st.data())
def test_no_missing_end_goes_unnoticed(size: int, data: st.DataObject) -> None:
    sealed = seal(size)
    near_boundaries = st.sampled_from([0, 1, 15, 16, 17, SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES - 16])
    kept = len(sealed) - 1 - min(len(sealed) - 1, data.draw(st.one_of(near_boundaries, st.integers(0, len(sealed)))))
    with pytest.raises(InvalidEnvelope):
        open_both_ways(sealed[:kept])


@given(sizes, st.binary(min_size=1, max_size=40))
def test_no_added_end_goes_unnoticed(size: int, added: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        open_both_ways(seal(size) + added)


@given(st.integers(2, 4), st.integers(-20, 0), st.data())
def test_chunks_open_in_their_order_each_once_and_in_their_own_message(
    count: int, off: int, data: st.DataObject
) -> None:
    size = count * CHUNK_BYTES + off
    sealed, other = seal(size), seal(size)
    start = len(inspect(io.BytesIO(sealed)).encode())
    cut = [
        [whole[at : at + SEALED_CHUNK_BYTES] for at in range(start, len(whole), SEALED_CHUNK_BYTES)]
        for whole in (sealed, other)
    ]
    right = list(range(count))
    order = data.draw(st.lists(st.integers(0, 2 * count - 1), min_size=1, max_size=count + 1).filter(right.__ne__))
    with pytest.raises(InvalidEnvelope):
        open_both_ways(sealed[:start] + b"".join((cut[0] + cut[1])[i] for i in order))


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_arbitrary_bytes_are_never_a_header_by_accident_of_the_reader(junk: bytes) -> None:
    for sealed in (junk, b"KMSQ-ENV\x01\x01" + junk, seal(0)[:49] + junk):
        with pytest.raises(InvalidEnvelope):
            open_both_ways(sealed)


@given(contexts)
def test_contexts_come_back_from_their_encoding(context: dict[str, str]) -> None:
    assert decode_context(encode_context(context)) == context


@given(st.binary(max_size=40))
def test_every_context_has_one_encoding(encoded: bytes) -> None:
    try:
        context = decode_context(encoded)
    except InvalidEnvelope:
        return
    assert encode_context(context) == encoded


@given(st.lists(st.binary(max_size=100), max_size=20), st.binary(max_size=20))
def test_cells_open_to_what_was_sealed(values: list[bytes], associated: bytes) -> None:
    key = unsafe_cell_key(KEY, CONTEXT, b"wrapped")
    assert [key.open(cell, associated) for cell in key.seal_all(values, associated)] == values


@given(st.binary(max_size=100), st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_no_changed_cell_opens(value: bytes, associated: bytes, other: bytes, data: st.DataObject) -> None:
    key = unsafe_cell_key(KEY, CONTEXT, b"wrapped")
    cell = key.seal(value, associated)
    changed = bytearray(cell)
    changed[data.draw(st.integers(0, len(cell) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    kept = data.draw(st.integers(0, len(cell) - 1))
    for bad in (bytes(changed), cell[:kept], cell + other + b"\0"):
        with pytest.raises(InvalidEnvelope):
            key.open(bad, associated)
    if other != associated:
        with pytest.raises(InvalidEnvelope):
            key.open(cell, other)
