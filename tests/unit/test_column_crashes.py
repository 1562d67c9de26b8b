"""A run that ends between any two changes of its files goes on to the same result."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmsq.column import OnError, Start, Verb, run
from kmsq.column.errors import Busy, JournalDamaged
from kmsq.column.workspace import Paths, open_workspace
from unit.column_tables import FORMATS, Bench, bench, content, write_table

ROWS = 25
ENOUGH_CHANGES = 60


class Crash(BaseException):
    """The process is gone: nothing handles this."""


class Tripwire:
    """Crashes before or after a given change of a file, counted over all kinds of changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.after = False
        for place, name in [(os, "write"), (os, "fsync"), (os, "ftruncate"), (Path, "replace"), (Path, "unlink")]:
            monkeypatch.setattr(place, name, self._watched(getattr(place, name)))

    def set(self, count: int, *, after: bool) -> None:
        self.left, self.after = count, after

    def _watched(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Crash
            result = change(*arguments, **more)
            if self.left == 0:
                raise Crash
            return result

        return watched


def table_with_bad_rows(folder: Path, kind: str) -> Path:
    """Write a table in which rows 4 and 14 have a cell that is too long."""
    plain = write_table(folder, kind, ROWS)
    if kind != "parquet":
        lines = plain.read_text().splitlines(keepends=True)
        for row in (4, 14):
            at = row + (kind == "csv")
            lines[at] = lines[at].replace("näme", "x" * 4096)
        plain.write_text("".join(lines))
    return plain


async def crash_and_go_on(on: Bench, plain: Path, tripwire: Tripwire, count: int, *, after: bool) -> bool:
    """Crash a run at one change, and again at the same of each that goes on; say whether it ever did."""
    kind = plain.suffix
    order = on.order(Verb.ENCRYPT, plain, f"sealed-{count}-{after}{kind}", on_error=OnError.QUARANTINE)
    journal = Paths(order.target).journal
    crashed = False
    for attempt in range(3):
        tripwire.set(count if attempt < 2 else 0, after=after)
        try:
            await run(order, on.client, start=Start.RESUME if journal.exists() else Start.NEW)
        except Crash:
            crashed = True
        else:
            break
        if order.target.exists() and not journal.exists():
            break  # it crashed with its very last change
    tripwire.set(0, after=after)
    await require_result(on, order.target)
    return crashed


async def require_result(on: Bench, sealed: Path) -> None:
    opened = await on.run(Verb.DECRYPT, sealed, f"opened-{sealed.name}")
    expected = on.folder / f"expected{sealed.suffix}"
    if not expected.exists():
        opened.output.rename(expected)
    else:
        assert content(opened.output) == content(expected)
    leftovers = [path.name for path in on.folder.iterdir() if path.name.startswith(".")]
    assert leftovers == []
    taken_out = sealed.with_name(f"{sealed.stem}.quarantine{sealed.suffix}")
    assert taken_out.exists() == (sealed.suffix != ".parquet")
    if taken_out.exists():
        assert taken_out.read_text().count("ValueTooLong") == 2


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_change_of_a_file_leads_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, after: bool
) -> None:
    plain = table_with_bad_rows(tmp_path, kind)
    tripwire = Tripwire(monkeypatch)
    async with bench(tmp_path) as on:
        await crash_and_go_on(on, plain, tripwire, ENOUGH_CHANGES, after=after)  # the result without a crash
        for count in range(1, ENOUGH_CHANGES):
            if not await crash_and_go_on(on, plain, tripwire, count, after=after):
                break  # all changes were tried
    assert 15 < count < ENOUGH_CHANGES - 1


async def test_a_crash_between_rename_and_clean_up_in_place_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write_table(tmp_path, "csv", ROWS)
    before = content(plain)
    tripwire = Tripwire(monkeypatch)
    async with bench(tmp_path, replace=True) as on:
        for count in range(1, ENOUGH_CHANGES):
            order = on.order(Verb.ENCRYPT, plain, plain.name)
            crashed = False
            tripwire.set(count, after=True)
            try:
                await run(order, on.client)
            except Crash:
                crashed = True
                tripwire.set(0, after=True)
                if Paths(plain).journal.exists():
                    await run(order, on.client, start=Start.RESUME)
            tripwire.set(0, after=True)
            await on.run(Verb.DECRYPT, plain, plain.name)
            assert content(plain) == before
            if not crashed:
                break  # all changes were tried
    assert 15 < count < ENOUGH_CHANGES - 1


async def test_two_runs_into_one_output_do_not_meet(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "csv")
    async with bench(tmp_path) as on:
        with open_workspace(Paths(tmp_path / "sealed.csv"), Start.NEW):
            for start in Start:
                with pytest.raises(Busy):
                    await on.run(Verb.ENCRYPT, plain, "sealed.csv", start)


async def test_a_journal_that_is_none_is_refused(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "csv")
    journal = Paths(tmp_path / "sealed.csv").journal
    async with bench(tmp_path) as on:
        for content_ in (b"{}\n", b"[]\n", b'{"kmsq_journal":2}\n', b"\xff\n{}\n"):
            journal.write_bytes(content_)
            with pytest.raises(JournalDamaged, match="--restart"):
                await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESUME)
        await on.run(Verb.ENCRYPT, plain, "sealed.csv", Start.RESTART)
    assert not journal.exists()
