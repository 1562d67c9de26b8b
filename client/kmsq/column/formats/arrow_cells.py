"""
Arrow values as the plaintexts of cells, and back.

A plaintext is the version byte and the value as Arrow stores it: text in UTF-8, bytes as they are, all else in its fixed
width, little-endian (https://arrow.apache.org/docs/format/Columnar.html); a bool takes one byte.
"""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from kmsq.column.cells import VERSION, WRONG_TYPE, Cell, Cells, Fault

_PREFIX: Final = len(VERSION)
_BITS: Final = 8


def value_type(kind: Any) -> Any:
    """Return the type of the values: a dictionary's are what is sealed."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_supported(kind: Any) -> bool:
    """Whether cells of this type can be sealed: flat values with bytes of their own."""
    kind = value_type(kind)
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_nested(kind):
        return False
    return _has_text(kind) or _has_bytes(kind) or _width(kind) is not None


def plaintexts_of(array: Any) -> list[bytes | None]:
    """Return the plaintext of each value; None for null."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return [None if value is None else VERSION + value for value in _stored(array).to_pylist()]


def check(kind: Any, cells: Cells) -> list[Cell]:
    """Put a fault in place of every plaintext that holds no value of this type."""
    kind = value_type(kind)
    if _has_text(kind):
        return [cell if not isinstance(cell, bytes) or _is_text(cell) else Fault(WRONG_TYPE) for cell in cells]
    width = _width(kind)
    length = None if width is None or _has_bytes(kind) else _PREFIX + width
    return [
        cell
        if not isinstance(cell, bytes) or (cell.startswith(VERSION) and length in (None, len(cell)))
        else Fault(WRONG_TYPE)
        for cell in cells
    ]


def array_of(kind: Any, cells: Cells) -> Any:
    """Return the values of `check`ed plaintexts as an array of type `kind`; null for a fault."""
    plain = value_type(kind)
    values = [cell[_PREFIX:] if isinstance(cell, bytes) else None for cell in cells]
    if _has_text(plain) or _has_bytes(plain):
        array = pa.array(values, pa.large_binary()).cast(plain)
    elif pa.types.is_boolean(plain):
        array = _view(values, 1, pa.uint8()).cast(plain)
    else:
        array = _view(values, _width(plain), plain)
    return array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array


def _view(values: Sequence[bytes | None], width: int | None, kind: Any) -> Any:
    return pa.array(values, pa.binary(width)).view(kind)


def _stored(array: Any) -> Any:
    """Return the values as an array of byte strings."""
    kind = array.type
    if _has_text(kind) or pa.types.is_binary_view(kind):
        return array.cast(pa.large_binary())
    if _has_bytes(kind):
        return array
    if pa.types.is_boolean(kind):
        return array.cast(pa.uint8()).view(pa.binary(1))
    return array.view(pa.binary(_width(kind)))


def _has_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _has_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _width(kind: Any) -> int | None:
    """Return the bytes of a value of fixed width, else None."""
    try:
        bits = kind.bit_width
    except ValueError:
        return None
    return 1 if pa.types.is_boolean(kind) else int(bits) // _BITS or None


def _is_text(plaintext: bytes) -> bool:
    try:
        plaintext[_PREFIX:].decode()
    except UnicodeDecodeError:
        return False
    return plaintext.startswith(VERSION)
