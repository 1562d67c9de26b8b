"""JSON Lines: an object a line, sealed cells as strings of base64."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from kmsq.column.armour import armoured, unarmoured
from kmsq.column.cells import NOT_ENCRYPTED, WRONG_TYPE, Cell, Cells, Fault, check_text, text_of
from kmsq.column.errors import MalformedTable
from kmsq.column.formats.json_line import NULL, Member, added, is_value, members_of, removed, replaced
from kmsq.column.formats.lines import TextReader, TextRows, TextTable
from kmsq.column.table import ERROR_COLUMN, Layout, Rows, Seal

TYPE: Final = "json"
LOOKED_AT: Final = 1000  # lines that are asked which members there are
LOOKED_AT_BYTES: Final = 16 * 1024 * 1024  # of them, where they are long


class JsonRows(TextRows):
    """Some lines. The plaintext of a cell is the JSON text of its value, as it is written."""

    def __init__(self, lines: Sequence[str], members: Sequence[Mapping[str, Member]] | None = None) -> None:
        self._lines = lines
        self._found = members

    def __len__(self) -> int:
        return len(self._lines)

    @override
    def sealed(self, column: str) -> list[Cell]:
        return [None if text is None else _unarmoured(text) for text in self._texts(column)]

    @override
    def checked(self, column: str, plaintexts: Cells) -> list[Cell]:
        return [
            Fault(WRONG_TYPE) if isinstance(cell, bytes) and not is_value(text_of(cell)) else cell
            for cell in check_text(plaintexts)
        ]

    @override
    def with_sealed(self, cells: Mapping[str, Cells], seal: Seal) -> Self:
        return self._replaced(cells, lambda sealed: f'"{armoured(sealed)}"')

    @override
    def with_data_keys(self, column: str, stored: Sequence[bytes | None], *, new: bool) -> Self:
        if new and any(column in members for members in self._members):
            message = f"a line has {column} already: --data-key-column gives another name"
            raise MalformedTable(message)
        texts = [NULL if key is None else f'"{armoured(key)}"' for key in stored]
        return self._with(column, texts)

    @override
    def without(self, column: str) -> Self:
        pairs = zip(self._lines, self._members, strict=True)
        return type(self)([removed(line, members, column) if column in members else line for line, members in pairs])

    @override
    def with_errors(self, errors: Sequence[str]) -> Self:
        return self._with(ERROR_COLUMN, [json.dumps(error, ensure_ascii=False) for error in errors])

    @override
    def keep(self, indices: Sequence[int]) -> Self:
        return type(self)([self._lines[index] for index in indices], [self._members[index] for index in indices])

    @override
    def differences(self, other: Rows) -> list[tuple[int, str]]:
        if not isinstance(other, JsonRows):
            raise TypeError
        return [
            (index, next(name for name in [*mine, *theirs] if mine.get(name) != theirs.get(name)))
            for index, (mine, theirs) in enumerate(zip(self.values(), other.values(), strict=True))
            if mine != theirs
        ]

    @override
    def encode(self, *, first: bool) -> bytes:
        return "".join(self._lines).encode()

    def names(self) -> tuple[str, ...]:
        """Return every name that occurs, in the order of its first occurrence."""
        return tuple(dict.fromkeys(name for members in self._members for name in members))

    def values(self) -> list[dict[str, str]]:
        """Return the text of every value by its name, for each line."""
        pairs = zip(self._lines, self._members, strict=True)
        return [{name: line[at.start : at.end] for name, at in members.items()} for line, members in pairs]

    @property
    def _members(self) -> Sequence[Mapping[str, Member]]:
        """Where the members of each line are, looked for when it is asked: of most lines that were made it never is."""
        if self._found is None:
            self._found = [members_of(line) for line in self._lines]
        return self._found

    @override
    def _texts(self, column: str) -> list[str | None]:
        """Return the text of each value; None for null, and where the member is missing."""
        texts: list[str | None] = []
        for line, members in zip(self._lines, self._members, strict=True):
            at = members.get(column)
            text = NULL if at is None else line[at.start : at.end]
            texts.append(None if text == NULL else text)
        return texts

    @override
    def _replaced(self, cells: Mapping[str, Cells], text: Callable[[bytes], str]) -> Self:
        lines = []
        for index, (line, members) in enumerate(zip(self._lines, self._members, strict=True)):
            row = {name: column[index] for name, column in cells.items() if name in members}
            texts = {name: text(cell) if isinstance(cell, bytes) else NULL for name, cell in row.items()}
            lines.append(replaced(line, members, texts))
        return type(self)(lines)

    def _with(self, column: str, texts: Sequence[str]) -> Self:
        lines = []
        for line, members, text in zip(self._lines, self._members, texts, strict=True):
            if column in members:
                lines.append(replaced(line, members, {column: text}))
            else:
                lines.append(added(line, members, column, text))
        return type(self)(lines)


class JsonReader(TextReader):
    """Reads lines; those with nothing on them are no rows, and are left out."""

    def take(self, rows: int, size_bytes: int) -> JsonRows | None:
        """See `Reader`."""
        lines: list[str] = []
        members: list[Mapping[str, Member]] = []
        end = self.position + size_bytes
        while len(lines) < rows and (self.position < end or not lines):
            start = self.position
            line = next(self._lines, None)
            if line is None:
                break
            if line.strip():
                members.append(self._members_of(line, start))
                lines.append(line)
        return JsonRows(lines, members) if lines else None

    def _members_of(self, line: str, start: int) -> Mapping[str, Member]:
        try:
            return members_of(line)
        except ValueError:
            pass
        # Raised outside the handler: the decoder's error carries the line.
        message = f"the line at byte {start:,} is not one JSON object with each name once"
        raise self._malformed(message)


class JsonTable(TextTable):
    """A file of JSON Lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        reader = self.reader()
        try:
            head = reader.take(LOOKED_AT, LOOKED_AT_BYTES)
        finally:
            reader.close()
        names = () if head is None else head.names()
        self.layout = Layout(names=names, types=dict.fromkeys(names, TYPE))

    def empty(self) -> JsonRows:
        """See `Table`."""
        return JsonRows([])

    def reader(self, position: int = 0) -> JsonReader:
        """See `Table`."""
        return JsonReader(self._path, position)


def _unarmoured(text: str) -> Cell:
    # Other values are not made: a number may have more digits than Python takes.
    return unarmoured(json.loads(text)) if text.startswith('"') else Fault(NOT_ENCRYPTED)
