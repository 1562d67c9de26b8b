"""
Whole messages through the chunk cipher: bytes at once, files in steps.

A step is 192 KiB: reading, encrypting and writing stay within the processor's cache. Plaintext is written 32 KiB at a
time: its writes are aligned, and the kernel (ext4, Linux 6.18) then looks for one piece of memory for each, which is slow
for long ones once its memory is full of files: 2 GiB decrypted at 400 MB/s with 192 KiB, 720 with 64, 990 with 32. A
quarter of the time is AES-GCM, the rest the kernel's copying. The memory is three steps, whatever the file's size.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from kmsq.envelope.chunks import (
    CHUNK_BYTES,
    SEALED_CHUNK_BYTES,
    ChunkOpener,
    ChunkSealer,
    plaintext_bytes,
    sealed_bytes,
)
from kmsq.envelope.header import EnvelopeHeader, Source, fill

STEP_CHUNKS: Final = 3
WRITE_BYTES: Final = 32_768  # of plaintext, at once


class Target(Protocol):
    """A binary file to write to: any of `io`, or like them. It must not keep the buffer that it is given."""

    def write(self, data: memoryview, /) -> int | None:
        """Write and return how much, as `io.RawIOBase.write` does."""


def seal_bytes(header: EnvelopeHeader, sealer: ChunkSealer, plaintext: bytes) -> bytes:
    """Return a whole envelope."""
    front = header.encode()
    sealed = bytearray(len(front) + sealed_bytes(len(plaintext)))
    sealed[: len(front)] = front
    sealer.seal_into(memoryview(plaintext), memoryview(sealed)[len(front) :], last=True)
    return bytes(sealed)


def open_bytes(opener: ChunkOpener, chunks: memoryview) -> bytes:
    """Return a whole message. Raises `InvalidEnvelope`."""
    plaintext = bytearray(plaintext_bytes(len(chunks)))
    opener.open_into(chunks, memoryview(plaintext), last=True)
    return bytes(plaintext)


def seal_steps(header: EnvelopeHeader, sealer: ChunkSealer, source: Source, target: Target) -> Iterator[int]:
    """
    Encrypt what `source` holds into `target`, header first; yield how many bytes of plaintext each step took.

    Nothing happens until it is iterated. Raises `EnvelopeLimitExceeded`, and what the files raise.
    """
    write_all(target, memoryview(header.encode()))
    room = memoryview(bytearray(STEP_CHUNKS * SEALED_CHUNK_BYTES))
    for block, last in _blocks(source, STEP_CHUNKS * CHUNK_BYTES):
        size = sealer.seal_into(block, room, last=last)
        write_all(target, room[:size])
        yield len(block)


def open_steps(opener: ChunkOpener, source: Source, target: Target) -> Iterator[int]:
    """
    Decrypt the chunks that `source` holds into `target`; yield how many bytes of plaintext each step made.

    Only what is authentic is written, but that it was all is known at the end alone: until then a beginning may have
    been written of something that was cut off. Raises `InvalidEnvelope`, and what the files raise.
    """
    room = memoryview(bytearray(STEP_CHUNKS * CHUNK_BYTES))
    for block, last in _blocks(source, STEP_CHUNKS * SEALED_CHUNK_BYTES):
        size = opener.open_into(block, room, last=last)
        for start in range(0, size, WRITE_BYTES):
            write_all(target, room[start : min(start + WRITE_BYTES, size)])
        yield size


def write_all(target: Target, data: memoryview) -> None:
    """Write all of `data`, however little the target takes at once."""
    written = 0
    while written < len(data):
        count = target.write(data[written:])
        if count is None:
            raise BlockingIOError("the target is in non-blocking mode and takes nothing at the moment")
        written += count


def _blocks(source: Source, size: int) -> Iterator[tuple[memoryview, bool]]:
    """Yield blocks of `size` bytes, and whether each is the last, which may be shorter: one step is read ahead."""
    current, following = (memoryview(bytearray(size)) for _ in range(2))
    filled = fill(source, current)
    while filled == size and (ahead := fill(source, following)) > 0:
        yield current, False
        current, following, filled = following, current, ahead
    yield current[:filled], True
