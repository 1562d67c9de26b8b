"""Cells that are sealed on this side, under a data key that the service wraps and that their rows carry."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from kmsq.column.binding import Binding, table_context
from kmsq.column.cells import NO_DATA_KEY, Cell, Cells, Fault
from kmsq.column.ciphers.base import Done, with_row_faults
from kmsq.column.ciphers.remembered import Remembered
from kmsq.column.plan import Plan
from kmsq.column.table import Rows
from kmsq.envelope.cells import CellKey, rewrap_cell_key
from kmsq.envelope.kms import DataKeys, Rewrapping
from kmsq.errors import InvalidEnvelope
from kmsq_schemas.errors import ErrorCode

T = TypeVar("T")
RowKeys: TypeAlias = list[str | None] | None


class Kms(DataKeys, Rewrapping, Protocol):
    """What `kmsq.Client` has for this."""


class EnvelopeCipher:
    """See `Cipher`."""

    def __init__(self, kms: Kms, plan: Plan) -> None:
        self._kms = kms
        self._plan = plan
        self._context = table_context(plan.seal.table)
        self._restored = Remembered(self._restore)
        self._rewrapped = Remembered(self._rewrap)

    async def seal(self, rows: Rows) -> Done:
        """See `Cipher`. These rows get a data key of their own."""
        key = await CellKey.generate(self._kms, self._plan.key_id or "", self._context)
        row_keys = self._row_keys(rows)

        def seal(binding: Binding) -> Cells:
            return _seal(key, binding, with_row_faults(rows.plaintexts(binding.column), row_keys), row_keys)

        return Done(await self._columns(seal), [key.stored] * len(rows))

    async def open(self, rows: Rows) -> Done:
        """See `Cipher`."""
        stored = self._stored(rows)
        keys = _for_each_row(stored, await self._restored.of(stored))
        row_keys = self._row_keys(rows)

        def unseal(binding: Binding) -> Cells:
            return _open(keys, binding, with_row_faults(rows.sealed(binding.column), row_keys), row_keys)

        return Done(await self._columns(unseal))

    async def rewrap(self, rows: Rows) -> Done:
        """See `Cipher`. Cells stay as they are; a data key is rewrapped once, however many rows carry it."""
        stored = self._stored(rows)
        moved = _for_each_row(stored, await self._rewrapped.of(stored))
        cells = {binding.column: _faulty(rows.sealed(binding.column), moved) for binding in self._plan.bindings}
        return Done(cells, [one if isinstance(one, bytes) else None for one in moved])

    async def _columns(self, work: Callable[[Binding], Cells]) -> dict[str, Cells]:
        # In a thread, so that the connection lives while this side computes; in one, because cells this small are sealed
        # no faster in several.
        return await asyncio.to_thread(lambda: {binding.column: work(binding) for binding in self._plan.bindings})

    def _stored(self, rows: Rows) -> list[bytes | None]:
        return rows.data_keys(self._plan.seal.data_key_column or "")

    def _row_keys(self, rows: Rows) -> RowKeys:
        row_key = self._plan.seal.row_key
        return None if row_key is None else rows.row_keys(row_key)

    async def _restore(self, stored: bytes) -> CellKey:
        return await CellKey.restore(self._kms, stored, self._context)

    async def _rewrap(self, stored: bytes) -> bytes:
        return await rewrap_cell_key(self._kms, stored, self._context, self._plan.key_id or "")


def _for_each_row(stored: Sequence[bytes | None], known: dict[bytes, T | Fault]) -> list[T | Fault]:
    return [Fault(NO_DATA_KEY) if key is None else known[key] for key in stored]


def _seal(key: CellKey, binding: Binding, cells: list[Cell], row_keys: RowKeys) -> list[Cell]:
    if row_keys is not None:
        return [
            key.seal(cell, binding.associated(name)) if isinstance(cell, bytes) else cell
            for cell, name in zip(cells, row_keys, strict=True)
        ]
    sealed = iter(key.seal_all([cell for cell in cells if isinstance(cell, bytes)], binding.associated()))
    return [next(sealed) if isinstance(cell, bytes) else cell for cell in cells]


def _open(keys: Sequence[CellKey | Fault], binding: Binding, cells: list[Cell], row_keys: RowKeys) -> list[Cell]:
    shared = binding.associated()
    names = row_keys or [None] * len(cells)
    return [
        _open_cell(key, cell, shared if name is None else binding.associated(name))
        for key, cell, name in zip(keys, cells, names, strict=True)
    ]


def _open_cell(key: CellKey | Fault, cell: Cell, associated: bytes) -> Cell:
    if not isinstance(cell, bytes):
        return cell
    if isinstance(key, Fault):
        return key
    try:
        return key.open(cell, associated)
    except InvalidEnvelope:
        return Fault(ErrorCode.INVALID_CIPHERTEXT)


def _faulty(cells: Cells, keys: Sequence[bytes | Fault]) -> list[Cell]:
    return [key if cell is not None and isinstance(key, Fault) else cell for cell, key in zip(cells, keys, strict=True)]
