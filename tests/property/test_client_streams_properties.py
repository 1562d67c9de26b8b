"""Whatever the values, their lengths and contexts: streams keep them all, in order, in messages that both sides take."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.batches import FAILS, Held
from kmsq import ItemFailure
from kmsq.operations.cutting import VALUE_MAX_BYTES, Batch, cut
from kmsq.operations.jobs import decrypt_job, encrypt_job
from kmsq.sync import Client as BlockingClient
from kmsq_schemas import codec, limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models.batches import BatchRequest

LENGTHS = st.lists(st.sampled_from([0, 1, 17, 4096, 6144, 30_000, VALUE_MAX_BYTES, VALUE_MAX_BYTES + 1]), max_size=60)
CONTEXTS = st.none() | st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=40), st.text("aü€😀", max_size=3000)
)
VALUES = st.lists(st.sampled_from([b"a", b"bc", b"def", FAILS]), max_size=40)


def check(batches: list[Batch], first: int, count: int) -> None:
    places = [index for batch in batches for index in sorted([*batch.indexes, *batch.unfit])]
    assert places == list(range(first, first + count))
    for batch in batches:
        if batch.request is None:
            assert not batch.indexes
            continue
        assert isinstance(batch.request, BatchRequest)
        assert batch.request.item_count == len(batch.indexes)
        assert len(codec.encode(batch.request, ContentType.CBOR)) <= limits.MESSAGE_MAX_BYTES
        assert batch.request.reply_max_bytes(ContentType.CBOR) <= limits.MESSAGE_MAX_BYTES


@given(LENGTHS, st.lists(CONTEXTS, min_size=1, max_size=5), st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_messages_hold_all_values_in_order_and_both_ways_fit(
    lengths: list[int], contexts: list[Any], first: int
) -> None:
    values = [b"x" * length for length in lengths]
    shared = {"table": "people"}
    for job in (
        encrypt_job("alias/x", shared, lambda index, _value: contexts[index % len(contexts)], None),
        decrypt_job(None, shared, None, None),
    ):
        batches = list(cut(job, first, values))
        check(batches, first, len(values))
        for earlier, later in pairwise(batches):  # none is cut without need
            sizes = [len(values[index - first]) for batch in (earlier, later) for index in batch.indexes]
            assert sum(sizes) + sum(16_500 for _ in sizes) > limits.MESSAGE_MAX_BYTES // 4


@given(
    VALUES,
    st.integers(1, 9),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.sampled_from(["raise", "yield"]),
)
@settings(max_examples=100, deadline=None)
def test_streams_say_of_each_value_what_a_message_of_it_alone_would(
    values: list[bytes], items: int, in_flight: int, pauses: list[int], errors: Any
) -> None:
    expected: list[Any] = [index if value == FAILS else value[::-1] for index, value in enumerate(values)]
    failures = [place for place, result in enumerate(expected) if isinstance(result, int)]
    if errors == "raise" and failures:
        expected = expected[: failures[0]]

    async def source() -> AsyncIterator[bytes]:
        for number, value in enumerate(values):
            for _ in range(pauses[number % len(pauses)]):
                await asyncio.sleep(0)
            yield value

    async def main(given: Any) -> tuple[list[Any], int | None]:
        found: list[Any] = []
        async with Held().client() as client:
            stream = client.encrypt_many("k", given, items_per_message=items, in_flight=in_flight, errors=errors)
            try:
                async for result in stream:
                    place = result.index if isinstance(result, ItemFailure) else result
                    found.append(place)
            except Exception as error:  # noqa: BLE001  compared below
                return found, getattr(error, "index", -1)
        return found, None

    ending = failures[0] if errors == "raise" and failures else None
    assert asyncio.run(main(values)) == (expected, ending)
    assert asyncio.run(main(source())) == (expected, ending)


@given(VALUES, st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_plain_generators_yield_the_same(values: list[bytes], items: int, in_flight: int) -> None:
    with BlockingClient.over(Held().client()) as client:
        found = list(client.encrypt_many("k", values, items_per_message=items, in_flight=in_flight, errors="yield"))
    assert [result.index if isinstance(result, ItemFailure) else result for result in found] == [
        index if value == FAILS else value[::-1] for index, value in enumerate(values)
    ]
