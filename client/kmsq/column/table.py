"""What every format gives: a layout to plan with, rows to work on, and a way to write them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from kmsq.column.cells import Cells

ERROR_COLUMN = "kmsq_error"  # in a quarantine file: which cell it was, and its code


class Mode(StrEnum):
    """Who seals a cell."""

    VALUE = "value"
    """The service: a cell is a ciphertext blob."""
    ENVELOPE = "envelope"
    """This side, under a data key that the service wraps and that each row carries."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How a column is sealed: what Parquet files remember of each, and other files must be told."""

    mode: Mode
    table: str
    row_key: str | None
    data_key_column: str | None
    """In envelope mode only."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table."""

    names: tuple[str, ...]
    types: Mapping[str, str]
    """What can be bound of a column's type; a column whose type is not supported has none."""
    seals: Mapping[str, Seal] = field(default_factory=dict)
    """Of the columns that say how they are sealed."""
    says_seals: bool = False
    """Whether a sealed column of this format says so. Of others nobody knows without being told."""
    row_keys: frozenset[str] | None = None
    """The columns that can name a row; None: all of them."""


class Rows(Protocol):
    """
    Some rows of a table, in the form of its format; never changed, every method returns what is new.

    Lists have an entry for each row.
    """

    def __len__(self) -> int: ...

    def plaintexts(self, column: str) -> list[bytes | None]:
        """Return what to seal of each cell: a version byte and the value's bytes."""

    def sealed(self, column: str) -> Cells:
        """Return what each cell holds, as bytes that were sealed or the fault that it cannot be."""

    def row_keys(self, column: str) -> list[str | None]:
        """Return the text that names each row, after the values of `column`."""

    def data_keys(self, column: str) -> list[bytes | None]:
        """Return the stored data key of each row."""

    def checked(self, column: str, plaintexts: Cells) -> Cells:
        """Return plaintexts that were opened, with a fault for each that is not of the column's type."""

    def with_sealed(self, cells: Mapping[str, Cells], seal: Seal) -> Self:
        """Put sealed cells into their columns; a fault leaves nothing in its place."""

    def with_opened(self, cells: Mapping[str, Cells]) -> Self:
        """Put the values of `checked` plaintexts into their columns; a fault leaves nothing in its place."""

    def with_data_keys(self, column: str, stored: Sequence[bytes | None], *, new: bool) -> Self:
        """Put stored data keys into `column`, the one that is there or a `new` one. Raises `MalformedTable` if it is not."""

    def without(self, column: str) -> Self:
        """Drop a column."""

    def with_errors(self, errors: Sequence[str]) -> Self:
        """Add the column `kmsq_error`."""

    def keep(self, indices: Sequence[int]) -> Self:
        """Return the rows at `indices`, which ascend."""

    def differences(self, other: "Rows") -> list[tuple[int, str]]:
        """Return, of each row that is not as in as many rows of an `other` table, its index and a column that is not."""

    def encode(self, *, first: bool) -> bytes:
        """Return what the spool holds of these rows; the `first` of a file may bring a header."""


class Reader(Protocol):
    """Reads a table from front to back."""

    @property
    def position(self) -> int:
        """Where the next row begins, to be handed to `Table.reader`; in the unit of `Table.size`."""

    def take(self, rows: int, size_bytes: int) -> Rows | None:
        """Return up to so many rows, of about so many bytes but at least one; None at the end."""

    def close(self) -> None:
        """Let go of the file."""


class Table(Protocol):
    """An input that was looked at."""

    @property
    def layout(self) -> Layout:
        """The columns."""

    @property
    def size(self) -> int:
        """The position of the end."""

    @property
    def spool_is_output(self) -> bool:
        """Whether the spool, complete, is the finished file."""

    def empty(self) -> Rows:
        """Return no rows of this table."""

    def reader(self, position: int = 0) -> Reader:
        """Start reading, at a position that another reader was at."""

    def finish(self, spool: Path, target: Path) -> None:
        """Write the finished file `target` from the parts in `spool`, if it is not that itself."""
