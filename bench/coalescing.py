"""
`await client.encrypt(…)` from many tasks, 256 bytes each, with a client that coalesces and one that does not.

One by one shows what coalescing costs an idle client. Producer, broker, database and one worker share the machine; the
producer is an ordinary asyncio program, and its own work for each call counts.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.contest import create_key
from kmsq import Client
from services import private_stack

LOADS = {"one by one": 1, "400 tasks": 400, "10,000 tasks": 10_000}
VALUE = bytes(256)
TIMEOUT_SECONDS = 120.0  # ten thousand single messages take a while

Rates = Mapping[str, Mapping[str, float]]


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench coalescing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="of each run, at least (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder, private_stack(Path(folder)) as stack:
        stack.up(workers=1)
        key_id = create_key(stack)
        rates = asyncio.run(_measure(stack.administrator_url, key_id, options.seconds, options.rounds))
    if options.json:
        print(json.dumps({"calls_per_second": rates}))
    else:
        _show(rates, options.rounds)


async def _measure(url: str, key_id: str, seconds: float, rounds: int) -> Rates:
    async with (
        Client(url, coalesce=False, timeout_seconds=TIMEOUT_SECONDS) as single,
        Client(url, timeout_seconds=TIMEOUT_SECONDS) as together,
    ):
        clients = {"single": single, "coalesced": together}
        found: dict[str, dict[str, list[float]]] = {load: {name: [] for name in clients} for load in LOADS}
        for _ in range(rounds):
            for load, tasks in LOADS.items():
                for name, client in clients.items():
                    found[load][name].append(await _rate(client, key_id, tasks, seconds))
    return {load: {name: median(rates) for name, rates in row.items()} for load, row in found.items()}


async def _rate(client: Client, key_id: str, tasks: int, seconds: float) -> float:
    """Return calls per second of so many tasks, each of which calls until the time is over, and at least once."""
    began = time.perf_counter()

    async def call_on() -> int:
        calls = 1
        await client.encrypt(key_id, VALUE)
        while time.perf_counter() < began + seconds:
            await client.encrypt(key_id, VALUE)
            calls += 1
        return calls

    calls: Sequence[int] = await asyncio.gather(*(call_on() for _ in range(tasks)))
    return sum(calls) / (time.perf_counter() - began)


def _show(rates: Rates, rounds: int) -> None:
    print(f"{f'calls/s, median of {rounds}':24}{'single':>12}{'coalesced':>12}{'ratio':>8}")
    for load, row in rates.items():
        ratio = row["coalesced"] / row["single"]
        print(f"{load:24}{row['single']:12,.0f}{row['coalesced']:12,.0f}{ratio:8.2f}")
