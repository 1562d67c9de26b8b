"""
One column of card numbers, encrypted in every way that kmsq has, beside a loop that waits for each value.

All guarantees of each way are on: policy, audit, confirms. The ways take turns, and their figures are medians. A rate
counts from the first call, or the start of the command, to the end; a command also writes its file. The loop and the
single calls do a part of the values, at the rate that is shown.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from bench.contest import create_key
from bench.programs import run
from kmsq import Client
from services import PrivateStack, private_stack
from services.stack import PROGRAMS

CONTEXT = {"table": "orders", "column": "card"}
DIGITS = 16


@dataclass(slots=True)
class Way:
    """One way to encrypt the column; `rates` are values a second."""

    name: str
    run: Callable[[], float]
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Column:
    """What is encrypted, with what."""

    url: str
    key_id: str
    values: Sequence[bytes]
    file: Path
    seconds: float
    tasks: int

    def row_by_row(self) -> float:
        """Wait for each value before asking for the next: what one writes first."""

        async def loop() -> float:
            async with Client(self.url, coalesce=False) as client:
                began, done = time.perf_counter(), 0
                while time.perf_counter() - began < self.seconds:
                    await client.encrypt(self.key_id, self.values[done], encryption_context=CONTEXT)
                    done += 1
                return done / (time.perf_counter() - began)

        return asyncio.run(loop())

    def single_calls(self) -> float:
        """Ask for many values at once, each in a task of its own: the client coalesces."""

        async def gather() -> float:
            async with Client(self.url) as client:
                began = time.perf_counter()
                await asyncio.gather(
                    *(
                        client.encrypt(self.key_id, value, encryption_context=CONTEXT)
                        for value in self.values[: self.tasks]
                    )
                )
                return self.tasks / (time.perf_counter() - began)

        return asyncio.run(gather())

    def encrypt_many(self) -> float:
        """Leave the cutting into messages to the client."""

        async def stream() -> float:
            async with Client(self.url) as client:
                began, done = time.perf_counter(), 0
                async for _ in client.encrypt_many(self.key_id, self.values, context=CONTEXT):
                    done += 1
                return done / (time.perf_counter() - began)

        return asyncio.run(stream())

    def command(self, mode: str) -> float:
        """Run `kmsq column encrypt` over a Parquet file."""
        out = self.file.with_name(f"{mode}.parquet")
        what = (str(self.file), "--out", str(out), "--force", "--key-id", self.key_id, "--mode", mode)
        where = ("--table", CONTEXT["table"], "--column", CONTEXT["column"])
        done = run((f"{PROGRAMS}/kmsq", "column", "encrypt", *what, *where), {"KMSQ_AMQP_URL": self.url})
        return len(self.values) / done.seconds


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench pipelines", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="values (default: 500000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--seconds", type=float, default=5, help="of the loop, each time (default: 5)")
    parser.add_argument("--tasks", type=int, default=10_000, help="single calls at once (default: 10000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder, private_stack(Path(folder), workers=1) as stack:
        column = _column(stack, Path(folder) / "orders.parquet", options)
        ways = [
            Way("row by row", column.row_by_row),
            Way(f"{options.tasks:,} single calls", column.single_calls),
            Way("encrypt_many", column.encrypt_many),
            Way("column --mode value", lambda: column.command("value")),
            Way("column --mode envelope", lambda: column.command("envelope")),
        ]
        for way in ways * options.rounds:
            way.rates.append(way.run())
    _print(ways, as_json=options.json)


def _column(stack: PrivateStack, file: Path, options: argparse.Namespace) -> Column:
    cards = [f"{number:0{DIGITS}d}" for number in range(options.rows)]
    pq.write_table(pa.table({"id": range(options.rows), CONTEXT["column"]: cards}), file)
    values = [card.encode() for card in cards]
    return Column(stack.administrator_url, create_key(stack), values, file, options.seconds, options.tasks)


def _print(ways: Sequence[Way], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"values_per_second": {way.name: median(way.rates) for way in ways}}))
        return
    first = median(ways[0].rates)
    print(f"{'median of ' + str(len(ways[0].rates)) + ' runs':24}{'values/s':>12}{'ratio':>8}")
    for way in ways:
        print(f"{way.name:24}{median(way.rates):12,.0f}{median(way.rates) / first:8.1f}")
