"""Who is served next."""

import asyncio
from collections.abc import Sequence

import pytest

from fakes.deliveries import bare
from kmsq_worker.inbox import Inbox
from kmsq_worker.ports import Delivery


def filled(inbox: Inbox, senders: str) -> list[Delivery]:
    """Put a delivery of each sender, in order."""
    deliveries = [bare(principal=sender) for sender in senders]
    for delivery in deliveries:
        inbox.put(delivery)
    return deliveries


def senders(taken: Sequence[Delivery]) -> str:
    return "".join(delivery.user_id or "-" for delivery in taken)


async def test_an_idle_worker_answers_at_once_and_a_loaded_one_groups() -> None:
    inbox = Inbox(principal_max=10)
    filled(inbox, "a")
    assert senders(await inbox.take(256)) == "a"
    filled(inbox, "aabb")
    assert len(await inbox.take(256)) == 4


async def test_principals_are_served_in_turn_and_each_in_its_own_order() -> None:
    inbox = Inbox(principal_max=10)
    put = filled(inbox, "aaaabbc")
    assert senders(await inbox.take(4)) == "abca"
    assert senders(await inbox.take(4)) == "baa"
    filled(inbox, "ba")
    taken = await inbox.take(1)
    assert senders(taken) == "b"
    assert {delivery.tag for delivery in put}.isdisjoint(delivery.tag for delivery in taken)


async def test_a_newcomer_is_served_within_one_round_of_a_flood() -> None:
    inbox = Inbox(principal_max=100)
    filled(inbox, "a" * 100)
    assert senders(await inbox.take(3)) == "aaa"
    filled(inbox, "b")
    assert "b" in senders(await inbox.take(2))


async def test_what_is_beyond_the_cap_is_throttled_and_answered_next() -> None:
    inbox = Inbox(principal_max=2)
    put = filled(inbox, "aaa")
    taken = await inbox.take(1)
    assert [(one.tag, one.throttled) for one in taken] == [(put[2].tag, True)]
    assert [one.throttled for one in await inbox.take(5)] == [False, False]


async def test_the_cap_is_each_principal_s_own_and_frees_up_again() -> None:
    inbox = Inbox(principal_max=2)
    filled(inbox, "aabb")
    assert not any(one.throttled for one in await inbox.take(2))
    filled(inbox, "ab")
    assert not any(one.throttled for one in await inbox.take(10))


@pytest.mark.parametrize("limit", [1, 2, 7, 256])
async def test_the_throttled_of_a_flood_do_not_hold_up_anybody_else(limit: int) -> None:
    """A producer that sends on and on kept its own excess in front of everybody's requests."""
    inbox = Inbox(principal_max=2)
    filled(inbox, "a" * 600 + "b")
    taken: list[Delivery] = []
    for _ in range(4):
        filled(inbox, "a" * limit)  # as fast as it is answered
        taken += await inbox.take(limit)
    assert "b" in senders(taken)


async def test_a_suspect_runs_alone() -> None:
    inbox = Inbox(principal_max=10)
    filled(inbox, "a")
    suspects = [bare(attempt=3), bare(attempt=20)]
    for suspect in suspects:
        inbox.put(suspect)
    filled(inbox, "b")
    assert senders(await inbox.take(10)) == "ab"
    assert list(await inbox.take(10)) == suspects[:1]
    assert list(await inbox.take(10)) == suspects[1:]


@pytest.mark.parametrize(("attempt", "alone"), [(1, False), (2, False), (3, True), (4, True), (21, True)])
async def test_the_third_delivery_is_the_first_that_is_suspected(attempt: int, alone: bool) -> None:  # noqa: FBT001
    inbox = Inbox(principal_max=10)
    inbox.put(bare(attempt=attempt))
    filled(inbox, "a")
    assert (len(await inbox.take(10)) == 1) is alone


async def test_suspects_are_not_starved_by_a_load_that_never_ends() -> None:
    """They ran only when nobody else waited."""
    inbox = Inbox(principal_max=10)
    suspect = bare(attempt=3)
    inbox.put(suspect)
    taken: list[Delivery] = []
    for _ in range(2):
        filled(inbox, "aaa")
        taken += await inbox.take(2)
    assert suspect in taken


async def test_suspects_do_not_starve_their_neighbours() -> None:
    inbox = Inbox(principal_max=1)
    for _ in range(50):
        inbox.put(bare(attempt=3))
    filled(inbox, "abb")
    turns = [await inbox.take(10) for _ in range(2)]
    assert [len(turn) for turn in turns] == [3, 1]
    filled(inbox, "a")
    assert senders(await inbox.take(10)) == "a"


async def test_suspects_count_towards_nobody_s_cap() -> None:
    inbox = Inbox(principal_max=1)
    for _ in range(3):
        inbox.put(bare(principal="a", attempt=3))
    filled(inbox, "a")
    taken = [one for _ in range(4) for one in await inbox.take(1)]
    assert [one.throttled for one in taken] == [False] * 4


async def test_take_waits_for_a_delivery() -> None:
    inbox = Inbox(principal_max=10)
    taking = asyncio.create_task(inbox.take(5))
    await asyncio.sleep(0)
    assert not taking.done()
    filled(inbox, "a")
    assert senders(await taking) == "a"


async def test_a_cancelled_take_takes_nothing_along() -> None:
    inbox = Inbox(principal_max=10)
    taking = asyncio.create_task(inbox.take(5))
    await asyncio.sleep(0)
    filled(inbox, "ab")  # it is about to wake up
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert senders(await inbox.take(5)) == "ab"


async def test_a_closed_inbox_is_emptied_first() -> None:
    inbox = Inbox(principal_max=1)
    filled(inbox, "aa")
    inbox.put(bare(attempt=3))
    inbox.close()
    assert len([one for _ in range(3) for one in await inbox.take(1)]) == 3
    assert list(await inbox.take(1)) == []
    assert list(await inbox.take(1)) == []


async def test_closing_wakes_whoever_waits() -> None:
    inbox = Inbox(principal_max=1)
    taking = asyncio.create_task(inbox.take(5))
    await asyncio.sleep(0)
    inbox.close()
    assert list(await taking) == []


async def test_the_unproven_share_one_queue() -> None:
    inbox = Inbox(principal_max=1)
    inbox.put(bare(principal=None))
    inbox.put(bare(principal=""))
    assert [one.throttled for one in await inbox.take(5)] == [True, False]
