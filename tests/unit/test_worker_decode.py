"""Who is believed, and which requests are refused before anything else is looked at."""

from collections.abc import Mapping
from typing import Any

import pytest

from fakes.deliveries import HEADERS, INSTANCE, NOW, caller, delivery
from kmsq_schemas.errors import ErrorCode
from kmsq_schemas.models import GenerateRandomRequest
from kmsq_schemas.operations import SPECS, Operation, Queue
from kmsq_worker.decode import content_type_of, identify, parse, require_time_left, traceparent_of
from kmsq_worker.errors import KmsError, Refused

TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
HOUR_MS = 3_600_000
YEAR_9999_MS = 253_402_300_799_999
OTHER = "bcdefghij0123456789a"


def named(name: str) -> dict[str, Any]:
    """Return the properties of a request whose sender is called `name` throughout."""
    return {"user_id": name, "routing_key": f"{name}.GenerateRandom", "reply_to": f"kmsq.reply.{name}.{INSTANCE}"}


def code_of(operation: Operation = Operation.GENERATE_RANDOM, now: int = NOW, **changes: Any) -> ErrorCode | None:
    try:
        parse(delivery(operation, **changes), caller(operation), now)
    except KmsError as error:
        return error.code
    return None


def test_a_request_that_is_right_in_every_respect_is_identified_and_parsed() -> None:
    sent = delivery()
    proven = identify(sent)
    assert (proven.principal, proven.instance, proven.operation) == ("alice", INSTANCE, Operation.GENERATE_RANDOM)
    parsed = parse(sent, proven, NOW)
    assert parsed.request == GenerateRandomRequest(number_of_bytes=8)
    assert parsed.deadline == HEADERS["deadline"]


@pytest.mark.parametrize("name", ["a", "0", "a-", "a" * 64, "0-0"])
def test_well_formed_names_are_believed(name: str) -> None:
    assert identify(delivery(**named(name))).principal == name


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("no-user-id", {"user_id": None}),
        ("no-user-id", {"user_id": ""}),
        *(
            ("malformed-principal", named(name))
            for name in (
                "alice\n",
                "\nalice",
                "Alice",
                "a" * 65,
                "-alice",
                "al.ice",
                "alice ",
                "álice",
                "a*",
                "#",
                "a_b",
            )
        ),
        ("operation-not-of-this-queue", {"type": None}),
        ("operation-not-of-this-queue", {"type": ""}),
        ("operation-not-of-this-queue", {"type": "generaterandom", "routing_key": "alice.generaterandom"}),
        ("operation-not-of-this-queue", {"type": "GenerateRandom\n", "routing_key": "alice.GenerateRandom\n"}),
        ("operation-not-of-this-queue", {"type": "Shutdown", "routing_key": "alice.Shutdown"}),
        ("operation-not-of-this-queue", {"queue": Queue.ADMIN}),
        ("operation-not-of-this-queue", {"queue": Queue.READ}),
        ("operation-not-of-this-queue", {"type": "CreateKey", "routing_key": "alice.CreateKey"}),
        ("routing-key-mismatch", {"routing_key": "bob.GenerateRandom"}),
        ("routing-key-mismatch", {"routing_key": "alice.Encrypt"}),
        ("routing-key-mismatch", {"routing_key": ""}),
        ("routing-key-mismatch", {"routing_key": "alice.GenerateRandom\n"}),
        ("routing-key-mismatch", {"routing_key": "alice.GenerateRandom.x"}),
        ("routing-key-mismatch", {"user_id": "bob"}),
        ("sender-selected-distribution", {"headers": {**HEADERS, "CC": []}}),
        ("sender-selected-distribution", {"headers": {**HEADERS, "CC": ["bob.GenerateRandom"]}}),
        ("sender-selected-distribution", {"headers": {**HEADERS, "CC": None}}),
        ("sender-selected-distribution", {"headers": {**HEADERS, "BCC": ["kmsq.dead"]}}),
        ("dead-lettered", {"headers": {**HEADERS, "x-death": [{"queue": "kmsq.reply.alice.x"}]}}),
        *(
            ("foreign-reply-to", {"reply_to": address})
            for address in (
                None,
                "",
                "alice",
                "kmsq.crypto",
                "kmsq.dead",
                "amq.rabbitmq.reply-to",
                f"kmsq.reply.bob.{INSTANCE}",
                f"kmsq.reply.alicex.{INSTANCE}",
                "kmsq.reply.alice.",
                "kmsq.reply.alice.short",
                f"kmsq.reply.alice.{'a' * 33}",
                f"kmsq.reply.alice.{INSTANCE}\n",
                f"kmsq.reply.alice.{INSTANCE.upper()}",
                f"kmsq.reply.alice.{INSTANCE}.more",
                f"kmsq.reply.alice.#.{INSTANCE}",
                f" kmsq.reply.alice.{INSTANCE}",
            )
        ),
    ],
)
def test_an_unproven_sender_is_refused_with_its_reason(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        identify(delivery(**changes))
    assert caught.value.reason == reason


def test_nobody_is_called_by_another_s_prefix() -> None:
    """`alice` and `alice-b`: neither is the other's address."""
    with pytest.raises(Refused, match="foreign-reply-to"):
        identify(delivery(reply_to=f"kmsq.reply.alice-b.{INSTANCE}"))
    with pytest.raises(Refused, match="foreign-reply-to"):
        identify(delivery(principal="alice-b", reply_to=f"kmsq.reply.alice.{INSTANCE}"))


@pytest.mark.parametrize("operation", Operation)
def test_each_operation_is_taken_from_its_own_queue_alone(operation: Operation) -> None:
    for queue in Queue:
        if queue is SPECS[operation].queue:
            identify(delivery(operation, queue=queue))
        else:
            with pytest.raises(Refused, match="operation-not-of-this-queue"):
                identify(delivery(operation, queue=queue))


@pytest.mark.parametrize("version", [None, 0, 2, -1, True, "1", 1.0, b"\x01", [1], 2**63])
def test_only_version_1_is_spoken(version: object) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "kmsq-version"}
    assert code_of(headers=headers) is ErrorCode.UNSUPPORTED_VERSION
    assert code_of(headers={**headers, "kmsq-version": version}) is ErrorCode.UNSUPPORTED_VERSION


