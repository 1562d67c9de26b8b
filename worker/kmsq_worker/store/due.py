"""What the scheduler finds to do."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from kmsq_worker.store.chains import ensure_partitions
from kmsq_worker.store.connection import translated


class Due:
    """Keys that something is due for. Every method raises `Unavailable`."""

    def __init__(self, *, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def take_lock(self, silent_seconds: float) -> bool:
        """
        Take the scheduler's lock, if no other worker has it; it ends with this connection.

        The server ends a connection that is silent for `silent_seconds`: a worker that is frozen would hold it for ever.
        """
        with translated():
            await self._connection.execute(f"SET idle_session_timeout = {int(silent_seconds * 1000)}")
            return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock(kmsq.scheduler_lock())"))

    async def clock(self) -> datetime:
        """Return the database's time."""
        with translated():
            now: datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return now

    async def rotations(self, now: datetime, limit: int) -> Sequence[str]:
        """Return up to `limit` enabled keys that are due for automatic rotation."""
        return await self._keys(
            "next_rotation_date <= $1 AND key_state = 'Enabled' ORDER BY next_rotation_date", now, limit
        )

    async def deletions(self, now: datetime, limit: int) -> Sequence[str]:
        """Return up to `limit` keys whose deletion window has ended."""
        return await self._keys("deletion_date <= $1 ORDER BY deletion_date", now, limit)

    async def expiries(self, now: datetime, limit: int) -> Sequence[str]:
        """
        Return up to `limit` keys with imported material that has expired.

        The key's row says when, too, so that nothing lasts longer because somebody edited what is said of the material.
        """
        query = """
            SELECT key_id FROM (
                SELECT key_id, valid_to FROM kmsq.imported_material WHERE valid_to <= $1 AND import_state = 'IMPORTED'
                UNION ALL
                SELECT key_id, valid_to FROM kmsq.keys WHERE valid_to <= $1
            ) AS expired
            GROUP BY key_id ORDER BY min(valid_to) LIMIT $2
        """
        with translated():
            return [row["key_id"] for row in await self._connection.fetch(query, now, limit)]

    async def forget_changes(self, keep_days: int, limit: int) -> None:
        """Forget entries of the change log older than `keep_days`, up to `limit` epochs."""
        with translated():
            await self._connection.execute(
                "SELECT kmsq.forget_changes(make_interval(days => $1), $2)", keep_days, limit
            )

    async def ensure_partitions(self) -> None:
        """Make the audit log's partitions of the months to come."""
        await ensure_partitions(self._connection)

    async def _keys(self, condition: str, now: datetime, limit: int) -> Sequence[str]:
        query = f"SELECT key_id FROM kmsq.keys WHERE {condition} LIMIT $2"  # noqa: S608  # conditions of our own
        with translated():
            return [row["key_id"] for row in await self._connection.fetch(query, now, limit)]
