"""What breaks a reader of AMQP, or a worker, ends as a dead letter, and its neighbours are answered."""

import asyncio
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pamqp.encode
import pytest

from integration.crashing_worker import CRASHED
from integration.evidence import WAIT_SECONDS, dead_letters, metric, outcomes, queue_depths, running
from integration.raw import SUCCESS, Producer
from kmsq_schemas.models import GenerateRandomRequest
from services.daemon import wait_until
from services.stack import PrivateStack

CRASHING = (sys.executable, Path(__file__).with_name("crashing_worker.py"))
RANDOM = GenerateRandomRequest(number_of_bytes=16)


def table(entry: bytes) -> bytes:
    return struct.pack(">I", len(entry)) + entry


def nested(depth: int) -> bytes:
    inner = table(b"")
    for _ in range(depth):
        inner = table(b"\x01aF" + inner)
    return inner


ENCODERS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "a-timestamp-after-the-year-9999": ("timestamp", lambda _: struct.pack(">Q", 2**60)),
    "the-last-timestamp-there-is": ("timestamp", lambda _: b"\xff" * 8),
    "a-header-name-that-is-no-utf-8": ("table", lambda _: table(b"\x02\xff\xfet\x01")),
    "headers-of-great-depth": ("table", lambda _: nested(2_000)),
    "a-decimal-of-255-places": ("table", lambda _: table(b"\x01aD\xff" + b"\xff" * 4)),
}


@pytest.mark.parametrize("poison", ENCODERS)
async def test_properties_that_the_amqp_library_cannot_read_are_buried_and_the_neighbours_answered(
    lone: PrivateStack, boss: Producer, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    what, encode = ENCODERS[poison]
    message = replace(boss.message(RANDOM), timestamp=datetime.now(UTC), body=b"not to be kept")
    async with running(lone) as (worker,), dead_letters(lone) as letters:
        with monkeypatch.context() as patch:
            patch.setitem(pamqp.encode.METHODS, what, encode)
            await boss.publish(message)
        neighbours = [boss.message(RANDOM) for _ in range(10)]
        await asyncio.gather(*map(boss.publish, neighbours))
        assert [(await boss.answer(neighbour)).code for neighbour in neighbours] == [SUCCESS] * 10
        assert metric(worker, "kmsq_sessions_lost_total") == 0
        assert boss.answers_so_far(message) or (await letters.get()).reason == "no-user-id"
    assert set((await queue_depths(lone)).values()) == {0}


async def test_correlation_and_identity_that_are_no_utf_8_harm_nobody(lone: PrivateStack, boss: Producer) -> None:
    async with running(lone) as (worker,):
        strange = replace(boss.message(RANDOM), correlation_id="\u0000\uffff\U0001f511")
        assert (await boss.ask(strange)).code == SUCCESS
        odd = replace(boss.message(RANDOM), content_type="\u0000")
        assert (await boss.ask(odd)).code == "ValidationException"
        assert await outcomes(lone, odd.message_id) == ["ValidationException"]
        assert metric(worker, "kmsq_sessions_lost_total") == 0


@pytest.mark.parametrize(("deaths", "is_given_up"), [(3, False), (4, True)])
async def test_what_killed_two_workers_that_ran_it_alone_is_buried_by_the_next(
    lone: PrivateStack, boss: Producer, deaths: int, *, is_given_up: bool
) -> None:
    """The first two deaths had neighbours, who may be to blame; from its third delivery a request runs alone."""
    deadly, neighbour = boss.message(RANDOM), boss.message(RANDOM)
    await boss.publish(deadly)
    for _ in range(deaths):
        await asyncio.to_thread(crash, lone)
    await boss.publish(neighbour)
    async with dead_letters(lone) as letters, running(lone):
        assert (await boss.answer(neighbour)).code == SUCCESS
        if is_given_up:
            assert (await letters.get()).reason == "poison"
            assert boss.answers_so_far(deadly) == []
            assert await outcomes(lone, deadly.message_id) == [SUCCESS] * deaths + ["Refused"]
        else:
            assert (await boss.answer(deadly)).code == SUCCESS
    assert set((await queue_depths(lone)).values()) == {0}


def crash(lone: PrivateStack) -> None:
    """Let a worker commit one turn and die."""
    worker = lone.new_worker(command=CRASHING, environment={"KMSQ_TEST_CRASH_AT": "committed"})
    worker.spawn()
    assert wait_until(lambda: worker.exit_status is not None, WAIT_SECONDS)
    assert worker.exit_status == CRASHED
