"""A parent and its workers; the workers are small shell scripts."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kmsq_worker import supervisor

LISTENS = "trap 'exit 0' TERM; echo $5 >> started; while :; do sleep 0.02; done"

Script = Callable[[str], None]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that says what a worker does; `$5` is its number."""

    def write(text: str) -> None:
        program = tmp_path / "worker"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.01)
    return write


def numbers() -> list[str]:
    """Return the numbers that workers said when they started."""
    said = Path("started")
    return said.read_text().split() if said.exists() else []


async def started(count: int) -> list[str]:
    """Wait until workers said their numbers so many times; return them."""
    async with asyncio.timeout(20):
        while len(numbers()) < count:  # noqa: ASYNC110  # another process says so
            await asyncio.sleep(0.01)
    return numbers()


async def test_a_signal_to_the_parent_stops_all_its_workers(script: Script) -> None:
    script(LISTENS)
    running = asyncio.create_task(supervisor.supervise(3))
    assert sorted(await started(3)) == ["0", "1", "2"]
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_a_worker_that_dies_is_replaced(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    script(f"[ -e started ] || {{ echo $5 >> started; kill -9 $$; }}\n{LISTENS}")
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor._keep_running(4, stop))
    assert await started(2) == ["4", "4"]
    stop.set()
    assert await running == 0
    assert [record.__dict__["reason"] for record in caplog.records] == ["exit status -9"]


async def test_a_worker_that_cannot_start_stops_them_all(script: Script) -> None:
    script(f'[ "$5" = 1 ] && exit 1\n{LISTENS}')
    async with asyncio.timeout(20):
        assert await supervisor.supervise(2) == 1


async def test_a_worker_that_does_not_stop_cleanly_shows(script: Script) -> None:
    script("trap 'exit 5' TERM; echo $5 >> started; while :; do sleep 0.02; done")
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor._keep_running(0, stop))
    await started(1)
    stop.set()
    assert await running == 1


async def test_a_worker_that_is_stopped_before_it_listens_was_stopped(script: Script) -> None:
    """It dies of the signal: the parent said that something went wrong."""
    script("echo $5 >> started; exec sleep 20")
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor._keep_running(0, stop))
    await started(1)
    stop.set()
    assert await running == 0


async def test_nothing_is_started_any_more_once_it_is_to_stop(
    script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop during the pause before a restart began another worker first."""
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 1_000.0)
    script("echo $5 >> started; exit 3")
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor._keep_running(0, stop))
    async with asyncio.timeout(20):
        while not caplog.records:  # noqa: ASYNC110  # it says that the worker died, and pauses
            await asyncio.sleep(0.01)
    stop.set()
    async with asyncio.timeout(5):
        assert await running == 0
    assert await started(1) == ["0"]
