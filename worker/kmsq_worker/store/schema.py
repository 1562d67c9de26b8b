"""Whether this is the database that this worker was built for."""

import asyncpg

from kmsq_worker.arn import Account
from kmsq_worker.store.connection import translated

SCHEMA_VERSION = "20261124000003"  # the newest file in migrations/; a test holds them together


class WrongDatabase(Exception):
    """The database cannot be used as it is; the message says what to do."""


async def require_schema(connection: asyncpg.Connection) -> None:
    """Raise `WrongDatabase` unless the database is at `SCHEMA_VERSION`."""
    with translated():
        known = await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL")
        version = await connection.fetchval("SELECT max(version) FROM public.schema_migrations") if known else None
    if version == SCHEMA_VERSION:
        return
    if version is None or version < SCHEMA_VERSION:
        advice = "apply migrations/ with `dbmate --migrations-dir migrations up`"
    else:
        advice = "it was migrated by a newer kmsq: run that version's workers"
    message = f"the database schema is at version {version or 'none'}, this worker needs {SCHEMA_VERSION}: {advice}"
    raise WrongDatabase(message)


async def require_account(connection: asyncpg.Connection) -> Account:
    """Return the account that this database is. Raises `WrongDatabase` if it was never initialised."""
    with translated():
        row = await connection.fetchrow("SELECT region, account_id FROM kmsq.account")
    if row is None:
        message = "the database is empty: run `kmsq-worker init --account <12 digits> --region <name>` once"
        raise WrongDatabase(message)
    return Account(region=row["region"], account_id=row["account_id"])
