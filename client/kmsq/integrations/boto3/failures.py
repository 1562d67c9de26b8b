"""What arose on this side, as the exceptions that botocore raises when it gets no answer from AWS."""

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from kmsq.errors import ClientClosed, DeadlineExceeded, KmsqError, NotConnected, TopologyMissing

ENDPOINT_URL = "amqp://kmsq"
"""What our clients show as their endpoint. No HTTP library can send anything there, should a hook ever be missing."""


class Unreachable(EndpointConnectionError):  # type: ignore[misc]  # botocore has no types
    """botocore's error, with the reason."""

    fmt = EndpointConnectionError.fmt + ": {reason}"


class Closed(ConnectionClosedError):  # type: ignore[misc]  # botocore has no types
    """botocore's error, with the reason."""

    fmt = ConnectionClosedError.fmt + ": {reason}"


class NoReply(ReadTimeoutError):  # type: ignore[misc]  # botocore has no types
    """botocore's error, with the reason."""

    fmt = ReadTimeoutError.fmt + ": {reason}"


def as_botocore_error(error: KmsqError) -> BotoCoreError:
    """Return what botocore would raise in a like case."""
    match error:
        case ClientClosed():
            return Closed(endpoint_url=ENDPOINT_URL, reason=str(error))
        case NotConnected() | TopologyMissing():
            return Unreachable(endpoint_url=ENDPOINT_URL, reason=str(error))
        case DeadlineExceeded():
            return NoReply(endpoint_url=ENDPOINT_URL, reason=str(error))
        case _:
            return HTTPClientError(error=error)
