"""
The exact bytes that a row's MAC covers.

Pure. `DomainKey.row_mac` (wrapping) computes the MAC; this module says what of, and reads which domain key made one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

DOMAIN_KEY_ID_BYTES: Final = 16
MAC_BYTES: Final = DOMAIN_KEY_ID_BYTES + 32  # domain key id ‖ HMAC-SHA-256

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RowMacMismatch(Exception):
    """The row is not as this service left it, or its MAC was made under another domain key."""


def encode_row(table: str, columns: Mapping[str, object]) -> bytes:
    """
    Encode a row so that no two different rows encode alike.

    table ‖ for each column, sorted by name: name ‖ type (1 byte) ‖ value. Table, name and value are each preceded by
    their length in 4 bytes, big endian. Types: `N` None, `B` bool, `I` int (decimal), `S` str (UTF-8), `X` bytes, `T`
    datetime (decimal microseconds since 1970 UTC), `L` list or tuple of str (each with its own length). What Python
    calls equal encodes alike within a type: an instant in any zone, a list and a tuple; `True` and `1` do not.

    Raises `TypeError` for other types and `ValueError` for a datetime without zone; neither message has the value.
    """
    parts = [_sized(table.encode())]
    for name in sorted(columns):
        kind, value = _encode_value(name, columns[name])
        parts += (_sized(name.encode()), kind, _sized(value))
    return b"".join(parts)


def mac_domain_key(mac: bytes) -> UUID:
    """Return which domain key made `mac`. Raises `RowMacMismatch` for anything but 48 bytes."""
    if len(mac) != MAC_BYTES:
        raise RowMacMismatch
    return UUID(bytes=mac[:DOMAIN_KEY_ID_BYTES])


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _encode_value(name: str, value: object) -> tuple[bytes, bytes]:
    match value:
        case None:
            kind, encoded = b"N", b""
        case bool():  # before int, whose subclass it is
            kind, encoded = b"B", b"\x01" if value else b"\x00"
        case int():
            kind, encoded = b"I", b"%d" % value
        case str():
            kind, encoded = b"S", value.encode()
        case bytes():
            kind, encoded = b"X", value
        case datetime():
            kind, encoded = b"T", b"%d" % _microseconds(name, value)
        case list() | tuple():
            kind, encoded = b"L", _encode_texts(name, value)
        case _:
            message = f"column {name}: {type(value).__name__} has no encoding"
            raise TypeError(message)
    return kind, encoded


def _microseconds(name: str, moment: datetime) -> int:
    if moment.tzinfo is None:
        message = f"column {name}: a datetime needs its zone"
        raise ValueError(message)
    return (moment - _EPOCH) // _MICROSECOND


def _encode_texts(name: str, texts: Sequence[object]) -> bytes:
    parts = []
    for text in texts:
        if not isinstance(text, str):
            message = f"column {name}: a list holds str, not {type(text).__name__}"
            raise TypeError(message)
        parts.append(_sized(text.encode()))
    return b"".join(parts)
