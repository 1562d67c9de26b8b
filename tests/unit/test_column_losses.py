"""What a run must not lose, overwrite or show, whatever happens to its files meanwhile."""

import asyncio
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmsq.column import OnError, Progress, Start, Verb, run
from kmsq.column.errors import (
    CannotWrite,
    CellFailed,
    InputChanged,
    Interrupted,
    JournalExists,
    MalformedTable,
    PlanRefused,
)
from kmsq.column.workspace import Paths, Workspace
from unit.column_tables import Bench, bench, content, write_table

LONG = "x" * 4096  # more than the service takes


def write_names(folder: Path, kind: str, names: list[str]) -> Path:
    """Write a table of one column."""
    path = folder / f"plain.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"name": names}), path)
    elif kind == "csv":
        path.write_text("\n".join(["name", *names, ""]))
    else:
        path.write_text("".join(f'{{"name":"{name}"}}\n' for name in names))
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def stop_at(on: Bench, rows: int, plain: Path, name: str, on_error: OnError = OnError.FAIL) -> None:
    """Run into the file `name`, and stop when so many rows are done."""
    stop = asyncio.Event()

    def watch(now: Progress) -> None:
        if now.tally.rows >= rows:
            stop.set()

    with pytest.raises(Interrupted):
        await run(on.order(Verb.ENCRYPT, plain, name, on_error=on_error), on.client, watch=watch, stop=stop)


async def test_a_table_that_grows_while_it_is_done_is_not_replaced(tmp_path: Path) -> None:
    plain = write_names(tmp_path, "csv", ["a"] * 50)

    def add(now: Progress) -> None:
        if now.tally.rows == 50:
            with plain.open("a") as file:
                file.write("late\n")

    async with bench(tmp_path, columns=("name",)) as on:
        with pytest.raises(InputChanged, match="--restart"):
            await run(on.order(Verb.ENCRYPT, plain, plain.name, replace=True), on.client, watch=add)
    assert plain.read_text().endswith("a\nlate\n")


async def test_rows_that_an_earlier_run_took_out_are_never_overwritten(tmp_path: Path) -> None:
    plain = write_names(tmp_path, "csv", ["a", LONG])
    async with bench(tmp_path, columns=("name",), on_error=OnError.QUARANTINE, replace=True) as on:
        await on.run(Verb.ENCRYPT, plain, plain.name)
        kept = (tmp_path / "plain.quarantine.csv").read_text()
        assert LONG in kept
        with pytest.raises(PlanRefused, match="move it away"):
            await on.run(Verb.REWRAP, plain, plain.name)
        with pytest.raises(PlanRefused, match="move it away"):
            await on.run(Verb.ENCRYPT, tmp_path / "plain.quarantine.csv", plain.name)
    assert (tmp_path / "plain.quarantine.csv").read_text() == kept


@pytest.mark.parametrize("taken", ["sealed.csv", "sealed.quarantine.csv"])
async def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, taken: str) -> None:
    plain = write_names(tmp_path, "csv", ["a", LONG])
    async with bench(tmp_path, columns=("name",)) as on:
        with pytest.raises(CellFailed):
            await on.run(Verb.ENCRYPT, plain, "sealed.csv")
        (tmp_path / taken).write_text("mine")
        again = on.order(Verb.ENCRYPT, plain, "sealed.csv", on_error=OnError.QUARANTINE)
        with pytest.raises(CannotWrite, match="move it away"):
            await run(again, on.client, start=Start.RESUME)
        assert (tmp_path / taken).read_text() == "mine"
        (tmp_path / taken).unlink()
        summary = await run(again, on.client, start=Start.RESUME)
    assert (summary.tally.rows, summary.tally.skipped) == (2, 1)
    assert summary.quarantine is not None
    assert summary.quarantine.exists()


async def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sealed.csv")
    async with bench(tmp_path, replace=True) as on:
        with pytest.raises(PlanRefused, match="not a file"):
            await on.run(Verb.ENCRYPT, write_table(tmp_path, "csv"), "sealed.csv")
    assert (tmp_path / "sealed.csv").is_fifo()


async def test_a_run_whose_clean_up_was_lost_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = write_table(tmp_path, "csv")
    async with bench(tmp_path) as on:
        with monkeypatch.context() as patched:
            patched.setattr(Workspace, "remove", _fail)
            with pytest.raises(CannotWrite):
                await on.run(Verb.ENCRYPT, plain, "sealed.csv")
        with Paths(tmp_path / "sealed.csv").journal.open("ab") as journal:
            journal.write(b'{"ready":[1')  # and so was the end of a line
        summary = await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)
    assert (summary.tally.rows, summary.tally.cells, summary.resumed_from) == (100, 200, 100)
    assert not Paths(tmp_path / "sealed.csv").journal.exists()


