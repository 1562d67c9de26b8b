"""Whole runs over tables of each format, in both modes, with a KMS in memory."""

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmsq.column import Mode, OnError, Progress, Start, Verb, run
from kmsq.column.errors import CellFailed, Interrupted, JournalExists, JournalMismatch, NothingToResume, PlanRefused
from kmsq.errors import AccessDeniedException, DisabledException
from kmsq_schemas.operations import Operation
from unit.column_tables import FORMATS, ROWS, Bench, arrow_table, bench, content, write_table

Edit = Callable[[list[dict[str, Any]]], None]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("row_key", [None, "id"], ids=["not-bound-to-rows", "bound-to-rows"])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", FORMATS)
async def test_a_table_comes_back_as_it_was(tmp_path: Path, kind: str, mode: Mode, row_key: str | None) -> None:
    plain = write_table(tmp_path, kind)
    async with bench(tmp_path, mode=mode, row_key=row_key) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        moved = await on.run(Verb.REWRAP, sealed.output, f"moved.{kind}")
        opened = await on.run(Verb.DECRYPT, moved.output, f"opened.{kind}")
        assert (await on.verify(moved.output, against=plain)).count == 0
    assert content(opened.output) == content(plain)
    assert b"n\xc3\xa4me" not in sealed.output.read_bytes()
    assert {summary.tally.rows for summary in (sealed, moved, opened)} == {ROWS}
    assert names_in(tmp_path) == sorted([plain.name, *(f"{name}.{kind}" for name in ("sealed", "moved", "opened"))])


@pytest.mark.parametrize("kind", FORMATS)
async def test_outputs_are_their_owners_only(tmp_path: Path, kind: str) -> None:
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, write_table(tmp_path, kind), f"sealed.{kind}")
    assert sealed.output.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", ["parquet", "csv"])
async def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, kind: str, mode: Mode) -> None:
    plain = write_table(tmp_path, kind, rows=0)
    async with bench(tmp_path, mode=mode) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        opened = await on.run(Verb.DECRYPT, sealed.output, f"opened.{kind}")
    assert content(opened.output) == content(plain)


@pytest.mark.parametrize("mode", list(Mode))
async def test_rows_that_other_tools_sorted_and_filtered_decrypt(tmp_path: Path, mode: Mode) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path, mode=mode, columns=(), row_key="id") as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet", columns=("name", "price"))
        table = pq.read_table(sealed.output).sort_by([("id", "descending")]).slice(5, 50)
        pq.write_table(table, tmp_path / "sorted.parquet")
        opened = await on.run(Verb.DECRYPT, tmp_path / "sorted.parquet", "opened.parquet", table=None, row_key=None)
    expected = arrow_table().sort_by([("id", "descending")]).slice(5, 50)
    assert pq.read_table(opened.output).equals(expected)


async def test_pandas_reads_an_encrypted_file(tmp_path: Path) -> None:
    frame = arrow_table().drop_columns(["tags"]).to_pandas()
    frame.to_parquet(tmp_path / "plain.parquet")
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, tmp_path / "plain.parquet", "sealed.parquet")
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.parquet")
    assert isinstance(pq.read_table(sealed.output).to_pandas()["name"][0], bytes)
    assert pq.read_table(opened.output).to_pandas().equals(frame)


async def test_one_of_two_columns_decrypts_and_the_other_keeps_its_data_keys(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path, mode=Mode.ENVELOPE) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet")
        half = await on.run(Verb.DECRYPT, sealed.output, "half.parquet", columns=("name",))
        whole = await on.run(Verb.DECRYPT, half.output, "whole.parquet", columns=("price",))
    assert content(whole.output) == content(plain)


