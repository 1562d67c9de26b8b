"""`kmsq doctor` and the command's real entry point, against a real broker."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiormq
import pytest

from integration.client_responder import (
    Responder,
    Seen,
    admit_producer,
    admit_worker,
    declare,
    purge,
    responder,
)
from kmsq_schemas.models import ErrorReply, GenerateRandomReply, ListKeysReply, Reply
from kmsq_schemas.operations import Operation
from services.rabbit import RabbitNode

KMSQ = Path(sys.executable).parent / "kmsq"


async def kmsq(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    environment = {**os.environ, "KMSQ_AMQP_URL": url}

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run([KMSQ, *arguments], env=environment, capture_output=True, text=True, check=False)

    return await asyncio.to_thread(run)


async def findings(url: str, *arguments: str) -> tuple[int, dict[str, tuple[bool | None, str]]]:
    """Run the doctor and return its exit code and findings by check."""
    done = await kmsq(url, *arguments, "doctor")
    assert done.stderr == ""
    print(done.stdout)  # noqa: T201  shown when a test fails
    return done.returncode, {check["Check"]: (check["Ok"], check["Finding"]) for check in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def rabbit_node(services_folder: Path) -> Iterator[RabbitNode]:
    """Return a broker without workers, instead of the one that the whole run shares."""
    with RabbitNode(services_folder / "rabbitmq-doctor") as node:
        yield node


@pytest.fixture(scope="module")
def producer_url(rabbit_node: RabbitNode) -> str:
    return admit_producer(rabbit_node, "dora", (Operation.ENCRYPT, Operation.LIST_KEYS, Operation.GENERATE_RANDOM))


@pytest.fixture(scope="module")
def worker_url(rabbit_node: RabbitNode) -> str:
    return admit_worker(rabbit_node)


@pytest.fixture(autouse=True)
async def topology(rabbit_node: RabbitNode) -> None:
    await declare(rabbit_node.administrator_url)
    await purge(rabbit_node.administrator_url)


def answer(request: Seen) -> Reply | ErrorReply:
    match request.operation:
        case Operation.LIST_KEYS:
            return ListKeysReply(keys=[], truncated=False)
        case Operation.GENERATE_RANDOM:
            return GenerateRandomReply(plaintext=b"abc")
        case _:
            return ErrorReply(code="NotFoundException", message="no such key")


Respond = Callable[[str], AbstractAsyncContextManager[Responder]]


async def test_a_healthy_service_passes(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker:
        code, found = await findings(producer_url)
        table = await kmsq(producer_url, "--output", "table", "doctor")
    assert code == 0
    assert all(ok is not False for ok, _ in found.values())
    assert found["broker"][1].startswith("RabbitMQ ")
    assert found["may send"] == (True, "ListKeys, Encrypt, GenerateRandom")
    assert "Decrypt" in found["may not send"][1]
    assert "answered ListKeys (success) in" in found["worker"][1]
    assert found["clock"][0] is True
    assert {request.operation for request in worker.seen} == {Operation.LIST_KEYS}
    assert table.stdout.count("✓") == 7


async def test_absent_workers_are_found(producer_url: str) -> None:
    code, found = await findings(producer_url, "--timeout", "0.5")
    assert code == 1
    assert found["worker"][0] is False
    assert "no worker answered" in found["worker"][1]


async def test_a_worker_under_another_user_is_found(rabbit_node: RabbitNode, producer_url: str) -> None:
    async with responder(rabbit_node.administrator_url, answer) as worker:
        worker.user_id = rabbit_node.ADMINISTRATOR
        code, found = await findings(producer_url, "--timeout", "0.5")
        assert code == 1
        assert "not from kmsq-worker" in found["worker"][1]
        code, _ = await findings(producer_url, "--worker-user", rabbit_node.ADMINISTRATOR)
        assert code == 0


async def test_a_wrong_clock_is_found(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer) as worker:
        worker.clock_offset_ms = -60_000
        code, found = await findings(producer_url)
    assert code == 1
    assert found["clock"][0] is False
    assert "behind" in found["clock"][1]


async def test_a_troubled_service_exits_with_2(producer_url: str, worker_url: str) -> None:
    def trouble(_request: Seen) -> ErrorReply:
        return ErrorReply(code="KMSInternalException", message="")

    async with responder(worker_url, trouble):
        code, found = await findings(producer_url, "--timeout", "0.5")
    assert code == 2
    assert "KMSInternalException" in found["worker"][1]


async def test_a_missing_topology_is_found(rabbit_node: RabbitNode, producer_url: str) -> None:
    async with aiormq.connect(rabbit_node.administrator_url) as connection:
        channel = await connection.channel()
        for name in ("kmsq.requests", "kmsq.replies"):
            await channel.exchange_delete(name)
    code, found = await findings(producer_url)
    assert code == 1
    assert found["topology"] == (False, "missing: kmsq.requests, kmsq.replies")


async def test_a_user_without_permissions_is_found(worker_url: str) -> None:
    code, found = await findings(worker_url)
    assert code == 1
    assert found["may send"] == (False, "nothing")
    assert found["reply queue"][0] is False


async def test_a_wrong_password_and_an_absent_broker_are_found(rabbit_node: RabbitNode, unused_tcp_port: int) -> None:
    for port, word in ((rabbit_node.port, "password"), (unused_tcp_port, "is RabbitMQ there")):
        code, found = await findings(f"amqp://dora:canary@127.0.0.1:{port}/")
        assert code == 1
        assert found["broker"][0] is False
        assert word in found["broker"][1]
        assert "canary" not in str(found)


async def test_the_permission_check_delivers_nothing(rabbit_node: RabbitNode, producer_url: str) -> None:
    await findings(producer_url, "--timeout", "0.5")
    async with aiormq.connect(rabbit_node.administrator_url) as connection:
        channel = await connection.channel()
        waiting = {
            queue: (await channel.queue_declare(queue, passive=True)).message_count
            for queue in ("kmsq.crypto", "kmsq.admin", "kmsq.read")
        }
    # One ListKeys, which no worker has read.
    assert waiting == {"kmsq.crypto": 0, "kmsq.admin": 0, "kmsq.read": 1}


async def test_the_command_works_as_installed(producer_url: str, worker_url: str) -> None:
    async with responder(worker_url, answer):
        assert (await kmsq(producer_url, "random", "3")).stdout == "abc"
        listed = await kmsq(producer_url, "key", "list")
        assert json.loads(listed.stdout) == {"Keys": []}
        unknown = await kmsq(producer_url, "encrypt", "alias/none", "--in", __file__)
        assert unknown.returncode == 1  # too long for Encrypt
        forbidden = await kmsq(producer_url, "key", "create")
    assert forbidden.returncode == 1
    assert forbidden.stderr.startswith("kmsq: RequestRefused: the broker does not let dora send CreateKey")
    assert "Traceback" not in forbidden.stderr
