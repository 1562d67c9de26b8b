"""Cutting the values of a stream into messages, and putting the results of their replies together."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kmsq.errors import InvalidCiphertextException, InvalidReply, InvalidRequest, ServiceError, ValidationException
from kmsq.operations.cutting import MESSAGE_BYTES, VALUE_MAX_BYTES, Batch, chunks, cut
from kmsq.operations.jobs import (
    DataKeyKind,
    Job,
    data_key_job,
    decrypt_job,
    encrypt_job,
    places,
    re_encrypt_job,
)
from kmsq.operations.outcomes import ItemFailure, settle
from kmsq_schemas import codec, limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import BatchEncryptRequest, BatchReEncryptRequest, FailedItem
from kmsq_schemas.models.batches import BatchRequest

CONTEXT = {"table": "people"}


def plain(context_of: Any = None) -> Job[bytes]:
    return encrypt_job("alias/x", CONTEXT, context_of, None)


def request_of(batch: Batch) -> BatchEncryptRequest:
    assert isinstance(batch.request, BatchEncryptRequest)
    return batch.request


def cut_until_error(job: Job[Any], first: int, values: list[Any]) -> tuple[list[Batch], Exception]:
    batches: list[Batch] = []
    with pytest.raises(Exception) as caught:  # noqa: PT011  the tests look at what it is
        batches.extend(cut(job, first, values))
    return batches, caught.value


def test_values_are_read_in_lists_of_so_many() -> None:
    assert list(chunks(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], 3)) == []
    assert list(chunks(range(6), 3)) == [[0, 1, 2], [3, 4, 5]]


def test_what_came_before_an_exception_is_read_and_then_it_is_raised() -> None:
    def values() -> Iterator[int]:
        yield from range(4)
        raise LookupError

    reading = chunks(values(), 3)
    assert [next(reading), next(reading)] == [[0, 1, 2], [3]]
    with pytest.raises(LookupError):
        next(reading)


def test_neighbours_travel_in_one_message() -> None:
    (batch,) = cut(plain(), 40, [b"a", bytearray(b"b"), memoryview(b"c")])
    assert (batch.indexes, batch.unfit) == (range(40, 43), {})
    assert request_of(batch) == BatchEncryptRequest(
        key_id="alias/x", plaintexts=[b"a", b"b", b"c"], encryption_context=CONTEXT
    )


def test_a_message_has_about_a_mebibyte_contexts_included() -> None:
    pairs = {"row": "ü" * 500}
    batches = list(cut(plain(lambda _index, _value: pairs), 0, [b"x" * 3000] * 1000))
    assert [index for batch in batches for index in batch.indexes] == list(range(1000))
    sizes = [len(codec.encode(request_of(batch), ContentType.CBOR)) for batch in batches]
    assert max(sizes) <= MESSAGE_BYTES + 1000
    assert min(sizes[:-1]) > MESSAGE_BYTES - 10_000


def test_no_reply_can_be_too_long() -> None:
    kind = DataKeyKind("alias/x", None, limits.RANDOM_MAX_BYTES, None)
    batches = list(cut(data_key_job(kind, None, None), 0, list(places(10_000))))
    assert [index for batch in batches for index in batch.indexes] == list(range(10_000))
    for batch in batches:
        assert isinstance(batch.request, BatchRequest)
        assert batch.request.item_count == len(batch.indexes)
        assert batch.request.reply_max_bytes(ContentType.CBOR) <= limits.MESSAGE_MAX_BYTES
    assert len(batches) == 8


def test_a_message_takes_as_many_values_as_it_may() -> None:
    (batch,) = cut(plain(), 0, [b"x"] * limits.BATCH_ITEMS_MAX)
    assert len(request_of(batch).plaintexts) == limits.BATCH_ITEMS_MAX


def test_values_of_the_wrong_length_travel_and_are_the_services_matter() -> None:
    values = [b"", b"x" * VALUE_MAX_BYTES]
    assert [request_of(batch).plaintexts for batch in cut(plain(), 0, values)] == [values]


def test_a_value_that_would_fill_a_message_stays_here_and_fails_as_the_service_would_have_it() -> None:
    huge = b"x" * (VALUE_MAX_BYTES + 1)
    (batch,) = cut(plain(), 10, [b"a", huge, b"b"])
    assert (list(batch.indexes), request_of(batch).plaintexts) == ([10, 12], [b"a", b"b"])
    settled = settle(batch.indexes, [b"A", b"B"], [], batch.unfit)
    assert (settled.results[0], settled.results[2], settled.has_failures) == (b"A", b"B", True)
    failure = settled.results[1]
    assert isinstance(failure, ItemFailure)
    assert (failure.index, failure.error.index) == (11, 11)
    assert isinstance(failure.error, ValidationException)
    assert failure.error.message == "Plaintext has 65537 bytes; 1 to 4096 are allowed."


def test_a_message_of_such_values_alone_is_none() -> None:
    huge = b"x" * (VALUE_MAX_BYTES + 1)
    (batch,) = cut(decrypt_job(None, None, None, None), 5, [huge, huge])
    assert batch.request is None
    failures = settle(batch.indexes, [], [], batch.unfit).results
    assert [(failure.index, type(failure.error)) for failure in failures] == [
        (5, InvalidCiphertextException),
        (6, InvalidCiphertextException),
    ]


def test_what_is_not_bytes_is_refused_by_its_index_after_all_before_it() -> None:
    batches, error = cut_until_error(plain(), 7, [b"a", b"b", "canary", b"c"])
    assert [request_of(batch).plaintexts for batch in batches] == [[b"a", b"b"]]
    assert isinstance(error, InvalidRequest)
    assert str(error) == "the value at index 9 is of type str: it must be bytes, bytearray or memoryview"
    assert "canary" not in repr(error)


def test_each_value_is_asked_for_its_own_pairs_once() -> None:
    asked = []

    def context_of(index: int, value: bytes) -> Mapping[str, str] | None:
        asked.append((index, value))
        return {"row": str(index)} if index % 2 else None

    values = [b"%d" % number * 2000 for number in range(4)]
    batches = list(cut(plain(context_of), 100, [*values, *values]))
    assert asked == list(enumerate([*values, *values], 100))
    assert [pairs for batch in batches for pairs in request_of(batch).encryption_contexts or ()] == [
        {"row": str(index)} if index % 2 else None for index in range(100, 108)
    ]


def test_what_context_of_raises_is_raised_after_all_before_it() -> None:
    def context_of(index: int, _value: bytes) -> None:
        if index == 2:
            raise LookupError(index)

    batches, error = cut_until_error(plain(context_of), 0, [b"a", b"b", b"c", "not bytes"])
    assert [list(batch.indexes) for batch in batches] == [[0, 1]]
    assert isinstance(error, LookupError)


@pytest.mark.parametrize("pairs", [{"row": 1}, {1: "row"}, {"row": "\ud800"}, {"row": b"canary"}])
def test_pairs_that_are_no_text_are_refused_by_their_index(pairs: Any) -> None:
    batches, error = cut_until_error(plain(lambda index, _value: pairs if index == 1 else None), 0, [b"a", b"b"])
    assert [list(batch.indexes) for batch in batches] == [[0]]
    assert isinstance(error, InvalidRequest)
    assert str(error) == "the encryption context at index 1 must map text to text, without lone surrogates"
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"table": "other"}, "The item's own EncryptionContext repeats a key of the shared one."),
        ({"row": "x" * 8166}, "EncryptionContext is longer than 8192 bytes."),
    ],
)
def test_pairs_that_cannot_be_added_fail_alone(pairs: Mapping[str, str], message: str) -> None:
    (batch,) = cut(plain(lambda index, _value: pairs if index == 1 else {"row": "x" * 8162}), 0, [b"a", b"b", b"c"])
    assert list(batch.indexes) == [0, 2]
    assert [(index, error.code, error.message) for index, error in batch.unfit.items()] == [
        (1, "ValidationException", message)
    ]


def test_both_contexts_of_a_re_encryption_may_be_own_ones() -> None:
    job = re_encrypt_job(
        "alias/new",
        "alias/old",
        ({"a": "1"}, lambda index, _value: {"from": str(index)}),
        (None, lambda index, _value: {"a": str(index)}),
        ["token"],
    )
    (batch,) = cut(job, 3, [b"x", b"y"])
    assert batch.request == BatchReEncryptRequest(
        ciphertext_blobs=[b"x", b"y"],
        destination_key_id="alias/new",
        source_key_id="alias/old",
        source_encryption_context={"a": "1"},
        source_encryption_contexts=[{"from": "3"}, {"from": "4"}],
        destination_encryption_contexts=[{"a": "3"}, {"a": "4"}],
        grant_tokens=["token"],
    )


def test_the_earliest_failure_of_two_contexts_counts() -> None:
    def failing_at(number: int) -> Any:
        def context_of(index: int, _value: bytes) -> None:
            if index == number:
                raise LookupError(number)

        return context_of

    for source, destination in ((1, 3), (3, 1)):
        job = re_encrypt_job("k", None, (None, failing_at(source)), (None, failing_at(destination)), None)
        batches, error = cut_until_error(job, 0, [b"x"] * 5)
        assert [list(batch.indexes) for batch in batches] == [[0]]
        assert error.args == (1,)


def test_wrong_arguments_are_refused_before_anything_is_cut() -> None:
    batches, error = cut_until_error(encrypt_job("", None, None, None), 0, [b"canary"])
    assert not batches
    assert isinstance(error, InvalidRequest)
    assert "keyId" in str(error)
    assert "canary" not in repr(error)


def test_a_negative_number_of_data_keys_is_refused() -> None:
    assert list(places(2)) == [b"", b""]
    with pytest.raises(InvalidRequest, match="-1"):
        places(-1)


def test_failures_stand_in_the_places_of_results() -> None:
    failed = [FailedItem(index=1, code="DisabledException", message="off"), FailedItem(index=2, code="New", message="")]
    settled = settle(range(50, 53), [b"a", None, None], failed, {})
    assert settled.results[0] == b"a"
    failures = [one for one in settled.results if isinstance(one, ItemFailure)]
    assert [(one.index, type(one.error).__name__, one.error.code) for one in failures] == [
        (51, "DisabledException", "DisabledException"),
        (52, "ServiceError", "New"),
    ]
    handed_out: list[object] = []
    with pytest.raises(ServiceError) as caught:
        handed_out.extend(settled.hand_out("raise"))
    assert handed_out == [b"a"]
    assert caught.value.index == 51
    assert caught.value.__notes__ == ["It is the value at index 51 of the stream, counted from 0."]
    assert list(settled.hand_out("yield")) == settled.results


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        ([b"a"], []),
        ([b"a", b"b", b"c"], []),
        ([b"a", None], []),
        ([b"a", None], [0]),
        ([b"a", b"b"], [1]),
        ([b"a", None], [1, 2]),
        ([b"a", None], [1, -1]),
    ],
)
def test_a_reply_says_one_thing_of_each_value(results: list[bytes | None], failed: list[int]) -> None:
    items = [FailedItem(index=index, code="DisabledException", message="") for index in failed]
    with pytest.raises(InvalidReply):
        settle(range(2), results, items, {})