CHANGE, READ = Operation.DISABLE_KEY, Operation.GENERATE_RANDOM
ENABLE = b'{"KeyId":"x"}'


@pytest.mark.parametrize(
    ("deadline", "of_a_read", "of_a_change"),
    [
        (NOW + 1, None, None),
        (NOW + HOUR_MS, None, None),
        (NOW + HOUR_MS + 1, None, ErrorCode.VALIDATION),
        (YEAR_9999_MS, None, ErrorCode.VALIDATION),
        (NOW, ErrorCode.EXPIRED, ErrorCode.EXPIRED),
        (NOW - 1, ErrorCode.EXPIRED, ErrorCode.EXPIRED),
        (1, ErrorCode.EXPIRED, ErrorCode.EXPIRED),
        (0, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (-1, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (YEAR_9999_MS + 1, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (2**63 - 1, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (10**400, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (True, ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (float(NOW + 1), ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (str(NOW + 1), ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        ([NOW + 1], ErrorCode.VALIDATION, ErrorCode.VALIDATION),
        (None, None, ErrorCode.VALIDATION),
    ],
)
def test_deadlines(deadline: object, of_a_read: ErrorCode | None, of_a_change: ErrorCode | None) -> None:
    headers = {**HEADERS, "deadline": deadline}
    assert code_of(READ, headers=headers) is of_a_read
    assert code_of(CHANGE, body=ENABLE, headers=headers) is of_a_change


def test_a_change_needs_a_deadline_and_a_read_does_not() -> None:
    headers = {"kmsq-version": 1}
    assert code_of(READ, headers=headers) is None
    assert code_of(CHANGE, body=ENABLE, headers=headers) is ErrorCode.VALIDATION


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (ErrorCode.UNSUPPORTED_OPERATION, {"content_encoding": "gzip"}),
        (ErrorCode.UNSUPPORTED_OPERATION, {"headers": {**HEADERS, "on-behalf-of": "bob"}}),
        (ErrorCode.UNSUPPORTED_OPERATION, {"headers": {**HEADERS, "on-behalf-of": None}}),
        (ErrorCode.VALIDATION, {"message_id": None}),
        (ErrorCode.VALIDATION, {"message_id": ""}),
        (ErrorCode.VALIDATION, {"message_id": "1"}),
        (ErrorCode.VALIDATION, {"message_id": "0123456789abcdef0123456789abcdef"}),
        (ErrorCode.VALIDATION, {"message_id": "{01234567-89ab-cdef-0123-456789abcdef}"}),
        (ErrorCode.VALIDATION, {"message_id": "01234567-89ab-cdef-0123-456789abcdef\n"}),
        (ErrorCode.VALIDATION, {"message_id": "\u06601234567-89ab-cdef-0123-456789abcdef"}),
        (None, {"message_id": "01234567-89AB-CDEF-0123-456789ABCDEF"}),
        (ErrorCode.VALIDATION, {"correlation_id": None}),
        (ErrorCode.VALIDATION, {"correlation_id": ""}),
        (ErrorCode.VALIDATION, {"correlation_id": "c" * 256}),
        (None, {"correlation_id": "c" * 255}),
        (ErrorCode.VALIDATION, {"content_type": None}),
        (ErrorCode.VALIDATION, {"content_type": "text/plain"}),
        (ErrorCode.VALIDATION, {"content_type": "application/json; charset=utf-8"}),
        (ErrorCode.VALIDATION, {"content_type": "APPLICATION/JSON"}),
        (ErrorCode.VALIDATION, {"content_type": "application/cbor"}),  # the body is JSON
        (None, {"content_type": "application/cbor", "body": b"\xa1\x6dNumberOfBytes\x08"}),
        (ErrorCode.VALIDATION, {"body": b""}),
        (ErrorCode.VALIDATION, {"body": b'{"NumberOfBytes":8,"Colour":"red"}'}),
        (ErrorCode.THROTTLING, {"throttled": True}),
    ],
)
def test_properties(code: ErrorCode | None, changes: dict[str, Any]) -> None:
    assert code_of(**changes) is code


@pytest.mark.parametrize("operation", Operation)
def test_a_body_that_is_too_large_is_refused_before_it_is_parsed(operation: Operation) -> None:
    most = SPECS[operation].max_body_bytes
    for size, refusal in ((most, "not valid JSON"), (most + 1, f"may have at most {most} bytes")):
        with pytest.raises(KmsError, match=refusal):
            parse(delivery(operation, b"?" * size), caller(operation), NOW)


def test_the_throttled_are_told_so_whatever_else_is_wrong() -> None:
    assert code_of(throttled=True, headers={}, body=b"", message_id=None) is ErrorCode.THROTTLING


def test_a_refusal_never_quotes_the_request() -> None:
    canary = "canary-2718281828"
    spoilt: list[Mapping[str, Any]] = [
        {"headers": {**HEADERS, "kmsq-version": canary}},
        {"headers": {**HEADERS, "deadline": canary}},
        {"headers": {**HEADERS, "on-behalf-of": canary}},
        {"content_encoding": canary},
        {"content_type": canary},
        {"message_id": canary},
        {"correlation_id": canary * 20},
        {"body": f'{{"NumberOfBytes":"{canary}"}}'.encode()},
        {"body": f'{{"{canary}":1}}'.encode() + b"\xff"},
    ]
    for changes in spoilt:
        with pytest.raises(KmsError) as caught:
            parse(delivery(**changes), caller(), NOW)
        assert canary not in caught.value.message


@pytest.mark.parametrize(
    ("value", "echoed"),
    [
        (TRACE, True),
        (TRACE.upper(), False),
        (f"{TRACE}\n", False),
        (f"{TRACE}-more", False),
        (TRACE[:-1], False),
        (TRACE.encode(), False),
        ("", False),
        (7, False),
        (None, False),
    ],
)
def test_only_a_well_formed_traceparent_is_echoed(value: object, echoed: bool) -> None:  # noqa: FBT001  # of a table
    assert traceparent_of(delivery(headers={**HEADERS, "traceparent": value})) == (value if echoed else None)


def test_other_headers_are_ignored() -> None:
    assert traceparent_of(delivery()) is None
    assert code_of(headers={**HEADERS, "x-death": [{}], "tracestate": "a=b", "cc": "lower case is no CC"}) is None


@pytest.mark.parametrize("content_type", ["application/cbor", "application/json", "text/plain", None])
def test_a_refusal_is_written_in_cbor_only_to_who_wrote_cbor(content_type: str | None) -> None:
    expected = "application/cbor" if content_type == "application/cbor" else "application/json"
    assert content_type_of(delivery(content_type=content_type)) == expected


def test_time_is_left_until_the_deadline_and_not_at_it() -> None:
    require_time_left(None, NOW)
    require_time_left(NOW + 1, NOW)
    for late in (NOW, NOW + 1):
        with pytest.raises(KmsError, match="deadline has passed"):
            require_time_left(NOW, late)
