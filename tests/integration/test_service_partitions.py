"""The audit log's months: made ahead, written to, dropped; and a turn is one statement, whatever it holds."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise

import asyncpg
import pytest

from integration.evidence import (
    audit_records,
    copy_database,
    database_now,
    metric,
    running,
    sql,
    superuser,
    until,
    verify,
)
from integration.raw import SUCCESS, Producer, connected, flood
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    GenerateRandomRequest,
)
from kmsq_worker.store.reader import _EPOCH as EPOCH
from services.daemon import ServiceError
from services.stack import CRYPTO, DATABASE, OWNER, PrivateStack

DEFAULT = "kmsq.audit_records_default"
FAR_TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead of UTC: its month begins in UTC's last
MONTHS_MAX = 24
COPY = "partitions_copy"
BEFORE = 2  # turns before those that are counted: the change that makes a key, and the one that loads it


def partition(when: datetime, months_later: int = 0) -> str:
    """Return the name of the partition of the month of `when`, or of a later or earlier month."""
    years, month = divmod(when.month - 1 + months_later, 12)
    return f"kmsq.audit_records_{when.year + years}_{month + 1:02}"


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


def encrypt(key_id: str) -> EncryptRequest:
    return EncryptRequest(key_id=key_id, plaintext=b"x")


# ------------------------------------------------------------------------------------------------------ made ahead


@asynccontextmanager
async def role_on_the_copy(stack: PrivateStack, role: str, **settings: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.database.url(role, COPY), server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def made_ahead(connection: asyncpg.Connection, months: int) -> int:
    """Make the partitions of this month and the next `months`; return how many were made."""
    made: int = await connection.fetchval("SELECT kmsq.ensure_audit_partitions($1)", months)
    return made


async def partitions(connection: asyncpg.Connection) -> dict[str, str]:
    """Return the bounds of every partition but the DEFAULT one."""
    rows = await connection.fetch(
        """
        SELECT oid::regclass::text AS name, pg_get_expr(relpartbound, oid) AS bounds FROM pg_class
        WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'kmsq.audit_records'::regclass)
          AND oid <> $1::text::regclass
        ORDER BY name
        """,
        DEFAULT,
    )
    return {row["name"]: row["bounds"] for row in rows}


@pytest.fixture
async def copied(stack: PrivateStack) -> AsyncGenerator[asyncpg.Connection]:
    """Return a superuser's connection to a copy of the database that has no partition but the DEFAULT one, empty."""
    await asyncio.to_thread(copy_database, stack, COPY)
    async with role_on_the_copy(stack, stack.database.SUPERUSER) as connection:
        for name in await partitions(connection):
            await connection.execute(f"DROP TABLE {name}")
        yield connection
    await asyncio.to_thread(stack.database.sql, f"DROP DATABASE {COPY} WITH (FORCE)")


@pytest.mark.parametrize("time_zone", ["UTC", FAR_TIME_ZONE])
async def test_this_month_and_the_next_are_made_once_whatever_the_sessions_time_zone(
    stack: PrivateStack, copied: asyncpg.Connection, time_zone: str
) -> None:
    now = await database_now(stack)
    async with role_on_the_copy(stack, CRYPTO, timezone=time_zone) as worker:
        assert [await made_ahead(worker, 3) for _ in range(2)] == [4, 0]
        assert await made_ahead(worker, 4) == 1
    found = await partitions(copied)
    assert list(found) == [partition(now, later) for later in range(5)]
    starts = [name[-7:].replace("_", "-") for name in (*found, partition(now, 5))]
    assert list(found.values()) == [
        f"FOR VALUES FROM ('{start}-01 00:00:00+00') TO ('{end}-01 00:00:00+00')" for start, end in pairwise(starts)
    ]


async def test_workers_that_start_together_make_each_month_once(
    stack: PrivateStack, copied: asyncpg.Connection
) -> None:
    async def one() -> int:
        async with role_on_the_copy(stack, CRYPTO) as worker:
            return await made_ahead(worker, 3)

    assert sum(await asyncio.gather(*(one() for _ in range(8)))) == 4
    assert len(await partitions(copied)) == 4


