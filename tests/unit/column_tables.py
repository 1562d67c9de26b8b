"""Tables for the tests of columns, in each format, and runs over them with a KMS in memory."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kmsq.client import Client
from kmsq.column import Findings, Order, Start, Summary, Verb, run, verify
from kmsq.testing import FakeKms

ROWS = 100
FORMATS = ("parquet", "csv", "jsonl")


def arrow_table(rows: int = ROWS) -> Any:
    """Return a table with a key, columns to encrypt with nulls in them, and others to leave alone."""
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "name": pa.array([None if index % 7 == 3 else f"näme {index}" for index in range(rows)], pa.string()),
            "price": pa.array([index / 4 for index in range(rows)], pa.float64()),
            "tags": pa.array([[index, None] for index in range(rows)], pa.list_(pa.int64())),
        }
    ).replace_schema_metadata({"made": "by a test"})


def write_table(folder: Path, kind: str, rows: int = ROWS) -> Path:
    """Write such a table in a format."""
    path = folder / f"plain.{kind}"
    if kind == "parquet":
        pq.write_table(arrow_table(rows), path, row_group_size=33)
    elif kind == "csv":
        lines = [f'{index},"näme, ""{index}""",{index / 4}' for index in range(rows)]
        path.write_text("\n".join(["id,name,price", *lines, ""]))
    else:
        names = [None if index % 7 == 3 else f"näme {index}" for index in range(rows)]
        values = [{"id": index, "name": name, "price": [1.50, {"a": index}]} for index, name in enumerate(names)]
        path.write_text("".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values))
    return path


def content(path: Path) -> Any:
    """Return what two equal tables have in common: bytes of a text file, types and values and metadata of Parquet."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    table = pq.read_table(path)
    return table.schema.to_string(), table.schema.metadata, table.to_pydict()


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs over tables in one folder, by one client."""

    kms: FakeKms
    client: Client
    folder: Path
    key_id: str
    base: Order

    async def run(self, verb: Verb, source: Path, name: str, start: Start = Start.NEW, **changes: Any) -> Summary:
        """Run into the file `name`."""
        return await run(self.order(verb, source, name, **changes), self.client, start=start)

    async def verify(self, source: Path, *, against: Path | None = None, **changes: Any) -> Findings:
        """Verify a table."""
        return await verify(self.order(Verb.VERIFY, source, source.name, **changes), self.client, against=against)

    def order(self, verb: Verb, source: Path, name: str, **changes: Any) -> Order:
        """Make an order: under the bench's key where there is one to name."""
        key_id = self.key_id if verb in {Verb.ENCRYPT, Verb.REWRAP} else None
        given = {"verb": verb, "source": source, "target": self.folder / name, "key_id": key_id}
        return replace(self.base, **{**given, **changes})


@asynccontextmanager
async def bench(folder: Path, **base: Any) -> AsyncGenerator[Bench]:
    """Give a bench whose orders are for parts of ten rows, unless `base` says otherwise."""
    kms = FakeKms()
    async with kms.client() as client:
        key_id = (await client.create_key()).key_metadata.key_id
        given = {"columns": ("name", "price"), "table": "orders", "part_rows": 10, **base}
        yield Bench(kms, client, folder, key_id, Order(verb=Verb.ENCRYPT, source=folder, target=folder, **given))
