"""The first rows of a new database."""

import dataclasses

import asyncpg

from kmsq_worker.arn import Account
from kmsq_worker.audit import StoredRecord
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import AccountPolicyRow, ChainRow, DomainKeyRow


async def initialise(
    connection: asyncpg.Connection,
    *,
    account: Account,
    domain_key: DomainKeyRow,
    policy: AccountPolicyRow,
    registry: ChainRow,
    record: StoredRecord,
) -> None:
    """Insert what a database begins with, all or nothing. Raises `Unavailable`."""
    with translated():
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO kmsq.account (region, account_id) VALUES ($1, $2)", account.region, account.account_id
            )
            await _insert(connection, "kmsq.domain_keys", domain_key)
            await _insert(connection, "kmsq.account_policy", policy)
            await _insert(connection, "kmsq.audit_chains", registry)
            await _insert(connection, "kmsq.audit_registry", record)


async def _insert(
    connection: asyncpg.Connection,
    table: str,
    row: DomainKeyRow | AccountPolicyRow | ChainRow | StoredRecord,
) -> None:
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"  # noqa: S608  # names of fields
    await connection.execute(statement, *values.values())
