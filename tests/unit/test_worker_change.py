"""The change: claimed once, authorised on fresh rows, undone without a trace when it fails, audited last."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from fakes.database import MOMENT, Database
from fakes.deliveries import HEADERS, INSTANCE, NOW, delivery, request
from fakes.workers import Lane, change_lane, code_of
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    PutAccountPolicyRequest,
    Request,
    UpdateKeyDescriptionRequest,
)
from kmsq_schemas.models.enums import Origin
from kmsq_schemas.operations import Operation
from kmsq_worker import change as change_module
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.errors import KeyUnavailableException, Unavailable
from kmsq_worker.operations import CHANGE_OPERATIONS, ChangeOperation
from kmsq_worker.ports import Delivery

CANARY = "canary-2718281828"


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def lane(database: Database) -> Lane:
    return await change_lane(database)


def replaced(monkeypatch: pytest.MonkeyPatch, operation: Operation, run: Any) -> None:
    """Let `run` be what an operation does."""
    table = {**CHANGE_OPERATIONS, operation: ChangeOperation(run)}
    monkeypatch.setattr(change_module, "CHANGE_OPERATIONS", table)


async def made(database: Database, message: Request, **changes: Any) -> Lane:
    """Make one change in a lane of its own."""
    lane = await change_lane(database)
    await lane.run(request(message, **changes))
    return lane


async def test_a_change_is_made_audited_answered_and_acknowledged_in_that_order(database: Database, lane: Lane) -> None:
    row = database.add_key()
    sent = request(DisableKeyRequest(key_id=row.key_id))
    (reply,) = await lane.run(sent)
    assert code_of(reply) == "DisableKeyReply"
    assert [event for event, _ in lane.events] == ["committed", "replied", "acknowledged"]
    assert lane.steps == ["committed", "replied", "acknowledged"]
    now = database.tables.keys[row.key_id]
    assert (now.key_state, now.revision, database.epoch) == ("Disabled", 1, 1)
    assert database.tables.change_log == [(1, f"key:{row.key_id}")]
    record = lane.records[0]
    assert (record["epoch"], record["keys"], record["revisions"]) == (1, [row.key_id], [0])
    assert record["wrote"] == {f"key:{row.key_id}": now.mac.hex()}
    lane.ring.custody.verify(now, "key")


async def test_the_same_request_again_gets_the_stored_outcome_verbatim(database: Database, lane: Lane) -> None:
    sent = request(CreateKeyRequest(description="what for"))
    (created,) = await lane.run(sent)
    later = await change_lane(database)
    elsewhere = f"kmsq.reply.alice.{INSTANCE[::-1]}"
    await later.run(replace(sent, correlation_id="other", reply_to=elsewhere, attempt=2))
    assert isinstance(created, CreateKeyReply)
    assert list(database.tables.keys) == [created.key_metadata.key_id]
    first, second = lane.broker.replies[0], later.broker.replies[0]
    assert (second.type, second.body, second.content_type) == (first.type, first.body, first.content_type)
    assert second.routing_key == f"alice.{INSTANCE[::-1]}"
    assert later.outcomes == ["ReplayedCreateKey"]
    assert later.records[0]["replayed"] is True
    assert "wrote" not in later.records[0]


@pytest.mark.parametrize(
    "other",
    [
        {"body": b'{ "KeyId":"x"}'},
        {"content_type": "application/cbor", "body": b"\xa1\x65KeyId\x61x"},
        {"type": "EnableKey", "routing_key": "alice.EnableKey"},
    ],
    ids=["body", "encoding", "operation"],
)
async def test_the_same_id_for_another_request_is_a_mismatch_and_has_no_effect(
    database: Database, other: dict[str, Any]
) -> None:
    sent = delivery(Operation.DISABLE_KEY, b'{"KeyId":"x"}')
    await (await change_lane(database)).run(sent)
    lane = await change_lane(database)
    (reply,) = await lane.run(replace(sent, **other))
    assert code_of(reply) == "IdempotencyMismatchException"
    assert lane.outcomes == ["IdempotencyMismatchException"]


async def test_ids_are_each_principal_s_own_and_the_same_in_either_case(database: Database) -> None:
    key_id = database.add_key().key_id
    ours = request(DisableKeyRequest(key_id=key_id))
    await (await change_lane(database)).run(ours)
    theirs = request(DisableKeyRequest(key_id=key_id), principal="bob", message_id=ours.message_id)
    lane = await change_lane(database)
    await lane.run(theirs, replace(ours, message_id=(ours.message_id or "").upper(), correlation_id="again"))
    assert lane.outcomes == ["AccessDeniedException", "ReplayedDisableKey"]


async def test_a_claim_outlives_its_deadline_by_a_week(database: Database) -> None:
    sent = request(CreateKeyRequest())
    await (await change_lane(database)).run(sent)
    claim = database.tables.claims["alice", UUID(sent.message_id)]
    assert claim["expires_at"] == MOMENT + timedelta(minutes=1, days=7)
    assert len(claim["digest"]) == 48


async def test_a_final_error_is_stored(database: Database) -> None:
    sent = request(DisableKeyRequest(key_id="00000000-0000-0000-0000-000000000000"))
    await (await change_lane(database)).run(sent)
    database.add_key(key_id="00000000-0000-0000-0000-000000000000")
    lane = await change_lane(database)
    (reply,) = await lane.run(sent)
    assert code_of(reply) == "NotFoundException"
    assert lane.outcomes == ["ReplayedError"]


async def test_what_cannot_be_prepared_is_refused_and_that_is_stored(database: Database) -> None:
    sent = request(CreateKeyRequest(origin=Origin.AWS_CLOUDHSM))
    for outcome in ("UnsupportedOperationException", "ReplayedError"):
        lane = await change_lane(database)
        (reply,) = await lane.run(sent)
        assert code_of(reply) == "UnsupportedOperationException"
        assert lane.outcomes == [outcome]
    assert not database.tables.keys


async def test_a_retryable_error_is_not_stored(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = database.add_key().key_id

    async def fail(_execution: object, _request: object, _: object) -> None:
        raise KeyUnavailableException("not now")

    sent = request(DisableKeyRequest(key_id=key_id))
    with monkeypatch.context() as patched:
        replaced(patched, Operation.DISABLE_KEY, fail)
        (reply,) = await (await change_lane(database)).run(sent)
    assert code_of(reply) == "KeyUnavailableException"
    assert not database.tables.claims
    (reply,) = await (await change_lane(database)).run(sent)
    assert code_of(reply) == "DisableKeyReply"


async def test_a_change_that_is_too_late_for_the_database_is_not_made_and_not_stored(database: Database) -> None:
    key_id = database.add_key().key_id
    lane = await change_lane(database)
    lane.loop._clock = lambda: NOW - 2  # a worker whose clock is behind the database's
    (reply,) = await lane.run(request(DisableKeyRequest(key_id=key_id), headers={**HEADERS, "deadline": NOW}))
    assert code_of(reply) == "ExpiredException"
    assert (database.epoch, database.tables.claims) == (0, {})


@pytest.mark.parametrize(
    "message",
    [
        UpdateKeyDescriptionRequest(key_id="01234567-89ab-cdef-0123-456789abcdef", description="a\x00b"),
        CreateKeyRequest(description="a\x00b"),
    ],
    ids=["an existing key", "a new key"],
)
async def test_a_change_that_is_undone_leaves_no_trace_but_its_record(database: Database, message: Request) -> None:
    """The record named MACs that were never written: `audit verify` took the rows for rolled back or gone."""
    row = database.add_key(key_id="01234567-89ab-cdef-0123-456789abcdef")
    lane = await made(database, message)
    assert lane.outcomes == ["ValidationException"]
    assert "wrote" not in lane.records[0]
    assert lane.records[0]["epoch"] == database.epoch == 0
    assert database.tables.keys == {row.key_id: row}


async def test_an_operation_that_fails_half_way_is_undone_and_says_nothing_of_its_input(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = database.add_key()

    async def fail(execution: ChangeExecution, asked: DisableKeyRequest, _: None) -> None:
        await execution.save_key(replace((await execution.locate(asked.key_id)).row, description=CANARY))
        raise LookupError(CANARY)

    replaced(monkeypatch, Operation.DISABLE_KEY, fail)
    lane = await made(database, DisableKeyRequest(key_id=row.key_id))
    assert lane.outcomes == ["KMSInternalException"]
    assert lane.records[0]["reason"] == "LookupError"
    assert "wrote" not in lane.records[0]
    assert database.tables.keys == {row.key_id: row}
    assert not database.tables.change_log
    assert CANARY not in str(lane.records) + str(lane.broker.replies[0].body)
    assert [one.getMessage() for one in caplog.records] == ["operation failed unexpectedly"]


async def test_creating_a_key_shares_the_lock_and_makes_no_epoch(database: Database) -> None:
    """Its record claimed the next epoch: a change of the key at that very epoch could look older than its creation."""
    database.note_change("account-policy")
    lane = await made(database, CreateKeyRequest())
    assert lane.changes.exclusive == [False]
    (row,) = database.tables.keys.values()
    assert (lane.records[0]["epoch"], row.revision, database.epoch) == (1, 1, 1)
    changed = await made(database, DisableKeyRequest(key_id=row.key_id))
    assert changed.changes.exclusive == [True]
    assert changed.records[0]["epoch"] == 2


async def test_a_change_is_authorised_on_the_row_as_it_is_now(database: Database) -> None:
    row = database.add_key()
    database.change_key(row.key_id, policy=database.add_key(creator="bob").policy)
    lane = await made(database, DisableKeyRequest(key_id=row.key_id))
    assert lane.outcomes == ["AccessDeniedException"]
    assert lane.records[0]["revisions"] == [1]


@pytest.mark.parametrize("subject", ["key", "alias", "account-policy"])
async def test_a_row_that_was_edited_is_not_changed_and_raises_the_alarm(database: Database, subject: str) -> None:
    row = database.add_key()
    match subject:
        case "key":
            database.tables.keys[row.key_id] = replace(row, description="edited")
        case "alias":
            database.tables.aliases["alias/a"] = replace(database.add_alias("alias/a", row.key_id), key_id="edited")
        case _:
            database.tables.account_policy = replace(database.tables.account_policy, policy="{}")
    lane = await made(database, CreateAliasRequest(alias_name="alias/a", target_key_id=row.key_id))
    expected = "KMSInternalException" if subject == "account-policy" else "KMSInvalidStateException"
    assert lane.outcomes == [expected]
    assert lane.records[0]["reason"] == "tampered"
    assert lane.telemetry.registry.get_sample_value("kmsq_integrity_failures_total") == 1


async def test_a_row_that_was_rolled_back_is_not_changed(database: Database) -> None:
    row = database.add_key()
    lane = await change_lane(database)
    await lane.run(request(DisableKeyRequest(key_id=row.key_id)), request(EnableKeyRequest(key_id=row.key_id)))
    database.tables.keys[row.key_id] = row
    later = await change_lane(database, revisions=lane.loop._revisions)  # type: ignore[union-attr]
    (reply,) = await later.run(request(DisableKeyRequest(key_id=row.key_id)))
    assert code_of(reply) == "KMSInvalidStateException"


async def test_an_edited_account_policy_is_put_right_by_a_bootstrap_administrator_alone(database: Database) -> None:
    good = database.tables.account_policy.policy
    database.tables.account_policy = replace(database.tables.account_policy, policy="{}")
    lane = await made(database, PutAccountPolicyRequest(policy=good))
    assert lane.outcomes == ["KMSInternalException"]
    lane = await made(database, PutAccountPolicyRequest(policy=good), principal="root")
    assert lane.outcomes == ["Success"]
    assert (await made(database, CreateKeyRequest())).outcomes == ["Success"]


async def test_requests_that_never_come_as_far_as_a_claim_are_audited(database: Database, lane: Lane) -> None:
    sent: list[Delivery] = [
        delivery(Operation.CREATE_KEY, b"?"),
        delivery(Operation.CREATE_KEY, b"{}", headers={"kmsq-version": 1}),
        delivery(Operation.CREATE_KEY, b"{}", throttled=True),
        delivery(Operation.CREATE_KEY, b"{}", user_id=None),
    ]
    for one in sent:
        lane.inbox.put(one)
    lane.inbox.close()
    await lane.loop.run()
    assert sorted(lane.outcomes) == ["Refused", "ThrottlingException", "ValidationException", "ValidationException"]
    assert sorted(lane.broker.acknowledged) == sorted(one.tag for one in sent)
    assert (database.tables.keys, database.tables.claims, set(lane.changes.exclusive)) == ({}, {}, {False})


async def test_a_lost_reply_is_audited_after_the_change(lane: Lane) -> None:
    lane.broker.undeliverable.add(f"alice.{INSTANCE}")
    await lane.run(request(CreateKeyRequest()))
    assert [event for event, _ in lane.events] == ["committed", "replied", "committed", "acknowledged"]
    assert lane.records[1]["event"] == "Undeliverable"


async def test_a_broker_that_is_lost_leaves_the_change_to_be_told_again(database: Database, lane: Lane) -> None:
    lane.broker.is_away = True
    sent = request(CreateKeyRequest())
    with pytest.raises(Unavailable):
        await lane.run(sent)
    later = await change_lane(database)
    (reply,) = await later.run(replace(sent, attempt=2))
    assert isinstance(reply, CreateKeyReply)
    assert list(database.tables.keys) == [reply.key_metadata.key_id]


async def test_a_fault_of_ours_in_what_is_prepared_is_answered_and_not_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_custody: object, _request: object) -> object:
        raise ZeroDivisionError

    sent = request(CreateKeyRequest())
    table = {**CHANGE_OPERATIONS, Operation.CREATE_KEY: replace(CHANGE_OPERATIONS[Operation.CREATE_KEY], prepare=fail)}
    monkeypatch.setattr(change_module, "CHANGE_OPERATIONS", table)
    lane = await change_lane(database)
    (reply,) = await lane.run(sent)
    assert code_of(reply) == "KMSInternalException"
    assert not database.tables.claims
