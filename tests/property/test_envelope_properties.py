"""Whatever is sealed opens with exactly its own context, and with nothing else."""

import uuid

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kmsq_worker import envelope
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.secret import Secret

MATERIAL = Secret.random(32)
contexts = st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=5)
plaintexts = st.binary(min_size=1, max_size=4096)
headers = st.builds(BlobHeader, st.uuids().map(str), st.integers(0, 2**32 - 1))
# Few letters and empty strings: what an encoding without lengths would confuse.
confusable = st.dictionaries(st.text("ab", max_size=3), st.text("ab", max_size=3), max_size=3)


@given(header=headers, plaintext=plaintexts, context=contexts)
def test_what_is_sealed_opens(header: BlobHeader, plaintext: bytes, context: dict[str, str]) -> None:
    blob = envelope.seal(MATERIAL, header, plaintext, context)
    assert envelope.parse_header(blob) == header
    assert len(blob) == len(plaintext) + envelope.OVERHEAD_BYTES
    assert envelope.open_blob(MATERIAL, blob, context) == plaintext


@given(context=contexts, data=st.data())
def test_the_order_of_a_context_does_not_matter(context: dict[str, str], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(context.items()))))
    assert envelope.encode_context(shuffled) == envelope.encode_context(context)


@given(first=confusable | contexts, second=confusable | contexts)
def test_different_contexts_encode_differently_and_never_open(first: dict[str, str], second: dict[str, str]) -> None:
    assume(first != second)
    assert envelope.encode_context(first) != envelope.encode_context(second)
    blob = envelope.seal(MATERIAL, BlobHeader(str(uuid.UUID(int=1)), 1), b"hello", first)
    with pytest.raises(InvalidCiphertextException):
        envelope.open_blob(MATERIAL, blob, second)


@given(header=headers, plaintext=plaintexts, context=contexts, data=st.data())
def test_any_flipped_bit_fails_without_a_word(
    header: BlobHeader, plaintext: bytes, context: dict[str, str], data: st.DataObject
) -> None:
    blob = bytearray(envelope.seal(MATERIAL, header, plaintext, context))
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidCiphertextException) as caught:
        envelope.open_blob(MATERIAL, bytes(blob), context)
    assert caught.value.message == str(caught.value) == ""


@given(material=st.binary(min_size=32, max_size=32), plaintext=plaintexts)
def test_other_material_never_opens(material: bytes, plaintext: bytes) -> None:
    blob = envelope.seal(MATERIAL, BlobHeader(str(uuid.UUID(int=1)), 1), plaintext, {})
    with pytest.raises(InvalidCiphertextException):
        envelope.open_blob(Secret(material), blob, {})


@given(blob=st.binary(max_size=7000))
def test_any_bytes_are_refused_in_the_one_way(blob: bytes) -> None:
    with pytest.raises(InvalidCiphertextException):
        envelope.open_blob(MATERIAL, blob, {})
    with pytest.raises(InvalidCiphertextException):
        envelope.open_blob(MATERIAL, b"\x01\x01" + blob, {})


@given(text=st.text(max_size=5), surrogate=st.characters(categories=["Cs"]), in_key=st.booleans())
def test_surrogates_are_refused(text: str, surrogate: str, in_key: bool) -> None:  # noqa: FBT001
    broken = text + surrogate + text
    with pytest.raises(ValidationException):
        envelope.encode_context({broken: text} if in_key else {text: broken})


@given(filler=st.integers(0, 8300), rest=st.text(max_size=40))
@example(filler=8183, rest="")
@example(filler=8184, rest="")
def test_the_limit_of_a_context_is_on_its_encoded_bytes(filler: int, rest: str) -> None:
    value = filler * "v" + rest
    length = 8 + 1 + len(value.encode())
    if length <= envelope.CONTEXT_MAX_BYTES:
        assert len(envelope.encode_context({"k": value})) == length
    else:
        with pytest.raises(ValidationException):
            envelope.encode_context({"k": value})
