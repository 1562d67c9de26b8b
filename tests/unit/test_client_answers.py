"""Which replies to believe, and what they say."""

from dataclasses import replace
from typing import Any

import pytest

from kmsq.amqp.answers import Doubt, Incoming, doubt, read_answer
from kmsq.amqp.skew import ClockSkew
from kmsq.errors import InvalidReply, NotFoundException
from kmsq_schemas import codec
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import ErrorReply, GenerateRandomReply
from kmsq_schemas.operations import Operation

GOOD = Incoming(
    type="GenerateRandom",
    content_type="application/json",
    correlation_id="c",
    user_id="kmsq-worker",
    headers={"kmsq-version": 1, "server_time": 5},
    body=codec.encode(GenerateRandomReply(plaintext=b"canary"), ContentType.JSON),
)


def read(message: Incoming) -> object:
    return read_answer(message, Operation.GENERATE_RANDOM, message_id="m")


def test_a_reply_of_the_worker_is_believed() -> None:
    assert doubt(GOOD, worker_user="kmsq-worker") is None


@pytest.mark.parametrize("user_id", [None, "", "alice", "kmsq-worker2"])
def test_a_reply_of_anyone_else_is_not(user_id: str | None) -> None:
    assert doubt(replace(GOOD, user_id=user_id), worker_user="kmsq-worker") is Doubt.FOREIGN


@pytest.mark.parametrize("version", [None, 2, "1", True, 1.0])
def test_a_reply_of_another_version_is_not(version: object) -> None:
    message = replace(GOOD, headers={"kmsq-version": version})
    assert doubt(message, worker_user="kmsq-worker") is Doubt.VERSION


@pytest.mark.parametrize("content_type", list(ContentType))
def test_a_result_is_read_in_its_content_type(content_type: ContentType) -> None:
    body = codec.encode(GenerateRandomReply(plaintext=b"x"), content_type)
    assert read(replace(GOOD, content_type=content_type.value, body=body)) == GenerateRandomReply(plaintext=b"x")


def test_an_error_becomes_its_exception() -> None:
    body = codec.encode(ErrorReply(code="NotFoundException", message="why"), ContentType.JSON)
    error = read(replace(GOOD, type="Error", body=body))
    assert isinstance(error, NotFoundException)
    assert error.message_id == "m"


@pytest.mark.parametrize(
    "change",
    [{"type": "Encrypt"}, {"type": None}, {"content_type": "text/plain"}, {"body": b'{"Plaintext": "canary!"}'}],
)
def test_what_breaks_the_contract_is_an_invalid_reply_that_quotes_nothing(change: dict[str, Any]) -> None:
    error = read(replace(GOOD, **change))
    assert isinstance(error, InvalidReply)
    assert "canary" not in str(error)


def test_a_message_does_not_show_its_body() -> None:
    assert "canary" not in repr(GOOD)


@pytest.mark.parametrize(("value", "expected"), [(5, 5), (None, None), ("5", None), (True, None), (-1, None)])
def test_only_a_sensible_server_time_is_believed(value: object, expected: int | None) -> None:
    assert replace(GOOD, headers={"server_time": value}).server_time_ms == expected


def test_the_skew_moves_only_when_a_reply_contradicts_it() -> None:
    now = 10_000
    skew = ClockSkew(lambda: now)
    assert not skew.learn(sent_ms=9_000, server_ms=9_500)
    assert skew.milliseconds == 0
    assert skew.learn(sent_ms=9_900, server_ms=19_950)
    assert skew.milliseconds == 9_950
    assert skew.server_now_ms() == 19_950
    assert not skew.learn(sent_ms=9_000, server_ms=19_950)
    assert skew.learn(sent_ms=9_990, server_ms=9_995)
    assert skew.milliseconds == 5
