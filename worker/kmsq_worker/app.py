"""One worker process: it serves sessions, one after the other, until it is told to stop."""

import asyncio
import ctypes
import gc
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable

import uvloop

from kmsq_worker.errors import Unavailable
from kmsq_worker.health import BEAT_SECONDS, Health, served
from kmsq_worker.keyring import Revisions
from kmsq_worker.lanes import Worker
from kmsq_worker.rootkey import load_root_key_file
from kmsq_worker.session import serve_session
from kmsq_worker.settings import Settings
from kmsq_worker.telemetry import LOGGER, Telemetry

BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 5.0  # an outage of any length ends at most this much later
BACKOFF_RESET_SECONDS = 30.0  # a session that lasted this long was a good one
GC_THRESHOLD = 20_000  # new objects between collections: a turn of 256 makes about as many
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def run(settings: Settings, *, process: int = 0, reached: Callable[[str], None] = lambda _step: None) -> None:
    """
    Serve until SIGTERM or SIGINT.

    `process` is this process's number among several; `reached` is called with the name of every step that a turn or
    change has completed, for tests that crash there. Raises `RootKeyError` and `WrongDatabase`.
    """
    forbid_core_dumps()
    gc.freeze()  # modules live for ever: collections need not look at them (`./dev bench`: about 5 % of the worker's CPU)
    gc.set_threshold(GC_THRESHOLD)
    root_key = load_root_key_file(settings.root_key_file)
    telemetry, health = Telemetry(), Health()
    worker = Worker(
        name=f"kmsq-worker {socket.gethostname()}/{os.getpid()}",
        settings=settings,
        root_key=root_key,
        revisions=Revisions(),
        clock=lambda: time.time_ns() // 1_000_000,
        telemetry=telemetry,
        health=health,
        reached=reached,
    )
    port = settings.health_port + process if settings.health_port else 0
    with served(settings.health_host, port, health, telemetry.registry) as bound:
        LOGGER.info("started", extra={"worker": process, "port": bound})
        uvloop.run(_serve(worker))
    LOGGER.info("stopped", extra={"worker": process})


def forbid_core_dumps() -> None:
    """Keep key material out of core files, and out of reach of other processes of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def _serve(worker: Worker) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beating = asyncio.create_task(_beat(worker.health))
    backoff = BACKOFF_FIRST_SECONDS
    while not stop.is_set():
        began = time.monotonic()
        try:
            await serve_session(worker, stop)
        except* Unavailable as group:
            worker.telemetry.session_lost()
            LOGGER.warning("session lost", extra={"reason": _reasons(group)}, exc_info=group)
            if time.monotonic() - began > BACKOFF_RESET_SECONDS:
                backoff = BACKOFF_FIRST_SECONDS
            await _pause(stop, backoff * random.uniform(0.5, 1.0))  # noqa: S311  # so that a fleet does not knock at once
            backoff = min(2 * backoff, BACKOFF_MAX_SECONDS)
    beating.cancel()


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _reasons(group: BaseExceptionGroup[Unavailable]) -> str:
    """Return what the leaves of the group say: fixed texts and names of types."""
    found = (_reasons(member) if isinstance(member, BaseExceptionGroup) else str(member) for member in group.exceptions)
    return ", ".join(dict.fromkeys(found))
