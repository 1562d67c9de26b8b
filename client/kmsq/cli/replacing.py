"""
Output that is there whole, or not at all: a private temporary file beside its place, renamed when all is written.

What a process leaves behind that was killed with SIGKILL is called `.kmsq-….partial`.
"""

import os
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NoReturn, TextIO, cast

from kmsq.cli.files import PRIVATE, STANDARD
from kmsq.cli.session import Failure
from kmsq.envelope.header import Source
from kmsq.envelope.streams import Target

PERMISSIONS = 0o777  # without set-user-id and the like
SIGNALED = 128  # plus the signal's number: what a shell says of a program that a signal ended


@dataclass(frozen=True, slots=True)
class Input:
    """What is read."""

    file: Source
    status: os.stat_result | None
    """None for standard input, which may be anything."""

    @property
    def size(self) -> int | None:
        """Its length in bytes, where that is known."""
        return self.status.st_size if self.status is not None and stat.S_ISREG(self.status.st_mode) else None

    @property
    def permissions(self) -> int:
        """Who may read what is made of it: whoever may read it, if it is a file."""
        if self.status is None or not stat.S_ISREG(self.status.st_mode):
            return PRIVATE
        return stat.S_IMODE(self.status.st_mode) & PERMISSIONS


@contextmanager
def open_source(path: str) -> Iterator[Input]:
    """Open a file, or standard input for `-`. Raises `Failure`."""
    if path == STANDARD:
        # A binary file has `readinto`, which `typing.BinaryIO` does not know.
        yield Input(cast("Source", sys.stdin.buffer), None)
        return
    try:
        file = FileIO(path, "rb")
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise Failure(message) from error
    with file:
        yield Input(file, os.fstat(file.fileno()))


@contextmanager
def open_target(
    path: str, *, permissions: int = PRIVATE, instead_of: Input | None = None, replace: bool
) -> Iterator[Target]:
    """
    Open what becomes the file `path` when the block ends, or standard output for `-`.

    An error in the block leaves nothing behind, nor do Ctrl-C, SIGTERM and SIGHUP. An existing file is overwritten only
    with `replace`, and only if it is a regular one. The new file gets the user and group of `instead_of`, as far as this
    process may give them, and comes into its place only if that was not changed meanwhile. Raises `Failure`.
    """
    if path == STANDARD:
        yield sys.stdout.buffer
        with _failing(path):
            sys.stdout.buffer.flush()
        return
    place = Path(os.path.realpath(path)) if replace else Path(path)
    refuse_overwriting(place, replace=replace)
    with _ending_in_order(), _folder(path, place.parent) as folder:
        with _failing(path):
            descriptor, temporary = tempfile.mkstemp(prefix=".kmsq-", suffix=".partial", dir=place.parent)
        try:
            with FileIO(descriptor, "wb") as file:
                yield file
                with _failing(path):
                    _give(descriptor, instead_of, permissions)
                    os.fsync(descriptor)
            if instead_of is not None:
                refuse_changed(path, instead_of)  # after the sync, which may take seconds
            with _failing(path):
                _move(Path(temporary), place, replace=replace)
                os.fsync(folder)
        finally:
            Path(temporary).unlink(missing_ok=True)


def refuse_overwriting(path: Path, *, replace: bool = False) -> None:
    """Raise `Failure` if `path` exists, or with `replace`, if it is something else than a file: a device, a folder."""
    if not os.path.lexists(path):
        return
    if not replace:
        message = f"{path} exists"
        raise Failure(message, hint="Give another name with --out, or --force to overwrite it.")
    if not path.is_file():
        message = f"{path} is not a file that could be overwritten"
        raise Failure(message, hint="Use --out - and send standard output there.")


def refuse_itself(source: str, target: str) -> None:
    """Raise `Failure` if the two are one file: what it holds would be lost with the first mistake."""
    with suppress(OSError):
        read, written = _status(source, sys.stdin), _status(target, sys.stdout)
        # A terminal may be both.
        if stat.S_ISREG(read.st_mode) and os.path.samestat(read, written):
            message = f"{'standard output' if target == STANDARD else target} is the input itself"
            raise Failure(message, hint="Give another name with --out.")


def refuse_changed(path: str, given: Input) -> None:
    """Raise `Failure` if `path` is not what it was when it was opened: to replace it would undo another's work."""
    with suppress(FileNotFoundError):
        if given.status is None or _version(Path(path).stat()) == _version(given.status):
            return
    message = f"{path} has changed meanwhile"
    raise Failure(message, hint="It was left as it is now. Try again.")


def _status(path: str, stream: TextIO) -> os.stat_result:
    return os.fstat(stream.fileno()) if path == STANDARD else Path(path).stat()


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an error does, where they would have killed the process."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(SIGNALED + number)

    changed = []
    try:
        if threading.current_thread() is threading.main_thread():  # Python has signals in no other
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
                    changed.append(number)
                    signal.signal(number, end)
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _folder(path: str, folder: Path) -> Iterator[int]:
    """Open the folder of `path`: before the work, so that what cannot be synced at its end is refused now."""
    with _failing(path):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _give(descriptor: int, instead_of: Input | None, permissions: int) -> None:
    if instead_of is not None and instead_of.status is not None:
        with suppress(PermissionError):
            os.fchown(descriptor, instead_of.status.st_uid, instead_of.status.st_gid)
    os.fchmod(descriptor, permissions)


def _move(temporary: Path, place: Path, *, replace: bool) -> None:
    if not replace:
        try:
            place.hardlink_to(temporary)  # unlike a rename, it refuses a file that has come into being meanwhile
        except FileExistsError:
            raise
        except OSError:  # no hard links on this file system
            refuse_overwriting(place)
        else:
            return
    temporary.replace(place)


@contextmanager
def _failing(path: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # click's business: whoever read has had enough
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise Failure(message) from error
