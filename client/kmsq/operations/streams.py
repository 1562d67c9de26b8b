"""
Streams: one operation on any number of values, in messages that are under way side by side.

Values are read as their messages leave, and messages leave as results are taken, so that memory is bounded.
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal, Unpack, overload

from kmsq.operations.base import Operations
from kmsq.operations.contexts import Context, ContextOf
from kmsq.operations.flow import PaceOptions, Values, stream
from kmsq.operations.jobs import (
    decrypt_job,
    encrypt_job,
    generate_mac_job,
    re_encrypt_job,
)
from kmsq.operations.outcomes import Errors, ItemFailure
from kmsq_schemas.models import MacAlgorithm


class StreamOperations(Operations):
    """
    One operation on any number of values: an iterable or async iterable of `bytes`, read as it is needed.

    Results come in the order of the values, each as soon as it and those before it are there. A value that fails raises
    its `ServiceError`, whose `index` says which it was, once all results before it are out; with `errors="yield"` an
    `ItemFailure` comes in its place, and the stream goes on. What fails a message as a whole is raised either way: no
    such key, no permission, no reply in time. With `context_of`, a permission is each value's own matter.

    `context` is bound to all values; what `context_of(index, value)` returns is added to it for one value, and may not
    repeat its keys. The options are those of `Pace`: `in_flight`, `items_per_message`, `timeout_seconds`.

    Leaving the loop early forgets what is under way once the stream is closed: at the end of
    `async with contextlib.aclosing(stream)`, else when the event loop finds it.
    """

    @overload
    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Values,
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes, None]: ...

    @overload
    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Values,
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes | ItemFailure, None]: ...

    def encrypt_many(
        self,
        key_id: str,
        plaintexts: Values,
        *,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[Any, None]:
        """Encrypt plaintexts of 1 to 4,096 bytes under one symmetric key; yield their ciphertext blobs."""
        job = encrypt_job(key_id, context, context_of, grant_tokens)
        return stream(self.call, job, plaintexts, errors, options)

    @overload
    def decrypt_many(
        self,
        blobs: Values,
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes, None]: ...

    @overload
    def decrypt_many(
        self,
        blobs: Values,
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes | ItemFailure, None]: ...

    def decrypt_many(
        self,
        blobs: Values,
        *,
        key_id: str | None = None,
        context: Context | None = None,
        context_of: ContextOf | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[Any, None]:
        """Decrypt blobs, which may be of many keys; with `key_id`, only those of that key. Yield their plaintexts."""
        job = decrypt_job(key_id, context, context_of, grant_tokens)
        return stream(self.call, job, blobs, errors, options)

    @overload
    def re_encrypt_many(
        self,
        blobs: Values,
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
    ) -> AsyncGenerator[bytes, None]: ...

    @overload
    def re_encrypt_many(
        self,
        blobs: Values,
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
    ) -> AsyncGenerator[bytes | ItemFailure, None]: ...

    def re_encrypt_many(
        self,
        blobs: Values,
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
    ) -> AsyncGenerator[Any, None]:
        """Decrypt blobs inside the worker and encrypt them again under one key; yield the new blobs."""
        source, destination = (source_context, source_context_of), (destination_context, destination_context_of)
        job = re_encrypt_job(destination_key_id, source_key_id, source, destination, grant_tokens)
        return stream(self.call, job, blobs, errors, options)

    @overload
    def generate_mac_many(
        self,
        key_id: str,
        messages: Values,
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes, None]: ...

    @overload
    def generate_mac_many(
        self,
        key_id: str,
        messages: Values,
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[bytes | ItemFailure, None]: ...

    def generate_mac_many(
        self,
        key_id: str,
        messages: Values,
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> AsyncGenerator[Any, None]:
        """Make the codes of messages of 1 to 4,096 bytes; yield them."""
        return stream(self.call, generate_mac_job(key_id, mac_algorithm, grant_tokens), messages, errors, options)
