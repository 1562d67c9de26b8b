"""What a session leaves behind."""

import asyncio

import pytest

from kmsq_worker.errors import Unavailable
from kmsq_worker.session import in_own_task


async def lose() -> None:
    await asyncio.sleep(0)
    raise Unavailable("database")


async def watched_lanes() -> None:
    """Fail as a session does: a lane inside, watchers around it."""
    async with asyncio.TaskGroup() as watchers:
        watchers.create_task(asyncio.sleep(60))
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(lose())


async def test_a_lost_session_does_not_leave_its_task_half_cancelled() -> None:
    with pytest.raises(ExceptionGroup):
        await in_own_task(watched_lanes())
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0
    with pytest.raises(TimeoutError):  # on Python 3.11.2 this was CancelledError, which ended the worker
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
