"""Replies as they arrive: which to believe, and what they say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kmsq.errors import InvalidReply, KmsqError, service_error
from kmsq_schemas import codec
from kmsq_schemas.content import ContentType, MalformedBody
from kmsq_schemas.message import ERROR_TYPE, HEADER_SERVER_TIME, HEADER_VERSION, PROTOCOL_VERSION
from kmsq_schemas.models import ErrorReply, Reply
from kmsq_schemas.operations import SPECS, Operation

_CONTENT_TYPES: Final = {member.value: member for member in ContentType}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the reply queue."""

    type: str | None
    content_type: str | None
    correlation_id: str | None
    user_id: str | None
    headers: Mapping[str, object]
    body: bytes

    def __repr__(self) -> str:
        return f"<Incoming {self.type} of {len(self.body)} bytes>"

    @property
    def server_time_ms(self) -> int | None:
        """When a worker made it, in Unix milliseconds, if it says so."""
        value = self.headers.get(HEADER_SERVER_TIME)
        return value if type(value) is int and value > 0 else None


class Doubt(StrEnum):
    """Why a message in the reply queue is not believed, and dropped."""

    FOREIGN = "foreign"
    """The broker does not vouch that the workers' user sent it."""
    VERSION = "version"
    """It is in another version of the message contract."""
    UNKNOWN = "unknown"
    """It answers no request under way: a late duplicate, or the caller has left."""


def doubt(message: Incoming, *, worker_user: str) -> Doubt | None:
    """
    Say why `message` is not to be believed, whatever it claims to answer.

    The broker has checked `user_id` against the connection that published the message.
    """
    if message.user_id != worker_user:
        return Doubt.FOREIGN
    version = message.headers.get(HEADER_VERSION)
    if type(version) is not int or version != PROTOCOL_VERSION:
        return Doubt.VERSION
    return None


def read_answer(message: Incoming, operation: Operation, *, message_id: str) -> Reply | KmsqError:
    """Return the reply to `operation`, or the error to raise: the service's, or `InvalidReply`."""
    content_type = _CONTENT_TYPES.get(message.content_type or "")
    if content_type is None:
        return InvalidReply(f"the reply to {operation.value} is in an unknown content type")
    try:
        if message.type == ERROR_TYPE:
            error = codec.decode(ErrorReply, message.body, content_type)
            return service_error(error.code, error.message, message_id=message_id)
        if message.type == operation.value:
            return codec.decode(SPECS[operation].reply, message.body, content_type)
    except MalformedBody as error:
        return InvalidReply(f"the reply to {operation.value} is malformed: {error}")
    return InvalidReply(f"the reply to {operation.value} has another type")
