"""Cells: many small values under one data key."""

import copy
import pickle
from collections.abc import AsyncGenerator

import pytest

from kmsq import Client
from kmsq.envelope import cells
from kmsq.envelope.cells import CELL_OVERHEAD_BYTES, CellKey, rewrap_cell_key, unsafe_cell_key, wrapped_of
from kmsq.envelope.secret import DataKey
from kmsq.errors import (
    AccessDeniedException,
    EnvelopeLimitExceeded,
    InvalidCiphertextException,
    InvalidEnvelope,
    InvalidRequest,
)
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

CONTEXT = {"table": "cards"}
ALIAS = "alias/cells"


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
async def client(kms: FakeKms) -> AsyncGenerator[Client]:
    async with kms.client() as client:
        made = await client.create_key()
        await client.create_alias(ALIAS, made.key_metadata.key_id)
        yield client


async def test_a_restored_key_opens_what_the_first_sealed(client: Client) -> None:
    key = await CellKey.generate(client, ALIAS, CONTEXT)
    values = [b"", b"x", b"4111", bytes(100_000)]
    sealed = [*key.seal_all(values, b"number"), key.seal(b"one more", b"number")]
    again = await CellKey.restore(client, key.stored, CONTEXT)
    assert [again.open(cell, b"number") for cell in sealed] == [*values, b"one more"]
    assert [len(cell) - len(value) for cell, value in zip(sealed, values, strict=False)] == [CELL_OVERHEAD_BYTES] * 4


async def test_a_column_costs_one_call_each_way(kms: FakeKms, client: Client) -> None:
    key = await CellKey.generate(client, ALIAS, CONTEXT)
    restored = await CellKey.restore(client, key.stored, CONTEXT)
    assert [restored.open(cell, b"") for cell in key.seal_all([b"v"] * 1000, b"")] == [b"v"] * 1000
    assert (kms.calls[Operation.GENERATE_DATA_KEY], kms.calls[Operation.DECRYPT]) == (1, 1)


async def test_equal_values_give_different_cells(client: Client) -> None:
    key = await CellKey.generate(client, ALIAS, {})
    assert len({*key.seal_all([b"same"] * 100, b""), key.seal(b"same", b"")}) == 101


async def test_a_cell_opens_only_whole_unchanged_and_in_its_place(client: Client) -> None:
    key = await CellKey.generate(client, ALIAS, CONTEXT)
    cell = key.seal(b"value", b"number")
    for changed in (b"", cell[:-1], cell + b"\0", *(_flipped(cell, at) for at in range(len(cell)))):
        with pytest.raises(InvalidEnvelope):
            key.open(changed, b"number")
    with pytest.raises(InvalidEnvelope):
        key.open(cell, b"name")


async def test_a_cell_of_another_key_does_not_open(client: Client) -> None:
    one, other = [await CellKey.generate(client, ALIAS, CONTEXT) for _ in range(2)]
    with pytest.raises(InvalidEnvelope):
        other.open(one.seal(b"value", b""), b"")


async def test_what_was_stored_is_restored_only_unchanged(client: Client) -> None:
    stored = (await CellKey.generate(client, ALIAS, CONTEXT)).stored
    foreign = (await CellKey.generate(client, ALIAS, CONTEXT)).stored
    for changed in (b"", stored[:33], b"\x02" + stored[1:], _flipped(stored, 1), stored[:33] + foreign[33:]):
        with pytest.raises(InvalidEnvelope):
            await CellKey.restore(client, changed, CONTEXT)
    with pytest.raises(InvalidEnvelope):
        await CellKey.restore(client, stored + bytes(6145), CONTEXT)
    with pytest.raises(InvalidCiphertextException):  # the wrapped key itself is the service's to refuse
        await CellKey.restore(client, _flipped(stored, len(stored) - 1), CONTEXT)
    with pytest.raises(InvalidCiphertextException):
        await CellKey.restore(client, stored, {"table": "orders"})


async def test_the_services_refusal_arrives_as_it_is(kms: FakeKms, client: Client) -> None:
    stored = (await CellKey.generate(client, ALIAS, CONTEXT)).stored
    kms.deny("alice", Operation.DECRYPT)
    kms.deny("alice", Operation.GENERATE_DATA_KEY)
    with pytest.raises(AccessDeniedException):
        await CellKey.restore(client, stored, CONTEXT)
    with pytest.raises(AccessDeniedException):
        await CellKey.generate(client, ALIAS, CONTEXT)


async def test_a_context_beyond_its_limits_is_refused_before_anything_is_sent(kms: FakeKms, client: Client) -> None:
    for context in ({"k": "v" * 8192}, {"k": "\ud800"}):
        with pytest.raises(InvalidRequest):
            await CellKey.generate(client, ALIAS, context)
    assert kms.calls[Operation.GENERATE_DATA_KEY] == 0


async def test_rewrapping_moves_the_key_and_leaves_the_cells(kms: FakeKms, client: Client) -> None:
    key = await CellKey.generate(client, ALIAS, CONTEXT)
    cell = key.seal(b"value", b"number")
    new = (await client.create_key()).key_metadata
    moved = await rewrap_cell_key(client, key.stored, CONTEXT, new.key_id)
    assert (moved[:33], len(moved)) == (key.stored[:33], len(key.stored))
    reply = await client.decrypt(wrapped_of(moved), encryption_context=CONTEXT)
    assert reply.key_id == new.arn
    assert (await CellKey.restore(client, moved, CONTEXT)).open(cell, b"number") == b"value"
    assert kms.calls[Operation.RE_ENCRYPT] == 1


def test_a_key_seals_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "CELLS_MAX", 3)
    key = unsafe_cell_key(DataKey(bytes(32)), b"", b"wrapped")
    key.seal_all([b"a", b"b"], b"")
    with pytest.raises(EnvelopeLimitExceeded):
        key.seal_all([b"c", b"d"], b"")
    key.seal(b"c", b"")
    with pytest.raises(EnvelopeLimitExceeded):
        key.seal(b"d", b"")


def test_a_data_key_of_another_length_is_refused() -> None:
    for length in (0, 16, 31, 33, 64):
        with pytest.raises(InvalidEnvelope):
            unsafe_cell_key(DataKey(bytes(length)), b"", b"wrapped")


@pytest.mark.parametrize("holder", [DataKey(b"s3cret" * 6), unsafe_cell_key(DataKey(b"s" * 32), b"", b"w")], ids=repr)
def test_keys_cannot_be_printed_pickled_or_copied(holder: object) -> None:
    assert "s3cret" not in f"{holder!r}{holder}"
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copying(holder)


def test_data_keys_cannot_be_compared_or_hashed() -> None:
    with pytest.raises(TypeError):
        _ = DataKey(b"a") == DataKey(b"a")
    with pytest.raises(TypeError):
        hash(DataKey(b"a"))
    with pytest.raises(TypeError):
        DataKey(b"a").__getstate__()


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
