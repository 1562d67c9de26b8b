"""Whatever a sender writes, decoding ends in a request or in an error that decides the message's fate."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fakes.deliveries import HEADERS, INSTANCE, NOW, delivery
from kmsq_schemas.message import is_principal
from kmsq_schemas.operations import SPECS, Operation, Queue
from kmsq_schemas.topology import reply_queue, reply_routing_key
from kmsq_worker.decode import content_type_of, identify, parse, traceparent_of
from kmsq_worker.errors import KmsError, Refused

# What pamqp decodes from a header table.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**64),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.datetimes(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
NAMES = st.sampled_from(["kmsq-version", "deadline", "traceparent", "tracestate", "CC", "BCC", "on-behalf-of"])
TABLES = st.dictionaries(NAMES | st.text(max_size=10), VALUES, max_size=6)
SHORT_STRINGS = st.none() | st.text(max_size=64)

PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from(Queue),
        "routing_key": st.text(max_size=64) | st.sampled_from(["alice.Encrypt", "alice.GenerateRandom"]),
        "body": st.binary(max_size=200),
        "type": SHORT_STRINGS | st.sampled_from([operation.value for operation in Operation]),
        "content_type": SHORT_STRINGS | st.sampled_from(["application/json", "application/cbor"]),
        "content_encoding": SHORT_STRINGS,
        "message_id": SHORT_STRINGS | st.uuids().map(str),
        "correlation_id": SHORT_STRINGS | st.text(min_size=250, max_size=260),
        "reply_to": SHORT_STRINGS,
        "user_id": SHORT_STRINGS,
        "headers": TABLES | TABLES.map(lambda table: {**HEADERS, **table}),
        "throttled": st.booleans(),
    },
)


@given(operation=st.sampled_from(Operation), properties=PROPERTIES)
def test_any_properties_are_decoded_or_refused_and_nothing_else(
    operation: Operation, properties: dict[str, Any]
) -> None:
    sent = delivery(operation, **properties)
    content_type_of(sent)
    traceparent_of(sent)
    try:
        caller = identify(sent)
    except Refused:
        return
    assert is_principal(caller.principal)
    assert caller.principal == sent.user_id
    assert sent.routing_key == f"{sent.user_id}.{sent.type}"
    assert SPECS[caller.operation].queue is sent.queue
    assert sent.reply_to == reply_queue(caller.principal, caller.instance)
    try:
        parsed = parse(sent, caller, NOW)
    except KmsError:
        return
    assert parsed.deadline is None or parsed.deadline > NOW
    assert isinstance(parsed.request, caller.spec.request)


@given(reply_to=st.text() | st.from_regex(r"kmsq\.reply\.[a-z0-9#*.-]{1,20}\.[a-z0-9]{10,34}", fullmatch=True))
def test_no_choice_of_reply_to_leads_to_another_principal(reply_to: str) -> None:
    try:
        caller = identify(delivery(reply_to=reply_to))
    except Refused:
        return
    assert reply_to.startswith("kmsq.reply.alice.")
    assert reply_routing_key(caller.principal, caller.instance).startswith("alice.")
    assert "." not in caller.instance


@given(name=st.text(min_size=1, max_size=70) | st.from_regex(r"[a-z0-9-]{1,66}", fullmatch=True))
def test_only_names_that_need_no_escaping_are_principals(name: str) -> None:
    sent = delivery(user_id=name, routing_key=f"{name}.GenerateRandom", reply_to=f"kmsq.reply.{name}.{INSTANCE}")
    try:
        identify(sent)
    except Refused:
        assert not is_principal(name)
    else:
        assert len(name) <= 64
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert not name.startswith("-")


@given(body=st.binary(max_size=300))
def test_any_body_is_a_request_or_an_error_for_its_sender(body: bytes) -> None:
    for operation in Operation:
        for content_type in ("application/json", "application/cbor"):
            sent = delivery(operation, body, content_type=content_type)
            try:
                parse(sent, identify(sent), NOW)
            except KmsError as error:
                assert error.message  # noqa: PT017  # either outcome will do
