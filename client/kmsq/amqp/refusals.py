"""The broker's errors, translated. Pure: an error of the driver goes in, what it means for us comes out."""

from dataclasses import dataclass

from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from kmsq.amqp.address import Address
from kmsq.amqp.events import Event, Interrupted, Refused
from kmsq.errors import KmsqError, NotConnected, RequestRefused, TopologyMissing
from kmsq_schemas.names import REPLIES_EXCHANGE, REQUESTS_EXCHANGE
from kmsq_schemas.operations import Operation
from kmsq_schemas.topology import request_routing_key

DECLARE_ADVICE = "an operator must run `kmsq-worker topology declare`"


def returned(operation: Operation) -> Refused:
    """Make the event for a request that the broker returned because no queue is bound for it."""
    return Refused(TopologyMissing(f"the broker has no queue for {operation.value}: {DECLARE_ADVICE}"))


def publish_failure(error: BaseException, *, principal: str, operation: Operation) -> Event:
    """
    Say what the end of a channel that carries `operation` alone means for the requests on it.

    The broker closes the whole channel over one forbidden publish. Because no two operations share a channel, and a
    permission is one of a routing key, what is refused to one request of a channel is refused to all of them.
    """
    match error:
        case ChannelAccessRefused():
            key = request_routing_key(principal, operation)
            return Refused(
                RequestRefused(
                    f"the broker does not let {principal} send {operation.value}: the user needs write permission on "
                    f"{REQUESTS_EXCHANGE}, and for the topic {key} on it (see `kmsq-worker topology permissions`)"
                )
            )
        case ChannelNotFoundEntity():
            return Refused(TopologyMissing(f"the broker has no exchange {REQUESTS_EXCHANGE}: {DECLARE_ADVICE}"))
        case ChannelPreconditionFailed() if "user_id" in str(error):
            return Refused(
                RequestRefused(f"the broker knows this connection under another user than {principal}, the URL's user")
            )
        case ChannelPreconditionFailed():
            return Refused(RequestRefused(f"the broker refuses {operation.value}: {error}"))
        case _:
            return Interrupted()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why there is no connection."""

    error: KmsqError
    hopeless: bool
    """Whether trying again changes nothing until somebody does something about it."""


def connect_failure(error: BaseException, address: Address) -> Diagnosis:
    """Say why no connection, or no reply queue on it, came about."""
    match error:
        case ProbableAuthenticationError() | AuthenticationError():
            text = f"the broker at {address} refuses the password of user {address.principal}, or there is no such user"
            return Diagnosis(NotConnected(text), hopeless=True)
        case ConnectionNotAllowed() | InvalidFrameError():
            # aiormq 7.2 finds a close where it expected open-ok, and does not say which code it carried.
            text = f"the broker at {address} does not let {address.principal} into the URL's virtual host, or has none of that name"
            return Diagnosis(NotConnected(text), hopeless=True)
        case ChannelAccessRefused():
            text = (
                f"the broker does not let {address.principal} have a reply queue (see `kmsq-worker topology "
                f"permissions`): {error}"
            )
            return Diagnosis(RequestRefused(text), hopeless=True)
        case ChannelNotFoundEntity():
            text = f"the broker has no exchange {REPLIES_EXCHANGE}: {DECLARE_ADVICE}"
            return Diagnosis(TopologyMissing(text), hopeless=True)
        case TimeoutError():
            return Diagnosis(NotConnected(f"the broker at {address} does not answer"), hopeless=False)
        case _:
            text = (
                f"cannot connect to the broker at {address} ({str(error) or type(error).__name__}): is RabbitMQ there?"
            )
            return Diagnosis(NotConnected(text), hopeless=False)
