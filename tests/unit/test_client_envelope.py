"""Envelopes: messages of any size, encrypted on the client's side."""

import asyncio
import io
import os
import threading
from collections.abc import AsyncGenerator

import pytest

from kmsq import Client
from kmsq.envelope import Envelope, inspect, rewrap
from kmsq.envelope.chunks import CHUNK_BYTES, ChunkSealer, plaintext_bytes, sealed_bytes
from kmsq.envelope.derivation import derive
from kmsq.envelope.header import EnvelopeHeader
from kmsq.envelope.message import begin_opening, begin_sealing, unsafe_begin_sealing
from kmsq.envelope.secret import DataKey
from kmsq.envelope.streams import open_bytes, open_steps, seal_bytes
from kmsq.errors import (
    AccessDeniedException,
    EnvelopeLimitExceeded,
    IncorrectKeyException,
    InvalidCiphertextException,
    InvalidEnvelope,
    InvalidRequest,
)
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

CONTEXT = {"order": "17"}
ALIAS = "alias/orders"
KEY = bytes(range(32))


class Dribble(io.RawIOBase):
    """A pipe in its worst form: gives and takes a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self._inner = io.BytesIO(data)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
        return self._inner.readinto(buffer[:7000])

    def write(self, data: memoryview) -> int:  # type: ignore[override]  # the same
        return self._inner.write(data[:5000])

    def getvalue(self) -> bytes:
        return self._inner.getvalue()


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
async def client(kms: FakeKms) -> AsyncGenerator[Client]:
    async with kms.client() as client:
        made = await client.create_key()
        await client.create_alias(ALIAS, made.key_metadata.key_id)
        yield client


@pytest.fixture
def envelope(client: Client) -> Envelope:
    return Envelope(client, ALIAS)


async def test_what_was_sealed_opens_with_the_context_in_the_header(kms: FakeKms, envelope: Envelope) -> None:
    for data in (b"", b"x", bytes(300_000)):
        sealed = await envelope.encrypt(data, context=CONTEXT)
        assert await envelope.decrypt(sealed) == data
    assert (kms.calls[Operation.GENERATE_DATA_KEY], kms.calls[Operation.DECRYPT]) == (3, 3)


async def test_streams_and_bytes_are_one_format(envelope: Envelope) -> None:
    data = os.urandom(3 * 1024 * 1024 + 17)
    sealed = io.BytesIO()
    assert await envelope.encrypt_stream(io.BytesIO(data), sealed, context=CONTEXT) == len(data)
    assert await envelope.decrypt(sealed.getvalue()) == data
    opened = io.BytesIO()
    assert await envelope.decrypt_stream(io.BytesIO(await envelope.encrypt(data)), opened) == len(data)
    assert opened.getvalue() == data


async def test_sources_and_targets_may_take_a_few_bytes_at_a_time(envelope: Envelope) -> None:
    data = os.urandom(200_000)
    sealed, opened = Dribble(), Dribble()
    await envelope.encrypt_stream(Dribble(data), sealed)
    await envelope.decrypt_stream(Dribble(sealed.getvalue()), opened)
    assert opened.getvalue() == data


async def test_two_envelopes_of_the_same_data_have_nothing_in_common(envelope: Envelope) -> None:
    one, two = [inspect(io.BytesIO(await envelope.encrypt(b"same"))) for _ in range(2)]
    for name in ("salt", "nonce_prefix", "commitment", "wrapped_key"):
        assert getattr(one, name) != getattr(two, name)


async def test_an_expected_context_must_be_the_whole_one(kms: FakeKms, envelope: Envelope) -> None:
    sealed = await envelope.encrypt(b"data", context=CONTEXT)
    assert await envelope.decrypt(sealed, context=CONTEXT) == b"data"
    for other in ({}, {"order": "18"}, {**CONTEXT, "more": ""}):
        with pytest.raises(InvalidEnvelope, match="not the expected one"):
            await envelope.decrypt(sealed, context=other)
    assert kms.calls[Operation.DECRYPT] == 1


async def test_an_expected_key_is_insisted_on(client: Client, envelope: Envelope) -> None:
    sealed = await envelope.encrypt(b"data")
    assert await envelope.decrypt(sealed, key_id=ALIAS) == b"data"
    other = (await client.create_key()).key_metadata.key_id
    with pytest.raises(IncorrectKeyException):
        await envelope.decrypt(sealed, key_id=other)


async def test_the_services_refusals_arrive_as_they_are(kms: FakeKms, envelope: Envelope) -> None:
    sealed = await envelope.encrypt(b"data")
    kms.deny("alice", Operation.DECRYPT)
    kms.deny("alice", Operation.GENERATE_DATA_KEY)
    with pytest.raises(AccessDeniedException):
        await envelope.decrypt(sealed)
    with pytest.raises(AccessDeniedException):
        await envelope.encrypt(b"data")


async def test_a_context_beyond_its_limits_is_refused_before_anything_is_sent(kms: FakeKms, envelope: Envelope) -> None:
    with pytest.raises(InvalidRequest):
        await envelope.encrypt(b"", context={"k": "v" * 8192})
    assert kms.calls[Operation.GENERATE_DATA_KEY] == 0


async def test_the_wrapped_key_of_another_envelope_is_noticed(envelope: Envelope) -> None:
    one, other = [await envelope.encrypt(b"data", context=CONTEXT) for _ in range(2)]
    size = len(inspect(io.BytesIO(one)).encode())
    with pytest.raises(InvalidEnvelope):
        await envelope.decrypt(inspect(io.BytesIO(other)).encode() + one[size:])
    foreign = inspect(io.BytesIO(other)).wrapped_key
    with pytest.raises(InvalidEnvelope):
        await envelope.decrypt(one[: size - len(foreign)] + foreign + one[size:])


async def test_an_altered_wrapped_key_is_the_services_to_refuse(envelope: Envelope) -> None:
    sealed = await envelope.encrypt(b"data")
    last = len(inspect(io.BytesIO(sealed)).encode()) - 1
    with pytest.raises(InvalidCiphertextException):
        await envelope.decrypt(_flipped(sealed, last))


async def test_rewrapping_changes_the_key_that_is_needed_and_nothing_else(
    kms: FakeKms, client: Client, envelope: Envelope
) -> None:
    sealed = await envelope.encrypt(b"data", context=CONTEXT)
    new = (await client.create_key()).key_metadata.key_id
    moved = await rewrap(client, sealed, new)
    before, after = inspect(io.BytesIO(sealed)), inspect(io.BytesIO(moved))
    assert (before.bound, before.commitment) == (after.bound, after.commitment)
    assert await envelope.decrypt(moved, key_id=new, context=CONTEXT) == b"data"
    assert kms.calls[Operation.RE_ENCRYPT] == 1
    assert kms.calls[Operation.DECRYPT] == 1


async def test_only_authentic_bytes_leave_a_stream_and_a_cut_one_fails(envelope: Envelope) -> None:
    data = os.urandom(2 * 1024 * 1024 + 5)
    sealed = await envelope.encrypt(data)
    for broken in (sealed[:-1], sealed[:-21], _flipped(sealed, len(sealed) - 1)):
        target = io.BytesIO()
        with pytest.raises(InvalidEnvelope):
            await envelope.decrypt_stream(io.BytesIO(broken), target)
        assert target.getvalue() == data[: len(target.getvalue())]


async def test_the_event_loop_lives_while_a_stream_waits_for_its_source(envelope: Envelope) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as source, open(writing, "wb", buffering=0) as pipe:  # noqa: ASYNC230, PTH123
        sealed = io.BytesIO()
        task = asyncio.ensure_future(envelope.encrypt_stream(source, sealed))
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not task.done()
        pipe.write(b"late")
        pipe.close()
        assert await task == 4
    assert await envelope.decrypt(sealed.getvalue()) == b"late"


async def test_a_cancelled_stream_leaves_no_thread_with_the_callers_files(envelope: Envelope) -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def readinto(self, _buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
            started.set()
            go_on.wait()
            ended.set()
            return 0

    task = asyncio.ensure_future(envelope.encrypt_stream(Slow(), io.BytesIO()))
    await asyncio.to_thread(started.wait)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_files_raise_arrives_as_it_is(envelope: Envelope) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    class Busy(io.BytesIO):
        def readinto(self, _buffer: object) -> None:  # type: ignore[override]  # as raw files do in non-blocking mode
            return None

        def write(self, _data: object) -> None:  # type: ignore[override]  # the same
            return None

    with pytest.raises(OSError, match="No space"):
        await envelope.encrypt_stream(io.BytesIO(b"data"), Full())
    with pytest.raises(BlockingIOError):
        await envelope.encrypt_stream(Busy(), io.BytesIO())
    with pytest.raises(BlockingIOError):
        await envelope.encrypt_stream(io.BytesIO(b"data"), Busy())


async def test_inspect_shows_the_header_and_reads_no_further(envelope: Envelope) -> None:
    sealed = io.BytesIO(await envelope.encrypt(b"data", context={"b": "2", "a": "é"}))
    header = inspect(sealed)
    assert (header.context, sealed.tell()) == ({"a": "é", "b": "2"}, len(header.encode()))
    assert header.key_id is None  # the fake's ciphertexts are not kmsq's
    assert "commitment" not in repr(header)


def test_the_key_id_is_the_one_in_the_wrapped_key() -> None:
    key_id = "0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d11"
    blob = b"\x01\x01" + bytes.fromhex(key_id.replace("-", "")) + bytes(100)
    header, _ = begin_sealing(DataKey(KEY), blob, b"")
    assert header.key_id == key_id


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 16 * CHUNK_BYTES])
def test_lengths_are_known_from_lengths(size: int) -> None:
    header, sealer = begin_sealing(DataKey(KEY), b"wrapped", b"")
    chunks = len(seal_bytes(header, sealer, bytes(size))) - len(header.encode())
    assert (sealed_bytes(size), plaintext_bytes(chunks)) == (chunks, size)


def test_no_message_has_lengths_between_those_of_messages() -> None:
    for size in (0, 1, 15, CHUNK_BYTES + 17, CHUNK_BYTES + 32):
        with pytest.raises(InvalidEnvelope):
            plaintext_bytes(size)


def test_the_last_possible_chunk_is_sealed_and_none_beyond() -> None:
    cipher, _ = derive(DataKey(KEY), b"label", b"")
    room = memoryview(bytearray(2 * CHUNK_BYTES + 32))
    plaintext = memoryview(bytes(2 * CHUNK_BYTES))
    sealer = ChunkSealer(cipher, bytes(7))
    sealer._numbering._next = 2**32 - 2
    assert sealer.seal_into(plaintext, room, last=True) == len(room)
    sealer._numbering._next = 2**32 - 1
    with pytest.raises(EnvelopeLimitExceeded):
        sealer.seal_into(plaintext, room, last=True)


def test_an_opener_takes_no_chunk_beyond_the_last_possible() -> None:
    header, sealer = begin_sealing(DataKey(KEY), b"wrapped", b"")
    chunks = seal_bytes(header, sealer, b"data")[len(header.encode()) :]
    opener = begin_opening(DataKey(KEY), header)
    opener._numbering._next = 2**32
    with pytest.raises(InvalidEnvelope):
        open_bytes(opener, memoryview(chunks))


def test_a_full_chunk_is_not_followed_by_an_empty_one_even_from_who_has_the_key() -> None:
    header, sealer = begin_sealing(DataKey(KEY), b"wrapped", b"")
    room = memoryview(bytearray(16 * CHUNK_BYTES + 17 * 16))
    sealer.seal_into(memoryview(bytes(16 * CHUNK_BYTES)), room[:-16], last=False)
    sealer.seal_into(memoryview(b""), room[-16:], last=True)
    with pytest.raises(InvalidEnvelope):
        open_bytes(begin_opening(DataKey(KEY), header), room)
    with pytest.raises(InvalidEnvelope):
        list(open_steps(begin_opening(DataKey(KEY), header), io.BytesIO(room), io.BytesIO()))


def test_salts_and_prefixes_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="32 and 7"):
        unsafe_begin_sealing(DataKey(KEY), b"wrapped", b"", salt=bytes(31), nonce_prefix=bytes(7))
    with pytest.raises(ValueError, match="32 and 7"):
        unsafe_begin_sealing(DataKey(KEY), b"wrapped", b"", salt=bytes(32), nonce_prefix=bytes(8))


@pytest.mark.parametrize(
    "encoded",
    [
        b"\0\0\0\1b\0\0\0\0\0\0\0\1a\0\0\0\0",  # not sorted
        b"\0\0\0\1a\0\0\0\0\0\0\0\1a\0\0\0\0",  # a name twice
        b"\0\0\0\1a",  # no value
        b"\0\0\0\1a\0\0\0\2b",  # shorter than it says
        b"\0\0\0\1a\0\0",  # no whole length
        b"\0\0\0\1a\0\0\0\1\xff",  # no UTF-8
    ],
)
def test_a_context_that_kmsq_would_not_have_written_is_refused(encoded: bytes) -> None:
    header = EnvelopeHeader(bytes(32), bytes(7), encoded, bytes(32), b"wrapped")
    with pytest.raises(InvalidEnvelope):
        inspect(io.BytesIO(header.encode()))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
