"""Cells that are ciphertext blobs: the service seals, opens and rewraps them, many in a message."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TypeAlias

from kmsq.column.binding import Binding, row_context
from kmsq.column.cells import VALUE_TOO_LONG, Cell, Cells, Fault
from kmsq.column.ciphers.base import Done, is_cell_fault, together, with_row_faults
from kmsq.column.plan import Plan
from kmsq.column.table import Rows
from kmsq.errors import ServiceError
from kmsq.operations.outcomes import ItemFailure
from kmsq.operations.streams import StreamOperations
from kmsq_schemas.limits import CIPHERTEXT_MAX_BYTES, PLAINTEXT_MAX_BYTES

ContextOf: TypeAlias = Callable[[int, bytes], Mapping[str, str]]


Stream: TypeAlias = AsyncGenerator[bytes | ItemFailure, None]


class ValueCipher:
    """See `Cipher`."""

    def __init__(self, streams: StreamOperations, plan: Plan) -> None:
        self._streams = streams
        self._plan = plan

    async def seal(self, rows: Rows) -> Done:
        """See `Cipher`."""
        key_id = self._plan.key_id or ""

        def start(binding: Binding, values: list[bytes], context_of: ContextOf | None) -> Stream:
            return self._streams.encrypt_many(
                key_id, values, context=binding.context(), context_of=context_of, errors="yield"
            )

        return await self._each(rows, rows.plaintexts, start, PLAINTEXT_MAX_BYTES)

    async def open(self, rows: Rows) -> Done:
        """See `Cipher`."""

        def start(binding: Binding, values: list[bytes], context_of: ContextOf | None) -> Stream:
            return self._streams.decrypt_many(
                values, key_id=self._plan.key_id, context=binding.context(), context_of=context_of, errors="yield"
            )

        return await self._each(rows, rows.sealed, start, CIPHERTEXT_MAX_BYTES)

    async def rewrap(self, rows: Rows) -> Done:
        """See `Cipher`."""
        key_id = self._plan.key_id or ""

        def start(binding: Binding, values: list[bytes], context_of: ContextOf | None) -> Stream:
            context = binding.context()
            return self._streams.re_encrypt_many(
                values,
                key_id,
                source_context=context,
                source_context_of=context_of,
                destination_context=context,
                destination_context_of=context_of,
                errors="yield",
            )

        return await self._each(rows, rows.sealed, start, CIPHERTEXT_MAX_BYTES)

    async def _each(self, rows: Rows, cells_of: Callable[[str], Cells], start: "_Start", max_bytes: int) -> Done:
        row_key = self._plan.seal.row_key
        row_keys = None if row_key is None else rows.row_keys(row_key)
        works = {
            binding.column: _through(
                binding, _bounded(with_row_faults(cells_of(binding.column), row_keys), max_bytes), row_keys, start
            )
            for binding in self._plan.bindings
        }
        return Done(await together(works))


_Start: TypeAlias = Callable[[Binding, list[bytes], ContextOf | None], Stream]


async def _through(binding: Binding, cells: list[Cell], row_keys: list[str | None] | None, start: _Start) -> list[Cell]:
    """Send what there is to send, and put the results between the nulls and faults."""
    indices = [index for index, cell in enumerate(cells) if isinstance(cell, bytes)]
    if not indices:
        return cells
    context_of = None if row_keys is None else _naming([row_keys[index] or "" for index in indices])
    values = [cell for cell in cells if isinstance(cell, bytes)]
    results = list(cells)
    at = iter(indices)
    async with aclosing(start(binding, values, context_of)) as stream:
        async for item in stream:
            results[next(at)] = item if isinstance(item, bytes) else _fault(item.error)
    return results


def _naming(keys: list[str]) -> ContextOf:
    return lambda index, _value: row_context(keys[index])


def _bounded(cells: Cells, max_bytes: int) -> list[Cell]:
    return [Fault(VALUE_TOO_LONG) if isinstance(cell, bytes) and len(cell) > max_bytes else cell for cell in cells]


def _fault(error: ServiceError) -> Fault:
    if not is_cell_fault(error):
        raise error
    return Fault(error.code)
