"""The options of `kmsq column`, and the order that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kmsq.cli.column_progress import Shown
from kmsq.column import Format, Mode, OnError, Order, Start, Verb
from kmsq.column.plan import DATA_KEY_COLUMN, PART_ROWS

F = TypeVar("F", bound=Callable[..., Any])
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)

SOURCE = click.argument("source", metavar="IN", type=EXISTING)
TARGET = click.option(
    "-o",
    "--out",
    "target",
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write; only its owner can read it.",
)
LIKE = click.option(
    "--like",
    metavar="FILE",
    type=EXISTING,
    help="A Parquet file that still says how such columns are encrypted, for one that lost that.",
)
MODE = click.option(
    "--mode",
    type=click.Choice([kind.value for kind in Mode]),
    help="Who seals a cell: the service (value; `encrypt` does so unless told) or this side (envelope).",
)
ON_ERROR = click.option(
    "--on-error",
    type=click.Choice([kind.value for kind in OnError]),
    default=OnError.FAIL.value,
    help="At a cell that cannot be done: end the run, leave the row out, or keep it in OUT's .quarantine file.",
)
_TABLE = (
    click.option("--table", metavar="NAME", help="The table that cells are bound to. Parquet files remember it."),
    click.option("--column", "columns", metavar="NAME", multiple=True, help="A column to do. Repeatable."),
    MODE,
    click.option("--row-key", metavar="COLUMN", help="Bind each cell to its row, named by this unique column."),
    click.option("--data-key-column", metavar="NAME", default=DATA_KEY_COLUMN, help="Of the data keys' column."),
    click.option("--format", "form", type=click.Choice([kind.value for kind in Format]), help="If names do not tell."),
    click.option("--delimiter", metavar="CHARACTER", default=",", help="Of a CSV file."),
    click.option("--null", metavar="TEXT", help="A CSV field with this text is null, and left as it is."),
    click.option("--part-rows", type=click.IntRange(min=1), default=PART_ROWS, help="Rows that are kept at a time."),
    click.option(
        "--progress",
        "shown",
        type=click.Choice([kind.value for kind in Shown]),
        default=Shown.AUTO.value,
        help="Show progress on standard error; auto: on a terminal.",
    ),
)
_WRITING = (
    TARGET,
    click.option("--in-place", is_flag=True, help="Replace IN, when all is done, instead of writing OUT."),
    click.option("--force", is_flag=True, help="Overwrite OUT, when all is done."),
    ON_ERROR,
    click.option("--resume", is_flag=True, help="Go on where an earlier run stopped."),
    click.option("--restart", is_flag=True, help="Throw away what an earlier run did."),
    click.option("--dry-run", is_flag=True, help="Check everything and say what would be done. Writes nothing."),
)


def table_options(command: F) -> F:
    """Add what every command takes."""
    return _with(command, _TABLE)


def writing_options(command: F) -> F:
    """Add what the commands take that write a table."""
    return _with(command, _WRITING)


def _with(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def writing_order(verb: Verb, source: Path, key_id: str | None, given: dict[str, Any]) -> Order:
    """Make the order of a command that writes. Raises `click.UsageError`."""
    target, in_place = given["target"], given["in_place"]
    if (target is None) != in_place:
        raise click.UsageError("say where to write: -o OUT, or --in-place")
    if target is not None and target.exists() and target.samefile(source):
        raise click.UsageError("OUT is IN: --in-place replaces it")
    return _order(
        verb,
        source,
        target or source,
        key_id,
        given,
        replace=given["force"] or in_place,
        on_error=OnError(given["on_error"]),
    )


def reading_order(source: Path, key_id: str | None, given: dict[str, Any]) -> Order:
    """Make the order of `verify`."""
    return _order(Verb.VERIFY, source, source, key_id, given)


def _order(verb: Verb, source: Path, target: Path, key_id: str | None, given: dict[str, Any], **more: Any) -> Order:
    if len(given["delimiter"]) != 1:
        raise click.UsageError("--delimiter is one character")
    return Order(
        verb=verb,
        source=source,
        target=target,
        columns=given["columns"],
        key_id=key_id,
        table=given["table"],
        mode=None if given["mode"] is None else Mode(given["mode"]),
        row_key=given["row_key"],
        data_key_column=given["data_key_column"],
        keep_data_keys=given.get("keep_data_keys", False),
        format=None if given["form"] is None else Format(given["form"]),
        delimiter=given["delimiter"],
        null=given["null"],
        like=given.get("like"),
        part_rows=given["part_rows"],
        **more,
    )


def start_of(given: dict[str, Any]) -> Start:
    """Return how to begin. Raises `click.UsageError`."""
    if given["resume"] and given["restart"]:
        raise click.UsageError("give --resume or --restart, not both")
    return Start.RESUME if given["resume"] else Start.RESTART if given["restart"] else Start.NEW
