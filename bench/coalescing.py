"""
`await client.encrypt(…)` from many tasks, 256 bytes each, with a client that coalesces and one that does not.

Beside them FastStream's `request()` to a handler that does nothing, on a queue of the same kind: it waits for each
reply before it sends the next request, whatever the number of tasks. One by one shows what coalescing costs an idle
client. Producers, broker, database and one worker share the machine; a producer's own work for each call counts.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from faststream.rabbit import RabbitBroker

from bench.contest import consumer, create_key
from bench.noop import QUEUE
from kmsq import Client
from services import private_stack

LOADS = {"one by one": 1, "400 tasks": 400, "10,000 tasks": 10_000}
VALUE = bytes(256)
TIMEOUT_SECONDS = 120.0  # ten thousand single messages take a while
TASKS_OF_FASTSTREAM = 400  # more would wait for each other beyond any timeout

Rates = Mapping[str, Mapping[str, float]]


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench coalescing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="of each run, at least (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder, private_stack(Path(folder), workers=1) as stack:
        key_id = create_key(stack)
        with consumer(stack, "bench.noop", QUEUE) as (url, _):
            rates = asyncio.run(
                _measure(stack.administrator_url, key_id, url, seconds=options.seconds, rounds=options.rounds)
            )
    if options.json:
        print(json.dumps({"calls_per_second": rates}))
    else:
        _show(rates, options.rounds)


async def _measure(kmsq_url: str, key_id: str, other_url: str, *, seconds: float, rounds: int) -> Rates:
    async with (
        Client(kmsq_url, coalesce=False, timeout_seconds=TIMEOUT_SECONDS) as single,
        Client(kmsq_url, timeout_seconds=TIMEOUT_SECONDS) as together,
        RabbitBroker(other_url, logger=None) as broker,
    ):
        callers: dict[str, Callable[[], Awaitable[object]]] = {
            "single": lambda: single.encrypt(key_id, VALUE),
            "coalesced": lambda: together.encrypt(key_id, VALUE),
            "FastStream": lambda: broker.request(VALUE, QUEUE, timeout=TIMEOUT_SECONDS),
        }
        found: dict[str, dict[str, list[float]]] = {load: {name: [] for name in callers} for load in LOADS}
        for _ in range(rounds):
            for load, tasks in LOADS.items():
                for name, call in callers.items():
                    if name != "FastStream" or tasks <= TASKS_OF_FASTSTREAM:
                        found[load][name].append(await _rate(call, tasks, seconds))
    return {load: {name: median(rates) for name, rates in row.items() if rates} for load, row in found.items()}


async def _rate(call: Callable[[], Awaitable[object]], tasks: int, seconds: float) -> float:
    """Return calls per second of so many tasks, each of which calls until the time is over, and at least once."""
    began = time.perf_counter()

    async def call_on() -> int:
        calls = 1
        await call()
        while time.perf_counter() < began + seconds:
            await call()
            calls += 1
        return calls

    calls: Sequence[int] = await asyncio.gather(*(call_on() for _ in range(tasks)))
    return sum(calls) / (time.perf_counter() - began)


def _show(rates: Rates, rounds: int) -> None:
    print(
        f"{f'calls/s, median of {rounds}':24}{'single':>12}{'coalesced':>12}{'ratio':>8}{'FastStream':>12}{'ratio':>8}"
    )
    for load, row in rates.items():
        shown = f"{load:24}{row['single']:12,.0f}{row['coalesced']:12,.0f}{row['coalesced'] / row['single']:8.1f}"
        if "FastStream" in row:
            shown += f"{row['FastStream']:12,.0f}{row['coalesced'] / row['FastStream']:8.1f}"
        print(shown)
