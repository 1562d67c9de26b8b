"""Properties that pamqp cannot decode: whatever their bytes, they end a request and not the connection."""

import struct
from collections.abc import Iterator
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.base import BasicProperties
from pamqp.commands import Basic

from kmsq_worker.broker import survive_unreadable_properties

NAMES = Basic.Properties.__slots__
FLAGS = sum(Basic.Properties.flags.values())

# A field table's values: each type's letter, with bytes that may or may not be one (AMQP 0-9-1 §4.2.5.5, RabbitMQ's).
TYPES = st.sampled_from(b"tbBuUIiLlfdDsSATFVx").map(lambda code: bytes([code])) | st.binary(min_size=1, max_size=1)
KEYS = st.binary(max_size=6).map(lambda key: bytes([len(key)]) + key)
SIZED = st.binary(max_size=12).map(lambda data: struct.pack(">I", len(data)) + data)
VALUES = st.builds(bytes.__add__, TYPES, SIZED | st.binary(max_size=12) | st.just(b"\xff" * 9))
TABLES = st.lists(st.builds(bytes.__add__, KEYS, VALUES), max_size=4).map(b"".join)
HEADERS = st.builds(lambda table, off: struct.pack(">I", max(0, len(table) + off)) + table, TABLES, st.integers(-2, 2))
SHORT = st.binary(max_size=8).map(lambda text: bytes([len(text)]) + text)


@pytest.fixture(autouse=True, scope="module")
def surviving() -> Iterator[None]:
    """Let pamqp read as it does in a worker."""
    before = BasicProperties.unmarshal
    survive_unreadable_properties()
    yield
    BasicProperties.unmarshal = before  # type: ignore[method-assign]


def read(flags: int, data: bytes) -> Basic.Properties:
    properties = Basic.Properties()
    properties.unmarshal(flags, data)
    return properties


@given(flags=st.integers(0, 2**16 - 1), data=st.binary(max_size=80))
def test_any_bytes_are_survived(flags: int, data: bytes) -> None:
    read(flags, data)


@given(first=st.lists(SHORT, min_size=2, max_size=2), headers=HEADERS, rest=st.binary(max_size=60))
def test_any_header_table_is_survived(first: list[bytes], headers: bytes, rest: bytes) -> None:
    read(FLAGS, b"".join(first) + headers + rest)


@given(depth=st.integers(1, 4_000))
def test_tables_of_any_depth_are_survived(depth: int) -> None:
    table = b""
    for _ in range(depth):
        table = b"\x01aF" + struct.pack(">I", len(table)) + table
    read(Basic.Properties.flags["headers"], struct.pack(">I", len(table)) + table)


@pytest.mark.parametrize("seconds", [0, 253402300800, 2**62, 2**64 - 1])
def test_any_timestamp_is_survived(seconds: int) -> None:
    read(Basic.Properties.flags["timestamp"], struct.pack(">Q", seconds))


FULL = Basic.Properties(
    content_type="application/json",
    headers={"kmsq-version": 1, "deadline": 2**40},
    correlation_id="c" * 32,
    reply_to="kmsq.reply.alice.abcdefghij0123456789",
    message_id="m" * 36,
    message_type="Encrypt",
    user_id="alice",
)
SENT = FULL.marshal()


@given(where=st.integers(2, len(SENT)), junk=st.binary(max_size=6), skipped=st.integers(0, 6))
def test_a_request_that_lacks_something_lacks_its_sender_or_what_is_said_of_it_is_as_it_was_sent(
    where: int, junk: bytes, skipped: int
) -> None:
    """Whatever bytes break off the reading, what was read before is whole: nothing is half a property."""
    (flags,) = struct.unpack(">H", SENT[:2])
    found = read(flags, SENT[2:where] + junk + SENT[where + skipped :])
    if found.user_id is None:
        return
    assert all(getattr(found, name) is not None for name in NAMES if flags & Basic.Properties.flags[name])
    ends = [len(Basic.Properties(**{name: getattr(FULL, name)}).marshal()) - 2 for name in NAMES if getattr(FULL, name)]
    before = takewhile(lambda place: sum(ends[: place + 1]) <= where - 2, range(len(ends)))
    names = [name for name in NAMES if getattr(FULL, name)]
    assert all(getattr(found, names[place]) == getattr(FULL, names[place]) for place in before)
