"""AMQP URLs, and the broker's errors."""

import pytest
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from kmsq import Client
from kmsq.amqp.address import Address
from kmsq.amqp.events import Interrupted, Refused
from kmsq.amqp.refusals import connect_failure, publish_failure
from kmsq.errors import InvalidAddress, KmsqError, NotConnected, RequestRefused, TopologyMissing
from kmsq_schemas.operations import Operation

ADDRESS = Address.parse("amqp://alice:canary@broker.example/vhost")


def test_the_user_of_the_url_is_the_principal() -> None:
    assert (ADDRESS.principal, ADDRESS.host, ADDRESS.port) == ("alice", "broker.example", 5672)
    assert Address.parse("amqps://alice:x@h").port == 5671
    assert Client("amqp://alice:canary@h").principal == "alice"


def test_the_password_is_never_shown() -> None:
    shown = [repr(ADDRESS), str(ADDRESS), repr(Client("amqp://alice:canary@h"))]
    assert not any("canary" in text for text in shown)
    assert "canary" in ADDRESS.url


def test_a_heartbeat_is_asked_for_unless_the_url_has_its_own() -> None:
    assert "heartbeat=10" in ADDRESS.url
    assert "heartbeat=60" in Address.parse("amqp://alice:x@h/?heartbeat=60").url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://alice:canary@h",
        "amqp://",
        "amqp://h",
        "amqp://Alice:canary@h",
        "amqp://alice:ca/nary@h",
        "amqp://alice:canary@h:port",
        "amqp://a%2eb:canary@h",
        "amqp://[alice:canary@h",
    ],
)
def test_a_useless_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        Client(url)
    assert "nary" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("error", "expected", "word"),
    [
        (ChannelAccessRefused("ACCESS_REFUSED - …"), RequestRefused, "alice.Encrypt"),
        (ChannelNotFoundEntity("NOT_FOUND - no exchange"), TopologyMissing, "topology declare"),
        (ChannelPreconditionFailed("PRECONDITION_FAILED - user_id property …"), RequestRefused, "another user"),
        (ChannelPreconditionFailed("PRECONDITION_FAILED - message size …"), RequestRefused, "message size"),
    ],
)
def test_what_the_broker_refuses_is_explained(error: Exception, expected: type[KmsqError], word: str) -> None:
    event = publish_failure(error, principal="alice", operation=Operation.ENCRYPT)
    assert isinstance(event, Refused)
    assert type(event.error) is expected
    assert word in str(event.error)


@pytest.mark.parametrize("error", [ChannelClosed(320, "CONNECTION_FORCED"), ChannelInvalidStateError("closed")])
def test_a_channel_that_just_went_away_is_an_interruption(error: Exception) -> None:
    assert publish_failure(error, principal="alice", operation=Operation.ENCRYPT) == Interrupted()


@pytest.mark.parametrize(
    ("error", "expected", "hopeless"),
    [
        (ConnectionRefusedError(111, "refused"), NotConnected, False),
        (TimeoutError(), NotConnected, False),
        (ProbableAuthenticationError("ACCESS_REFUSED"), NotConnected, True),
        (InvalidFrameError("Expected one of"), NotConnected, True),
        (ChannelAccessRefused("ACCESS_REFUSED - queue"), RequestRefused, True),
        (ChannelNotFoundEntity("NOT_FOUND - no exchange"), TopologyMissing, True),
    ],
)
def test_why_there_is_no_connection_is_explained(error: Exception, expected: type[KmsqError], hopeless: bool) -> None:  # noqa: FBT001
    diagnosis = connect_failure(error, ADDRESS)
    assert type(diagnosis.error) is expected
    assert diagnosis.hopeless == hopeless
    assert "canary" not in str(diagnosis.error)
