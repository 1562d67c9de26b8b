"""Raw bytes in and out: files, pipes, and what does not belong on a terminal."""

import os
import sys
from pathlib import Path

from kmsq.cli.session import Failure

STANDARD = "-"
PRIVATE = 0o600


def on_terminal() -> bool:
    """Whether standard output is read by a person."""
    return sys.stdout.isatty()


def read_bytes(path: str) -> bytes:
    """Read a file, or standard input for `-`. Raises `Failure`."""
    try:
        return sys.stdin.buffer.read() if path == STANDARD else Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise Failure(message) from error


def refuse_terminal(path: str, what: str) -> None:
    """Raise `Failure` if `path` is `-` and standard output is a terminal, which bytes would garble."""
    if path == STANDARD and on_terminal():
        message = f"{what} would be printed on the terminal"
        raise Failure(message, hint="Use --out FILE, or a pipe.")


def write_bytes(path: str, data: bytes) -> None:
    """Write a file, which only its owner can read if it is new, or to standard output for `-`. Raises `Failure`."""
    if path == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    _write(path, data, os.O_TRUNC)


def write_new_private(path: str, data: bytes) -> None:
    """Write a file that must not exist yet and that only its owner can read. Raises `Failure`."""
    _write(path, data, os.O_EXCL)


def refuse_existing(path: str) -> None:
    """Raise `Failure` if `path` exists: what would be overwritten may be the only copy of a key."""
    if Path(path).exists():
        message = f"{path} exists"
        raise Failure(message, hint="It is not overwritten: it may hold the only copy of a key.")


def _write(path: str, data: bytes, flag: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, PRIVATE), "wb") as file:
            file.write(data)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise Failure(message) from error