@pytest.mark.parametrize("start", [Start.NEW, Start.RESTART])
async def test_a_table_that_was_replaced_already_is_not_encrypted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    plain = write_table(tmp_path, "csv")
    before = content(plain)
    async with bench(tmp_path, replace=True) as on:
        with monkeypatch.context() as patched:
            patched.setattr(Workspace, "remove", _fail)
            with pytest.raises(CannotWrite):
                await on.run(Verb.ENCRYPT, plain, plain.name)
        with pytest.raises(JournalExists, match="--resume does so"):
            await on.run(Verb.ENCRYPT, plain, plain.name, start)
        await on.run(Verb.ENCRYPT, plain, plain.name, Start.RESUME)
        await on.run(Verb.DECRYPT, plain, plain.name)
    assert content(plain) == before
    assert names_in(tmp_path) == [plain.name]


def _fail(_workspace: Workspace) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_a_quarantine_whose_part_is_done_again_is_forgotten(tmp_path: Path, kind: str) -> None:
    plain = write_names(tmp_path, kind, ["a"] * 15 + [LONG] + ["b"] * 14)
    async with bench(tmp_path, columns=("name",)) as on:
        await stop_at(on, 20, plain, f"sealed.{kind}", OnError.QUARANTINE)
        os.truncate(tmp_path / f".sealed.{kind}.kmsq-part", 5)
        summary = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}", Start.RESUME, on_error=OnError.SKIP)
    assert (summary.tally.rows, summary.tally.skipped, summary.quarantine) == (30, 1, None)
    assert names_in(tmp_path) == [plain.name, f"sealed.{kind}"]


async def test_a_table_whose_every_row_is_left_out_is_an_empty_one(tmp_path: Path) -> None:
    plain = write_names(tmp_path, "jsonl", [LONG])
    async with bench(tmp_path, columns=("name",), on_error=OnError.SKIP) as on:
        summary = await on.run(Verb.ENCRYPT, plain, "sealed.jsonl")
    assert summary.output.read_bytes() == b""


async def test_a_journal_that_the_disk_takes_in_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, write = write_names(tmp_path, "csv", ["a"] * 40), os.write
    async with bench(tmp_path, columns=("name",)) as on:
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:100]))
        await stop_at(on, 20, plain, "sealed.csv")
        monkeypatch.undo()
        summary = await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)
    assert summary.resumed_from is not None
    assert summary.resumed_from >= 20


async def test_a_file_that_others_put_in_the_spools_place_gets_nothing(tmp_path: Path) -> None:
    plain, planted = write_table(tmp_path, "csv"), tmp_path / ".sealed.csv.kmsq-part"
    planted.touch(0o666)
    async with bench(tmp_path) as on:
        with planted.open("rb") as held:
            sealed = await on.run(Verb.ENCRYPT, plain, "sealed.csv")
            assert held.read() == b""
    assert sealed.output.stat().st_mode & 0o777 == 0o600


async def test_a_group_that_the_output_cannot_have_gives_its_permissions_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write_table(tmp_path, "csv")
    plain.chmod(0o640)

    def refuse(_file: int, _user: int, _group: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    async with bench(tmp_path, replace=True) as on:
        await on.run(Verb.ENCRYPT, plain, plain.name)
    assert plain.stat().st_mode & 0o777 == 0o600


async def test_a_run_that_is_cancelled_twice_waits_for_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, commit, seen = write_table(tmp_path, "csv"), Workspace.commit, list[str]()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*arguments: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)
        commit(*arguments)  # type: ignore[arg-type]  # as they came
        seen.append("kept")

    monkeypatch.setattr(Workspace, "commit", slow)
    async with bench(tmp_path) as on:
        running = asyncio.ensure_future(on.run(Verb.ENCRYPT, plain, "sealed.csv"))
        await begun.wait()
        for _ in range(2):
            running.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait([running])
        assert (running.cancelled(), seen) == (True, ["kept"])
        monkeypatch.undo()
        summary = await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)
    assert summary.resumed_from == 10


async def test_files_whose_names_are_not_utf8_are_resumed(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "csv").rename(tmp_path / os.fsdecode(b"plain-\xff.csv"))
    async with bench(tmp_path) as on:
        await stop_at(on, 20, plain, os.fsdecode(b"sealed-\xff.csv"))
        sealed = await on.run(Verb.ENCRYPT, plain, os.fsdecode(b"sealed-\xff.csv"), Start.RESUME)
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.csv")
    assert content(opened.output) == content(plain)


async def test_a_parquet_file_that_is_damaged_is_the_inputs_fault(tmp_path: Path) -> None:
    damaged = bytearray(write_table(tmp_path, "parquet").read_bytes())
    damaged[40:48] = bytes(8)
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    async with bench(tmp_path) as on:
        with pytest.raises(MalformedTable, match=r"damaged\.parquet cannot be read"):
            await on.run(Verb.ENCRYPT, tmp_path / "damaged.parquet", "sealed.parquet")
