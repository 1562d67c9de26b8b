"""What each stream asks of its values: the request they travel in, and where the reply has their results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from kmsq.errors import InvalidCiphertextException, InvalidRequest, ServiceError, ValidationException
from kmsq.operations.contexts import Context, ContextOf, OwnContexts
from kmsq_schemas import limits
from kmsq_schemas.models import DataKeySpec, FailedItem, MacAlgorithm
from kmsq_schemas.operations import Operation

T = TypeVar("T")

Results: TypeAlias = tuple[Sequence[T | None], Sequence[FailedItem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[T]):
    """One operation on the values of a stream."""

    operation: Operation
    shared: Mapping[str, object] = field(repr=False)
    """The arguments of all its requests."""
    values_name: str | None
    """The request's field for the values. None: it takes their number alone, as `number_of_keys`."""
    unfit: Callable[[int], ServiceError]
    """What the service answers for a value of so many bytes, when they are too many."""
    results: Callable[[Any], Results[T]]
    """Takes the operation's reply."""
    own: tuple[OwnContexts, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedDataKey:
    """A data key, which its holder shall forget after use."""

    plaintext: bytes = field(repr=False)
    """The key itself. Its text never appears in a log through this object, which is not to be pickled either."""
    ciphertext_blob: bytes
    """The key, wrapped: `decrypt` has it back."""

    def __reduce__(self) -> NoReturn:
        """Refuse: pickles end up in files, caches and other processes."""
        raise TypeError("a data key cannot be pickled")


@dataclass(frozen=True, slots=True)
class DataKeyKind:
    """Which data keys are wanted."""

    key_id: str
    key_spec: DataKeySpec | str | None
    number_of_bytes: int | None
    grant_tokens: list[str] | None


def places(count: int) -> Iterable[bytes]:
    """Return what stands for `count` data keys where a stream reads values. Raises `InvalidRequest`."""
    if count < 0:
        message = f"count is {count}; it must be 0 or more"
        raise InvalidRequest(message)
    return repeat(b"", count)


def encrypt_job(
    key_id: str, context: Context | None, context_of: ContextOf | None, grant_tokens: list[str] | None
) -> Job[bytes]:
    """Encrypt under `key_id`."""
    return Job(
        operation=Operation.BATCH_ENCRYPT,
        shared=_kept({"key_id": key_id, "encryption_context": context, "grant_tokens": grant_tokens}),
        values_name="plaintexts",
        unfit=_wrong_length("Plaintext", limits.PLAINTEXT_MAX_BYTES),
        results=lambda reply: (reply.ciphertext_blobs, reply.failed),
        own=_own("encryption_contexts", context, context_of),
    )


def decrypt_job(
    key_id: str | None, context: Context | None, context_of: ContextOf | None, grant_tokens: list[str] | None
) -> Job[bytes]:
    """Decrypt; with `key_id`, only what is of that key."""
    return Job(
        operation=Operation.BATCH_DECRYPT,
        shared=_kept({"key_id": key_id, "encryption_context": context, "grant_tokens": grant_tokens}),
        values_name="ciphertext_blobs",
        unfit=_no_ciphertext,
        results=lambda reply: (reply.plaintexts, reply.failed),
        own=_own("encryption_contexts", context, context_of),
    )


def re_encrypt_job(
    destination_key_id: str,
    source_key_id: str | None,
    source: tuple[Context | None, ContextOf | None],
    destination: tuple[Context | None, ContextOf | None],
    grant_tokens: list[str] | None,
) -> Job[bytes]:
    """Decrypt in the worker, and encrypt again; `source` and `destination` are shared contexts and own ones."""
    return Job(
        operation=Operation.BATCH_RE_ENCRYPT,
        shared=_kept(
            {
                "destination_key_id": destination_key_id,
                "source_key_id": source_key_id,
                "source_encryption_context": source[0],
                "destination_encryption_context": destination[0],
                "grant_tokens": grant_tokens,
            }
        ),
        values_name="ciphertext_blobs",
        unfit=_no_ciphertext,
        results=lambda reply: (reply.ciphertext_blobs, reply.failed),
        own=_own("source_encryption_contexts", *source) + _own("destination_encryption_contexts", *destination),
    )


def generate_mac_job(key_id: str, mac_algorithm: MacAlgorithm | str, grant_tokens: list[str] | None) -> Job[bytes]:
    """Make codes."""
    return Job(
        operation=Operation.BATCH_GENERATE_MAC,
        shared=_kept({"key_id": key_id, "mac_algorithm": mac_algorithm, "grant_tokens": grant_tokens}),
        values_name="messages",
        unfit=_wrong_length("Message", limits.SIGNED_MESSAGE_MAX_BYTES),
        results=lambda reply: (reply.macs, reply.failed),
    )


def data_key_job(
    kind: DataKeyKind, context: Context | None, context_of: Callable[[int], Context | None] | None
) -> Job[GeneratedDataKey]:
    """Make data keys, in plaintext and wrapped."""
    return Job(
        operation=Operation.BATCH_GENERATE_DATA_KEY,
        shared=_kept(_data_key_arguments(kind, context)),
        values_name=None,
        unfit=_impossible,
        results=lambda reply: (_data_keys(reply.plaintexts, reply.ciphertext_blobs), reply.failed),
        own=_own("encryption_contexts", context, _of_index(context_of)),
    )


def wrapped_data_key_job(
    kind: DataKeyKind, context: Context | None, context_of: Callable[[int], Context | None] | None
) -> Job[bytes]:
    """Make data keys for later, wrapped only."""
    return Job(
        operation=Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        shared=_kept(_data_key_arguments(kind, context)),
        values_name=None,
        unfit=_impossible,
        results=lambda reply: (reply.ciphertext_blobs, reply.failed),
        own=_own("encryption_contexts", context, _of_index(context_of)),
    )


def _data_key_arguments(kind: DataKeyKind, context: Context | None) -> dict[str, object]:
    return {
        "key_id": kind.key_id,
        "key_spec": kind.key_spec,
        "number_of_bytes": kind.number_of_bytes,
        "encryption_context": context,
        "grant_tokens": kind.grant_tokens,
    }


def _kept(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return `arguments` as they are now, so that all messages say the same, whatever the caller does meanwhile."""
    return {name: _copied(value) for name, value in arguments.items()}


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list) else value


def _own(field_name: str, context: Context | None, context_of: ContextOf | None) -> tuple[OwnContexts, ...]:
    return () if context_of is None else (OwnContexts(field_name, context_of, context),)


def _of_index(context_of: Callable[[int], Context | None] | None) -> ContextOf | None:
    return None if context_of is None else lambda index, _value: context_of(index)


def _data_keys(plaintexts: Sequence[bytes | None], blobs: Sequence[bytes | None]) -> Sequence[GeneratedDataKey | None]:
    pairs = zip(plaintexts, blobs, strict=False)  # lists of different lengths are found out by the number of results
    return [None if one is None or blob is None else GeneratedDataKey(one, blob) for one, blob in pairs]


def _wrong_length(what: str, most: int) -> Callable[[int], ServiceError]:
    return lambda length: ValidationException(f"{what} has {length} bytes; 1 to {most} are allowed.")


def _no_ciphertext(_length: int) -> ServiceError:
    return InvalidCiphertextException()


def _impossible(_length: int) -> NoReturn:
    raise AssertionError("a data key is not made of a value")
