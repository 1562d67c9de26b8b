"""A file that grows by parts, each of which can be told from half of one."""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from kmsq.column.journal import Length

PRIVATE: Final = 0o600
BLOCK_BYTES: Final = 1024 * 1024


class Spool:
    """Parts, one after the other, in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        """Bytes of the parts that count; the file may have more until `cut`."""

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def intact(self, parts: Sequence[Length]) -> int:
        """Return how many of `parts`, from the first, are in the file as they were written."""
        start = 0
        for count, part in enumerate(parts):
            if part.bytes > start and self._digest(start, part.bytes) != part.sha256:
                return count
            start = part.bytes
        return len(parts)

    def cut(self) -> None:
        """Forget what comes after the parts that count; without any, the file."""
        if not self.length:
            self.remove()
            return
        with self.path.open("r+b") as file:
            file.truncate(self.length)
            os.fsync(file.fileno())

    def create(self) -> None:
        """Make the file, which must not be there: somebody else's would be read by others than its owner."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))

    def append(self, data: bytes) -> Length:
        """Add a part, and return when it is on disk."""
        if data:
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW), "wb") as file:
                file.seek(self.length)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.length += len(data)
        return Length(self.length, sha256(data).hexdigest())

    def remove(self) -> None:
        """Remove the file if it is there."""
        self.path.unlink(missing_ok=True)

    def _digest(self, start: int, end: int) -> str | None:
        """Return the digest of a range of the file; None if it is shorter."""
        digest, left = sha256(), end - start
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                while left and (block := file.read(min(left, BLOCK_BYTES))):
                    digest.update(block)
                    left -= len(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest() if not left else None
