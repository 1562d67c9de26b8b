"""
Step 1: from bytes and properties to a validated request.

`identify` decides who asks and where an answer may go; it fails with `Refused`, for there is nobody to answer.
`parse` decides what is asked; it fails with a `KmsError` that travels to the proven principal.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kmsq_schemas import limits
from kmsq_schemas.codec import ContentType, MalformedBody, decode
from kmsq_schemas.message import (
    HEADER_DEADLINE,
    HEADER_TRACEPARENT,
    HEADER_VERSION,
    PROTOCOL_VERSION,
    RESERVED_HEADERS,
    SENDER_SELECTED_HEADERS,
    is_principal,
    parse_reply_to,
)
from kmsq_schemas.models import BatchRequest, Request
from kmsq_schemas.operations import SPECS, Operation, OperationSpec
from kmsq_worker.errors import (
    ExpiredException,
    Refused,
    ThrottlingException,
    UnsupportedOperationException,
    UnsupportedVersionException,
    ValidationException,
)
from kmsq_worker.ports import Delivery

DEADLINE_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999: the database's timestamps end later
DEATH_HEADER = "x-death"  # written by the broker when it dead-letters
CORRELATION_ID_MAX_CHARS = 255  # AMQP short string
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OPERATIONS = {operation.value: SPECS[operation] for operation in Operation}

Clock = Callable[[], int]
"""Unix milliseconds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, proven by the broker, and where the answer goes."""

    principal: str
    instance: str
    spec: OperationSpec

    @property
    def operation(self) -> Operation:
        """What is asked for."""
        return self.spec.operation


@dataclass(frozen=True, slots=True)
class Parsed:
    """A validated request. `deadline` is in Unix milliseconds."""

    request: Request
    content_type: ContentType
    deadline: int | None


def identify(delivery: Delivery) -> Caller:
    """
    Decide who sent this, from what the broker checked (DESIGN.md §5, Identity).

    Raises `Refused`: the sender is unproven, or the answer has no safe address.
    """
    principal, spec = delivery.user_id, _OPERATIONS.get(delivery.type or "")
    if not principal:
        raise Refused("no-user-id")
    if not is_principal(principal):
        raise Refused("malformed-principal")
    if spec is None or spec.queue is not delivery.queue:
        raise Refused("operation-not-of-this-queue")
    if delivery.routing_key != f"{principal}.{delivery.type}":
        raise Refused("routing-key-mismatch")
    if not SENDER_SELECTED_HEADERS.isdisjoint(delivery.headers):
        raise Refused("sender-selected-distribution")
    if DEATH_HEADER in delivery.headers:
        # A reply queue of the sender's can dead-letter into `kmsq.requests`, past the broker's topic permissions.
        raise Refused("dead-lettered")
    instance = parse_reply_to(delivery.reply_to, principal)
    if instance is None:
        raise Refused("foreign-reply-to")
    return Caller(principal, instance, spec)


def content_type_of(delivery: Delivery) -> ContentType:
    """Return the encoding to answer in: the request's, or JSON if that is unknown."""
    return ContentType.CBOR if delivery.content_type == ContentType.CBOR else ContentType.JSON


def traceparent_of(delivery: Delivery) -> str | None:
    """Return the W3C trace parent to echo, if it is well formed."""
    value = delivery.headers.get(HEADER_TRACEPARENT)
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def parse(delivery: Delivery, caller: Caller, now: int) -> Parsed:
    """
    Validate everything about the request but the existence of what it names.

    Limits of size come before any parsing. Raises `ValidationException`, `ExpiredException`, `ThrottlingException`,
    `UnsupportedVersionException` or `UnsupportedOperationException`.
    """
    if delivery.throttled:
        message = "Too many requests of this principal are waiting; send again later."
        raise ThrottlingException(message)
    _check_headers(delivery)
    deadline = _deadline(delivery, caller, now)
    _check_ids(delivery)
    if len(delivery.body) > caller.spec.max_body_bytes:
        message = f"The body of {caller.operation} may have at most {caller.spec.max_body_bytes} bytes."
        raise ValidationException(message)
    try:
        content_type = ContentType(delivery.content_type or "")
    except ValueError:
        message = "content_type must be application/json or application/cbor."
        raise ValidationException(message) from None
    try:
        request = decode(caller.spec.request, delivery.body, content_type)
    except MalformedBody as error:
        raise ValidationException(str(error)) from error
    if isinstance(request, BatchRequest):
        _check_reply_size(request, content_type)
    return Parsed(request, content_type, deadline)


def _check_reply_size(request: BatchRequest, content_type: ContentType) -> None:
    size = request.reply_max_bytes(content_type)
    if size > limits.MESSAGE_MAX_BYTES:
        message = (
            f"The reply could have {size} bytes; at most {limits.MESSAGE_MAX_BYTES} are allowed: send fewer items."
        )
        raise ValidationException(message)


def _check_headers(delivery: Delivery) -> None:
    version = delivery.headers.get(HEADER_VERSION)
    if type(version) is not int or version != PROTOCOL_VERSION:
        message = f"This service speaks kmsq-version {PROTOCOL_VERSION}."
        raise UnsupportedVersionException(message)
    if delivery.content_encoding:
        message = "content_encoding is reserved."
        raise UnsupportedOperationException(message)
    if not RESERVED_HEADERS.isdisjoint(delivery.headers):
        message = f"Reserved headers: {', '.join(sorted(RESERVED_HEADERS))}."
        raise UnsupportedOperationException(message)


def _deadline(delivery: Delivery, caller: Caller, now: int) -> int | None:
    deadline = delivery.headers.get(HEADER_DEADLINE)
    if deadline is None:
        if caller.spec.is_change:
            message = f"{caller.operation} needs a deadline header (Unix milliseconds), at most an hour ahead."
            raise ValidationException(message)
        return None
    if type(deadline) is not int or not 0 < deadline <= DEADLINE_MAX_MS:
        message = "deadline must be Unix milliseconds."
        raise ValidationException(message)
    require_time_left(deadline, now)
    if caller.spec.is_change and deadline > now + limits.CHANGE_DEADLINE_MAX_MS:
        message = f"The deadline of {caller.operation} may be at most an hour ahead."
        raise ValidationException(message)
    return deadline


def require_time_left(deadline: int | None, now: int) -> None:
    """Raise `ExpiredException` once `deadline` has passed."""
    if deadline is not None and deadline <= now:
        message = "The deadline has passed; compare your clock with server_time."
        raise ExpiredException(message)


def _check_ids(delivery: Delivery) -> None:
    if not delivery.message_id or not _UUID.fullmatch(delivery.message_id):
        message = "message_id must be a UUID."
        raise ValidationException(message)
    if not delivery.correlation_id or len(delivery.correlation_id) > CORRELATION_ID_MAX_CHARS:
        message = "correlation_id is missing."
        raise ValidationException(message)
