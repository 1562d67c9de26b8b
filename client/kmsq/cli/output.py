"""Results, as tables for people and as JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kmsq.cli.session import Output, Session

MIN_WIDTH = 100  # characters, where the width is unknown: key ids must not be cut


def plain(model: BaseModel) -> dict[str, object]:
    """Return what JSON shows of a model: the names and shapes of the message contract."""
    values: dict[str, object] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return values


def show_json(value: object) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_model(session: Session, model: BaseModel) -> None:
    """Print one structure: a line for each field, or its JSON."""
    values = plain(model)
    if session.settings.output is Output.JSON:
        show_json(values)
        return
    shown = {name: getattr(model, field) for field, name in _wire_names(model).items() if name in values}
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in shown.items():
        table.add_row(Text(name, style="bold"), Text(_cell(value), overflow="fold"))
    _print(table)


def show_list(
    session: Session, name: str, entries: Sequence[BaseModel], columns: Mapping[str, str], *, empty: str
) -> None:
    """Print a table with `columns` (heading by field), or JSON `{name: [...]}`; in a table say `empty` if it is."""
    if session.settings.output is Output.JSON:
        show_json({name: [plain(entry) for entry in entries]})
        return
    if not entries:
        click.echo(empty, err=True)
        return
    rows = [[_cell(getattr(entry, field)) for field in columns] for entry in entries]
    show_table(list(columns.values()), rows)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _print(table)


def say(session: Session, sentence: str) -> None:
    """Tell a person that it is done; programs look at the exit code."""
    if session.settings.output is Output.TABLE:
        click.echo(sentence)


def say_or_show(session: Session, sentence: str, model: BaseModel) -> None:
    """Tell a person that it is done, and a program what was answered."""
    if session.settings.output is Output.TABLE:
        click.echo(sentence)
    else:
        show_json(plain(model))


def _print(table: Table) -> None:
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=max(MIN_WIDTH, console.width))
    console.print(table)


def _wire_names(model: BaseModel) -> dict[str, str]:
    return {field: info.alias or field for field, info in type(model).model_fields.items()}


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone().isoformat(sep=" ", timespec="seconds")
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_cell(item) for item in value)
        case BaseModel():
            fields = {name: getattr(value, field) for field, name in _wire_names(value).items()}
            return ", ".join(f"{name}: {_cell(content)}" for name, content in fields.items() if content is not None)
        case _:
            return str(value)
