"""CSV with a header, sealed cells as base64."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from kmsq.column.armour import armoured, unarmoured
from kmsq.column.cells import Cell, Cells, check_text
from kmsq.column.formats.lines import TextReader, TextRows, TextTable
from kmsq.column.table import ERROR_COLUMN, Layout, Rows, Seal

TYPE: Final = "text"
FIELD_MAX_CHARS: Final = 2**31 - 1  # the module's own limit is 131,072; a field here is only bounded by memory


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written."""

    delimiter: str = ","
    null: str | None = None
    """A field with this text is null, and stays as it is; without it no field is."""
    line_end: str = "\n"


class CsvRows(TextRows):
    """Some records. The plaintext of a cell is its text."""

    def __init__(self, names: Sequence[str], records: Sequence[Sequence[str]], dialect: Dialect) -> None:
        self.names = names
        self.records = records
        self._dialect = dialect

    def __len__(self) -> int:
        return len(self.records)

    @override
    def sealed(self, column: str) -> list[Cell]:
        return [None if text is None else unarmoured(text) for text in self._texts(column)]

    @override
    def checked(self, column: str, plaintexts: Cells) -> list[Cell]:
        return check_text(plaintexts)

    @override
    def with_sealed(self, cells: Mapping[str, Cells], seal: Seal) -> Self:
        return self._replaced(cells, armoured)

    @override
    def with_data_keys(self, column: str, stored: Sequence[bytes | None], *, new: bool) -> Self:
        return self._with(column, ["" if key is None else armoured(key) for key in stored])

    @override
    def without(self, column: str) -> Self:
        at = self.names.index(column)
        rest = [[*record[:at], *record[at + 1 :]] for record in self.records]
        return type(self)([*self.names[:at], *self.names[at + 1 :]], rest, self._dialect)

    @override
    def with_errors(self, errors: Sequence[str]) -> Self:
        return self._with(ERROR_COLUMN, errors)

    @override
    def keep(self, indices: Sequence[int]) -> Self:
        return type(self)(self.names, [self.records[index] for index in indices], self._dialect)

    @override
    def differences(self, other: Rows) -> list[tuple[int, str]]:
        if not isinstance(other, CsvRows):
            raise TypeError
        order = [other.names.index(name) for name in self.names]
        pairs = zip(self.records, ([record[at] for at in order] for record in other.records), strict=True)
        return [
            (index, next(name for name, a, b in zip(self.names, mine, theirs, strict=True) if a != b))
            for index, (mine, theirs) in enumerate(pairs)
            if mine != theirs
        ]

    @override
    def encode(self, *, first: bool) -> bytes:
        text = io.StringIO()
        # The module quotes what its line end has in it; a lone carriage return below "\n" it would leave bare, and not
        # read again.
        bare = "\r" not in self._dialect.line_end and any("\r" in field for row in self.records for field in row)
        writer = csv.writer(
            text,
            delimiter=self._dialect.delimiter,
            lineterminator=self._dialect.line_end,
            quoting=csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL,
        )
        if first:
            writer.writerow(self.names)
        writer.writerows(self.records)
        return text.getvalue().encode()

    @override
    def _texts(self, column: str) -> list[str | None]:
        at, null = self.names.index(column), self._dialect.null
        return [None if record[at] == null else record[at] for record in self.records]

    @override
    def _replaced(self, cells: Mapping[str, Cells], text: Callable[[bytes], str]) -> Self:
        null = self._dialect.null or ""
        records = [list(record) for record in self.records]
        for name, column in cells.items():
            at = self.names.index(name)
            for record, cell in zip(records, column, strict=True):
                record[at] = text(cell) if isinstance(cell, bytes) else null
        return type(self)(self.names, records, self._dialect)

    def _with(self, column: str, texts: Iterable[str]) -> Self:
        if column in self.names:
            at = self.names.index(column)
            records = [
                [*record[:at], text, *record[at + 1 :]] for record, text in zip(self.records, texts, strict=True)
            ]
            return type(self)(self.names, records, self._dialect)
        longer = [[*record, text] for record, text in zip(self.records, texts, strict=True)]
        return type(self)([*self.names, column], longer, self._dialect)


class CsvReader(TextReader):
    """Reads records, below the header `names` if it has them already."""

    def __init__(self, path: Path, position: int, dialect: Dialect, names: Sequence[str] | None = None) -> None:
        csv.field_size_limit(FIELD_MAX_CHARS)
        super().__init__(path, position)
        self._dialect = dialect
        # The reader asks for a line when it begins or continues a record and never for one more, so that the lines'
        # position after a record is where the next one begins.
        self._records = csv.reader(self._lines, delimiter=dialect.delimiter, strict=True)
        try:
            self.names = self._header() if names is None else names
        except BaseException:
            self.close()
            raise

    def take(self, rows: int, size_bytes: int) -> CsvRows | None:
        """See `Reader`."""
        records: list[list[str]] = []
        end = self.position + size_bytes
        while len(records) < rows and (self.position < end or not records):
            start = self.position
            record = self._next()
            if record is None:
                break
            if len(record) == len(self.names):
                records.append(record)
            elif record:  # what has no field at all is an empty line
                message = f"the record at byte {start:,} has {len(record)} fields, the header has {len(self.names)}"
                raise self._malformed(message)
        return CsvRows(self.names, records, self._dialect) if records else None

    def _header(self) -> Sequence[str]:
        names = self._next()
        if not names or len(set(names)) != len(names):
            raise self._malformed("the first line must be a header that names each column once")
        return names

    def _next(self) -> list[str] | None:
        start = self.position
        try:
            return next(self._records, None)
        except csv.Error as error:
            message = f"the record at byte {start:,} is not CSV: {error}"
            raise self._malformed(message) from error


class CsvTable(TextTable):
    """A CSV file."""

    def __init__(self, path: Path, *, delimiter: str = ",", null: str | None = None) -> None:
        super().__init__(path)
        self._dialect = Dialect(delimiter, null, _line_end(path))
        reader = CsvReader(path, 0, self._dialect)
        reader.close()
        self._names, self._first = reader.names, reader.position
        self.layout = Layout(names=tuple(self._names), types=dict.fromkeys(self._names, TYPE))

    def empty(self) -> CsvRows:
        """See `Table`."""
        return CsvRows(self._names, [], self._dialect)

    def reader(self, position: int = 0) -> CsvReader:
        """See `Table`."""
        return CsvReader(self._path, max(position, self._first), self._dialect, self._names)


def _line_end(path: Path) -> str:
    with path.open("rb") as file:
        return "\r\n" if file.readline().endswith(b"\r\n") else "\n"
