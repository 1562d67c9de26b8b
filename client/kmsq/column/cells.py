"""What a cell is on its way: the bytes that are sealed, those that were, nothing, or why it could not be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from kmsq_schemas.limits import PLAINTEXT_MAX_BYTES

VERSION: Final = b"\x01"  # of a plaintext: before the value's own bytes, so that an empty value is no empty plaintext
VALUE_MAX_BYTES: Final = PLAINTEXT_MAX_BYTES - len(VERSION)  # of a cell that the service encrypts
ROW_KEY_MAX_BYTES: Final = 1024  # leaves the rest of a context's 8,192 bytes to the names of table and column

VALUE_TOO_LONG: Final = "ValueTooLong"
NOT_ENCRYPTED: Final = "NotEncrypted"
WRONG_TYPE: Final = "WrongType"
NO_DATA_KEY: Final = "NoDataKey"
NO_ROW_KEY: Final = "NoRowKey"
ROW_KEY_TOO_LONG: Final = "RowKeyTooLong"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one cell could not be done: an error code of the service's, or one of this module's."""

    code: str


Cell: TypeAlias = bytes | Fault | None
Cells: TypeAlias = Sequence[Cell]


def row_key_fault(key: str | None) -> Fault | None:
    """Say what keeps `key` from being bound, if anything does."""
    if key is None:
        return Fault(NO_ROW_KEY)
    return Fault(ROW_KEY_TOO_LONG) if len(key.encode()) > ROW_KEY_MAX_BYTES else None


def text_cell(text: str) -> bytes:
    """Return the plaintext of a cell that holds `text`."""
    return VERSION + text.encode()


def text_of(plaintext: bytes) -> str:
    """Return what `text_cell` was given. Raises `ValueError` for anything else."""
    if not plaintext.startswith(VERSION):
        raise ValueError
    return plaintext[len(VERSION) :].decode()


def check_text(cells: Cells) -> list[Cell]:
    """Put a fault in place of every plaintext that is no text."""
    return [cell if not isinstance(cell, bytes) or _is_text(cell) else Fault(WRONG_TYPE) for cell in cells]


def _is_text(plaintext: bytes) -> bool:
    try:
        text_of(plaintext)
    except ValueError:
        return False
    return True
