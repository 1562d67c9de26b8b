"""The mailbox of a request under way."""

import asyncio

from kmsq.amqp.events import Answered, Closed, Interrupted, Overdue
from kmsq.amqp.pending import Pending, PendingTable
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import CreateAliasReply
from kmsq_schemas.operations import Operation

ANSWER = Answered(CreateAliasReply())


def pending() -> Pending:
    return Pending(Operation.ENCRYPT, b"canary-body", content_type=ContentType.JSON, expires_at=0)


async def test_silence_is_overdue() -> None:
    assert await pending().next_event(0.01) == Overdue()


async def test_an_event_wakes_the_caller() -> None:
    request = pending()
    asyncio.get_running_loop().call_soon(request.post, ANSWER)
    assert await request.next_event(5) == ANSWER


async def test_a_reply_comes_before_everything_else_and_the_first_wins() -> None:
    request, second = pending(), Answered(CreateAliasReply(), skew_moved=True)
    request.post(Interrupted())
    request.post(ANSWER)
    request.post(second)
    assert await request.next_event(0) == ANSWER


async def test_events_of_an_earlier_attempt_are_dropped_but_its_reply_is_not() -> None:
    request = pending()
    first = request.begin_attempt(1)
    request.post(Interrupted(), attempt=first)
    request.begin_attempt(2)
    request.post(Interrupted(), attempt=first)
    assert await request.next_event(0.01) == Overdue()
    request.post(ANSWER)
    request.begin_attempt(3)
    assert await request.next_event(0.01) == ANSWER


def test_a_confirm_ends_the_doubt_of_its_own_attempt_only() -> None:
    request = pending()
    first = request.begin_attempt(1)
    second = request.begin_attempt(2)
    request.confirm(first)
    doubts = [request.progress.in_doubt]
    request.confirm(second)
    assert [*doubts, request.progress.in_doubt] == [True, False]
    assert request.sent_ms == 1


def test_requests_are_found_until_they_are_removed() -> None:
    table, request = PendingTable(), pending()
    table.add(request)
    assert table.get(request.correlation_id) is request
    assert table.get(None) is None
    table.post_all(Closed())
    table.remove(request)
    assert request.gone
    assert table.get(request.correlation_id) is None
    assert len(table) == 0


def test_ids_cannot_be_guessed_and_bodies_are_not_shown() -> None:
    requests = [pending() for _ in range(100)]
    assert len({request.correlation_id for request in requests}) == 100
    assert len(requests[0].correlation_id) == 32
    assert "canary" not in repr(requests[0])
