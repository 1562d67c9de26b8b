"""What `verify --against` finds: everything."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmsq.column import Findings, Mode, Verb
from unit.column_tables import arrow_table, bench, write_table


def found_in(findings: Findings) -> list[tuple[int, str, str]]:
    return [(one.row, one.column, one.code) for one in findings.shown]


def swapped(rows: list[Any]) -> list[tuple[int, str, str]]:
    rows[20], rows[60] = rows[60], rows[20]
    return [(21, "id", "Different"), (61, "id", "Different")]


def lost(rows: list[Any]) -> list[tuple[int, str, str]]:
    del rows[99]
    return [(100, "*", "ExtraRow")]


def longer(rows: list[Any]) -> list[tuple[int, str, str]]:
    rows.append(rows[0])
    return [(101, "*", "MissingRow")]


def zero_signed(rows: list[Any]) -> list[tuple[int, str, str]]:
    rows[0]["price"] = -0.0
    return [(1, "price", "Different")]


def nulled(rows: list[Any]) -> list[tuple[int, str, str]]:
    rows[1]["name"] = None
    return [(2, "name", "Different")]


def in_two_cells(rows: list[Any]) -> list[tuple[int, str, str]]:
    rows[5]["price"] = 1e9
    rows[5]["tags"] = [7]
    return [(6, "price", "Different")]


@pytest.mark.parametrize("change", [swapped, lost, longer, zero_signed, nulled, in_two_cells])
async def test_whatever_is_different_is_found(tmp_path: Path, change: Any) -> None:
    plain = write_table(tmp_path, "parquet")
    rows = arrow_table().to_pylist()
    expected = change(rows)
    pq.write_table(pa.Table.from_pylist(rows, arrow_table().schema), tmp_path / "other.parquet")
    async with bench(tmp_path, mode=Mode.ENVELOPE) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet")
        assert found_in(await on.verify(sealed.output, against=tmp_path / "other.parquet")) == expected


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_of_a_table_that_is_all_different_each_row_is_counted(tmp_path: Path, kind: str) -> None:
    plain = write_table(tmp_path, kind, rows=6_000)
    async with bench(tmp_path, mode=Mode.ENVELOPE, part_rows=6_000) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        (tmp_path / "other").mkdir()
        other = write_table(tmp_path / "other", kind, rows=6_001)
        if kind == "parquet":
            pq.write_table(pq.read_table(other).slice(1), other)
        else:
            lines = other.read_text().splitlines(keepends=True)
            other.write_text("".join(lines[: kind == "csv"] + lines[1 + (kind == "csv") :]))
        found = await on.verify(sealed.output, against=other)
    assert (found.count, len(found.shown)) == (6_000, 100)


async def test_columns_in_another_order_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("id,name\n1,a\n2,b\n")
    (tmp_path / "other.csv").write_text("name,id\na,1\nc,2\n")
    async with bench(tmp_path, columns=("name",)) as on:
        sealed = await on.run(Verb.ENCRYPT, tmp_path / "plain.csv", "sealed.csv")
        assert found_in(await on.verify(sealed.output, against=tmp_path / "other.csv")) == [(2, "name", "Different")]
