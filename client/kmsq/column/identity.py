"""Whether a file is the one that was there before, and open to the same people."""

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

ENDS_BYTES: Final = 64 * 1024  # of the input's first and last bytes, which have a CSV's header and a Parquet's footer


def input_facts(path: Path) -> dict[str, object]:
    """Return what tells an input from another, without reading all of it."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = sha256(file.read(ENDS_BYTES))
        file.seek(max(0, status.st_size - ENDS_BYTES))
        digest.update(file.read(ENDS_BYTES))
    return {
        "path": str(path.absolute()),
        "size": status.st_size,
        "time of change": status.st_mtime_ns,
        "content": digest.hexdigest(),
    }


def file_identity(path: Path) -> tuple[int, int, int] | None:
    """Return inode, bytes and time of the last change (ns), which a rename leaves; None if there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def permit_as(file: int, replaced: Path) -> None:
    """Give an open file the owner and permissions of the one that it is about to replace, if there is one."""
    try:
        old = replaced.stat()
    except FileNotFoundError:
        return
    mode = old.st_mode & (stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    with suppress(PermissionError):
        os.fchown(file, old.st_uid, -1)
    try:
        os.fchown(file, -1, old.st_gid)
    except PermissionError:  # the bits of that group would be another's
        mode &= ~stat.S_IRWXG
    os.fchmod(file, mode)
