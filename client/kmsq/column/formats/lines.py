"""Text files read by lines, with the position of each in bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kmsq.column.errors import MalformedTable

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


def size_of(path: Path) -> int:
    """Return the length of a file in bytes."""
    return path.stat().st_size
