"""A worker process: it begins session after session, and knows when to stop."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from kmsq_schemas.operations import Queue
from kmsq_worker import app
from kmsq_worker.errors import Unavailable
from kmsq_worker.health import Health
from kmsq_worker.keyring import Revisions
from kmsq_worker.lanes import Worker
from kmsq_worker.rootkey import create_root_key_file
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.settings import Settings
from kmsq_worker.store.schema import WrongDatabase
from kmsq_worker.telemetry import Telemetry

Session = Callable[[Worker, asyncio.Event], Awaitable[None]]


@pytest.fixture
def worker() -> Worker:
    settings = Settings(
        amqp_url="amqp://u:canary@h/",
        database_url="postgresql://u:canary@h/",
        changes_database_url="postgresql://u:canary@h/",
        root_key_file=Path("/nowhere"),
        administrators=(),
        queues=tuple(Queue),
        turn_max=1,
        principal_max=1,
        drain_seconds=1,
        on_demand_rotations=1,
        scheduler_seconds=1,
        health_port=0,
        health_host="127.0.0.1",
        log_level="INFO",
    )
    return Worker(
        name="worker",
        settings=settings,
        root_key=MemoryRootKey(Secret.random(32)),
        revisions=Revisions(),
        clock=lambda: 0,
        telemetry=Telemetry(),
        health=Health(),
        reached=lambda _step: None,
    )


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long the worker paused, in seconds; it does not."""
    made: list[float] = []

    async def pause(_stop: asyncio.Event, seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(app, "_pause", pause)
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    return made


def sessions(monkeypatch: pytest.MonkeyPatch, *ends: BaseException | None) -> list[int]:
    """Let sessions end like this, one after the other; the last one after being asked to stop."""
    begun: list[int] = []

    async def serve(_worker: Worker, stop: asyncio.Event) -> None:
        begun.append(len(begun))
        end = ends[len(begun) - 1]
        if len(begun) == len(ends):
            stop.set()
        if end is not None:
            raise end

    monkeypatch.setattr(app, "serve_session", serve)
    return begun


async def test_lost_sessions_are_followed_by_others_after_longer_and_longer_pauses(
    worker: Worker, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [Unavailable("a"), *(ExceptionGroup("", [Unavailable("b")]) for _ in range(6))]
    begun = sessions(monkeypatch, *lost, None)
    await app._serve(worker)
    assert len(begun) == 8
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert worker.telemetry.registry.get_sample_value("kmsq_sessions_lost_total") == 7


async def test_a_session_that_was_good_for_a_while_resets_the_pauses(
    worker: Worker, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BACKOFF_RESET_SECONDS", -1.0)  # every session lasts longer
    sessions(monkeypatch, Unavailable("a"), Unavailable("a"), Unavailable("a"), None)
    await app._serve(worker)
    assert pauses == [0.2, 0.2, 0.2]


async def test_what_cannot_be_waited_out_ends_the_process(
    worker: Worker, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions(monkeypatch, WrongDatabase("wrong"))
    with pytest.raises(WrongDatabase, match="wrong"):
        await app._serve(worker)
    mixed = ExceptionGroup("", [Unavailable("a"), KeyError("b")])
    sessions(monkeypatch, mixed)
    with pytest.raises(ExceptionGroup) as caught:
        await app._serve(worker)
    assert caught.group_contains(KeyError)
    assert len(pauses) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    async def serve(_worker: Worker, stop: asyncio.Event) -> None:
        os.kill(os.getpid(), number)
        await stop.wait()

    monkeypatch.setattr(app, "serve_session", serve)
    async with asyncio.timeout(5):
        await app._serve(worker)


async def test_the_event_loop_s_beat_keeps_the_worker_live(worker: Worker) -> None:
    worker.health._beat = 0.0
    beating = asyncio.create_task(app._beat(worker.health))
    await asyncio.sleep(0)
    assert worker.health._beat > 0
    beating.cancel()


async def test_a_pause_ends_when_the_worker_is_to_stop() -> None:
    stop = asyncio.Event()
    await app._pause(stop, 0.001)
    stop.set()
    async with asyncio.timeout(5):
        await app._pause(stop, 1_000)


def test_the_reasons_of_a_lost_session_are_fixed_texts_each_told_once() -> None:
    inner = ExceptionGroup("canary", [Unavailable("b"), Unavailable("b"), Unavailable("c")])
    group: BaseExceptionGroup[Any] = ExceptionGroup("canary", [Unavailable("a"), inner, Unavailable("a")])
    assert app._reasons(group) == "a, b, c"


def test_no_password_shows_in_what_outlives_sessions(worker: Worker) -> None:
    assert "canary" not in repr(worker)


def test_a_worker_leaves_no_core_file_and_is_not_to_be_read() -> None:
    """In a process of its own: it cannot be undone."""
    program = """
import ctypes, resource
from kmsq_worker.app import forbid_core_dumps
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0) 0\n"


def test_a_process_serves_its_probes_on_a_port_of_its_own_with_the_root_key_it_was_given(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = create_root_key_file(tmp_path / "root.key")
    ports: list[int] = []
    served: list[Worker] = []

    @contextmanager
    def serve_probes(_host: str, port: int, _health: Health, _registry: object) -> Generator[int]:
        ports.append(port)
        yield port

    async def serve(found: Worker) -> None:
        served.append(found)
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)

    monkeypatch.setattr(app, "served", serve_probes)
    monkeypatch.setattr(app, "forbid_core_dumps", lambda: None)
    monkeypatch.setattr(app, "_serve", serve)
    for health_port, process in ((0, 3), (8080, 0), (8080, 3)):
        settings = replace(worker.settings, root_key_file=tmp_path / "root.key", health_port=health_port)
        app.run(settings, process=process)
    assert ports == [0, 8080, 8083]
    assert {one.root_key.id for one in served} == {key_id}
    assert abs(served[0].clock() - time.time() * 1000) < 60_000
