"""The rest of one file behind the beginning of another, by the kernel where it can."""

import errno
import os
from collections.abc import Iterator
from io import FileIO

from kmsq.envelope.header import Source, fill
from kmsq.envelope.streams import Target, write_all

PIECE_BYTES = 192 * 1024  # as a step of kmsq.envelope.streams, and for its reasons
KERNEL_PIECE_BYTES = 64 * 1024 * 1024  # short enough for progress to move and Ctrl-C to be heard

# What copy_file_range(2) answers for files that it does not copy between.
_CANNOT = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM})


def copy_steps(source: Source, target: Target) -> Iterator[int]:
    """
    Copy what remains of `source` to where `target` stands, and yield how many bytes each step took.

    Between files the kernel copies; on file systems that can, the copy shares the original's blocks.
    """
    if isinstance(source, FileIO) and isinstance(target, FileIO):
        yield from _in_kernel(source, target)
    buffer = memoryview(bytearray(PIECE_BYTES))
    while size := fill(source, buffer):
        write_all(target, buffer[:size])
        yield size


def _in_kernel(source: FileIO, target: FileIO) -> Iterator[int]:
    """Copy as far as the kernel does it; both files stand where it ended."""
    try:
        while size := os.copy_file_range(source.fileno(), target.fileno(), KERNEL_PIECE_BYTES):
            yield size
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
