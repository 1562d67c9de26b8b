"""Opens every cell of a table, and tells which do not open, or are not what another table has. Writes nothing."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from kmsq.client import Client
from kmsq.column.ciphers import cipher_for
from kmsq.column.ciphers.base import Done
from kmsq.column.counted import CountedClient
from kmsq.column.engine import look_at, verb_of
from kmsq.column.errors import PlanRefused
from kmsq.column.journal import Tally
from kmsq.column.pipeline import Step, in_order, in_thread, unless
from kmsq.column.plan import OnError, Order, Plan, make_plan, part_rows_of
from kmsq.column.progress import Progress, Watch, unwatched
from kmsq.column.settle import faults_of, settle
from kmsq.column.table import Reader, Rows, Table

FAILURES_SHOWN: Final = 100  # of a table whose key is wrong there are as many as cells
DIFFERENT: Final = "Different"
MISSING_ROW: Final = "MissingRow"
EXTRA_ROW: Final = "ExtraRow"
ALL_COLUMNS: Final = "*"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a cell, or with a row (column `*`)."""

    row: int
    """Counted from 1."""
    column: str
    code: str


@dataclass(slots=True)
class Findings:
    """What was found."""

    tally: Tally = field(default_factory=Tally)
    shown: list[Finding] = field(default_factory=list)
    """The first hundred."""
    count: int = 0
    seconds: float = 0.0
    requests: int = 0

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there are few."""
        self.count += 1
        if len(self.shown) < FAILURES_SHOWN:
            self.shown.append(finding)


async def verify(
    order: Order,
    client: Client,
    *,
    against: Path | None = None,
    watch: Watch = unwatched,
    stop: asyncio.Event | None = None,
) -> Findings:
    """Open every cell; `against` is the table that it must be equal to. Raises `ColumnError`, and what was answered."""
    began, counted, findings = monotonic(), CountedClient(client), Findings()
    table = await in_thread(lambda: look_at(order))
    plan = make_plan(order, table.layout)
    with ExitStack() as exits:
        original = None
        if against is not None:
            other = await in_thread(lambda: look_at(order, against))
            _require_same_columns(plan, table, other)
            original = _Original(other.reader())
            exits.callback(original.close)
        check = _Check(order, plan, findings, original)
        await unless(stop, check.all_of(table, counted, watch))
    findings.seconds, findings.requests = monotonic() - began, counted.requests
    return findings


class _Check:
    """Goes through the parts."""

    def __init__(self, order: Order, plan: Plan, findings: Findings, original: "_Original | None") -> None:
        self._order = order
        self._plan = plan
        self._findings = findings
        self._original = original

    async def all_of(self, table: Table, client: CountedClient, watch: Watch) -> None:
        reader = table.reader()
        do = verb_of(self._plan, cipher_for(client, self._plan))
        part_rows = part_rows_of(self._order, self._plan)
        steps = in_order(reader, do, rows_done=0, part_rows=part_rows, part_bytes=self._order.part_bytes)
        try:
            async with aclosing(steps):
                async for step in steps:
                    await in_thread(lambda step=step: self._part(step))  # type: ignore[misc]  # mypy infers no default
                    watch(
                        Progress(
                            tally=self._findings.tally,
                            resumed=Tally(),
                            position=step.position,
                            size=table.size,
                            requests=client.requests,
                        )
                    )
        finally:
            reader.close()
        if self._original is not None and await in_thread(self._original.has_more):
            self._findings.add(Finding(self._findings.tally.rows + 1, ALL_COLUMNS, MISSING_ROW))

    def _part(self, step: Step[Done]) -> None:
        failed = faults_of(self._plan, step.result)
        for one in failed:
            self._findings.add(Finding(step.first_row + one.index, one.column, one.code))
        settled = settle(self._plan, step.rows, step.result, on_error=OnError.SKIP, first_row=step.first_row)
        self._findings.tally += settled.tally
        if self._original is not None:
            bad = {one.index for one in failed}
            good = [index for index in range(len(step.rows)) if index not in bad]
            self._compare(settled.rows, good, len(step.rows), step.first_row, self._original)

    def _compare(self, opened: Rows, good: Sequence[int], count: int, first_row: int, original: "_Original") -> None:
        """Compare the rows that opened, which were at `good` of the part's `count`, with those of the original."""
        at = 0
        while at < count:
            theirs = original.take(count - at)
            if theirs is None:
                self._findings.add(Finding(first_row + at, ALL_COLUMNS, EXTRA_ROW))
                return
            here = [place for place, index in enumerate(good) if at <= index < at + len(theirs)]
            self._differences(
                opened.keep(here), theirs.keep([good[place] - at for place in here]), first_row, [good[p] for p in here]
            )
            at += len(theirs)

    def _differences(self, mine: Rows, theirs: Rows, first_row: int, indices: Sequence[int]) -> None:
        for at, column in mine.differences(theirs):
            self._findings.add(Finding(first_row + indices[at], column, DIFFERENT))


class _Original:
    """The table to compare with, read in step."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def take(self, count: int) -> Rows | None:
        return self._reader.take(count, 2**62)

    def has_more(self) -> bool:
        return self._reader.take(1, 1) is not None

    def close(self) -> None:
        self._reader.close()


def _require_same_columns(plan: Plan, table: Table, other: Table) -> None:
    hidden = {plan.seal.data_key_column} if plan.drops_data_keys else set()
    mine = [name for name in table.layout.names if name not in hidden]
    if sorted(mine) != sorted(other.layout.names):
        message = f"the columns are {', '.join(mine)} here and {', '.join(other.layout.names)} there"
        raise PlanRefused(message)
