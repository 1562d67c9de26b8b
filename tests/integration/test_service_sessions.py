"""Sessions begin and end without harm to the audit log, and without waiting for its readers."""

import asyncio

from integration.evidence import metric, sql, superuser, until
from kmsq_schemas.operations import Queue
from services.stack import PrivateStack

CHAINS = len(Queue) + 1  # a session's lanes, and its scheduler
_MONTHS = """
    SELECT relid::regclass::text AS partition FROM pg_partition_tree('kmsq.audit_records')
    WHERE isleaf ORDER BY 1
"""


async def chains(stack: PrivateStack) -> int:
    (row,) = await sql(stack, "SELECT count(*) FROM kmsq.audit_chains")
    return int(row["count"])


async def test_an_outage_of_the_broker_fills_no_registry(own_stack: PrivateStack) -> None:
    await asyncio.to_thread(own_stack.up, workers=1)
    (worker,) = own_stack.workers
    before = await chains(own_stack)
    await asyncio.to_thread(own_stack.broker.stop)

    async def several_sessions_were_lost() -> bool:
        return metric(worker, "kmsq_sessions_lost_total") >= 4

    await until(several_sessions_were_lost)
    assert await chains(own_stack) == before
    await asyncio.to_thread(own_stack.broker.start)
    await asyncio.to_thread(worker.wait_ready)

    async def one_session_was_opened() -> bool:
        return await chains(own_stack) >= before + CHAINS

    await until(one_session_was_opened)
    assert await chains(own_stack) == before + CHAINS


async def test_a_worker_starts_beside_a_long_reader_although_a_month_is_missing(own_stack: PrivateStack) -> None:
    await asyncio.to_thread(own_stack.up, workers=0)
    months = [row["partition"] for row in await sql(own_stack, _MONTHS)]
    await sql(own_stack, f"DROP TABLE {months[-2]}")  # the last one is DEFAULT
    async with superuser(own_stack) as reader, reader.transaction(isolation="repeatable_read"):
        await reader.fetch("SELECT count(*) FROM kmsq.audit_records")
        worker = await asyncio.to_thread(own_stack.add_worker)
        assert "audit partitions not made ahead" in worker.log.read_text()
        assert len(await sql(own_stack, _MONTHS)) == len(months) - 1
    await asyncio.to_thread(own_stack.add_worker)
    assert [row["partition"] for row in await sql(own_stack, _MONTHS)] == months
