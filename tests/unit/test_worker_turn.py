"""The turn: order of its steps, what a change under way does to it, and who pays for a neighbour's failure."""

import asyncio

import pytest

from fakes.database import Database
from fakes.deliveries import delivery, encrypt, request
from fakes.workers import Lane, code_of, counted, turn_lane
from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    EncryptReply,
    EncryptRequest,
    GenerateRandomReply,
    GenerateRandomRequest,
)
from kmsq_schemas.operations import Operation
from kmsq_worker import turn as turn_module
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations import TURN_OPERATIONS, TurnOperation
from kmsq_worker.turn import TURNS_AT_ONCE

CANARY = "canary-2718281828"


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def lane(database: Database) -> Lane:
    return await turn_lane(database)


async def test_what_is_encrypted_here_is_decrypted_here(database: Database, lane: Lane) -> None:
    row = database.add_key()
    database.add_alias("alias/app", row.key_id)
    (sealed,) = await lane.run(encrypt("alias/app", b"secret"))
    assert isinstance(sealed, EncryptReply)
    later = await turn_lane(database)
    (opened,) = await later.run(request(DecryptRequest(ciphertext_blob=sealed.ciphertext_blob)))
    assert isinstance(opened, DecryptReply)
    assert opened.plaintext == b"secret"
    assert lane.records[0]["keys"] == [row.key_id]


async def test_the_audit_record_is_committed_before_the_reply_and_the_reply_before_the_acknowledgement(
    database: Database, lane: Lane
) -> None:
    row = database.add_key()
    sent = [encrypt(row.key_id), encrypt("alias/none"), delivery(user_id=None), delivery(body=b"?")]
    for one in sent:
        lane.inbox.put(one)
    lane.inbox.close()
    await lane.loop.run()
    kinds = [event for event, _ in lane.events]
    assert kinds == ["committed"] * 4 + ["replied"] * 3 + ["buried"] + ["acknowledged"] * 4
    assert lane.steps == ["committed", "replied", "acknowledged"]
    assert sorted(lane.outcomes) == ["NotFoundException", "Refused", "Success", "ValidationException"]
    assert sorted(lane.broker.acknowledged) == sorted(one.tag for one in sent)


async def test_a_denied_request_is_audited_before_its_reply(database: Database, lane: Lane) -> None:
    row = database.add_key(creator="bob")
    (reply,) = await lane.run(encrypt(row.key_id))
    assert code_of(reply) == "AccessDeniedException"
    assert [event for event, _ in lane.events] == ["committed", "replied", "acknowledged"]
    record = lane.records[0]
    assert (record["principal"], record["operation"], record["keys"]) == ("alice", "Encrypt", [row.key_id])
    assert lane.ring.custody.unwrapped == 0, "nothing is unwrapped for who is denied"


async def test_a_turn_is_one_commit_however_many_it_carries(database: Database, lane: Lane) -> None:
    row = database.add_key()
    replies = await lane.run(*(encrypt(row.key_id) for _ in range(50)))
    assert {code_of(reply) for reply in replies} == {"EncryptReply"}
    assert lane.steps.count("committed") == 1
    assert {(record["turn"], record["epoch"]) for record in lane.records} == {(1, 0)}
    assert lane.ring.custody.unwrapped == 1


async def test_turns_hold_no_more_than_they_may(database: Database) -> None:
    lane = await turn_lane(database, turn_max=3)
    await lane.run(*(delivery() for _ in range(8)))
    assert [record["turn"] for record in lane.records] == [1, 1, 1, 2, 2, 2, 3, 3]


async def test_while_the_broker_is_slow_what_waits_becomes_one_turn(lane: Lane) -> None:
    lane.broker.takes.clear()
    running = asyncio.create_task(lane.loop.run())
    for _ in range(50):  # one at a time, and each has all the time it needs
        lane.inbox.put(delivery())
        for _ in range(20):
            await asyncio.sleep(0)
    assert [record["turn"] for record in lane.records] == list(range(1, TURNS_AT_ONCE + 1))
    lane.broker.takes.set()
    lane.inbox.close()
    await running
    turns = [record["turn"] for record in lane.records]
    assert turns[TURNS_AT_ONCE:] == [TURNS_AT_ONCE + 1] * (50 - TURNS_AT_ONCE)
    assert len(lane.broker.acknowledged) == 50


async def test_an_operation_that_fails_unexpectedly_leaves_its_neighbours_and_says_nothing_of_the_input(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_execution: TurnExecution, asked: EncryptRequest) -> EncryptReply:
        raise LookupError(asked.plaintext.decode())

    broken = TurnOperation(TURN_OPERATIONS[Operation.ENCRYPT].wants, fail)
    monkeypatch.setattr(turn_module, "TURN_OPERATIONS", {**TURN_OPERATIONS, Operation.ENCRYPT: broken})
    row = database.add_key()
    failed, served = await lane.run(encrypt(row.key_id, CANARY.encode()), delivery())
    assert code_of(failed) == "KMSInternalException"
    assert isinstance(served, GenerateRandomReply)
    assert lane.records[0]["reason"] == "LookupError"
    assert CANARY not in str(failed) + str(lane.records)
    assert [record.getMessage() for record in caplog.records] == ["operation failed unexpectedly"]


