"""Text files: their lines, with the position of each in bytes, and what the formats of such files have in common."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, Self

from typing_extensions import override

from kmsq.column.cells import Cells, text_cell, text_of
from kmsq.column.errors import MalformedTable
from kmsq.column.table import Rows

BOM: Final = b"\xef\xbb\xbf"  # what some programs begin a UTF-8 file with


class Lines(Iterator[str]):
    """The lines of a UTF-8 file from `position` on, line ends included; `position` moves with them."""

    def __init__(self, path: Path, position: int) -> None:
        self.position = position
        self._path = path
        self._file = path.open("rb")
        self._file.seek(position)

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        start, self.position = self.position, self.position + len(line)
        try:
            return (line.removeprefix(BOM) if start == 0 else line).decode()
        except UnicodeDecodeError:
            pass
        # Raised outside the handler: the codec's error carries the line.
        message = f"{self._path}: the line at byte {start:,} is not UTF-8"
        raise MalformedTable(message)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TextRows(Rows, Protocol):
    """Some rows. The plaintext of a cell is its text, as it is written."""

    def _texts(self, column: str) -> list[str | None]:
        """Return the text of each value; None for null."""

    def _replaced(self, cells: Mapping[str, Cells], text: Callable[[bytes], str]) -> Self:
        """Put the `text` of cells into their columns; what is no bytes leaves null in its place."""

    @override
    def plaintexts(self, column: str) -> list[bytes | None]:
        return [None if text is None else text_cell(text) for text in self._texts(column)]

    @override
    def row_keys(self, column: str) -> list[str | None]:
        return self._texts(column)

    @override
    def data_keys(self, column: str) -> list[bytes | None]:
        return [cell if isinstance(cell, bytes) else None for cell in self.sealed(column)]

    @override
    def with_opened(self, cells: Mapping[str, Cells]) -> Self:
        return self._replaced(cells, text_of)


class TextReader:
    """Reads a text file by lines."""

    def __init__(self, path: Path, position: int) -> None:
        self._path = path
        self._lines = Lines(path, position)

    @property
    def position(self) -> int:
        """See `Reader`."""
        return self._lines.position

    def close(self) -> None:
        """See `Reader`."""
        self._lines.close()

    def _malformed(self, message: str) -> MalformedTable:
        return MalformedTable(f"{self._path}: {message}")


class TextTable:
    """A text file, whose spool is the finished file."""

    spool_is_output = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def finish(self, spool: Path, target: Path) -> None:
        """Nothing is left to do."""