async def test_null_text_stays_as_it_is_when_told(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(b"name,price\r\n,1\r\nNA,2\r\n")
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.csv", null="")
        assert rows_of(sealed.output)[0]["name"] == ""
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.csv", null="")
        assert opened.output.read_bytes() == plain.read_bytes()
        all_sealed = await on.run(Verb.ENCRYPT, plain, "all.csv")
        assert rows_of(all_sealed.output)[0]["name"] != ""
    assert (sealed.tally.nulls, all_sealed.tally.nulls) == (1, 0)


def edited(path: Path, edit: Edit) -> Path:
    """Return a JSON Lines file whose rows somebody changed."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    edit(rows)
    changed = path.with_name("changed.jsonl")
    changed.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return changed


def tamper(rows: list[dict[str, Any]]) -> None:
    cell = rows[16]["name"]
    rows[16]["name"] = cell[:-4] + ("AAA=" if cell[-4:] != "AAA=" else "BBB=")


def swap_rows(rows: list[dict[str, Any]]) -> None:
    rows[16]["name"], rows[18]["name"] = rows[18]["name"], rows[16]["name"]


def swap_columns(rows: list[dict[str, Any]]) -> None:
    rows[16]["name"], rows[16]["price"] = rows[16]["price"], rows[16]["name"]


def no_ciphertext(rows: list[dict[str, Any]]) -> None:
    rows[16]["name"] = "näme 16"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("edit", "cells"),
    [
        (tamper, [(17, "name", "InvalidCiphertextException")]),
        (swap_rows, [(17, "name", "InvalidCiphertextException"), (19, "name", "InvalidCiphertextException")]),
        (swap_columns, [(17, "name", "InvalidCiphertextException"), (17, "price", "InvalidCiphertextException")]),
        (no_ciphertext, [(17, "name", "NotEncrypted")]),
    ],
    ids=["tampered", "swapped-between-rows", "swapped-between-columns", "not-encrypted"],
)
async def test_cells_that_were_changed_or_moved_are_named(
    tmp_path: Path, mode: Mode, edit: Edit, cells: list[tuple[int, str, str]]
) -> None:
    async with bench(tmp_path, mode=mode, row_key="id") as on:
        sealed = await on.run(Verb.ENCRYPT, write_table(tmp_path, "jsonl"), "sealed.jsonl")
        changed = edited(sealed.output, edit)
        found = await on.verify(changed)
        assert [(one.row, one.column, one.code) for one in found.shown] == cells
        with pytest.raises(CellFailed) as failed:
            await on.run(Verb.DECRYPT, changed, "opened.jsonl")
    assert (failed.value.row, failed.value.column, failed.value.code) == cells[0]


@pytest.mark.parametrize("mode", list(Mode))
async def test_cells_of_another_table_do_not_open(tmp_path: Path, mode: Mode) -> None:
    async with bench(tmp_path, mode=mode) as on:
        sealed = await on.run(Verb.ENCRYPT, write_table(tmp_path, "csv"), "sealed.csv")
        found = await on.verify(sealed.output, table="customers")
        assert found.count == 2 * ROWS
        assert len(found.shown) == 100


async def test_verify_against_names_what_is_different(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet")
        rows = arrow_table().to_pylist()
        rows[41]["price"] = 1e9
        rows[55]["tags"] = [1]
        pq.write_table(pa.Table.from_pylist(rows, arrow_table().schema), tmp_path / "other.parquet")
        found = await on.verify(sealed.output, against=tmp_path / "other.parquet")
        pq.write_table(arrow_table().slice(0, 95), tmp_path / "shorter.parquet")
        shorter = await on.verify(sealed.output, against=tmp_path / "shorter.parquet")
    assert [(one.row, one.column, one.code) for one in found.shown] == [
        (42, "price", "Different"),
        (56, "tags", "Different"),
    ]
    assert [(one.row, one.column, one.code) for one in shorter.shown] == [(96, "*", "ExtraRow")]


def with_a_long_value(folder: Path, kind: str) -> Path:
    """Write a table whose 38th row has a value that the service does not take."""
    if kind == "parquet":
        rows = arrow_table().to_pylist()
        rows[37]["name"] = "x" * 4096
        pq.write_table(pa.Table.from_pylist(rows, arrow_table().schema), folder / "plain.parquet")
        return folder / "plain.parquet"
    path = write_table(folder, kind)
    lines = path.read_text().splitlines(keepends=True)
    at = 38 if kind == "csv" else 37
    lines[at] = lines[at].replace("näme", "x" * 4096)
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("on_error", [OnError.SKIP, OnError.QUARANTINE])
async def test_a_row_with_a_bad_cell_is_left_out_as_told(tmp_path: Path, kind: str, on_error: OnError) -> None:
    plain = with_a_long_value(tmp_path, kind)
    async with bench(tmp_path, on_error=on_error) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        opened = await on.run(Verb.DECRYPT, sealed.output, f"opened.{kind}")
    assert (sealed.tally.rows, sealed.tally.skipped, sealed.tally.failed) == (ROWS, 1, 1)
    assert opened.tally.rows == ROWS - 1
    quarantine = tmp_path / f"sealed.quarantine.{kind}"
    assert sealed.quarantine == (quarantine if on_error is OnError.QUARANTINE else None)
    assert quarantine.exists() == (on_error is OnError.QUARANTINE)
    if on_error is OnError.QUARANTINE:
        assert quarantine.stat().st_mode & 0o777 == 0o600
        (row,) = rows_of(quarantine)
        assert (str(row["id"]), row["kmsq_error"]) == ("37", "name: ValueTooLong")
        assert str(row["name"]).startswith("xxx")


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text().splitlines()))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_bad_cell_stops_the_run_which_goes_on_when_told_otherwise(tmp_path: Path, kind: str) -> None:
    plain = with_a_long_value(tmp_path, kind)
    async with bench(tmp_path) as on:
        with pytest.raises(CellFailed, match="row 38, column name: ValueTooLong"):
            await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        assert not (tmp_path / f"sealed.{kind}").exists()
        with pytest.raises(JournalExists, match="--resume"):
            await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}", Start.RESUME, on_error=OnError.QUARANTINE)
        assert sealed.resumed_from == 30
        assert (await on.verify(sealed.output)).tally.rows == ROWS - 1
    assert len(rows_of(tmp_path / f"sealed.quarantine.{kind}")) == 1


async def test_an_envelope_has_no_limit_for_a_value(tmp_path: Path) -> None:
    plain = with_a_long_value(tmp_path, "jsonl")
    async with bench(tmp_path, mode=Mode.ENVELOPE) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.jsonl")
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.jsonl")
    assert opened.output.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("on_error", list(OnError))
@pytest.mark.parametrize("mode", list(Mode))
async def test_a_denied_key_stops_any_run_which_goes_on_when_allowed(
    tmp_path: Path, mode: Mode, on_error: OnError
) -> None:
    plain = write_table(tmp_path, "parquet")
    operation = Operation.BATCH_ENCRYPT if mode is Mode.VALUE else Operation.GENERATE_DATA_KEY
    async with bench(tmp_path, mode=mode, on_error=on_error) as on:

        def deny_after_some(now: Progress) -> None:
            if now.tally.rows >= 30:
                on.kms.deny("alice", operation)

        order = on.order(Verb.ENCRYPT, plain, "sealed.parquet")
        with pytest.raises(AccessDeniedException):
            await run(order, on.client, watch=deny_after_some)
        on.kms.allow("alice", operation)
        sealed = await run(order, on.client, start=Start.RESUME)
        assert sealed.resumed_from is not None
        assert 30 <= sealed.resumed_from < ROWS
        assert (await on.verify(sealed.output, against=plain)).count == 0


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_key_that_is_disabled_while_it_decrypts_is_no_bad_cell(tmp_path: Path, mode: Mode) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path, mode=mode, on_error=OnError.SKIP) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet")
        await on.client.disable_key(on.key_id)
        with pytest.raises(DisabledException):
            await on.run(Verb.DECRYPT, sealed.output, "opened.parquet")
        await on.client.enable_key(on.key_id)
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.parquet", Start.RESUME)
    assert content(opened.output) == content(plain)


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_run_that_was_asked_to_stop_goes_on(tmp_path: Path, kind: str) -> None:
    plain, stop = write_table(tmp_path, kind), asyncio.Event()
    async with bench(tmp_path) as on:

        def watch(now: Progress) -> None:
            if now.tally.rows >= 30:
                stop.set()

        order = on.order(Verb.ENCRYPT, plain, f"sealed.{kind}")
        with pytest.raises(Interrupted):
            await run(order, on.client, watch=watch, stop=stop)
        sealed = await run(order, on.client, start=Start.RESUME, stop=asyncio.Event())
        assert sealed.resumed_from is not None
        assert sealed.resumed_from >= 30
        assert (await on.verify(sealed.output, against=plain)).count == 0


async def stopped(on: Bench, plain: Path, kind: str) -> None:
    """Leave a run that a bad cell stopped."""
    with pytest.raises(CellFailed):
        await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}")


async def test_a_resumed_run_must_have_the_same_options_and_input(tmp_path: Path) -> None:
    plain = with_a_long_value(tmp_path, "csv")
    async with bench(tmp_path) as on:
        await stopped(on, plain, "csv")
        with pytest.raises(JournalMismatch, match="--table was orders, is customers"):
            await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME, table="customers")
        plain.write_text(plain.read_text() + "101,x,1\n")
        with pytest.raises(JournalMismatch, match="the input's size was"):
            await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)
        await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESTART, on_error=OnError.SKIP)
        with pytest.raises(NothingToResume):
            await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)


async def test_nothing_is_overwritten_unless_told(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "csv")
    async with bench(tmp_path) as on:
        (tmp_path / "sealed.csv").write_text("mine")
        with pytest.raises(PlanRefused, match="exists: --force"):
            await on.run(Verb.ENCRYPT, plain, "sealed.csv")
        assert (tmp_path / "sealed.csv").read_text() == "mine"
        (tmp_path / "sealed.csv").chmod(0o640)
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.csv", replace=True)
    assert sealed.output.read_text() != "mine"
    assert sealed.output.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_table_is_replaced_in_place(tmp_path: Path, kind: str) -> None:
    plain = write_table(tmp_path, kind)
    before = content(plain)
    async with bench(tmp_path, replace=True) as on:
        await on.run(Verb.ENCRYPT, plain, plain.name)
        assert content(plain) != before
        await on.run(Verb.DECRYPT, plain, plain.name)
    assert content(plain) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"columns": ("nome",)}, "no column nome; there are: id, name, price, tags"),
        ({"columns": ("tags",)}, "column tags cannot be encrypted"),
        ({"columns": ()}, "--column"),
        ({"columns": ("name", "name")}, "twice"),
        ({"table": None}, "--table"),
        ({"row_key": "name"}, "--row-key name must be another"),
        ({"row_key": "tags"}, "--row-key tags must have integers or text"),
        ({"mode": Mode.ENVELOPE, "data_key_column": "id"}, "--data-key-column"),
        ({"table": "x" * 1025}, "1,024 bytes"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path) as on:
        with pytest.raises(PlanRefused, match=text):
            await on.run(Verb.ENCRYPT, plain, "sealed.parquet", **changes)
        assert on.kms.calls.total() == 1
    assert names_in(tmp_path) == [plain.name]


async def test_a_parquet_file_knows_what_is_encrypted_and_how(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet", columns=("name",))
        with pytest.raises(PlanRefused, match="encrypted already"):
            await on.run(Verb.ENCRYPT, sealed.output, "twice.parquet", columns=("name",))
        with pytest.raises(PlanRefused, match="price is not encrypted"):
            await on.run(Verb.DECRYPT, sealed.output, "opened.parquet", columns=("price",))
        with pytest.raises(PlanRefused, match="--table is orders, not customers"):
            await on.run(Verb.DECRYPT, sealed.output, "opened.parquet", columns=(), table="customers")
        with pytest.raises(PlanRefused, match="--mode is value, not envelope"):
            await on.run(Verb.DECRYPT, sealed.output, "opened.parquet", columns=(), mode=Mode.ENVELOPE)


async def test_a_row_without_its_key_is_a_bad_row(tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"id":1,"name":"a"}\n{"name":"b"}\n')
    async with bench(tmp_path, columns=("name",), row_key="id") as on:
        with pytest.raises(CellFailed, match="row 2, column name: NoRowKey"):
            await on.run(Verb.ENCRYPT, plain, "sealed.jsonl")
