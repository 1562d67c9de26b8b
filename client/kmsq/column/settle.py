"""What becomes of the rows of a part: those that are done, those that are not, and what is counted."""

from dataclasses import dataclass

from kmsq.column.cells import Cells, Fault
from kmsq.column.ciphers.base import Done
from kmsq.column.errors import CellFailed
from kmsq.column.journal import Tally
from kmsq.column.plan import OnError, Plan, Verb
from kmsq.column.table import Rows


@dataclass(frozen=True, slots=True)
class Settled:
    """A part that is ready to be kept."""

    rows: Rows
    quarantined: Rows | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class Failed:
    """One cell that could not be done."""

    index: int
    column: str
    code: str


def faults_of(plan: Plan, done: Done) -> list[Failed]:
    """Return the cells that could not be done, by row and then in the order of the columns."""
    found = [
        Failed(index, binding.column, cell.code)
        for binding in plan.bindings
        for index, cell in enumerate(done.cells[binding.column])
        if isinstance(cell, Fault)
    ]
    return sorted(found, key=lambda failed: failed.index)


def settle(plan: Plan, rows: Rows, done: Done, *, on_error: OnError, first_row: int) -> Settled:
    """
    Put the cells into their rows, and take those rows out that have a cell that could not be done.

    `done` is `checked`. `first_row` is the number of the part's first. Raises `CellFailed` when told to fail.
    """
    failed = faults_of(plan, done)
    if failed and on_error is OnError.FAIL:
        raise CellFailed(row=first_row + failed[0].index, column=failed[0].column, code=failed[0].code)
    tally = _tally(rows, done, failed)
    if not failed:
        return Settled(_changed(plan, rows, done), None, tally)
    reasons: dict[int, list[str]] = {}
    for one in failed:
        reasons.setdefault(one.index, []).append(f"{one.column}: {one.code}")
    good = [index for index in range(len(rows)) if index not in reasons]
    quarantined = None
    if on_error is OnError.QUARANTINE:
        quarantined = rows.keep(list(reasons)).with_errors(["; ".join(texts) for texts in reasons.values()])
    return Settled(_changed(plan, rows, done).keep(good), quarantined, tally)


def checked(plan: Plan, rows: Rows, done: Done) -> Done:
    """Return opened cells with a fault for each that is not of its column's type; sealed ones as they are."""
    if plan.verb in {Verb.ENCRYPT, Verb.REWRAP}:
        return done
    return Done({name: rows.checked(name, cells) for name, cells in done.cells.items()}, done.data_keys)


def _changed(plan: Plan, rows: Rows, done: Done) -> Rows:
    key_column = plan.seal.data_key_column
    if plan.verb in {Verb.DECRYPT, Verb.VERIFY}:
        opened = rows.with_opened(done.cells)
        return opened.without(key_column) if plan.drops_data_keys and key_column is not None else opened
    sealed = rows.with_sealed(done.cells, plan.seal)
    if done.data_keys is None or key_column is None:
        return sealed
    return sealed.with_data_keys(key_column, done.data_keys, new=plan.verb is Verb.ENCRYPT)


def _tally(rows: Rows, done: Done, failed: list[Failed]) -> Tally:
    columns = list(done.cells.values())
    nulls = sum(_nulls(cells) for cells in columns)
    return Tally(
        rows=len(rows),
        cells=sum(len(cells) for cells in columns) - nulls - len(failed),
        nulls=nulls,
        failed=len(failed),
        skipped=len({one.index for one in failed}),
        bytes=sum(len(cell) for cells in columns for cell in cells if isinstance(cell, bytes)),
    )


def _nulls(cells: Cells) -> int:
    return sum(1 for cell in cells if cell is None)