async def test_a_stolen_role_cannot_make_partitions_without_end(
    stack: PrivateStack, copied: asyncpg.Connection
) -> None:
    async with role_on_the_copy(stack, CRYPTO) as worker:
        assert await made_ahead(worker, 1_000_000) == MONTHS_MAX + 1
    assert len(await partitions(copied)) == MONTHS_MAX + 1


async def test_a_month_that_has_records_in_the_default_partition_stays_there_and_the_others_are_made(
    stack: PrivateStack, copied: asyncpg.Connection
) -> None:
    now = await database_now(stack)
    await copied.execute("INSERT INTO kmsq.audit_records VALUES (gen_random_uuid(), 1, $1, '', '')", now)
    async with role_on_the_copy(stack, CRYPTO) as worker:
        assert [await made_ahead(worker, 2) for _ in range(2)] == [2, 0]
    assert list(await partitions(copied)) == [partition(now, 1), partition(now, 2)]


# ------------------------------------------------------------------------------------------------------ written to


async def place(stack: PrivateStack, message_id: str) -> tuple[str, datetime]:
    """Return the partition of a request's record, and when it was recorded."""
    (row,) = await sql(
        stack,
        """
        SELECT tableoid::regclass::text AS name, recorded_at FROM kmsq.audit_records
        WHERE convert_from(record, 'UTF8')::json ->> 'message_id' = $1
        """,
        message_id,
    )
    return row["name"], row["recorded_at"]


async def placed(stack: PrivateStack, producer: Producer) -> tuple[str, datetime]:
    """Make a request, and return the place of its record."""
    message = producer.message(GenerateRandomRequest(number_of_bytes=1))
    assert (await producer.ask(message)).code == SUCCESS
    return await place(stack, message.message_id)


async def test_a_record_goes_to_the_partition_of_its_month_and_none_to_the_default_one(
    stack: PrivateStack, admin: Producer
) -> None:
    name, recorded_at = await placed(stack, admin)
    assert name == partition(recorded_at)
    assert await sql(stack, f"SELECT FROM {DEFAULT}") == []


async def test_a_reader_who_keeps_a_month_from_being_made_keeps_no_worker_from_serving(
    own_stack: PrivateStack,
) -> None:
    stack = own_stack
    await asyncio.to_thread(stack.up, workers=0)
    this_month = partition(await database_now(stack))
    await sql(stack, f"DROP TABLE {this_month}")
    async with connected(stack.administrator_url) as boss:
        async with superuser(stack) as reader, reader.transaction():
            await reader.fetch("SELECT FROM kmsq.audit_records")
            async with running(stack) as (worker,):
                assert (await placed(stack, boss))[0] == DEFAULT
                assert "audit partitions not made ahead" in worker.log.read_text()
        async with running(stack):  # nobody is in the way any more, but the month has begun without a partition
            assert (await placed(stack, boss))[0] == DEFAULT
        report = await asyncio.to_thread(verify, stack, DATABASE)
        assert (report["sound"], report["dropped_months"]) == (True, [])


# --------------------------------------------------------------------------------------------------------- dropped


async def set_clock_back(stack: PrivateStack) -> None:
    """Set the clock of the service's functions, which is the database's, back by a month."""
    async with superuser(stack) as connection:
        await set_clock(connection, "1 month")
        functions = await connection.fetch(
            """
            SELECT pg_get_functiondef(oid) AS definition FROM pg_proc
            WHERE pronamespace = 'kmsq'::regnamespace AND proname <> 'clock' AND prosrc LIKE '%clock_timestamp()%'
            """
        )
        for function in functions:
            await connection.execute(function["definition"].replace("clock_timestamp()", "kmsq.clock()"))


async def set_clock(connection: asyncpg.Connection, behind: str) -> None:
    await connection.execute(
        "CREATE OR REPLACE FUNCTION kmsq.clock() RETURNS timestamptz LANGUAGE sql VOLATILE"
        f" AS $$ SELECT clock_timestamp() - interval '{behind}' $$"
    )


async def dropped(stack: PrivateStack, name: str) -> None:
    """Drop a partition as its owner."""
    connection = await asyncpg.connect(stack.database_url(OWNER))
    try:
        await connection.execute(f"DROP TABLE {name}")
    finally:
        await connection.close()


