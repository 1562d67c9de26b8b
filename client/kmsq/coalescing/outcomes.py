"""What the reply to a batch, or its failure, means for the calls in it. Pure."""

from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Protocol, cast

from kmsq.coalescing.kinds import Kind
from kmsq.coalescing.member import Alone, Outcome
from kmsq.errors import (
    DeadlineExceeded,
    InvalidReply,
    KmsqError,
    NotConnected,
    RequestRefused,
    TopologyMissing,
    UnsupportedOperationException,
    UnsupportedVersionException,
    ValidationException,
    service_error,
)
from kmsq_schemas.models import Reply
from kmsq_schemas.models.batches import FailedItem
from kmsq_schemas.operations import SPECS, Operation

REFUSALS = (
    RequestRefused,
    TopologyMissing,
    UnsupportedOperationException,
    UnsupportedVersionException,
    ValidationException,
)
"""The broker or the service will not have the batch as such. The calls in it are valid, and may be allowed."""


class _BatchReply(Protocol):
    @property
    def failed(self) -> Sequence[FailedItem]: ...


def outcomes(kind: Kind, reply: Reply, *, count: int) -> Sequence[Outcome]:
    """
    Return the outcome of each of the `count` calls.

    Raises `InvalidReply` where the reply does not follow the contract: then nothing in it is believed.
    """
    results: Sequence[Reply | None] = ()
    if isinstance(reply, SPECS[kind.batch].reply):
        with suppress(ValueError):  # what is raised instead is raised outside: a validation error carries the reply
            results = kind.split(reply)
    if len(results) != count:
        raise _malformed(kind.operation)
    failed = {item.index: item for item in cast("_BatchReply", reply).failed}
    return [_outcome(kind.operation, result, failed.get(index)) for index, result in enumerate(results)]


def _outcome(operation: Operation, result: Reply | None, failure: FailedItem | None) -> Outcome:
    if failure is not None:
        error = service_error(failure.code, failure.message)
        # By itself it is repeated until its deadline, as any single call.
        return Alone.GO if error.is_retryable else error
    return _malformed(operation) if result is None else result


def _malformed(operation: Operation) -> InvalidReply:
    return InvalidReply(f"the reply to {operation.value} is malformed: its items do not fit the request")


def own_error(error: KmsqError, *, operation: Operation, sent_seconds: float, timeout_seconds: float) -> KmsqError:
    """
    Return the error that one caller gets when the message that it was in failed with `error`.

    Each caller has an exception of its own, because exceptions collect tracebacks and notes. Those that arose on this
    side speak of the message, which had `sent_seconds`; the caller asked for `operation` within `timeout_seconds`.
    """
    if isinstance(error, DeadlineExceeded | NotConnected | InvalidReply):
        text = str(error).replace(f"Batch{operation.value}", operation.value)
        return type(error)(text.replace(f"within {sent_seconds:g} s", f"within {timeout_seconds:g} s"))
    return copy(error)
