"""Streams of data keys for code that blocks."""

from collections.abc import Callable, Generator
from typing import Any, Literal, Unpack, overload

from kmsq.operations.contexts import Context
from kmsq.operations.flow import PaceOptions
from kmsq.operations.jobs import DataKeyKind, GeneratedDataKey, data_key_job, places, wrapped_data_key_job
from kmsq.operations.outcomes import Errors, ItemFailure
from kmsq.sync.streams import BlockingStreams
from kmsq_schemas.models import DataKeySpec


class DataKeyStreams(BlockingStreams):
    """Any number of data keys: see `kmsq.operations.data_key_streams.DataKeyStreamOperations`."""

    @overload
    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[GeneratedDataKey, None, None]: ...

    @overload
    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[GeneratedDataKey | ItemFailure, None, None]: ...

    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Make `count` data keys, of `key_spec` or of 1 to 1,024 bytes each; yield them in plaintext and wrapped."""
        kind = DataKeyKind(key_id, key_spec, number_of_bytes, grant_tokens)
        return self._stream(data_key_job(kind, context, context_of), places(count), errors, options)

    @overload
    def generate_data_keys_without_plaintext(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["raise"] = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes, None, None]: ...

    @overload
    def generate_data_keys_without_plaintext(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Literal["yield"],
        **options: Unpack[PaceOptions],
    ) -> Generator[bytes | ItemFailure, None, None]: ...

    def generate_data_keys_without_plaintext(
        self,
        key_id: str,
        count: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        context: Context | None = None,
        context_of: Callable[[int], Context | None] | None = None,
        grant_tokens: list[str] | None = None,
        errors: Errors = "raise",
        **options: Unpack[PaceOptions],
    ) -> Generator[Any, None, None]:
        """Make `count` data keys for later; yield only their wrapped forms."""
        kind = DataKeyKind(key_id, key_spec, number_of_bytes, grant_tokens)
        return self._stream(wrapped_data_key_job(kind, context, context_of), places(count), errors, options)
