"""
`kmsq column` over a Parquet file of three columns, all of them encrypted: how fast, and in how much memory.

Each mode encrypts, decrypts and compares the result with the original by `verify --against`. Figures are those of the
command's own process, from its start to its end.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.contest import create_key
from bench.programs import Run, run
from services import private_stack
from services.stack import PROGRAMS

COLUMNS = ("card", "amount", "name")
GROUP_ROWS = 250_000  # as they are generated: the source's row groups
TABLE = ("--table", "orders")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench columns", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the file (default: 5000000)")
    parser.add_argument("--workers", type=int, default=1, help="(default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="kmsq-bench-") as name,
        private_stack(Path(name), workers=options.workers) as stack,
    ):
        source = Path(name) / "orders.parquet"
        _generate(source, options.rows)
        key_id, environment = create_key(stack), {"KMSQ_AMQP_URL": stack.administrator_url}
        runs = {step: run(command, environment) for step, command in _steps(source, key_id).items()}
        opened = [pq.read_table(source.with_name(f"{mode}-opened.parquet")) for mode in ("value", "envelope")]
        original = pq.read_table(source)
        assert all(table.equals(original) for table in opened), "a decrypted table differs from the original"
    _print(runs, options.rows, as_json=options.json)


def _steps(source: Path, key_id: str) -> dict[str, Sequence[str]]:
    program = (f"{PROGRAMS}/kmsq", "column")
    columns = [part for column in COLUMNS for part in ("--column", column)]
    steps: dict[str, Sequence[str]] = {}
    for mode in ("value", "envelope"):
        sealed, opened = (str(source.with_name(f"{mode}-{what}.parquet")) for what in ("sealed", "opened"))
        how = ("--key-id", key_id, "--mode", mode, *TABLE, *columns)
        steps[f"{mode}: encrypt"] = (*program, "encrypt", str(source), "--out", sealed, *how)
        steps[f"{mode}: decrypt"] = (*program, "decrypt", sealed, "--out", opened)
        steps[f"{mode}: verify"] = (*program, "verify", sealed, "--against", str(source))
    return steps


def _generate(path: Path, rows: int) -> None:
    schema = pa.schema([("card", pa.string()), ("amount", pa.int64()), ("name", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            numbers = range(start, min(start + GROUP_ROWS, rows))
            cards = [f"{number:016d}" for number in numbers]
            names = [None if number % 10 == 0 else f"customer {number % 9973}" for number in numbers]
            writer.write_table(pa.table([cards, list(numbers), names], schema=schema))


def _print(runs: dict[str, Run], rows: int, *, as_json: bool) -> None:
    figures = {
        step: {"rows_per_second": rows / done.seconds, "cpu_seconds": done.cpu_seconds, "peak_mib": done.peak_mib}
        for step, done in runs.items()
    }
    if as_json:
        print(json.dumps({"rows": rows, "runs": figures}))
        return
    print(f"{f'{rows:,} rows x {len(COLUMNS)} columns':28}{'rows/s':>10}{'cells/s':>10}{'CPU s':>8}{'peak MiB':>10}")
    for step, row in figures.items():
        rate = row["rows_per_second"]
        print(f"{step:28}{rate:10,.0f}{rate * len(COLUMNS):10,.0f}{row['cpu_seconds']:8.1f}{row['peak_mib']:10.0f}")
