"""What leaves a worker: addressed to whom, until when, and what is said of the rest."""

import json
from typing import Any

import pytest

from fakes.deliveries import HEADERS, INSTANCE, NOW, caller, delivery
from fakes.lanes import Events, FakeBroker
from kmsq_schemas.codec import ContentType, decode
from kmsq_schemas.models import ErrorReply, GenerateRandomReply, GenerateRandomRequest
from kmsq_schemas.operations import Operation
from kmsq_worker.decode import Parsed
from kmsq_worker.errors import AccessDeniedException, KmsError, Refused
from kmsq_worker.item import Item, Outcome, Replayed, Turn, lost_record
from kmsq_worker.outbox import EXPIRED_BEFORE_REPLY, REPLY_EXPIRATION_MAX_MS, UNDELIVERABLE, Outbox
from kmsq_worker.telemetry import Telemetry

CANARY = b"canary-2718281828"
SERVER_TIME = NOW + 5
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def item(outcome: Outcome | None, *, deadline: int | None = NOW + 1_000, **changes: Any) -> Item:
    """Return an item that was decoded and executed; `outcome` is how it ended."""
    made = Item(delivery(**changes))
    made.outcome = outcome
    if not isinstance(outcome, Refused):
        made.caller = caller()
        made.parsed = Parsed(GenerateRandomRequest(number_of_bytes=8), ContentType.JSON, deadline)
    return made


def success() -> GenerateRandomReply:
    return GenerateRandomReply(plaintext=CANARY)


