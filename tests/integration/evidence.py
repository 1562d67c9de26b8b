"""What a test can know besides the replies: the audit log, dead letters, queues, metrics; and how to hold things up."""

import asyncio
import http.client
import json
import re
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import aiormq
import asyncpg
from aiormq.abc import DeliveredMessage

from kmsq_schemas.topology import DEAD_QUEUE, QUEUES
from services.ports import HOST
from services.postgres import binaries_folder
from services.stack import AUDITOR, DATABASE, WORKER_COMMAND, PrivateStack
from services.worker import Worker

WAIT_SECONDS = 60
POLL_SECONDS = 0.02
ACCOUNT_LOCK = 1_802_335_089  # kmsq.account_lock()

T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T]], *, seconds: float = WAIT_SECONDS) -> T:
    """Wait until `condition` holds, and return what it found."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):  # noqa: ASYNC110  # other processes set no event here
            await asyncio.sleep(POLL_SECONDS)
    return found


@asynccontextmanager
async def superuser(stack: PrivateStack) -> AsyncGenerator[asyncpg.Connection]:
    """Hold a connection to kmsq's database as somebody whom no permission stops."""
    connection = await asyncpg.connect(stack.database.url(stack.database.SUPERUSER, DATABASE))
    try:
        yield connection
    finally:
        await connection.close()


async def sql(stack: PrivateStack, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
    """Run one statement as the superuser."""
    async with superuser(stack) as connection:
        return list(await connection.fetch(statement, *arguments))


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record of the audit log."""

    lane: str
    chain: str
    recorded_at: datetime
    facts: Mapping[str, Any]


async def audit_records(
    stack: PrivateStack, *, since: datetime | None = None, message_id: str | None = None
) -> Sequence[AuditRecord]:
    """Return records in the order of their commits, all or those of a request."""
    rows = await sql(
        stack,
        """
        SELECT chain.lane, chain.chain_id::text AS chain, recorded_at, record FROM kmsq.audit_records AS entry
        JOIN kmsq.audit_chains AS chain USING (chain_id)
        WHERE ($1::timestamptz IS NULL OR recorded_at >= $1)
          AND ($2::text IS NULL OR convert_from(record, 'UTF8')::json ->> 'message_id' = $2)
        ORDER BY recorded_at, chain.chain_id, sequence
        """,
        since,
        message_id,
    )
    return [AuditRecord(row["lane"], row["chain"], row["recorded_at"], json.loads(row["record"])) for row in rows]


async def outcomes(stack: PrivateStack, message_id: str) -> Sequence[str]:
    """Return the audited outcomes of a request, in the order of their commits."""
    records = await audit_records(stack, message_id=message_id)
    return [record.facts.get("outcome") or record.facts["event"] for record in records]


async def database_now(stack: PrivateStack) -> datetime:
    """Return the database's clock."""
    now: datetime = (await sql(stack, "SELECT clock_timestamp() AS now"))[0]["now"]
    return now


async def waiting_for_the_lock(stack: PrivateStack) -> int:
    """Count who waits for the account's lock."""
    rows = await sql(
        stack,
        "SELECT count(*) AS number FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::oid AND NOT granted",
        ACCOUNT_LOCK,
    )
    return int(rows[0]["number"])


@asynccontextmanager
async def account_locked(stack: PrivateStack) -> AsyncGenerator[None]:
    """Hold the account's lock, so that no turn and no change can commit (for less than 10 s: their lock timeout)."""
    async with superuser(stack) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", ACCOUNT_LOCK)
        yield


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is left of a request that could not be answered."""

    body: bytes
    headers: Mapping[str, Any]

    @property
    def reason(self) -> str | None:
        """Why the worker gave it up; None if the broker did."""
        return self.headers.get("kmsq-reason")


class DeadLetters(asyncio.Queue[DeadLetter]):
    """The dead letters of a test, in the order of their arrival."""

    async def get(self) -> DeadLetter:
        """Wait for the next one, but not for ever."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await super().get()


@asynccontextmanager
async def dead_letters(stack: PrivateStack) -> AsyncGenerator[DeadLetters]:
    """Receive the dead letters from now on; what lies there already is thrown away."""
    letters = DeadLetters()

    async def receive(message: DeliveredMessage) -> None:
        letters.put_nowait(DeadLetter(message.body, message.header.properties.headers or {}))

    async with aiormq.connect(stack.broker.administrator_url) as connection:
        channel = await connection.channel()
        await channel.queue_purge(DEAD_QUEUE)
        await channel.basic_consume(DEAD_QUEUE, receive, no_ack=True)
        yield letters


async def queue_depths(stack: PrivateStack) -> dict[str, int]:
    """Count the messages that are ready in each queue: without workers, all there are."""
    depths: dict[str, int] = {}
    async with aiormq.connect(stack.broker.administrator_url) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            depths[name] = (await channel.queue_declare(name, passive=True)).message_count or 0
    return depths


async def purge_queues(stack: PrivateStack) -> None:
    """Throw away all messages."""
    async with aiormq.connect(stack.broker.administrator_url) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            await channel.queue_purge(name)


def metrics(worker: Worker) -> str:
    """Return what /metrics says."""
    connection = http.client.HTTPConnection(HOST, worker.health_port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def metric(worker: Worker, name: str) -> float:
    """Return the sum over all labels of one metric."""
    lines = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics(worker), re.MULTILINE)
    return sum(map(float, lines))


@asynccontextmanager
async def running(
    stack: PrivateStack,
    count: int = 1,
    *,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str | Path] = WORKER_COMMAND,
) -> AsyncGenerator[Sequence[Worker]]:
    """Run workers of the test's own, and stop them orderly."""
    workers = [stack.new_worker(environment=environment, command=command) for _ in range(count)]
    async with AsyncExitStack() as exits:
        for worker in workers:
            exits.push_async_callback(asyncio.to_thread, worker.stop)
            await asyncio.to_thread(worker.spawn)
        for worker in workers:
            await asyncio.to_thread(worker.wait_ready)
        yield workers


def counted(codes: Sequence[str]) -> dict[str, int]:
    """Count outcomes."""
    return dict(Counter(codes))


def dumped(stack: PrivateStack, *options: str) -> str:
    """Return kmsq's database as the SQL script that `pg_dump` makes of it."""
    node = stack.database
    address = ["-h", HOST, "-p", str(node.port), "-U", node.SUPERUSER]
    done = subprocess.run(
        [binaries_folder() / "pg_dump", *address, *options, DATABASE],
        env={"PGPASSWORD": node.password(node.SUPERUSER)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def copy_database(stack: PrivateStack, target: str) -> None:
    """Copy kmsq's database, which is in use, to the new database `target`."""
    stack.database.sql(f"CREATE DATABASE {target}")
    stack.database.sql(dumped(stack), database=target)


def verify(stack: PrivateStack, database: str) -> dict[str, object]:
    """Run `audit verify` as the auditor; return its report. Raises `ServiceError` unless it exits with 0."""
    printed = stack.kmsq_worker(
        "audit",
        "verify",
        "--output",
        "json",
        environment={"KMSQ_DATABASE_URL": stack.database.url(AUDITOR, database)},
    )
    report: dict[str, object] = json.loads(printed)
    return report
