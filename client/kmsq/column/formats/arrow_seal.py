"""What the schema of a Parquet file remembers of a sealed column: how it is sealed, and the field that it was."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from kmsq.column.errors import MalformedTable
from kmsq.column.formats.arrow_cells import value_type
from kmsq.column.table import Mode, Seal

KEY: Final = b"kmsq"  # in a field's metadata
VERSION: Final = 1
# pandas keeps column types of its own in the schema, and would force sealed bytes into them.
PANDAS: Final = b"pandas"
PANDAS_ASIDE: Final = b"kmsq.pandas"


def sealed_field(field: Any, seal: Seal) -> Any:
    """Return the field of the sealed column: binary, with the original in its metadata."""
    original = pa.schema([field]).serialize().to_pybytes() if not is_sealed(field) else _facts(field)["field"]
    facts = {
        "version": VERSION,
        "mode": seal.mode.value,
        "table": seal.table,
        "row_key": seal.row_key,
        "data_key_column": seal.data_key_column,
        "field": original if isinstance(original, str) else base64.b64encode(original).decode(),
    }
    return pa.field(field.name, pa.binary(), nullable=field.nullable, metadata={KEY: json.dumps(facts).encode()})


def is_sealed(field: Any) -> bool:
    """Whether the field says that it is sealed."""
    return KEY in (field.metadata or {})


def recalled(schema: Any, like: Any) -> Any:
    """Return `schema` with what `like` says of columns of the same name, where nothing is said, and they hold bytes."""
    said = {field.name: field for field in like if is_sealed(field)}
    fields = [
        field.with_metadata({**(field.metadata or {}), KEY: said[field.name].metadata[KEY]})
        if field.name in said and not is_sealed(field) and _holds_bytes(field.type)
        else field
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _holds_bytes(kind: Any) -> bool:
    plain = value_type(kind)
    return bool(pa.types.is_binary(plain) or pa.types.is_large_binary(plain) or pa.types.is_binary_view(plain))


def seal_of(field: Any) -> Seal:
    """Return how the column is sealed. Raises `MalformedTable`."""
    facts = _facts(field)
    try:
        return Seal(Mode(facts["mode"]), facts["table"], facts["row_key"], facts["data_key_column"])
    except (KeyError, ValueError) as error:
        raise _unreadable(field) from error


def original_field(field: Any) -> Any:
    """Return the field that was sealed. Raises `MalformedTable`."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(_facts(field)["field"])))
        return schema.field(0).with_name(field.name)
    except (KeyError, ValueError, TypeError) as error:  # Arrow's own errors are ValueErrors
        raise _unreadable(field) from error


def schema_metadata(fields: Any, metadata: Mapping[bytes, bytes] | None) -> dict[bytes, bytes] | None:
    """Return the schema's metadata with that of pandas set aside while a column is sealed, and back otherwise."""
    if metadata is None:
        return None
    aside = any(is_sealed(field) for field in fields)
    old, new = (PANDAS, PANDAS_ASIDE) if aside else (PANDAS_ASIDE, PANDAS)
    return {new if name == old else name: value for name, value in metadata.items()}


def _facts(field: Any) -> dict[str, Any]:
    try:
        facts = json.loads(field.metadata[KEY])
    except ValueError as error:
        raise _unreadable(field) from error
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        raise _unreadable(field)
    return facts


def _unreadable(field: Any) -> MalformedTable:
    return MalformedTable(f"column {field.name}: what its metadata says of its encryption cannot be read")
