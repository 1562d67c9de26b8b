"""
The turn: the requests that a lane takes together, commits together and acknowledges together (DESIGN.md §3).

    1 decode      properties and body to a validated request
    2 locate      a view of all keys that the turn wants, captured at an epoch
    3 authorize   principal, operation, key, encryption context
    4 unlock      the key material
    5 operate     one failing request never touches its neighbours
    6 commit      audit records and chain head in one round trip, unless something changed: then 2 … 5 once more
    7 reply       publisher-confirmed, pipelined
    8 ack         on the channel that delivered, after the confirms

While one turn commits, the next one is decoded and executed; replies go out beside both. There are no more turns than that
at a time: when the broker is what is slow, requests that wait for it would otherwise make ever more and ever smaller turns,
each with a commit of its own. Cancelling any of it loses nothing: what is not acknowledged comes back.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from kmsq_worker.breath import Breath
from kmsq_worker.custody import Custody
from kmsq_worker.decode import Clock, identify, parse, require_time_left
from kmsq_worker.errors import KmsError, Refused, Unavailable
from kmsq_worker.execution import TurnExecution, unexpected
from kmsq_worker.inbox import Inbox
from kmsq_worker.item import Item, Outcome, Turn, lost_record
from kmsq_worker.keyring import Keyring
from kmsq_worker.operations import TURN_OPERATIONS
from kmsq_worker.outbox import Lost, Outbox
from kmsq_worker.store.chains import Committer
from kmsq_worker.store.reader import Reader
from kmsq_worker.suspects import Suspects
from kmsq_worker.telemetry import Telemetry
from kmsq_worker.view import View

TURNS_AT_ONCE = 3  # one that is decided on, one that commits, one that is answered: what comes meanwhile is one turn
RESTLESS_SECONDS = 5.0  # of refused commits, after which those whose keys do not stop changing are sent away


class TurnLoop:
    """One lane's turns, one after the other. `run` ends when its inbox is closed and empty."""

    def __init__(
        self,
        *,
        lane: str,
        inbox: Inbox,
        keyring: Keyring,
        custody: Custody,
        reader: Reader,
        committer: Committer,
        outbox: Outbox,
        suspects: Suspects,
        clock: Clock,
        telemetry: Telemetry,
        turn_max: int,
        used: Callable[[Turn], None],
        reached: Callable[[str], None],
    ) -> None:
        self._lane = lane
        self._inbox = inbox
        self._keyring = keyring
        self._custody = custody
        self._reader = reader
        self._committer = committer
        self._outbox = outbox
        self._suspects = suspects
        self._clock = clock
        self._telemetry = telemetry
        self._turn_max = turn_max
        self._used = used
        self._reached = reached
        self._number = 0
        self._under_way = asyncio.Semaphore(TURNS_AT_ONCE)

    async def run(self) -> None:
        """Take turns. Raises `Unavailable` (in an ExceptionGroup) when database or broker are lost."""
        async with asyncio.TaskGroup() as group:
            deciding = group.create_task(self._decide_next())
            while (turn := await deciding) is not None:
                deciding = group.create_task(self._decide_next())
                await self._commit(turn)  # (6)
                group.create_task(self._answer(turn))  # (7)(8)

    async def _decide_next(self) -> Turn | None:
        await self._under_way.acquire()
        deliveries = await self._inbox.take(self._turn_max)
        if not deliveries:
            return None
        self._number += 1
        turn = Turn(self._number, [Item(delivery) for delivery in deliveries])
        for item in turn.items:
            self._telemetry.waited(self._lane, item.delivery.arrived)
            await self._decode(item)  # (1)
        turn.epoch = await self._execute(turn.items)  # (2)-(5)
        return turn

    async def _decode(self, item: Item) -> None:
        try:
            await self._suspects.admit(item.delivery)
            item.caller = identify(item.delivery)
            item.parsed = parse(item.delivery, item.caller, self._clock())
            item.wanted = TURN_OPERATIONS[item.caller.operation].wants(self._custody.account, item.parsed.request)
        except (Refused, KmsError) as error:
            item.outcome = error
        else:
            item.is_executable = True

    async def _execute(self, items: Sequence[Item]) -> int:
        view = await self._keyring.view(wanted for item in items for wanted in item.wanted)  # (2)
        breath = Breath()
        for item in items:
            if item.is_executable:
                item.outcome = await self._operate(item, view)  # (3)-(5)
            await breath.take()
        return view.epoch

    async def _operate(self, item: Item, view: View) -> Outcome:
        caller, parsed = item.require_request()
        now = self._clock()
        execution = TurnExecution(
            custody=self._custody,
            principal=caller.principal,
            now=now,
            view=view,
            reader=self._reader,
            alarm=self._telemetry.tampered,
        )
        item.touched = execution.touched
        try:
            require_time_left(parsed.deadline, now)
            return await TURN_OPERATIONS[caller.operation].execute(execution, parsed.request)
        except KmsError as error:
            return error
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours: its neighbours are answered all the same
            return unexpected(caller.operation, error)

    async def _commit(self, turn: Turn) -> None:
        started = time.monotonic()
        while turn.committed_at is None:
            result = await self._committer.commit(
                epoch=turn.epoch, subjects=turn.subjects, deadline=turn.deadline, records=turn.records()
            )
            match result.outcome:
                case "committed":
                    self._keyring.follow(result.epoch, result.changed)
                    turn.committed_at = result.committed_at
                case "stale":
                    # What is not affected was decided on what still holds at the new epoch; the rest is decided anew.
                    self._keyring.follow(result.epoch, result.changed)
                    if time.monotonic() - started < RESTLESS_SECONDS:
                        await self._execute(turn.affected(result.changed))
                    else:  # somebody changes a key faster than a slow operation with it can end: its neighbours go on
                        turn.give_up(result.changed)
                    turn.epoch = result.epoch
                case "behind":
                    self._keyring.forget(result.epoch)
                    await self._execute(turn.items)
                    turn.epoch = result.epoch
                case "expired":
                    turn.expire(result.committed_at)
                case _:
                    raise Unavailable("audit chain is closed")
            if turn.committed_at is None:
                self._telemetry.refused_commit(result.outcome)
        for doubt in (doubt for item in turn.items for doubt in item.touched.doubts):
            self._telemetry.tampered(doubt)
        self._telemetry.turn(self._lane, len(turn.items), time.monotonic() - started)
        self._used(turn)
        self._reached("committed")

    async def _answer(self, turn: Turn) -> None:
        lost = await self._outbox.reply(turn.items, turn.server_time)  # (7)
        if lost:
            await self._record_lost(turn, lost)
        await self._outbox.acknowledge(turn.items)  # (8)
        for item in turn.items:
            await self._suspects.release(item.delivery)
        self._under_way.release()

    async def _record_lost(self, turn: Turn, lost: Sequence[Lost]) -> None:
        records = [lost_record(one.item, one.why, {"epoch": turn.epoch, "turn": turn.number}) for one in lost]
        result = await self._committer.commit(epoch=self._keyring.epoch, subjects=(), deadline=None, records=records)
        if result.outcome != "committed":
            raise Unavailable("audit chain is closed")
