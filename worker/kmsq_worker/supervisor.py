"""`--processes N`: a parent that holds nothing and keeps N workers running."""

import asyncio
import signal
import sys
import time
from contextlib import suppress

from kmsq_worker.telemetry import LOGGER

RESTART_SECONDS = 1.0
FAILED_START_SECONDS = 5.0  # a worker that fails sooner than this could not start at all


async def supervise(processes: int) -> int:
    """
    Run `processes` workers, restart those that die, pass SIGTERM and SIGINT on.

    Returns the exit code: 0 after a stop that was asked for, 1 if a worker cannot start.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    results = await asyncio.gather(*(_keep_running(number, stop) for number in range(processes)))
    return max(results)


async def _keep_running(number: int, stop: asyncio.Event) -> int:
    while not stop.is_set():
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kmsq_worker", "run", "--process", str(number)
        )
        stopping = asyncio.create_task(stop.wait())
        waiting = asyncio.create_task(child.wait())
        await asyncio.wait((stopping, waiting), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            if child.returncode is None:
                child.terminate()
            # One that was told before it could listen dies of the signal: that is a stop, too.
            return 0 if await waiting in (0, -signal.SIGTERM) else 1
        LOGGER.error("worker died", extra={"worker": number, "reason": f"exit status {child.returncode}"})
        if time.monotonic() - began < FAILED_START_SECONDS and child.returncode == 1:
            stop.set()  # it said why on its way out; the others would end in the same way
            return 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RESTART_SECONDS)
    return 0
