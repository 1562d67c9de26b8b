"""A lane that is cancelled anywhere, or loses the broker anywhere, loses nothing and answers nothing unaudited."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from fakes.database import Database
from fakes.deliveries import delivery, encrypt
from fakes.lanes import Events
from fakes.workers import Lane, change_lane, turn_lane
from kmsq_schemas.operations import Operation
from kmsq_worker.ports import Delivery

KINDS = st.sampled_from(["encrypt", "denied", "missing", "random", "malformed", "unproven", "suspect"])
STEPS_MAX = 80  # more awaits than any of these runs has


@dataclass
class Requests:
    """Requests of every kind, against keys that may or may not serve them."""

    database: Database
    mine: str
    others: str

    def make(self, kind: str) -> Delivery:
        made: dict[str, Callable[[], Delivery]] = {
            "encrypt": lambda: encrypt(self.mine),
            "denied": lambda: encrypt(self.others),
            "missing": lambda: encrypt("alias/none"),
            "random": delivery,
            "malformed": lambda: delivery(body=b"?"),
            "unproven": lambda: delivery(user_id=None),
            "suspect": lambda: delivery(attempt=3),
        }
        return made[kind]()


def requests(database: Database) -> Requests:
    return Requests(database, database.add_key().key_id, database.add_key(creator="bob").key_id)


async def run_for(lane: Lane, deliveries: list[Delivery], steps: int, turns: list[int]) -> None:
    """Deliver, a few at a time, and cancel the lane after so many steps of the event loop."""
    running = asyncio.create_task(lane.loop.run())
    waiting = list(deliveries)
    for step in range(steps):
        if step % 3 == 0:
            for _ in range(turns[step // 3 % len(turns)]):
                if waiting:
                    lane.inbox.put(waiting.pop(0))
        await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def check_order(events: Events, sent: list[Delivery]) -> None:
    """Each acknowledged request was committed, then answered or buried, then acknowledged; and that once."""
    committed = [json.loads(what)["message_id"] if isinstance(what, bytes) else None for _, what in events]
    for one in sent:
        acknowledged = [place for place, event in enumerate(events) if event == ("acknowledged", one.tag)]
        answered = [
            place
            for place, event in enumerate(events)
            if event in (("replied", one.correlation_id), ("buried", one.tag))
        ]
        audited = [place for place, message_id in enumerate(committed) if message_id == one.message_id]
        assert len(acknowledged) <= 1
        assert not acknowledged or answered, "acknowledged without an answer"
        assert not answered or audited, "answered without an audit record"
        assert not answered or min(audited) < min(answered)
        assert not acknowledged or min(answered) < min(acknowledged)


@given(
    kinds=st.lists(KINDS, min_size=1, max_size=7),
    steps=st.integers(0, STEPS_MAX),
    turns=st.lists(st.integers(0, 3), min_size=1, max_size=5).filter(any),
    turn_max=st.integers(1, 4),
    stale=st.booleans(),
)
def test_cancelling_a_turn_at_any_await_loses_nothing(
    kinds: list[str],
    steps: int,
    turns: list[int],
    turn_max: int,
    stale: bool,  # noqa: FBT001  # drawn
) -> None:
    async def live() -> None:
        database = Database()
        source = requests(database)
        sent = [source.make(kind) for kind in kinds]
        lane = await turn_lane(database, turn_max=turn_max)
        if stale:
            lane.committer.before.append(lambda: database.change_key(source.mine, key_state="Disabled"))
        await run_for(lane, sent, steps, turns)
        check_order(lane.events, sent)
        # The broker delivers again what was not acknowledged, to another worker.
        left = [one for one in sent if one.tag not in lane.broker.acknowledged]
        again = [replace(one, tag=one.tag + 1_000_000) for one in left]
        later = await turn_lane(database)
        for one in again:
            later.inbox.put(one)
        await later.run()
        check_order(later.events, again)
        assert sorted(later.broker.acknowledged) == sorted(one.tag for one in again)

    asyncio.run(live())


CHANGES = st.lists(st.sampled_from([Operation.DISABLE_KEY, Operation.ENABLE_KEY, Operation.CREATE_KEY]), min_size=1)


@given(operations=CHANGES.filter(lambda found: len(found) < 5), steps=st.integers(0, STEPS_MAX))
def test_cancelling_a_change_at_any_await_leaves_it_made_once_or_not_at_all(
    operations: list[Operation], steps: int
) -> None:
    async def live() -> None:
        database = Database()
        key_id = database.add_key().key_id
        bodies = {Operation.CREATE_KEY: b"{}"}
        named = json.dumps({"KeyId": key_id}).encode()
        sent = [delivery(operation, bodies.get(operation, named)) for operation in operations]
        lane = await change_lane(database)
        await run_for(lane, sent, steps, [1])
        check_order(lane.events, sent)
        later = await change_lane(database)
        for one in sent:  # all of them once more: what was made is told again
            later.inbox.put(replace(one, tag=one.tag + 1_000_000))
        await later.run()
        assert len(database.tables.keys) == 1 + operations.count(Operation.CREATE_KEY)
        assert database.epoch == len(operations) - operations.count(Operation.CREATE_KEY)
        assert database.tables.keys[key_id].revision == database.epoch
        assert all(reply.type != "Error" for reply in later.broker.replies)

    asyncio.run(live())
