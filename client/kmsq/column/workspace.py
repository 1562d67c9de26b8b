"""
The files of a run beside its output, and the order in which they change.

A part: spool and quarantine reach the disk, then the journal's line. The end: the finished file reaches the disk, then the
journal says which file it is, then it takes the output's name, then the rest is removed, the journal last. After a crash
between any two of these, `open_workspace` finds out how far it came.
"""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from kmsq.column.errors import Busy, CannotWrite, JournalDamaged, JournalExists, NothingToResume
from kmsq.column.identity import file_identity, permit_as
from kmsq.column.journal import NO_PART, Header, Journal, Part, Tally, header_line, part_line, read_journal, ready_line
from kmsq.column.spool import PRIVATE, Spool
from kmsq.column.table import Rows, Table


class Start(StrEnum):
    """What to do about what an earlier run left."""

    NEW = "new"
    """There must be no finished part."""
    RESUME = "resume"
    RESTART = "restart"
    """Throw it away."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a run writes."""

    target: Path

    def beside(self, kind: str) -> Path:
        """Return the hidden file of a kind."""
        return self.target.with_name(f".{self.target.name}.kmsq-{kind}")

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.beside("journal")

    @property
    def quarantine(self) -> Path:
        """Where rows go that could not be done."""
        return self.target.with_name(f"{self.target.stem}.quarantine{self.target.suffix}")


