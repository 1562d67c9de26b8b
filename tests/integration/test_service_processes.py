"""`--processes N`: a parent keeps N workers running, and ends with them."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from integration.evidence import running, until
from integration.raw import SUCCESS, Producer
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest, EncryptRequest
from services.daemon import Process, ServiceError, descendants
from services.ports import accepts, free_ports
from services.stack import CHANGE, CRYPTO, WORKER_COMMAND, PrivateStack
from services.worker import Worker

TWO = ("--processes", "2")
PORTS_TRIED = 100


def adjacent_ports() -> int:
    """Return the first of two ports, one for each child."""
    return next(port for port in free_ports(PORTS_TRIED) if not accepts(port + 1))


@pytest.fixture
async def parent(lone: PrivateStack) -> AsyncGenerator[Worker]:
    """Return the parent of two workers, both ready."""
    environment = {"KMSQ_HEALTH_PORT": str(adjacent_ports())}
    async with running(lone, command=(*WORKER_COMMAND, *TWO), environment=environment) as (worker,):
        await both_ready(worker)
        yield worker


async def both_ready(worker: Worker) -> None:
    async def ready() -> bool:
        return await asyncio.to_thread(lambda: all(worker.is_ready(process=number) for number in range(2)))

    await until(ready)


def family(worker: Worker) -> list[Process]:
    """Return the parent and everything below it."""
    process = worker.daemon.process()
    return [] if process is None else descendants(process)


def children(worker: Worker) -> Mapping[int, Process]:
    """Return the workers by their number."""
    found: dict[int, Process] = {}
    for process in family(worker):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end meanwhile
            command = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")
            if "--process" in command:
                found[int(command[-1])] = process
    return found


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


async def test_each_process_is_a_worker_with_a_health_port_of_its_own(parent: Worker, boss: Producer) -> None:
    members = await asyncio.to_thread(children, parent)
    assert sorted(members) == [0, 1]
    assert len({parent.pid, *(process.pid for process in members.values())}) == 3
    for number in members:
        assert await asyncio.to_thread(parent.health, "/livez", process=number) == 200
    key = await new_key(boss)
    codes = await asyncio.gather(*(boss.code(EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(50)))
    assert set(codes) == {SUCCESS}


@pytest.mark.parametrize("number", [0, 1])
async def test_a_killed_process_is_replaced_and_no_request_goes_without_its_answer(
    parent: Worker, boss: Producer, number: int
) -> None:
    key = await new_key(boss)
    before = await asyncio.to_thread(children, parent)
    messages = [boss.message(EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(200)]
    for message in messages[:100]:
        await boss.publish(message)
    before[number].signal(signal.SIGKILL)
    for message in messages[100:]:
        await boss.publish(message)
    assert {(await boss.answer(message)).code for message in messages} == {SUCCESS}

    async def replaced() -> bool:
        now = await asyncio.to_thread(children, parent)
        return number in now and now[number].pid != before[number].pid

    await until(replaced)
    await both_ready(parent)
    assert (await asyncio.to_thread(children, parent))[1 - number].pid == before[1 - number].pid
    assert await boss.code(EncryptRequest(key_id=key, plaintext=b"x")) == SUCCESS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_parent_ends_with_its_workers_reports_success_and_loses_nothing(
    lone: PrivateStack, parent: Worker, boss: Producer, number: signal.Signals
) -> None:
    key = await new_key(boss)
    members = await asyncio.to_thread(family, parent)
    messages = [boss.message(EncryptRequest(key_id=key, plaintext=b"x")) for _ in range(100)]
    for message in messages:
        await boss.publish(message)
    members[0].signal(number)

    async def ended() -> bool:
        return parent.exit_status is not None

    await until(ended)
    assert parent.exit_status == 0
    assert [process for process in members if process.is_alive()] == []
    async with running(lone):  # it answers what the others left
        assert {(await boss.answer(message)).code for message in messages} == {SUCCESS}


async def test_a_parent_whose_workers_cannot_start_gives_up_and_says_why(lone: PrivateStack, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    await asyncio.to_thread(lone.kmsq_worker, "root-key", "create", str(wrong))
    environment = {
        "KMSQ_AMQP_URL": lone.worker_url,
        "KMSQ_DATABASE_URL": lone.database_url(CRYPTO),
        "KMSQ_CHANGES_DATABASE_URL": lone.database_url(CHANGE),
        "KMSQ_HEALTH_PORT": "0",
        "KMSQ_ROOT_KEY_FILE": str(wrong),
    }
    with pytest.raises(ServiceError, match="exited with 1") as caught:
        await asyncio.to_thread(lone.kmsq_worker, "run", *TWO, environment=environment)
    assert "root key" in str(caught.value).lower()
    assert "Traceback" not in str(caught.value)
