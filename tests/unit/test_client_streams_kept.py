"""What a stream was given counts as it was then, whatever becomes of it afterwards."""

from collections.abc import AsyncIterator, Iterator

import pytest

from kmsq import Client, sync
from kmsq.testing import FakeKms
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest
from kmsq_schemas.operations import Operation


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with FakeKms().client("alice") as entered:
        yield entered


def refilled(count: int) -> Iterator[bytearray]:
    """Yield one buffer again and again, as who reads with `readinto` does."""
    buffer = bytearray(4)
    for number in range(count):
        buffer[:] = b"%04d" % number
        yield buffer


async def waited_for(count: int) -> AsyncIterator[memoryview]:
    for buffer in refilled(count):
        yield memoryview(buffer)


WANTED = [b"%04d" % number for number in range(10)]


async def test_a_buffer_that_is_filled_again_is_another_value_each_time(client: Client) -> None:
    key_id = (await client.create_key()).key_metadata.key_id
    for source in (refilled(10), waited_for(10)):
        blobs = [blob async for blob in client.encrypt_many(key_id, source)]
        assert [value async for value in client.decrypt_many(blobs)] == WANTED


def test_a_buffer_that_is_filled_again_is_another_value_each_time_without_an_event_loop() -> None:
    with sync.Client.over(FakeKms().client("alice")) as client:
        made = client.call(Operation.CREATE_KEY, CreateKeyRequest())
        assert isinstance(made, CreateKeyReply)
        blobs = list(client.encrypt_many(made.key_metadata.key_id, refilled(10)))
        assert list(client.decrypt_many(blobs)) == WANTED


async def test_a_context_that_is_changed_while_the_stream_goes_on_is_bound_as_it_was(client: Client) -> None:
    key_id = (await client.create_key()).key_metadata.key_id
    context = {"table": "people"}
    blobs = []
    async for blob in client.encrypt_many(key_id, WANTED, context=context, items_per_message=1, in_flight=1):
        blobs.append(blob)
        context["table"] = "orders"
    assert [value async for value in client.decrypt_many(blobs, context={"table": "people"})] == WANTED
