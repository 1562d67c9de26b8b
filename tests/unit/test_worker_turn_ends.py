"""How requests end that do not simply end well: too late, unanswerable, suspected, or with the lane itself."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from fakes.database import MOMENT, Database
from fakes.deliveries import HEADERS, INSTANCE, NOW, delivery, encrypt
from fakes.lanes import FakeMarks
from fakes.workers import Lane, code_of, counted, turn_lane
from kmsq_worker import turn
from kmsq_worker.errors import Unavailable
from kmsq_worker.suspects import DEADLY_MARKS, Suspects, released


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def lane(database: Database) -> Lane:
    return await turn_lane(database)


async def test_a_result_that_is_too_late_for_the_database_is_not_given_out(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    lane.committer.clock = MOMENT.replace(second=30)
    headers = {**HEADERS, "deadline": NOW + 29_999}
    late, timely, timeless = await lane.run(
        delivery(headers=headers), delivery(), delivery(headers={"kmsq-version": 1})
    )
    assert code_of(late) == "ExpiredException"
    assert (code_of(timely), code_of(timeless)) == ("GenerateRandomReply", "GenerateRandomReply")
    assert lane.outcomes == ["ExpiredException", "Success", "Success"]
    assert len(executed) == 3


async def test_the_deadline_s_very_millisecond_still_counts(lane: Lane) -> None:
    lane.committer.clock = MOMENT.replace(second=30)
    (reply,) = await lane.run(delivery(headers={**HEADERS, "deadline": NOW + 30_000}))
    assert code_of(reply) == "GenerateRandomReply"


async def test_an_expired_request_is_never_executed(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = counted(monkeypatch)
    (reply,) = await lane.run(delivery(headers={**HEADERS, "deadline": NOW}))
    assert code_of(reply) == "ExpiredException"
    assert not executed
    assert lane.outcomes == ["ExpiredException"]


async def test_a_closed_chain_ends_the_lane_and_nothing_leaves(lane: Lane) -> None:
    lane.committer.outcomes.append("closed")
    with pytest.raises(ExceptionGroup) as caught:
        await lane.run(delivery())
    assert caught.group_contains(Unavailable, match="audit chain")
    assert not lane.events


async def test_a_database_that_is_lost_in_the_commit_ends_the_lane_and_nothing_leaves(lane: Lane) -> None:
    def lose() -> None:
        raise Unavailable("ConnectionResetError")

    lane.committer.before.append(lose)
    with pytest.raises(ExceptionGroup) as caught:
        await lane.run(delivery(), delivery(user_id=None))
    assert caught.group_contains(Unavailable)
    assert not lane.events


async def test_a_broker_that_is_lost_before_the_confirms_gets_no_acknowledgement(lane: Lane) -> None:
    lane.broker.is_away = True
    with pytest.raises(ExceptionGroup) as caught:
        await lane.run(delivery())
    assert caught.group_contains(Unavailable)
    assert [event for event, _ in lane.events] == ["committed"]


async def test_whom_nobody_can_prove_is_buried_audited_and_acknowledged(lane: Lane) -> None:
    forged = delivery(user_id="Mallory\n" * 30, routing_key="bob.Encrypt\x00" * 30, message_id="m" * 200)
    lane.inbox.put(forged)
    assert await lane.run() == []
    assert lane.broker.buried == [(forged, "malformed-principal")]
    assert lane.broker.acknowledged == [forged.tag]
    record = lane.records[0]
    assert (record["outcome"], record["reason"]) == ("Refused", "malformed-principal")
    assert record["claimed"].isascii()
    assert max(len(record["claimed"]), len(record["routing_key"]), len(record["message_id"])) <= 4 * 128
    assert "principal" not in record


async def test_a_throttled_request_is_told_so_and_audited(database: Database) -> None:
    lane = await turn_lane(database, principal_max=1)
    first, second = await lane.run(delivery(), delivery())
    assert (code_of(first), code_of(second)) == ("GenerateRandomReply", "ThrottlingException")
    assert sorted(lane.outcomes) == ["Success", "ThrottlingException"]


async def test_a_reply_that_finds_no_queue_is_audited_and_acknowledged(lane: Lane) -> None:
    lane.broker.undeliverable.add(f"alice.{INSTANCE}")
    sent = delivery()
    await lane.run(sent)
    assert [event for event, _ in lane.events] == ["committed", "replied", "committed", "acknowledged"]
    lost = lane.records[1]
    assert (lost["event"], lost["principal"], lost["message_id"]) == ("Undeliverable", "alice", sent.message_id)
    assert (lost["turn"], lost["operation"]) == (1, "GenerateRandom")


async def test_a_loss_that_cannot_be_audited_leaves_the_request_to_the_next_worker(lane: Lane) -> None:
    lane.broker.undeliverable.add(f"alice.{INSTANCE}")
    lane.committer.before += [lambda: None, lambda: lane.committer.outcomes.append("closed")]
    with pytest.raises(ExceptionGroup) as caught:
        await lane.run(delivery())
    assert caught.group_contains(Unavailable)
    assert not lane.broker.acknowledged


async def test_a_suspect_that_runs_well_leaves_no_mark(lane: Lane) -> None:
    (reply,) = await lane.run(delivery(attempt=3))
    assert code_of(reply) == "GenerateRandomReply"
    assert not lane.marks.marks


async def test_what_killed_two_workers_alone_is_buried_unexecuted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = counted(monkeypatch)
    lane = await turn_lane(database)
    poison, neighbour = delivery(attempt=5), delivery()
    for _ in range(DEADLY_MARKS):  # two processes that did not live to take theirs back
        await Suspects(marks=lane.marks, custody=lane.ring.custody).admit(poison)
    lane.inbox.put(poison)
    assert [code_of(reply) for reply in await lane.run(neighbour)] == ["GenerateRandomReply"]
    assert [(one.tag, reason) for one, reason in lane.broker.buried] == [(poison.tag, "poison")]
    assert len(executed) == 1
    assert not lane.marks.marks


async def test_a_mark_is_the_request_s_own_and_survives_its_redelivery(database: Database) -> None:
    lane = await turn_lane(database)
    suspects = Suspects(marks=lane.marks, custody=lane.ring.custody)
    first = delivery(attempt=3)
    again = replace(first, tag=first.tag + 1, attempt=4, reply_to="elsewhere", correlation_id="other")
    for one in (first, again, replace(first, body=b"{}"), delivery(attempt=3), delivery(attempt=2)):
        await suspects.admit(one)
    assert sorted(lane.marks.marks.values()) == [1, 1, 2]
    await suspects.release(delivery(attempt=3))
    assert len(lane.marks.marks) == 3
    await suspects.release_all()
    assert not lane.marks.marks


async def test_marks_are_taken_back_when_a_session_ends_if_the_database_is_there(database: Database) -> None:
    lane = await turn_lane(database)
    async with released(Suspects(marks=lane.marks, custody=lane.ring.custody)) as suspects:
        await suspects.admit(delivery(attempt=3))
        assert len(lane.marks.marks) == 1
    assert not lane.marks.marks
    async with released(Suspects(marks=Away(), custody=lane.ring.custody)) as suspects:
        await suspects.admit(delivery(attempt=3))


class Away(FakeMarks):
    """A database that is lost once a mark is set."""

    async def clear_suspects(self, digests: Collection[bytes]) -> None:
        """Fail, before anything is taken back."""
        assert digests
        raise Unavailable("away")


async def test_metrics_count_outcomes_and_name_nobody(database: Database, lane: Lane) -> None:
    row = database.add_key()
    await lane.run(encrypt(row.key_id), encrypt("alias/none"), delivery(body=b"?"))

    def count(operation: str, outcome: str) -> float | None:
        labels = {"operation": operation, "outcome": outcome}
        return lane.telemetry.registry.get_sample_value("kmsq_requests_total", labels)

    assert count("Encrypt", "Success") == count("Encrypt", "NotFoundException") == 1
    assert count("GenerateRandom", "ValidationException") == 1
    seen = {
        value for family in lane.telemetry.registry.collect() for one in family.samples for value in one.labels.values()
    }
    assert not seen & {"alice", row.key_id, "alias/none"}


async def test_a_key_that_changes_without_end_holds_nobody_up(
    database: Database, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "RESTLESS_SECONDS", 0.0)
    own, other = database.add_key(), database.add_key()
    lane.committer.before.extend([lambda: database.change_key(own.key_id, description="again")] * 1_000)
    restless, served, refused = await lane.run(encrypt(own.key_id), encrypt(other.key_id), delivery(body=b"?"))
    assert code_of(restless) == "KeyUnavailableException"
    assert code_of(served) == "EncryptReply"
    assert code_of(refused) == "ValidationException"
    assert 1_000 - len(lane.committer.before) == 2, "one commit is refused, and one is made without that key"
    assert lane.records[0]["reason"] == "changing"
