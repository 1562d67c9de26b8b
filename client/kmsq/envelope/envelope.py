"""Envelope encryption: messages of any size, encrypted here under data keys that the service wraps."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import TypeVar

from kmsq.envelope.cache import DataKeyCache, WrappedDataKey
from kmsq.envelope.chunks import ChunkOpener, ChunkSealer
from kmsq.envelope.context import encode_context
from kmsq.envelope.header import EnvelopeHeader, Source, inspect
from kmsq.envelope.kms import DataKeys
from kmsq.envelope.message import begin_opening, begin_sealing
from kmsq.envelope.secret import DataKey
from kmsq.envelope.streams import Target, open_bytes, open_steps, seal_bytes, seal_steps
from kmsq.errors import InvalidEnvelope, InvalidRequest
from kmsq_schemas.models import DataKeySpec

INLINE_MAX_BYTES = 256 * 1024  # takes about 50 µs, which is what a thread would cost
STEPS_PER_HOP = 20  # 4 MiB for each hop into a thread: about 2 ms of work

T = TypeVar("T")


class Envelope:
    """
    Encrypts under data keys of one key, named by key id, key ARN, alias name or alias ARN; decrypts every envelope,
    for which no `key_id` is needed.

        envelope = Envelope(client, "alias/orders")
        sealed = await envelope.encrypt(b"any length", context={"order": "17"})
        plain = await envelope.decrypt(sealed)

    Every message takes a request to the service, GenerateDataKey or Decrypt, unless a `cache` has the key. The data
    never leave this process. The encryption `context` is not secret: it stands in the envelope, and in the service's
    audit log.
    """

    def __init__(self, kms: DataKeys, key_id: str | None = None, *, cache: DataKeyCache | None = None) -> None:
        self._kms = kms
        self._key_id = key_id
        self._cache = cache

    async def encrypt(self, plaintext: bytes, *, context: Mapping[str, str] | None = None) -> bytes:
        """Return the envelope of `plaintext`. Raises `KmsqError`."""
        header, sealer = await self._begin(context or {}, len(plaintext))
        return await _run(len(plaintext), lambda: seal_bytes(header, sealer, plaintext))

    async def decrypt(
        self, sealed: bytes, *, context: Mapping[str, str] | None = None, key_id: str | None = None
    ) -> bytes:
        """
        Return what is in an envelope. The envelope itself says which key and context it needs.

        Give `context` to insist on that, and no pair more; `key_id` to insist on the key that wraps the data key.

        Raises `InvalidEnvelope` for anything that `encrypt` did not make, and what Decrypt is answered with.
        """
        source = BytesIO(sealed)
        opener = await self.begin_opening(inspect(source), context=context, key_id=key_id)
        chunks = memoryview(sealed)[source.tell() :]
        return await _run(len(chunks), lambda: open_bytes(opener, chunks))

    async def encrypt_stream(self, source: Source, target: Target, *, context: Mapping[str, str] | None = None) -> int:
        """
        Encrypt what `source` holds into `target`, binary files both, in less than 1 MiB of memory; return the plaintext's length.

        Files and cipher work in a thread. A cancelled call waits for the read or write that is under way. The message
        has a data key of its own, even with a cache: how long it gets is not known. Raises `KmsqError`, and what the
        files raise.
        """
        header, sealer = await self.begin_sealing(context=context)
        return await _run_steps(seal_steps(header, sealer, source, target))

    async def decrypt_stream(
        self,
        source: Source,
        target: Target,
        *,
        context: Mapping[str, str] | None = None,
        key_id: str | None = None,
    ) -> int:
        """
        Decrypt what `encrypt_stream` or `encrypt` made; return the plaintext's length. See `decrypt`, `encrypt_stream`.

        Only authentic bytes are written, but that none are missing at the end is known when this has returned: **if it
        raises, throw away what was written.**
        """
        header = await _finish(lambda: inspect(source))
        opener = await self.begin_opening(header, context=context, key_id=key_id)
        return await _run_steps(open_steps(opener, source, target))

    async def begin_sealing(self, *, context: Mapping[str, str] | None = None) -> tuple[EnvelopeHeader, ChunkSealer]:
        """
        Ask for a data key, and return header and cipher of one message, for `kmsq.envelope.streams.seal_steps`.

        For programs that encrypt on a thread of their own. Raises `KmsqError`.
        """
        return await self._begin(context or {}, None)

    async def begin_opening(
        self, header: EnvelopeHeader, *, context: Mapping[str, str] | None = None, key_id: str | None = None
    ) -> ChunkOpener:
        """
        Ask for the data key of `header`, and return its message's cipher, for `kmsq.envelope.streams.open_steps`.

        Raises as `decrypt` does, before anything of the message is decrypted.
        """
        if context is not None and encode_context(context) != header.encoded_context:
            raise InvalidEnvelope("the envelope's encryption context is not the expected one")
        return begin_opening(await self._data_key(header, key_id), header)

    async def _begin(
        self, context: Mapping[str, str], plaintext_bytes: int | None
    ) -> tuple[EnvelopeHeader, ChunkSealer]:
        # A copy, because the caller may change his while this waits: header and wrapped key must have the same.
        given, key_id = dict(context), self._key_id
        encoded = encode_context(given)
        if key_id is None:
            raise InvalidRequest("this Envelope has no key to encrypt under: give it a key_id")

        async def fetch() -> WrappedDataKey:
            reply = await self._kms.generate_data_key(
                key_id, encryption_context=given or None, key_spec=DataKeySpec.AES_256
            )
            return WrappedDataKey(DataKey(reply.plaintext), reply.ciphertext_blob)

        if self._cache is None or plaintext_bytes is None:
            key = await fetch()
        else:
            key = await self._cache.for_sealing((self._kms, key_id, encoded), plaintext_bytes, fetch)
        return begin_sealing(key.data_key, key.wrapped, encoded)

    async def _data_key(self, header: EnvelopeHeader, key_id: str | None) -> DataKey:
        async def fetch() -> DataKey:
            reply = await self._kms.decrypt(
                header.wrapped_key, encryption_context=header.context or None, key_id=key_id
            )
            return DataKey(reply.plaintext)

        if self._cache is None:
            return await fetch()
        name = (self._kms, header.wrapped_key, header.encoded_context, key_id)
        return await self._cache.for_opening(name, fetch)


async def _run(size: int, work: Callable[[], T]) -> T:
    return work() if size <= INLINE_MAX_BYTES else await asyncio.to_thread(work)


async def _run_steps(steps: Iterator[int]) -> int:
    """Run all steps in threads, one after the other, and return their sum."""
    total = 0
    while done := await _finish(lambda: list(islice(steps, STEPS_PER_HOP))):
        total += sum(done)
    return total


async def _finish(work: Callable[[], T]) -> T:
    """Run `work` in a thread. When cancelled, wait for its end all the same: it uses the caller's files."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():  # who cancels once more, as `asyncio.run` does at its end, waits as well
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # asked for, so that asyncio does not report it as lost
        raise
