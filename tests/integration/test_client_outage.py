"""The client through outages of a broker of its own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.client_responder import Seen, admit_producer, admit_worker, declare, responder
from kmsq import Client
from kmsq.errors import NotConnected
from kmsq_schemas.models import GenerateRandomReply, Reply
from kmsq_schemas.operations import Operation
from services.rabbit import RabbitNode


@pytest.fixture
def node(services_folder: Path) -> Iterator[RabbitNode]:
    with RabbitNode(services_folder / "rabbitmq-outage") as running:
        yield running


def answer(_request: Seen) -> Reply:
    return GenerateRandomReply(plaintext=b"random")


async def test_calls_outlive_crashes_and_restarts_of_the_broker(node: RabbitNode) -> None:
    producer = admit_producer(node, "alice", (Operation.GENERATE_RANDOM,))
    worker = admit_worker(node)
    await declare(node.administrator_url)
    async with Client(producer, timeout_seconds=120) as client:
        async with responder(worker, answer) as first:
            await client.generate_random(1)
        calls = [asyncio.create_task(client.generate_random(1)) for _ in range(50)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(node.kill)
        with pytest.raises(NotConnected, match="is RabbitMQ there"):
            await client.generate_random(1, timeout_seconds=2)
        calls += [asyncio.create_task(client.generate_random(1)) for _ in range(50)]
        await asyncio.to_thread(node.start)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(node.restart)
        await asyncio.to_thread(node.ctl, "await_startup")
        async with responder(worker, answer) as running:
            replies = await asyncio.gather(*calls)
    assert len(replies) == 100
    # Requests from before the restarts wait in the queues, too: more arrive than were asked, never other ones. The very
    # first may come again, if the crash took its acknowledgement.
    answered_before = {request.properties.message_id for request in first.seen}
    message_ids = {request.properties.message_id for request in running.seen} - answered_before
    assert len(answered_before) == 1
    assert len(message_ids) == 100
    assert len(running.seen) >= 100


async def test_a_hanging_broker_meets_deadlines_and_is_survived(node: RabbitNode) -> None:
    producer = admit_producer(node, "bob", (Operation.GENERATE_RANDOM,))
    worker = admit_worker(node)
    await declare(node.administrator_url)
    async with responder(worker, answer), Client(producer) as client:
        await client.generate_random(1)
        node.pause()
        try:
            results = await asyncio.gather(
                *(client.generate_random(1, timeout_seconds=1) for _ in range(20)), return_exceptions=True
            )
            survivor = asyncio.create_task(client.generate_random(1))
            await asyncio.sleep(1)
        finally:
            node.resume()
        assert all("did not confirm" in str(result) for result in results)
        assert (await survivor).plaintext == b"random"


async def test_closing_a_client_of_a_hanging_broker_takes_seconds(node: RabbitNode) -> None:
    producer = admit_producer(node, "carol", (Operation.GENERATE_RANDOM,))
    await declare(node.administrator_url)
    clock = asyncio.get_running_loop().time
    try:
        async with Client(producer):
            node.pause()
            started = clock()
        assert clock() - started < 8
        started = clock()
        with pytest.raises(NotConnected, match="has not answered yet"):
            await Client(producer, timeout_seconds=1).__aenter__()
        assert clock() - started < 8
    finally:
        node.resume()
