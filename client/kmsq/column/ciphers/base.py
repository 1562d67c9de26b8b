"""What both ways to seal have in common."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from kmsq.column.cells import Cell, Cells, row_key_fault
from kmsq.column.table import Rows
from kmsq.errors import ServiceError
from kmsq_schemas.errors import ErrorCode

K = TypeVar("K")
T = TypeVar("T")

# What is wrong with one cell. All else is the key's, the permission's or the service's matter, and stops the run:
# the next cell would fare no better.
CELL_CODES: Final = frozenset({ErrorCode.INVALID_CIPHERTEXT, ErrorCode.INCORRECT_KEY, ErrorCode.VALIDATION})


@dataclass(frozen=True, slots=True)
class Done:
    """The cells of some rows, by column, sealed or opened; and the stored data keys of the rows, if they change."""

    cells: Mapping[str, Cells]
    data_keys: list[bytes | None] | None = None


class Cipher(Protocol):
    """Seals, opens and rewraps the planned columns of some rows. A fault is a cell's; what is raised stops the run."""

    async def seal(self, rows: Rows) -> Done:
        """Seal plaintexts."""

    async def open(self, rows: Rows) -> Done:
        """Have the plaintexts back, `Rows.checked` still to come."""

    async def rewrap(self, rows: Rows) -> Done:
        """Move sealed cells to another key."""


def is_cell_fault(error: ServiceError) -> bool:
    """Whether the error says something of one cell only."""
    return error.code in CELL_CODES


async def together(works: Mapping[K, Awaitable[T]]) -> dict[K, T]:
    """Do all at once. Raises the first error as it is, when the others have ended."""
    tasks = {name: asyncio.ensure_future(work) for name, work in works.items()}
    try:
        results = await asyncio.gather(*tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return dict(zip(tasks, results, strict=True))


def with_row_faults(cells: Cells, row_keys: list[str | None] | None) -> list[Cell]:
    """Put a fault in place of every cell whose row cannot be named."""
    if row_keys is None:
        return list(cells)
    return [cell if cell is None else row_key_fault(key) or cell for cell, key in zip(cells, row_keys, strict=True)]
