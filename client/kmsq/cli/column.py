"""`kmsq column …`: columns of Parquet, CSV and JSON Lines files (docs/column.md)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.exceptions import Exit

from kmsq.cli.column_options import (
    EXISTING,
    LIKE,
    SOURCE,
    reading_order,
    start_of,
    table_options,
    writing_options,
    writing_order,
)
from kmsq.cli.column_progress import Shown, progress
from kmsq.cli.column_run import run_stoppable
from kmsq.cli.output import show_json
from kmsq.cli.session import LOCAL_ERROR, Output, Session, pass_session
from kmsq.column import Findings, Order, Summary, Verb, run, verify
from kmsq.column.rehearsal import Rehearsal, rehearse
from kmsq.column.verify import FAILURES_SHOWN
from kmsq_schemas.models.base import wire_name


@click.group()
def column() -> None:
    r"""
    Encrypt columns of tables of any size: Parquet, CSV, JSON Lines.

    \b
    --mode value     each cell is sealed by the service: a ciphertext blob, up to 4,095 bytes of a value
    --mode envelope  cells are sealed here, under data keys that the service wraps and each row carries

    A run that was stopped, or killed, goes on with --resume. Memory does not grow with the table.

    Exit codes: 0 done, rows that were left out as told included; 1 an error on this side, or `verify` found something;
    2 an error that the service answered; 130 after Ctrl-C and 143 after SIGTERM.

    \b
    Examples:
      kmsq column encrypt cards.parquet --key-id alias/cards --table cards --column number -o sealed.parquet
      kmsq column decrypt sealed.parquet -o cards.parquet
      kmsq column rewrap sealed.parquet --to alias/new --in-place
      kmsq column verify sealed.parquet
    """
    # pyarrow's own allocator keeps what it once had, for each thread: 70 MB more here, and no faster.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@column.command()
@SOURCE
@click.option("--key-id", metavar="KEY", required=True, help="The key: an id, ARN or alias.")
@table_options
@writing_options
@pass_session
def encrypt(session: Session, /, *, source: Path, key_id: str, **given: Any) -> None:
    r"""
    Encrypt columns of the table IN. Nulls stay null, and other columns as they are.

    Cells open only in their table, column and, with --row-key, row. OUT appears when it is complete.

    \b
    Examples:
      kmsq column encrypt cards.csv --key-id alias/cards --table cards --column number --row-key id -o sealed.csv
      kmsq column encrypt cards.csv --key-id alias/cards --table cards --column number --row-key id -o sealed.csv --resume
    """
    _write(session, writing_order(Verb.ENCRYPT, source, key_id, given), given)


@column.command()
@SOURCE
@click.option("--key-id", metavar="KEY", help="With --mode value: insist that cells are encrypted under this key.")
@click.option("--keep-data-keys", is_flag=True, help="Leave the data keys in OUT, for columns that stay encrypted.")
@LIKE
@table_options
@writing_options
@pass_session
def decrypt(session: Session, /, *, source: Path, key_id: str | None, **given: Any) -> None:
    r"""
    Decrypt columns of the table IN, in the types that they had.

    A Parquet file knows which columns, which table and how; other files must be told as when they were encrypted.

    \b
    Examples:
      kmsq column decrypt sealed.parquet -o cards.parquet
      kmsq column decrypt sealed.csv --table cards --column number --row-key id -o cards.csv
    """
    _write(session, writing_order(Verb.DECRYPT, source, key_id, given), given)


@column.command()
@SOURCE
@click.option("--to", "key_id", metavar="KEY", required=True, help="The key to move to: an id, ARN or alias.")
@LIKE
@table_options
@writing_options
@pass_session
def rewrap(session: Session, /, *, source: Path, key_id: str, **given: Any) -> None:
    r"""
    Move encrypted columns to another key, or to newer material. No plaintext leaves the service.

    In envelope mode only the data keys move, and cells stay as they are.

    \b
    Example:
      kmsq column rewrap sealed.parquet --to alias/new --in-place
    """
    _write(session, writing_order(Verb.REWRAP, source, key_id, given), given)


@column.command("verify")
@SOURCE
@click.option("--key-id", metavar="KEY", help="With --mode value: insist that cells are encrypted under this key.")
@click.option(
    "--against",
    metavar="ORIGINAL",
    type=EXISTING,
    help="The table that IN, decrypted, must be equal to.",
)
@LIKE
@table_options
@pass_session
def verify_(session: Session, /, *, source: Path, key_id: str | None, against: Path | None, **given: Any) -> None:
    r"""
    Open every encrypted cell of IN, and list those that do not open. Writes nothing; exits with 1 if there are any.

    \b
    Example:
      kmsq column verify sealed.parquet --against cards.parquet
    """
    order = reading_order(source, key_id, given)
    with progress(Shown(given["shown"])) as watch:
        found = run_stoppable(
            session, order, lambda client, stop: verify(order, client, against=against, watch=watch, stop=stop)
        )
    _show_findings(session, found)
    if found.count:
        raise Exit(LOCAL_ERROR)


def _write(session: Session, order: Order, given: dict[str, Any]) -> None:
    start = start_of(given)
    if given["dry_run"]:
        _show_rehearsal(session, session.run(lambda client: rehearse(order, client)), order)
        return
    with progress(Shown(given["shown"])) as watch:
        summary = run_stoppable(
            session, order, lambda client, stop: run(order, client, start=start, watch=watch, stop=stop)
        )
    _show_summary(session, summary)


def _show_facts(facts: Mapping[str, object]) -> None:
    show_json(_wire_named(facts))


def _wire_named(facts: Mapping[str, object]) -> dict[str, object]:
    """Name facts as everything else in JSON is named."""
    return {wire_name(name): value for name, value in facts.items()}


def _show_summary(session: Session, summary: Summary) -> None:
    if session.settings.output is Output.JSON:
        _show_facts(summary.facts())
        return
    tally = summary.tally
    click.echo(f"{tally.rows:,} rows, {tally.cells:,} cells in {summary.seconds:,.1f} s: {summary.output}")
    if tally.skipped:
        where = "" if summary.quarantine is None else f": {summary.quarantine}"
        click.echo(f"{tally.skipped:,} rows were left out, for {tally.failed:,} cells{where}")


def _show_rehearsal(session: Session, found: Rehearsal, order: Order) -> None:
    plan = found.plan
    columns: Sequence[str] = [f"{binding.column} ({binding.type})" for binding in plan.bindings]
    if session.settings.output is Output.JSON:
        _show_facts(
            {
                "command": plan.verb.value,
                "columns": {binding.column: binding.type for binding in plan.bindings},
                "mode": plan.seal.mode.value,
                "table": plan.seal.table,
                "row_key": plan.seal.row_key,
                "permission_checked": found.permission_checked,
                "output": str(order.target),
            }
        )
        return
    click.echo(f"would {plan.verb.value} {', '.join(columns)} of table {plan.seal.table} into {order.target}")
    click.echo(f"mode {plan.seal.mode.value}, rows bound to: {plan.seal.row_key or 'nothing'}")
    if found.permission_checked:
        click.echo("the service would allow it")


def _show_findings(session: Session, found: Findings) -> None:
    if session.settings.output is Output.JSON:
        facts = {**asdict(found.tally), "seconds": round(found.seconds, 3), "requests": found.requests}
        first = [_wire_named(asdict(one)) for one in found.shown]
        _show_facts({**facts, "findings": found.count, "first": first})
        return
    click.echo(f"{found.tally.rows:,} rows, {found.tally.cells:,} cells open in {found.seconds:,.1f} s")
    for one in found.shown:
        click.echo(f"row {one.row:,}, column {one.column}: {one.code}")
    if found.count > FAILURES_SHOWN:
        click.echo(f"… and {found.count - FAILURES_SHOWN:,} more")