class Post:
    """An outbox and its broker."""

    def __init__(self, now: int = NOW) -> None:
        self.events: Events = []
        self.broker = FakeBroker(self.events)
        self.telemetry = Telemetry()
        self.steps: list[str] = []
        self.outbox = Outbox(
            replies=self.broker,
            settler=self.broker,
            clock=lambda: now,
            telemetry=self.telemetry,
            reached=self.steps.append,
        )

    def counted(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(name, labels)


async def test_a_reply_goes_to_the_proven_principal_whatever_reply_to_says() -> None:
    post = Post()
    await post.outbox.reply([item(success(), reply_to="kmsq.crypto", user_id="bob", routing_key="bob.x")], SERVER_TIME)
    assert [reply.routing_key for reply in post.broker.replies] == [f"alice.{INSTANCE}"]


async def test_a_reply_echoes_what_joins_it_to_its_request() -> None:
    post = Post()
    sent = item(success(), correlation_id="mine", headers={**HEADERS, "traceparent": TRACE})
    await post.outbox.reply([sent, item(success(), headers={**HEADERS, "traceparent": "junk"})], SERVER_TIME)
    first, second = post.broker.replies
    assert (first.correlation_id, first.traceparent, first.server_time) == ("mine", TRACE, SERVER_TIME)
    assert (first.type, first.content_type) == ("GenerateRandom", "application/json")
    assert second.traceparent is None


@pytest.mark.parametrize("content_type", ContentType)
async def test_results_and_errors_are_written_in_the_request_s_encoding(content_type: ContentType) -> None:
    post = Post()
    outcomes = (success(), AccessDeniedException("no", reason="canary: for the audit record alone"))
    await post.outbox.reply([item(outcome, content_type=content_type) for outcome in outcomes], SERVER_TIME)
    result, error = post.broker.replies
    assert {result.content_type, error.content_type} == {content_type}
    assert decode(GenerateRandomReply, result.body, content_type).plaintext == CANARY
    assert error.type == "Error"
    assert decode(ErrorReply, error.body, content_type) == ErrorReply(code="AccessDeniedException", message="no")
    assert b"canary" not in error.body


async def test_a_replayed_outcome_is_sent_verbatim() -> None:
    post = Post()
    await post.outbox.reply([item(Replayed("CreateKey", b"\x00 not even JSON"))], SERVER_TIME)
    assert [(reply.type, reply.body) for reply in post.broker.replies] == [("CreateKey", b"\x00 not even JSON")]


@pytest.mark.parametrize("outcome", [success(), Replayed("GenerateRandom", CANARY)], ids=["result", "replayed"])
@pytest.mark.parametrize("deadline", [NOW, NOW - 1, 1])
async def test_an_expired_result_is_not_published(outcome: Outcome, deadline: int) -> None:
    post = Post()
    late = item(outcome, deadline=deadline)
    lost = await post.outbox.reply([late, item(success())], SERVER_TIME)
    assert [(one.item, one.why) for one in lost] == [(late, EXPIRED_BEFORE_REPLY)]
    told, on_time = post.broker.replies
    assert decode(ErrorReply, told.body, ContentType.JSON).code == "ExpiredException"
    assert (told.type, told.expiration_ms) == ("Error", None)
    assert CANARY not in told.body
    assert on_time.type == "GenerateRandom"
    assert late.outcome is outcome, "the audit record has said so already; what got lost is a record of its own"


async def test_an_error_is_told_even_when_it_is_late() -> None:
    post = Post()
    assert await post.outbox.reply([item(AccessDeniedException("no"), deadline=NOW)], SERVER_TIME) == []
    assert decode(ErrorReply, post.broker.replies[0].body, ContentType.JSON).code == "AccessDeniedException"


@pytest.mark.parametrize(
    ("deadline", "expiration"),
    [
        (NOW + 1, 1),
        (NOW + 60_000, 60_000),
        (NOW + REPLY_EXPIRATION_MAX_MS + 1, REPLY_EXPIRATION_MAX_MS),
        (253_402_300_799_999, REPLY_EXPIRATION_MAX_MS),
        (None, None),
    ],
)
async def test_a_reply_lives_as_long_as_its_request(deadline: int | None, expiration: int | None) -> None:
    post = Post()
    await post.outbox.reply([item(success(), deadline=deadline)], SERVER_TIME)
    assert post.broker.replies[0].expiration_ms == expiration


async def test_the_refused_are_buried_and_nobody_is_answered() -> None:
    post = Post()
    refused = item(Refused("foreign-reply-to"), body=CANARY)
    await post.outbox.reply([refused, item(success())], SERVER_TIME)
    assert post.broker.buried == [(refused.delivery, "foreign-reply-to")]
    assert len(post.broker.replies) == 1


async def test_what_reaches_nobody_is_reported_and_counted() -> None:
    post = Post()
    post.broker.undeliverable.add(f"alice.{INSTANCE}")
    items = [item(success()), item(success(), deadline=NOW), item(Refused("no-user-id"))]
    lost = await post.outbox.reply(items, SERVER_TIME)
    assert sorted((items.index(one.item), one.why) for one in lost) == [
        (0, UNDELIVERABLE),
        (1, EXPIRED_BEFORE_REPLY),
        (1, UNDELIVERABLE),
    ]
    assert post.counted("kmsq_replies_undeliverable_total") == 3


async def test_acknowledging_counts_what_was_asked_and_how_it_ended() -> None:
    post = Post()
    items = [item(success()), item(AccessDeniedException()), item(Refused("x")), item(Replayed("Error", b""))]
    await post.outbox.acknowledge(items)
    assert post.broker.acknowledged == [one.delivery.tag for one in items]
    for operation, outcome in (
        ("GenerateRandom", "Success"),
        ("GenerateRandom", "AccessDeniedException"),
        ("Unknown", "Refused"),
        ("GenerateRandom", "ReplayedError"),
    ):
        assert post.counted("kmsq_requests_total", operation=operation, outcome=outcome) == 1


async def test_its_steps_are_told() -> None:
    post = Post()
    await post.outbox.reply([], SERVER_TIME)
    await post.outbox.acknowledge([])
    assert post.steps == ["replied", "acknowledged"]


async def test_nothing_is_made_up_for_an_item_without_an_outcome() -> None:
    """It would have been audited as a success."""
    undecided = item(None)
    with pytest.raises(RuntimeError, match="no answer"):
        await Post().outbox.reply([undecided], SERVER_TIME)
    with pytest.raises(RuntimeError, match="no outcome"):
        undecided.record()
    with pytest.raises(RuntimeError, match="not decoded"):
        Item(delivery()).require_request()
    with pytest.raises(RuntimeError, match="not committed"):
        _ = Turn(1, []).server_time


def test_a_record_tells_who_asked_for_what_and_how_it_ended() -> None:
    made = item(AccessDeniedException("no", reason="not-allowed"), message_id="01234567-89ab-cdef-0123-456789abcdef")
    made.touched.keys, made.touched.revisions, made.touched.materials = ["k"], [3], [1]
    made.touched.contexts = [{"a": "b"}]
    assert json.loads(made.record(epoch=4, turn=2)) == {
        "v": 1,
        "epoch": 4,
        "turn": 2,
        "principal": "alice",
        "actor": None,
        "operation": "GenerateRandom",
        "message_id": "01234567-89ab-cdef-0123-456789abcdef",
        "outcome": "AccessDeniedException",
        "reason": "not-allowed",
        "keys": ["k"],
        "revisions": [3],
        "materials": [1],
        "contexts": [{"a": "b"}],
        "count": 1,
    }


def test_a_record_of_a_loss_names_the_request() -> None:
    lost = item(success(), message_id="m")
    assert json.loads(lost_record(lost, UNDELIVERABLE, {"epoch": 4})) == {
        "v": 1,
        "epoch": 4,
        "event": "Undeliverable",
        "principal": "alice",
        "operation": "GenerateRandom",
        "message_id": "m",
    }
    assert json.loads(lost_record(item(Refused("x")), "x", {}))["principal"] is None


def test_neither_bodies_nor_results_nor_records_hold_what_a_repr_shows() -> None:
    secret = item(success(), body=CANARY)
    turn = Turn(1, [secret, item(Replayed("CreateKey", CANARY), body=CANARY), item(Refused("x"), body=CANARY)])
    for shown in (turn, secret, secret.delivery, Replayed("x", CANARY)):
        assert "canary" not in repr(shown)
        assert "canary" not in str(shown)


@pytest.mark.parametrize("error", KmsError.__subclasses__())
async def test_every_error_reaches_its_sender_under_its_own_name(error: type[KmsError]) -> None:
    post = Post()
    await post.outbox.reply([item(error("why"))], SERVER_TIME)
    told = decode(ErrorReply, post.broker.replies[0].body, ContentType.JSON)
    assert (told.code, told.message) == (error.__name__, "why")
    assert item(error()).outcome_name == error.__name__


def test_operations_are_named_as_the_contract_names_them() -> None:
    assert item(success()).operation_name == Operation.GENERATE_RANDOM.value
