"""How far a run over a table is, on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from kmsq.column import Progress
from kmsq.column.progress import Watch, unwatched

MEGABYTE = 1_000_000


class Shown(StrEnum):
    """When to show it."""

    AUTO = "auto"
    """When standard error is a terminal."""
    ALWAYS = "always"
    NEVER = "never"


@contextmanager
def progress(shown: Shown) -> Iterator[Watch]:
    """Return what shows the progress of one run; the line stays when it ends."""
    if shown is Shown.NEVER or (shown is Shown.AUTO and not sys.stderr.isatty()):
        yield unwatched
        return
    console = Console(stderr=True, force_terminal=True if shown is Shown.ALWAYS else None)
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[facts]}"), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=None, facts="")
        began = monotonic()

        def watch(now: Progress) -> None:
            bar.update(task, total=now.size, completed=now.position, facts=facts(now, monotonic() - began))

        yield watch


def facts(now: Progress, seconds: float) -> str:
    """Say what was done, and how fast this run is; an earlier one's work counts for the sum only."""
    per_second = 1 / max(seconds, 0.001)
    rows = (now.tally.rows - now.resumed.rows) * per_second
    megabytes = (now.tally.bytes - now.resumed.bytes) * per_second / MEGABYTE
    left_out = f"  {now.tally.skipped:,} left out" if now.tally.skipped else ""
    return f"{now.tally.rows:,} rows{left_out}  {rows:,.0f}/s  {megabytes:,.1f} MB/s  {now.requests:,} requests"