async def test_a_chain_ends_with_its_month_and_an_old_month_can_be_dropped_under_running_workers(
    own_stack: PrivateStack,
) -> None:
    stack = own_stack
    await asyncio.to_thread(stack.up, workers=0)
    await set_clock_back(stack)
    now = await database_now(stack)
    async with connected(stack.administrator_url) as boss, running(stack):
        # Last month.
        old = await new_key(boss)
        blob = (await boss.call(encrypt(old), EncryptReply)).ciphertext_blob
        assert (await placed(stack, boss))[0] == partition(now, -1)
        old_chains = {record.chain for record in await audit_records(stack)}

        # Midnight.
        async with superuser(stack) as connection:
            await set_clock(connection, "0")
        new = await new_key(boss)
        await boss.do(encrypt(new), encrypt(old))
        assert (await placed(stack, boss))[0] == partition(now)
        assert not old_chains & {record.chain for record in await audit_records(stack, since=month_begin(now))}
        whole = await asyncio.to_thread(verify, stack, DATABASE)
        assert (whole["sound"], whole["dropped_months"]) == (True, [])

        # Years later.
        await dropped(stack, partition(now, -1))
        report = await asyncio.to_thread(verify, stack, DATABASE)
        last_month = partition(now, -1)[-7:].replace("_", "-")
        assert (report["sound"], report["dropped_months"], report["problems"]) == (True, [last_month], [])
        assert (report["chains"], report["rows"]) == (whole["chains"], whole["rows"])
        await boss.do(encrypt(old), DecryptRequest(ciphertext_blob=blob))

    # A month that was dropped excuses nothing in the others.
    await sql(
        stack, "DELETE FROM kmsq.audit_records WHERE convert_from(record, 'UTF8')::json ->> 'outcome' = 'Success'"
    )
    with pytest.raises(ServiceError, match="exited with 2"):
        await asyncio.to_thread(verify, stack, DATABASE)


def month_begin(when: datetime) -> datetime:
    return when.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


# ----------------------------------------------------------------------------------------------- a turn's statement


@asynccontextmanager
async def statements_logged(stack: PrivateStack) -> AsyncGenerator[None]:
    """Let the database log every statement of the connections that begin meanwhile."""
    await asyncio.to_thread(stack.database.sql, f"ALTER DATABASE {DATABASE} SET log_statement = 'all'")
    try:
        yield
    finally:
        await asyncio.to_thread(stack.database.sql, f"ALTER DATABASE {DATABASE} RESET log_statement")


def statements(stack: PrivateStack) -> Sequence[str]:
    """Return every statement of the crypto path that was logged."""
    log = stack.database.daemon.log.read_text()
    return re.findall(rf" {CRYPTO}@{DATABASE} LOG:  (?:execute [^:]+|statement): (.*(?:\n\t.*)*)", log)


async def test_a_turn_on_a_warm_keyring_is_one_statement(lone: PrivateStack, boss: Producer) -> None:
    async with statements_logged(lone), running(lone) as (worker,):
        key = await new_key(boss)
        await boss.do(encrypt(key))

        async def use_is_on_record() -> bool:  # written once a minute a key: not again while the turns are counted
            return any("note_last_use" in statement for statement in await asyncio.to_thread(statements, lone))

        await until(use_is_on_record)
        warm = len(await asyncio.to_thread(statements, lone))

        async def turns() -> int:
            """Count the commits since; beside them there is nothing but the look whether the database is there."""
            new = (await asyncio.to_thread(statements, lone))[warm:]
            commits = [statement for statement in new if "kmsq.commit_turn" in statement]
            assert set(new) - set(commits) <= {EPOCH}
            return len(commits)

        await boss.do(*[encrypt(key)] * 10)
        assert await turns() == 10
        answers = await flood([boss], [encrypt(key)] * 500)
        assert {answer.code for answer in answers} == {SUCCESS}
        assert 10 < await turns() < 510

        async def all_counted() -> bool:
            return await asyncio.to_thread(metric, worker, "kmsq_turn_size_sum") == BEFORE + 10 + 500

        await until(all_counted)
        assert await asyncio.to_thread(metric, worker, "kmsq_turn_size_count") == BEFORE + await turns()