class Workspace:
    """The files of one run; `with` holds the lock on them. All methods block."""

    def __init__(self, paths: Paths, journal_file: int, journal: Journal) -> None:
        """Use `open_workspace`."""
        self.paths = paths
        self._journal_file = journal_file
        self._journal = journal
        self._spool = Spool(paths.beside("part"))
        self._quarantine = Spool(paths.beside("quarantine"))
        self._number = 0
        self.position = 0
        """Of the input, where to go on."""
        self.tally = Tally()
        """Of what is done."""
        self._go_on_after(journal.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._journal_file)

    @property
    def is_written(self) -> bool:
        """Whether the output has its name already, so that the input is not needed any more."""
        return file_identity(self.paths.target) in self._journal.ready

    @property
    def is_empty(self) -> bool:
        """Whether no part is done."""
        return self._number == 0

    @property
    def has_quarantine(self) -> bool:
        """Whether rows were taken out."""
        return self._quarantine.length > 0

    def begin(self, header: Header) -> None:
        """Go on after the last part that is whole, or start. Raises `JournalMismatch` for the journal of another run."""
        parts = self._journal.parts
        if parts and self._journal.header is not None:  # without a part nothing holds the run to what another was told
            self._journal.header.require(header)
        kept = min(
            self._spool.intact([part.spool for part in parts]),
            self._quarantine.intact([part.quarantine for part in parts]),
        )
        self._go_on_after(parts[:kept])
        self._spool.cut()
        self._quarantine.cut()
        if not self._spool.length:
            self._spool.create()
        if parts:
            os.ftruncate(self._journal_file, self._journal.ends[kept])
        else:
            os.ftruncate(self._journal_file, 0)
            self._write(header_line(header))
        self._sync_folder()

    def commit(self, position: int, rows: Rows, quarantined: Rows | None, tally: Tally) -> None:
        """Keep a part: `rows` for the output, and what was taken out of them."""
        spool = self._spool.append(rows.encode(first=self.is_empty))
        first = self._quarantine.length == 0
        if quarantined is not None and first:
            self._quarantine.create()
        quarantine = self._quarantine.append(b"" if quarantined is None else quarantined.encode(first=first))
        self.position, self.tally = position, self.tally + tally
        self._write(part_line(Part(self._number, position, spool, quarantine, self.tally)))
        self._number += 1

    def finish(self, table: Table, *, replace: bool) -> None:
        """
        Give the finished files their names, and remove the rest. Goes on where an earlier run stopped.

        Raises `CannotWrite` if there is another file of that name: the output's may be told to `replace` it, the
        quarantine's never, because what an earlier run took out of a table in place is nowhere else.
        """
        if not self.is_written:
            self._publish(table, self._spool, self.paths.target, replace=replace)
        if self.has_quarantine and self._quarantine.exists():
            self._publish(table, self._quarantine, self.paths.quarantine, replace=False)
        self.remove()

    def remove(self) -> None:
        """Remove everything but the output."""
        for spool in (self._spool, self._quarantine, Spool(self.paths.beside("new"))):
            spool.remove()
        self._sync_folder()
        self.paths.journal.unlink(missing_ok=True)

    def _publish(self, table: Table, spool: Spool, target: Path, *, replace: bool) -> None:
        finished = spool.path
        if not table.spool_is_output:
            new = Spool(self.paths.beside("new"))
            new.remove()
            new.create()
            table.finish(spool.path, new.path)
            finished = new.path
        with finished.open("r+b") as file:
            permit_as(file.fileno(), target)
            os.fsync(file.fileno())
        if not (replace or file_identity(target) in (None, *self._journal.ready)):
            message = f"there is a file {target} now, which is not overwritten: move it away"
            raise CannotWrite(message)
        self._write(ready_line(file_identity(finished) or ()))
        finished.replace(target)
        self._sync_folder()

    def _go_on_after(self, parts: Sequence[Part]) -> None:
        last = parts[-1] if parts else NO_PART
        self._number, self.position, self.tally = len(parts), last.position, last.tally
        self._spool.length, self._quarantine.length = last.spool.bytes, last.quarantine.bytes

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:  # a disk that is nearly full takes a piece, and refuses the rest only when it is asked again
            left = left[os.write(self._journal_file, left) :]
        os.fsync(self._journal_file)

    def _sync_folder(self) -> None:
        folder = os.open(self.paths.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def open_workspace(paths: Paths, start: Start) -> Workspace:
    """Lock the journal and read it. Raises `ColumnError` for one that must not be there, is not there, or is in use."""
    file = _open_journal(paths, start)
    try:
        return Workspace(paths, file, _journal_in(file, paths, start))
    except BaseException:
        os.close(file)
        raise


def is_begun(paths: Paths) -> bool:
    """Whether a run left a finished part, so that there is something to go on from."""
    try:
        return bool(read_journal(paths.journal.read_bytes()).parts)
    except (OSError, JournalDamaged):
        return False


def _open_journal(paths: Paths, start: Start) -> int:
    flags = 0 if start is Start.RESUME else os.O_CREAT
    try:
        file = os.open(paths.journal, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | flags, PRIVATE)
    except OSError as error:
        if start is Start.RESUME and isinstance(error, FileNotFoundError):
            message = f"there is nothing to resume: no {paths.journal}"
            raise NothingToResume(message) from error
        message = f"cannot write {paths.journal}: {error.strerror}"
        raise CannotWrite(message) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        in_use = os.fstat(file).st_nlink == 0  # the run that had it has just finished
    except BlockingIOError:
        in_use = True
    if in_use:
        os.close(file)
        message = f"another run is writing {paths.target}"
        raise Busy(message)
    return file


def _journal_in(file: int, paths: Paths, start: Start) -> Journal:
    data = b"".join(_blocks(file))
    if start is not Start.RESUME:
        _require_nothing_done(data, paths, start)
    if start is Start.RESTART:
        data = b""
    os.ftruncate(file, data.rfind(b"\n") + 1)  # nothing may follow a line that is torn
    return read_journal(data)


def _require_nothing_done(data: bytes, paths: Paths, start: Start) -> None:
    """Raise `JournalExists` for what must not be thrown away, or not without being told."""
    try:
        journal = read_journal(data)
    except JournalDamaged:
        if start is Start.RESTART:
            return
        raise
    if file_identity(paths.target) in journal.ready:  # in place it is the input, which would be done twice
        message = f"an earlier run finished {paths.target}, and what it left is to be removed: --resume does so"
        raise JournalExists(message)
    if start is Start.NEW and journal.parts:
        message = f"an earlier run left {paths.journal}: --resume goes on from it, --restart begins anew"
        raise JournalExists(message)


def _blocks(file: int) -> Sequence[bytes]:
    blocks = []
    while block := os.read(file, 1024 * 1024):
        blocks.append(block)
    return blocks
