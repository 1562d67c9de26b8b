"""What a sealed cell is bound to: moved to another table, column, type or row it does not open."""

from dataclasses import dataclass

from kmsq.envelope.context import encode_context

TABLE = "kmsq:table"
COLUMN = "kmsq:column"
TYPE = "kmsq:type"
ROW = "kmsq:row"


def table_context(table: str) -> dict[str, str]:
    """Return the encryption context of a data key, which serves all columns of its rows."""
    return {TABLE: table}


@dataclass(frozen=True, slots=True)
class Binding:
    """A column and where it belongs."""

    table: str
    column: str
    type: str
    """An Arrow type's text, `text` in CSV, `json` in JSON Lines."""

    def context(self) -> dict[str, str]:
        """Return what all cells of the column share: their encryption context, but for the row."""
        return {TABLE: self.table, COLUMN: self.column, TYPE: self.type}

    def associated(self, row: str | None = None) -> bytes:
        """Return the same as bytes, with the row if cells are bound to theirs: what a local cell is sealed with."""
        return encode_context(self.context() if row is None else {**self.context(), **row_context(row)})


def row_context(row: str) -> dict[str, str]:
    """Return what binds a cell to its row."""
    return {ROW: row}
