"""
Output that is there whole, or not at all: a private temporary file beside its place, renamed when all is written.

What a killed process leaves behind is called `.kmsq-….partial`.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import cast

from kmsq.cli.files import PRIVATE, STANDARD
from kmsq.cli.session import Failure
from kmsq.envelope.header import Source
from kmsq.envelope.streams import Target

PERMISSIONS = 0o777  # without set-user-id and the like


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
def open_target(path: str, *, permissions: int = PRIVATE, replace: bool) -> Iterator[Target]:
    """
    Open what becomes the file `path` when the block ends, or standard output for `-`.

    An error in the block, Ctrl-C included, leaves nothing behind. An existing file is overwritten only with `replace`,
    and only if it is a regular one. Raises `Failure`.
    """
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    place = Path(os.path.realpath(path)) if replace else Path(path)
    refuse_overwriting(place, replace=replace)
    with _failing(path):
        descriptor, temporary = tempfile.mkstemp(prefix=".kmsq-", suffix=".partial", dir=place.parent)
    try:
        with FileIO(descriptor, "wb") as file:
            yield file
            with _failing(path):
                os.fchmod(descriptor, permissions)
                os.fsync(descriptor)
        with _failing(path):
            _move(Path(temporary), place, replace=replace)
            _sync_folder(place.parent)
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
        if STANDARD not in (source, target) and Path(source).samefile(target):
            message = f"{target} is the input itself"
            raise Failure(message, hint="Give another name with --out.")


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _failing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise Failure(message) from error
