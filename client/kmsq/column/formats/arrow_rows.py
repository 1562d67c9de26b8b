"""Rows of a Parquet file: a record batch, sealed columns in binary."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import pyarrow as pa
from typing_extensions import override

from kmsq.column.cells import Cell, Cells
from kmsq.column.formats.arrow_cells import array_of, check, is_supported, plaintexts_of
from kmsq.column.formats.arrow_seal import is_sealed, original_field, schema_metadata, sealed_field
from kmsq.column.table import ERROR_COLUMN, Rows, Seal


class ArrowRows(Rows):
    """A record batch, whose schema has the metadata of the file's."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @override
    def plaintexts(self, column: str) -> list[bytes | None]:
        return plaintexts_of(self.batch.column(column))

    @override
    def sealed(self, column: str) -> list[Cell]:
        array = self.batch.column(column)
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return list(plain.cast(pa.large_binary()).to_pylist())

    @override
    def row_keys(self, column: str) -> list[str | None]:
        array = self.batch.column(column)
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return list(plain.cast(pa.large_string()).to_pylist())

    @override
    def data_keys(self, column: str) -> list[bytes | None]:
        array = self.batch.column(column)
        coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        keys = coded.dictionary.cast(pa.large_binary()).to_pylist()
        return [None if index is None else keys[index] for index in coded.indices.to_pylist()]

    @override
    def checked(self, column: str, plaintexts: Cells) -> list[Cell]:
        return check(original_field(self.batch.schema.field(column)).type, plaintexts)

    @override
    def with_sealed(self, cells: Mapping[str, Cells], seal: Seal) -> Self:
        fields = {name: sealed_field(self.batch.schema.field(name), seal) for name in cells}
        return self._replaced(fields, cells)

    @override
    def with_opened(self, cells: Mapping[str, Cells]) -> Self:
        fields = {name: original_field(self.batch.schema.field(name)) for name in cells}
        return self._replaced(fields, cells)

    @override
    def with_data_keys(self, column: str, stored: Sequence[bytes | None], *, new: bool) -> Self:
        keys = {key: index for index, key in enumerate(dict.fromkeys(key for key in stored if key is not None))}
        indices = pa.array([None if key is None else keys[key] for key in stored], pa.int32())
        return self._with(column, pa.DictionaryArray.from_arrays(indices, pa.array(list(keys), pa.binary())))

    @override
    def without(self, column: str) -> Self:
        at = self.batch.schema.get_field_index(column)
        return self._made(
            [array for index, array in enumerate(self.batch.columns) if index != at], self.batch.schema.remove(at)
        )

    @override
    def with_errors(self, errors: Sequence[str]) -> Self:
        return self._with(ERROR_COLUMN, pa.array(errors, pa.string()))

    @override
    def keep(self, indices: Sequence[int]) -> Self:
        if len(indices) == len(self):
            return self
        return type(self)(self.batch.take(pa.array(indices, pa.int64())))

    @override
    def differences(self, other: Rows) -> list[tuple[int, str]]:
        if not isinstance(other, ArrowRows):
            raise TypeError
        found: dict[int, str] = {}
        for name in self.batch.schema.names:
            for index in _different(self.batch.column(name), other.batch.column(name)):
                found.setdefault(index, name)
        return sorted(found.items())

    @override
    def encode(self, *, first: bool) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.batch.schema) as writer:
            writer.write_batch(self.batch)
        return bytes(sink.getvalue().to_pybytes())

    def _replaced(self, fields: Mapping[str, Any], cells: Mapping[str, Cells]) -> Self:
        schema, columns = self.batch.schema, list(self.batch.columns)
        changed = list(schema)
        for name, field in fields.items():
            at = schema.get_field_index(name)
            # A fault leaves null, in a row that is left out before anyone minds that the field may allow none.
            columns[at] = array_of(field.type, cells[name]) if not is_sealed(field) else _sealed_array(cells[name])
            changed[at] = field
        return self._made(columns, pa.schema(changed, metadata=schema.metadata))

    def _with(self, column: str, array: Any) -> Self:
        at = self.batch.schema.get_field_index(column)
        field = pa.field(column, array.type)
        if at >= 0:
            columns = [array if index == at else old for index, old in enumerate(self.batch.columns)]
            return self._made(columns, self.batch.schema.set(at, field))
        return self._made([*self.batch.columns, array], self.batch.schema.append(field))

    def _made(self, columns: Sequence[Any], schema: Any) -> Self:
        schema = schema.with_metadata(schema_metadata(schema, schema.metadata))
        return type(self)(pa.RecordBatch.from_arrays(columns, schema=schema))


def _sealed_array(cells: Cells) -> Any:
    return pa.array([cell if isinstance(cell, bytes) else None for cell in cells], pa.binary())


def _different(mine: Any, theirs: Any) -> Iterable[int]:
    if mine.type != theirs.type:
        return range(len(mine))
    # Arrow says of equal values with a NaN that they are not, and of 0.0 and -0.0 that they are.
    if mine.equals(theirs) and not pa.types.is_floating(mine.type):
        return ()
    pairs = zip(_comparable(mine), _comparable(theirs), strict=True)
    return (index for index, (a, b) in enumerate(pairs) if a != b)


def _comparable(array: Any) -> list[object]:
    if is_supported(array.type):
        return list(plaintexts_of(array))
    return [repr(value) for value in array.to_pylist()]  # nested values, a NaN among them
