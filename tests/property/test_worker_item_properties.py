"""Deadlines in a turn: what the database calls too late is what the worker takes back, and each turn ends."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fakes.deliveries import NOW, caller, delivery
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import GenerateRandomReply, GenerateRandomRequest
from kmsq_worker.decode import DEADLINE_MAX_MS, Parsed
from kmsq_worker.errors import ExpiredException
from kmsq_worker.item import Item, Turn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
NEAR = st.integers(-2_000, 2_000)  # microseconds


def item(deadline: int | None) -> Item:
    made = Item(delivery(), caller(), Parsed(GenerateRandomRequest(number_of_bytes=1), ContentType.JSON, deadline))
    made.outcome = GenerateRandomReply(plaintext=b"x")
    return made


def moment(deadline: int) -> datetime:
    """Return a deadline to the microsecond, computed without floating point."""
    return EPOCH + timedelta(milliseconds=deadline)


@given(
    deadlines=st.lists(st.none() | st.integers(NOW - 3, NOW + 3) | st.integers(1, DEADLINE_MAX_MS), max_size=6),
    clock=NEAR.map(lambda microseconds: moment(NOW) + timedelta(microseconds=microseconds)) | CLOCKS,
)
def test_exactly_what_the_database_calls_too_late_is_taken_back(deadlines: list[int | None], clock: datetime) -> None:
    turn = Turn(1, [item(deadline) for deadline in deadlines])
    earliest = min((deadline for deadline in deadlines if deadline is not None), default=None)
    assert turn.deadline == (None if earliest is None else moment(earliest))
    turn.expire(clock)
    for one, deadline in zip(turn.items, deadlines, strict=True):
        too_late = deadline is not None and clock > moment(deadline)
        assert isinstance(one.outcome, ExpiredException) is too_late
    assert turn.deadline is None or clock <= turn.deadline, "the next commit would be refused for the same reason"


@given(subjects=st.lists(st.sets(st.sampled_from("abcde"))), changed=st.sets(st.sampled_from("abcdefg")))
def test_a_turn_rests_on_what_its_requests_rest_on(subjects: list[set[str]], changed: set[str]) -> None:
    turn = Turn(1, [item(None) for _ in subjects])
    for one, touched in zip(turn.items, subjects, strict=True):
        one.touched.subjects |= touched
    assert set(turn.subjects) == set().union(*subjects)
    affected = turn.affected(changed)
    assert bool(affected) is bool(changed & set(turn.subjects)), "a turn that is out of date has something to do again"
    assert [one for one in turn.items if one.touched.subjects & changed] == list(affected)
