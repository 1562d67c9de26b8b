"""Parquet files, read and written in constant memory."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kmsq.column.errors import MalformedTable
from kmsq.column.formats.arrow_cells import is_supported, value_type
from kmsq.column.formats.arrow_rows import ArrowRows
from kmsq.column.formats.arrow_seal import is_sealed, original_field, recalled, seal_of
from kmsq.column.table import Layout

# The writer's names of what a file's metadata calls its compression; others it could not write again.
CODECS: Final = {"UNCOMPRESSED": "none", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4_RAW": "lz4"}
DEFAULT_CODEC: Final = "snappy"
BUFFER_BYTES: Final = 64 * 1024  # of each column; without it the whole of a row group's column is read at once
GROUP_ROWS: Final = 32_768  # of a row group, and no more bytes than this:
GROUP_BYTES: Final = 16 * 1024 * 1024


class ParquetReader:
    """Reads record batches; rows are counted for a position."""

    def __init__(self, path: Path, file: Any, schema: Any, position: int) -> None:
        self.position = position
        self._path = path
        self._file = file
        self._schema = schema
        self._batches: Iterator[Any] | None = None
        self._rest: Any = None

    def take(self, rows: int, size_bytes: int) -> ArrowRows | None:
        """See `Reader`."""
        if self._batches is None:
            self._batches = self._read(rows, size_bytes)
        taken: list[Any] = []
        left, room = rows, size_bytes
        while left > 0 and (room > 0 or not taken):
            if self._rest is None or not self._rest.num_rows:
                self._rest = self._next(self._batches)
            if self._rest is None:
                break
            count = min(left, _fitting(self._rest, room))
            taken.append(self._rest.slice(0, count))
            self._rest = self._rest.slice(count)
            left, room = left - count, room - int(taken[-1].nbytes)
        if not taken:
            return None
        self.position += rows - left
        return ArrowRows(_joined(taken, self._schema))

    def close(self) -> None:
        """Let the table's file be: it is shared."""

    def _read(self, rows: int, size_bytes: int) -> Iterator[Any]:
        """Yield batches from the position on, of up to so many rows, and bytes as they are on average in their group."""
        skip = self.position
        for group in range(self._file.metadata.num_row_groups):
            facts = self._file.metadata.row_group(group)
            if skip >= facts.num_rows:
                skip -= facts.num_rows
                continue
            row_bytes = int(facts.total_byte_size) // int(facts.num_rows) + 1
            batch_rows = min(rows, max(1, size_bytes // row_bytes))
            for batch in self._file.iter_batches(batch_size=batch_rows, row_groups=[group], use_threads=False):
                if skip < batch.num_rows:
                    yield batch.slice(skip)
                skip = max(0, skip - batch.num_rows)

    def _next(self, batches: Iterator[Any]) -> Any:
        try:
            return next(batches, None)
        except (OSError, pa.ArrowException) as error:  # a file that is damaged may be either
            message = f"{self._path} cannot be read: {error}"
            raise MalformedTable(message) from error


class ParquetTable:
    """A Parquet file."""

    spool_is_output = False

    def __init__(self, path: Path, *, like: Path | None = None) -> None:
        self._path = path
        self._file = _opened(path)
        self._schema = self._file.schema_arrow
        if like is not None:
            self._schema = recalled(self._schema, _opened(like).schema_arrow)
        self.size = int(self._file.metadata.num_rows)
        names = tuple(self._schema.names)
        if len(set(names)) != len(names):
            message = f"{path} has two columns of one name"
            raise MalformedTable(message)
        self.layout = _layout(self._schema)

    def empty(self) -> ArrowRows:
        """See `Table`."""
        return ArrowRows(pa.RecordBatch.from_pylist([], schema=self._schema))

    def reader(self, position: int = 0) -> ParquetReader:
        """See `Table`."""
        return ParquetReader(self._path, self._file, self._schema, position)

    def finish(self, spool: Path, target: Path) -> None:
        """See `Table`."""
        with pa.OSFile(str(spool)) as source:
            groups = _row_groups(source)
            first = next(groups)
            options = {"compression": self._codec(), "use_dictionary": self._repetitive(first.schema)}
            with pq.ParquetWriter(target, first.schema, **options) as writer:
                for group in chain([first], groups):
                    if group.num_rows:
                        writer.write_table(group, row_group_size=group.num_rows)

    def _codec(self) -> str:
        metadata = self._file.metadata
        if not metadata.num_row_groups or not metadata.num_columns:
            return DEFAULT_CODEC
        return CODECS.get(metadata.row_group(0).column(0).compression, DEFAULT_CODEC)

    def _repetitive(self, schema: Any) -> list[str]:
        """Return the leaves that a dictionary may help: sealed cells never repeat."""
        sealed = {field.name for field in schema if is_sealed(field)}
        paths = [self._file.schema.column(index).path for index in range(len(self._file.schema))]
        new = [name for name in schema.names if name not in self._schema.names]
        return [path for path in paths if path.partition(".")[0] not in sealed] + new


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)
    except pa.ArrowInvalid as error:
        message = f"{path} is not a Parquet file: {error}"
        raise MalformedTable(message) from error


def _layout(schema: Any) -> Layout:
    seals = {field.name: seal_of(field) for field in schema if is_sealed(field)}
    fields = [original_field(field) if is_sealed(field) else field for field in schema]
    types = {field.name: str(value_type(field.type)) for field in fields if is_supported(field.type)}
    naming = {field.name for field in schema if _can_name(value_type(field.type))}
    return Layout(names=tuple(schema.names), types=types, seals=seals, says_seals=True, row_keys=frozenset(naming))


def _can_name(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _fitting(batch: Any, room: int) -> int:
    """Return how many rows of `batch` have about `room` bytes, at least one."""
    rows = int(batch.num_rows)
    return min(rows, max(1, rows * room // max(1, int(batch.nbytes))))


def _joined(batches: list[Any], schema: Any) -> Any:
    """Make one batch, with the metadata of the file's schema."""
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    columns = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _row_groups(source: Any) -> Iterator[Any]:
    """Yield the parts of a spool, put together to row groups."""
    parts: list[Any] = []
    while source.tell() < source.size():
        with pa.ipc.open_stream(source) as reader:
            parts.append(reader.read_all())
        if sum(part.num_rows for part in parts) >= GROUP_ROWS or sum(part.nbytes for part in parts) >= GROUP_BYTES:
            yield pa.concat_tables(parts).unify_dictionaries()
            parts = []
    if parts:
        yield pa.concat_tables(parts).unify_dictionaries()
