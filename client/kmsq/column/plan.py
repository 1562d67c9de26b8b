"""What was asked for, held against the table: which columns are done, how, and bound to what. Nothing here does it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from kmsq.column.binding import Binding
from kmsq.column.errors import PlanRefused
from kmsq.column.formats import Format
from kmsq.column.table import ERROR_COLUMN, Layout, Mode, Seal

DATA_KEY_COLUMN: Final = "kmsq_data_key"
# Larger ones are no faster: eight messages for each column fill the window; and three parts are in memory at a time.
PART_ROWS: Final = 8_192
PART_BYTES: Final = 4 * 1024 * 1024  # of a part's rows as they are read: wide rows come in smaller parts
PART_CELLS: Final = 128 * 1024  # of a part: on its way each takes 250 bytes and more, a bool as well
NONE_SEALED: Final = "no column says that it is encrypted; if a tool lost what it said, --like FILE recalls it"
NAME_MAX_BYTES: Final = 1024  # of a table or column: with a row key they must fit into a context's 8,192 bytes


class Verb(StrEnum):
    """What to do with the columns."""

    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"
    REWRAP = "rewrap"
    VERIFY = "verify"


class OnError(StrEnum):
    """What a cell that cannot be done does to the run."""

    FAIL = "fail"
    """Ends it; it can be resumed."""
    SKIP = "skip"
    """Its row is left out."""
    QUARANTINE = "quarantine"
    """Its row is left out, and kept in another file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    verb: Verb
    source: Path
    target: Path
    """Equal to `source` to replace it; `verify` writes nothing."""
    columns: tuple[str, ...] = ()
    """None: those of which a Parquet file says that they are sealed."""
    key_id: str | None = None
    """The key to encrypt under, or to rewrap to; to decrypt, a key to insist on."""
    table: str | None = None
    mode: Mode | None = None
    row_key: str | None = None
    data_key_column: str = DATA_KEY_COLUMN
    keep_data_keys: bool = False
    """Leave the data keys in a decrypted text file, for columns that stay sealed."""
    format: Format | None = None
    delimiter: str = ","
    null: str | None = field(default=None, repr=False)
    like: Path | None = None
    """A Parquet file whose fields say how such columns are sealed, for one whose own do not any more."""
    replace: bool = False
    """Overwrite the target."""
    on_error: OnError = OnError.FAIL
    part_rows: int = PART_ROWS
    part_bytes: int = PART_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done."""

    verb: Verb
    key_id: str | None
    bindings: tuple[Binding, ...]
    seal: Seal
    drops_data_keys: bool
    """Whether the data keys go with the last column that needed them."""


def make_plan(order: Order, layout: Layout) -> Plan:
    """Decide. Raises `PlanRefused`, with what to ask for instead."""
    columns = order.columns or tuple(layout.seals)
    if not columns:
        says_none = order.verb is not Verb.ENCRYPT and layout.says_seals
        raise PlanRefused(NONE_SEALED if says_none else "name the columns: --column NAME, once for each")
    _check_columns(columns, order, layout)
    seal = _new_seal(order, layout) if order.verb is Verb.ENCRYPT else _seal(columns, order, layout)
    _check_names(columns, seal, layout)
    bindings = tuple(Binding(seal.table, name, layout.types[name]) for name in columns)
    needed = {other.data_key_column for name, other in layout.seals.items() if name not in columns}
    return Plan(
        verb=order.verb,
        key_id=order.key_id,
        bindings=bindings,
        seal=seal,
        drops_data_keys=seal.data_key_column is not None
        and seal.data_key_column not in needed
        and not order.keep_data_keys,
    )


def _check_columns(columns: tuple[str, ...], order: Order, layout: Layout) -> None:
    if len(set(columns)) != len(columns):
        raise PlanRefused("a column is named twice")
    for name in columns:
        if name not in layout.names:
            message = f"there is no column {name}; there are: {', '.join(layout.names)}"
            raise PlanRefused(message)
        if name not in layout.types:
            message = f"column {name} cannot be encrypted: values of its type have no bytes of their own"
            raise PlanRefused(message)
        if order.verb is Verb.ENCRYPT and name in layout.seals:
            message = f"column {name} is encrypted already"
            raise PlanRefused(message)
        if order.verb is not Verb.ENCRYPT and layout.says_seals and name not in layout.seals:
            message = f"column {name} is not encrypted" if layout.seals else NONE_SEALED
            raise PlanRefused(message)
    if ERROR_COLUMN in layout.names and order.on_error is OnError.QUARANTINE:
        message = f"there is a column {ERROR_COLUMN} already, which a quarantine file would need"
        raise PlanRefused(message)


def _new_seal(order: Order, layout: Layout) -> Seal:
    if order.key_id is None or order.table is None:
        raise PlanRefused("name the key, and with --table the table that cells are bound to")
    mode = order.mode or Mode.VALUE
    if mode is Mode.VALUE:
        return Seal(mode, order.table, order.row_key, None)
    if order.data_key_column in layout.names:
        message = f"there is a column {order.data_key_column} already: --data-key-column gives another name"
        raise PlanRefused(message)
    return Seal(mode, order.table, order.row_key, order.data_key_column)


def _seal(columns: tuple[str, ...], order: Order, layout: Layout) -> Seal:
    """Return how the columns are sealed: what the file says, or what it was told."""
    if order.verb is Verb.REWRAP and order.key_id is None:
        raise PlanRefused("name the key to rewrap to")
    told = _told(order, layout)
    if not layout.says_seals:
        if told is None:
            raise PlanRefused("--table must say which table the cells are bound to: the file does not")
        return told
    found = {layout.seals[name] for name in columns}
    if len(found) != 1:
        raise PlanRefused("the columns are encrypted in different ways: do them one after the other, with --column")
    seal = found.pop()
    for name, asked, said in [
        ("--table", order.table, seal.table),
        ("--row-key", order.row_key, seal.row_key),
        ("--mode", order.mode, seal.mode),
    ]:
        if asked not in (None, said):
            message = f"the file says that {name} is {said}, not {asked}"
            raise PlanRefused(message)
    return seal


def _told(order: Order, layout: Layout) -> Seal | None:
    if order.table is None:
        return None
    mode = order.mode or (Mode.ENVELOPE if order.data_key_column in layout.names else Mode.VALUE)
    return Seal(mode, order.table, order.row_key, order.data_key_column if mode is Mode.ENVELOPE else None)


def _check_names(columns: tuple[str, ...], seal: Seal, layout: Layout) -> None:
    if seal.row_key is not None:
        if seal.row_key not in layout.names or seal.row_key in columns:
            message = f"--row-key {seal.row_key} must be another column of the table"
            raise PlanRefused(message)
        if layout.row_keys is not None and seal.row_key not in layout.row_keys:
            message = f"--row-key {seal.row_key} must have integers or text"
            raise PlanRefused(message)
    for name in (seal.table, *columns):
        if not 1 <= len(name.encode(errors="replace")) <= NAME_MAX_BYTES:
            message = f"the name of a table or column has 1 to {NAME_MAX_BYTES:,} bytes"
            raise PlanRefused(message)


def part_rows_of(order: Order, plan: Plan) -> int:
    """Return how many rows a part may have: fewer than asked for when many columns are done at once."""
    return max(1, min(order.part_rows, PART_CELLS // len(plan.bindings)))


def options_of(order: Order, plan: Plan) -> dict[str, object]:
    """Return, by their names on the command line, the options that a resumed run must share: nothing secret."""
    return {
        "command": plan.verb.value,
        "--out": str(order.target.absolute()),
        "--to" if plan.verb is Verb.REWRAP else "--key-id": plan.key_id,
        "--column": [binding.column for binding in plan.bindings],
        "--table": plan.seal.table,
        "--mode": plan.seal.mode.value,
        "--row-key": plan.seal.row_key,
        "--data-key-column": plan.seal.data_key_column,
        "--keep-data-keys": order.keep_data_keys,
        "--format": order.format,
        "--delimiter": order.delimiter,
        "--null": order.null,
        "--like": None if order.like is None else str(order.like.absolute()),
        "--force or --in-place": order.replace,
    }
