"""
The file provider: a root key in a text file that its owner alone can read.

The file has two lines, each ended by a newline: `kmsq-root-key v1` and the key's 32 bytes as 64 lower-case hex digits.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final

from kmsq_worker.rootkey.errors import RootKeyError
from kmsq_worker.rootkey.memory import ROOT_KEY_BYTES, MemoryRootKey
from kmsq_worker.secret import Secret

FILE_HEADER: Final = b"kmsq-root-key v1"
FILE_MODE: Final = 0o400
_CONTENT: Final = re.compile(re.escape(FILE_HEADER) + rb"\n([0-9a-f]{64})\n?")
_READ_BYTES: Final = 4096  # far more than a root key file has: what is longer is refused, not read


class FileRootKey(MemoryRootKey):
    """A root key that came from a file."""

    __slots__ = ()


def create_root_key_file(path: Path) -> str:
    """
    Write a new root key to `path`, mode 0400, durable when this returns. Returns the root key's id.

    Raises `RootKeyError` if anything is at `path` already, a dangling link included, or it cannot be written.
    """
    key = Secret.random(ROOT_KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError as error:
        message = f"{path} exists and is not overwritten: a lost root key loses every key under it. Choose another path"
        raise RootKeyError(message) from error
    except OSError as error:
        message = f"{path} cannot be created: {error.strerror}"
        raise RootKeyError(message) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)  # a umask may have taken even the owner's right to read
            file.write(FILE_HEADER + b"\n" + key.reveal().hex().encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        _sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)  # ours: O_EXCL made it
        message = f"{path} cannot be written: {error.strerror}"
        raise RootKeyError(message) from error
    return FileRootKey(key).id


def load_root_key_file(path: Path) -> FileRootKey:
    """
    Read the root key at `path`.

    Raises `RootKeyError` for a file that is not regular, that group or others can read, write or execute, that belongs
    to neither root nor this process's user, or that is malformed. The message says what to do.
    """
    try:
        # Links are followed on purpose: Kubernetes mounts secrets as links, and who can replace a link can replace the
        # file as well, so refusing links guards nothing. What counts is checked on the open descriptor, so that the
        # file that was checked is the file that is read. O_NONBLOCK: opening a FIFO must not hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        message = (
            f"root key file {path} cannot be opened: {error.strerror}. Create one: kmsq-worker root-key create {path}"
        )
        raise RootKeyError(message) from error
    try:
        _check_status(path, os.fstat(descriptor))
        content = os.read(descriptor, _READ_BYTES)
    except OSError as error:
        message = f"root key file {path} cannot be read: {error.strerror}"
        raise RootKeyError(message) from error
    finally:
        os.close(descriptor)
    return FileRootKey(_parse(path, content))


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        message = f"root key {path} is not a regular file: name the file itself"
        raise RootKeyError(message)
    if status.st_uid not in (0, os.geteuid()):
        message = f"root key file {path} belongs to user {status.st_uid}: run chown {os.geteuid()} {path}"
        raise RootKeyError(message)
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        message = f"root key file {path} has mode {mode:04o}, so others than its owner can use it: run chmod 400 {path}"
        raise RootKeyError(message)


def _parse(path: Path, content: bytes) -> Secret:
    match = _CONTENT.fullmatch(content)
    if match is None:
        message = (
            f"root key file {path} is malformed: it needs the line '{FILE_HEADER.decode()}' and a line of "
            f"{2 * ROOT_KEY_BYTES} lower-case hex digits. Restore it from its backup"
        )
        raise RootKeyError(message)
    return Secret(bytes.fromhex(match[1].decode()))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
