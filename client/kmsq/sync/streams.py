"""Streams for code that blocks: see `kmsq.operations.streams`, whose methods these are, as plain generators."""

from collections.abc import Generator, Iterable
from typing import Any, Literal, Unpack, overload

from kmsq.operations.contexts import Context, ContextOf
from kmsq.operations.flow import PaceOptions, Value
from kmsq.operations.jobs import Job, decrypt_job, encrypt_job, generate_mac_job, re_encrypt_job
from kmsq.operations.outcomes import Errors, ItemFailure
from kmsq_schemas.models import MacAlgorithm


class BlockingStreams:
    """What the streams stand on."""

    def _stream(
        self, job: Job[Any], values: Iterable[Value], errors: Errors, options: PaceOptions
    ) -> Generator[Any, None, None]:
        raise NotImplementedError


class Streams(BlockingStreams):
    """
    One operation on any number of values: see `kmsq.operations.streams.StreamOperations`.

    The values are read, and `context_of` is called, in the thread that takes the results. Leaving the loop early
    forgets what is under way once the generator is closed: at the end of `with contextlib.closing(stream)`, else when
    it is collected.
    """

    @overload
    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Iterable[Value],
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes, None, None]: ...

    @overload
    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Iterable[Value],
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes | ItemFailure, None, None]: ...

    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Iterable[Value],
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Encrypt plaintexts of 1 to 4,096 bytes under one symmetric key; yield their ciphertext blobs."""
        job = encrypt_job(key_id, context, context_of, grant_tokens)
        return self._stream(job, plaintexts, errors, options)

    @overload
    def decrypt_many(
        self,
        blobs: Iterable[Value],
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes, None, None]: ...

    @overload
    def decrypt_many(
        self,
        blobs: Iterable[Value],
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes | ItemFailure, None, None]: ...

    def decrypt_many(
        self,
        blobs: Iterable[Value],
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Decrypt blobs, which may be of many keys; with `key_id`, only those of that key. Yield their plaintexts."""
        job = decrypt_job(key_id, context, context_of, grant_tokens)
        return self._stream(job, blobs, errors, options)

    @overload
    def re_encrypt_many(
        self,
        blobs: Iterable[Value],
        destination_key_id: str,
        *,
        source_key_id: str | None = None,
        source_context: Context | None = None,
        source_context_of: ContextOf | None = None,
        destination_context: Context | None = None,
        destination_context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes, None, None]: ...

    @overload
    def re_encrypt_many(
        self,
        blobs: Iterable[Value],
        destination_key_id: str,
        *,
        source_key_id: str | None = None,
        source_context: Context | None = None,
        source_context_of: ContextOf | None = None,
        destination_context: Context | None = None,
        destination_context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes | ItemFailure, None, None]: ...

    def re_encrypt_many(
        self,
        blobs: Iterable[Value],
        destination_key_id: str,
        *,
        source_key_id: str | None = None,
        source_context: Context | None = None,
        source_context_of: ContextOf | None = None,
        destination_context: Context | None = None,
        destination_context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Decrypt blobs inside the worker and encrypt them again under one key; yield the new blobs."""
        source, destination = (source_context, source_context_of), (destination_context, destination_context_of)
        job = re_encrypt_job(destination_key_id, source_key_id, source, destination, grant_tokens)
        return self._stream(job, blobs, errors, options)

    @overload
    def generate_mac_many(
        self,
        key_id: str,
        messages: Iterable[Value],
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes, None, None]: ...

    @overload
    def generate_mac_many(
        self,
        key_id: str,
        messages: Iterable[Value],
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes | ItemFailure, None, None]: ...

    def generate_mac_many(
        self,
        key_id: str,
        messages: Iterable[Value],
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Make the codes of messages of 1 to 4,096 bytes; yield them."""
        return self._stream(generate_mac_job(key_id, mac_algorithm, grant_tokens), messages, errors, options)