async def test_a_key_disabled_while_its_turn_is_decided_is_not_used(database: Database, lane: Lane) -> None:
    row = database.add_key()
    lane.committer.before.append(lambda: database.change_key(row.key_id, key_state="Disabled"))
    (reply,) = await lane.run(encrypt(row.key_id))
    assert code_of(reply) == "DisabledException"
    assert lane.outcomes == ["DisabledException"]
    assert lane.records[0]["epoch"] == 1
    assert lane.records[0]["revisions"] == [1]


async def test_only_what_a_change_affects_is_executed_again(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    changed, other = database.add_key(), database.add_key()
    lane.committer.before.append(lambda: database.change_key(changed.key_id, description="new"))
    described = request(DescribeKeyRequest(key_id=changed.key_id))
    replies = await lane.run(encrypt(other.key_id), described, delivery(), delivery(body=b"?"))
    assert executed == [Operation.ENCRYPT, Operation.DESCRIBE_KEY, Operation.GENERATE_RANDOM, Operation.DESCRIBE_KEY]
    assert [code_of(reply) for reply in replies] == [
        "EncryptReply",
        "DescribeKeyReply",
        "GenerateRandomReply",
        "ValidationException",
    ]
    assert isinstance(replies[1], DescribeKeyReply)
    assert replies[1].key_metadata.description == "new"
    assert {record["epoch"] for record in lane.records} == {1}


async def test_a_change_of_something_else_costs_a_turn_nothing(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    row, other = database.add_key(), database.add_key()
    lane.committer.before.append(lambda: database.change_key(other.key_id, description="new"))
    await lane.run(encrypt(row.key_id))
    assert executed == [Operation.ENCRYPT]
    assert (await lane.ring.keyring.view([])).epoch == 1


async def test_an_account_policy_that_changes_affects_the_whole_turn(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    nobody = Database(administrators=["nobody"]).tables.account_policy.policy
    lane.committer.before.append(lambda: database.change_account_policy(nobody))
    (reply,) = await lane.run(delivery())
    assert code_of(reply) == "AccessDeniedException"
    assert len(executed) == 2


async def test_a_key_and_an_alias_that_appear_meanwhile_are_found(database: Database, lane: Lane) -> None:
    row = database.add_key()
    lane.committer.before.append(lambda: database.add_alias("alias/app", row.key_id))
    (reply,) = await lane.run(encrypt("alias/app"))
    assert code_of(reply) == "EncryptReply"


async def test_a_blob_of_a_material_that_is_younger_than_the_keyring_is_opened(database: Database) -> None:
    row = database.add_key()
    old = await turn_lane(database)
    await old.run(encrypt(row.key_id))
    database.rotate_key(row.key_id)
    (sealed,) = await (await turn_lane(database)).run(encrypt(row.key_id))
    assert isinstance(sealed, EncryptReply)
    again = await turn_lane(database)
    again.loop._keyring = old.ring.keyring  # type: ignore[union-attr]  # a keyring that has not heard of the rotation
    (opened,) = await again.run(request(DecryptRequest(ciphertext_blob=sealed.ciphertext_blob)))
    assert code_of(opened) == "DecryptReply"


async def test_a_turn_too_far_behind_is_executed_anew(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    row = database.add_key()
    lane.committer.outcomes.append("behind")
    replies = await lane.run(encrypt(row.key_id), delivery())
    assert [code_of(reply) for reply in replies] == ["EncryptReply", "GenerateRandomReply"]
    assert len(executed) == 4
    assert lane.outcomes == ["Success", "Success"]
    assert len(database.reader.loads) == 2


async def test_the_next_turn_is_decided_while_one_commits(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = counted(monkeypatch)
    lane.committer.gate.clear()
    running = asyncio.create_task(lane.loop.run())
    for number in (1, 2, 3):
        lane.inbox.put(request(GenerateRandomRequest(number_of_bytes=number)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(executed) == 2, "one commits, one is decided, and no more: the third would grow old"
    assert not lane.events
    lane.committer.gate.set()
    lane.inbox.close()
    await running
    assert [record["turn"] for record in lane.records] == [1, 2, 3]


async def test_a_turn_decided_before_a_change_that_an_earlier_commit_met_is_decided_again(
    database: Database, lane: Lane
) -> None:
    row = database.add_key()
    lane.committer.gate.clear()
    running = asyncio.create_task(lane.loop.run())
    sent = [delivery(), encrypt(row.key_id)]
    for one in sent:
        lane.inbox.put(one)
        for _ in range(5):
            await asyncio.sleep(0)
    database.change_key(row.key_id, key_state="Disabled")
    lane.committer.gate.set()
    lane.inbox.close()
    await running
    assert lane.outcomes == ["Success", "DisabledException"]
    assert code_of(lane.reply_to(sent[1])) == "DisabledException"


async def test_an_idle_lane_ends_when_its_inbox_is_closed(lane: Lane) -> None:
    assert await lane.run() == []
    assert not lane.events
