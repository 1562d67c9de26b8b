"""The formats of tables: CSV and JSON Lines with what Python has, Parquet with pyarrow."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kmsq.column.errors import MalformedTable, PlanRefused
from kmsq.column.formats.csv import CsvTable
from kmsq.column.formats.jsonl import JsonTable
from kmsq.column.table import Table


class Format(StrEnum):
    """How a table is written."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


EXTENSIONS: Final = {
    ".parquet": Format.PARQUET,
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
}


def format_of(path: Path, named: Format | None) -> Format:
    """Return the format that was named, else that of the extension. Raises `PlanRefused`."""
    found = named or EXTENSIONS.get(path.suffix.lower())
    if found is None:
        message = f"{path}: --format must say what it is: its name does not end in {', '.join(EXTENSIONS)}"
        raise PlanRefused(message)
    return found


def open_table(
    path: Path, kind: Format, *, delimiter: str = ",", null: str | None = None, like: Path | None = None
) -> Table:
    """
    Look at a table.

    `like` is a Parquet file that says of columns how they are sealed, where `path` does not. Raises `MalformedTable`, and
    `PlanRefused` for Parquet without pyarrow.
    """
    if like is not None and kind is not Format.PARQUET:
        raise PlanRefused("--like is for Parquet files: others are told what they need with --table and --column")
    try:
        match kind:
            case Format.CSV:
                return CsvTable(path, delimiter=delimiter, null=null)
            case Format.JSONL:
                return JsonTable(path)
            case Format.PARQUET:
                return _parquet(path, like)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise MalformedTable(message) from error


def _parquet(path: Path, like: Path | None) -> Table:
    if find_spec("pyarrow") is None:
        raise PlanRefused("Parquet files need pyarrow: pip install 'kmsq[parquet]'")
    from kmsq.column.formats.parquet import ParquetTable  # noqa: PLC0415  only Parquet needs pyarrow

    return ParquetTable(path, like=like)
