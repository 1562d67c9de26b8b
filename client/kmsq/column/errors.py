"""Why a column was not done. Each says what to do; none holds a value of the table."""

from kmsq.errors import KmsqError


class ColumnError(KmsqError):
    """The root of what this package raises itself."""


class PlanRefused(ColumnError):
    """What was asked for does not fit the table, or would overwrite something. Nothing was written."""


class MalformedTable(ColumnError):
    """The input cannot be read."""


class NothingToResume(ColumnError):
    """There is no journal to go on from."""


class JournalExists(ColumnError):
    """An earlier run left a journal: resume it, or restart."""


class JournalMismatch(ColumnError):
    """The journal is of another input, or of other options."""


class InputChanged(ColumnError):
    """The input was changed while it was read: restart."""


class JournalDamaged(ColumnError):
    """The journal cannot be read: restart."""


class Busy(ColumnError):
    """Another run works on the same output."""


class CannotWrite(ColumnError):
    """A file beside the output, or the output, cannot be written. What was done is kept."""


class Interrupted(ColumnError):
    """The run was asked to stop. What was done is kept."""


class CellFailed(ColumnError):
    """One cell could not be done, and the run was told to stop at the first."""

    def __init__(self, *, row: int, column: str, code: str) -> None:
        super().__init__(f"row {row:,}, column {column}: {code}")
        self.row = row
        """Counted from 1, a CSV file's header left out."""
        self.column = column
        self.code = code
        """The service's error, or one of `kmsq.column.cells`."""
