"""
A session: everything that lives between gaining database and broker and losing either.

Lifetimes nest: what opens last closes first, and whatever fails ends the whole session. Unacknowledged deliveries then
go back to their queues, and `app` opens the next session. So there is no half-broken state to repair.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack

from kmsq_schemas.operations import Queue
from kmsq_worker import broker as amqp
from kmsq_worker.arn import Account
from kmsq_worker.broker import Broker
from kmsq_worker.custody import Custody
from kmsq_worker.errors import Unavailable
from kmsq_worker.inbox import Inbox
from kmsq_worker.keyring import Keyring
from kmsq_worker.lanes import Loop, Shared, Worker, inbox_of, lane, outbox, scheduler
from kmsq_worker.last_use import SLOTS, LastUses
from kmsq_worker.store import chains, schema
from kmsq_worker.store.connection import connected, pooled
from kmsq_worker.store.reader import Reader
from kmsq_worker.suspects import Suspects, released
from kmsq_worker.telemetry import LOGGER

DATABASE_CHECK_SECONDS = 2  # an idle worker must notice a lost database, too
DATABASE_PATIENCE_SECONDS = 6


async def serve_session(worker: Worker, stop: asyncio.Event) -> None:
    """
    Serve until `stop` is set and everything in flight has ended.

    Raises `Unavailable`, alone or in an ExceptionGroup, when database or broker are lost; `WrongDatabase` or
    `RootKeyError` when this worker can never serve this database.
    """
    inboxes = {queue: inbox_of(queue, worker.settings) for queue in worker.settings.queues}
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(pooled(worker.settings.database_url))
        reader = Reader(pool=pool)
        account = await _check(worker)
        custody = Custody(account=account, root_key=worker.root_key, load=reader.domain_keys)
        await custody.unlock()
        keyring = Keyring(
            loader=reader,
            custody=custody,
            revisions=worker.revisions,
            epoch=await reader.epoch(),
            alarm=worker.telemetry.tampered,
            count=worker.telemetry.keyring,
        )
        # The broker before the lanes: each lane opens an audit chain, whose opening is on record for ever, and an outage
        # of the broker must not fill the registry. Deliveries after the lanes: a worker that cannot write to the audit
        # log must not take requests, give them back and so use up their delivery limit.
        broker = await stack.enter_async_context(amqp.connected(worker.settings.amqp_url, worker.name))
        lanes = {queue: await stack.enter_async_context(lane(worker, queue, custody)) for queue in inboxes}
        suspects = await stack.enter_async_context(released(Suspects(marks=reader, custody=custody)))
        last_uses = LastUses(uses=reader, slot=os.getpid() % SLOTS)
        shared = Shared(worker, custody, keyring, reader, outbox(worker, broker), suspects, last_uses)
        loops = [shared.loop(queue, inbox, lanes[queue]) for queue, inbox in inboxes.items()]
        background: list[Loop] = [last_uses]
        if Queue.ADMIN in inboxes:
            background.append(await stack.enter_async_context(scheduler(worker, custody)))
        for queue, inbox in inboxes.items():
            await broker.consume(queue, inbox)
        await in_own_task(
            run_lanes(worker, stop, broker=broker, loops=loops, background=background, reader=reader, inboxes=inboxes)
        )
        await last_uses.flush(everything=True)


async def in_own_task(work: Coroutine[object, object, None]) -> None:
    """
    Await `work` in a task of its own.

    Up to Python 3.12 nested task groups that fail leave the task that ran them marked as being cancelled, and on 3.11.2
    (Debian 12) the next `asyncio.timeout` in that task raises CancelledError: the pause before the next session did.
    """
    await asyncio.create_task(work)


async def run_lanes(
    worker: Worker,
    stop: asyncio.Event,
    *,
    broker: Broker,
    loops: Sequence[Loop],
    background: Sequence[Loop],
    reader: Reader,
    inboxes: Mapping[Queue, Inbox],
) -> None:
    """Run the lanes until they are drained, or until anything is lost. Raises an ExceptionGroup of `Unavailable`."""
    async with asyncio.TaskGroup() as watchers:
        tasks = [
            watchers.create_task(broker.wait_lost()),
            watchers.create_task(_watch_database(reader)),
            watchers.create_task(_drain(worker, stop, broker, inboxes)),
            *(watchers.create_task(loop.run()) for loop in background),
        ]
        worker.health.ready = True
        worker.telemetry.session(ready=True)
        LOGGER.info("serving", extra={"queues": ",".join(queue.name.lower() for queue in inboxes)})
        try:
            async with asyncio.TaskGroup() as running:
                for loop in loops:
                    running.create_task(loop.run())
        finally:
            worker.health.ready = False
            worker.telemetry.session(ready=False)
        for task in tasks:
            task.cancel()


async def _drain(worker: Worker, stop: asyncio.Event, broker: Broker, inboxes: Mapping[Queue, Inbox]) -> None:
    """Once asked to stop: no new deliveries, and a limited time for those that are here."""
    await stop.wait()
    worker.health.ready = False
    LOGGER.info("draining", extra={"seconds": worker.settings.drain_seconds})
    await broker.cancel_consumers()
    for inbox in inboxes.values():
        inbox.close()
    await asyncio.sleep(worker.settings.drain_seconds)
    raise Unavailable("drain took too long")


async def _watch_database(reader: Reader) -> None:
    while True:
        await asyncio.sleep(DATABASE_CHECK_SECONDS)
        try:
            async with asyncio.timeout(DATABASE_PATIENCE_SECONDS):
                await reader.epoch()
        except TimeoutError as error:
            raise Unavailable("database does not answer") from error


async def _check(worker: Worker) -> Account:
    async with connected(worker.settings.database_url) as connection:
        await schema.require_schema(connection)
        try:
            await chains.ensure_partitions(connection)
        except Unavailable as error:
            # A long reader is in the way. Months are made three ahead, and there is a DEFAULT partition.
            LOGGER.warning("audit partitions not made ahead", extra={"reason": type(error.__cause__).__name__})
        return await schema.require_account(connection)
