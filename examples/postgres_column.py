"""
A Postgres column is encrypted in batches: `card` of the table `customers` goes into a new column `card_sealed`.

What it shows: a migration that may be killed at any point and run again. A row without a ciphertext is one that is left
to do, so the table itself says how far it is. Each batch is written by one statement, which is one transaction: all of it
or nothing. Nothing is locked while the service encrypts; a row that was changed meanwhile is left for the next pass.
Ciphertexts are bound to table, column and row: copied into another row they do not open.

At the end all rows are decrypted and compared. With --drop-plaintext the column `card` is dropped, if all are right.
From the first run on, whoever changes a `card` has to set its `card_sealed` to NULL; the next run encrypts it again.

KMSQ_AMQP_URL says where the service is, DATABASE_URL where the table is; its primary key `id` is an integer.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg

from kmsq import Client, KmsqError, ServiceError

CONTEXT = {"table": "customers", "column": "card"}
ADD_COLUMN = "ALTER TABLE customers ADD COLUMN IF NOT EXISTS card_sealed bytea"
DROP_COLUMN = "ALTER TABLE customers DROP COLUMN card"
UNSEALED = """
    SELECT id, convert_to(card, 'UTF8') AS card, xmin::text AS version FROM customers
    WHERE id > $1::bigint AND card IS NOT NULL AND card_sealed IS NULL ORDER BY id LIMIT $2"""
# xmin is the transaction that wrote the row as it was read. Whatever changed the row since then left another one there.
SEAL = """
    UPDATE customers SET card_sealed = done.blob
    FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS done (id, version, blob)
    WHERE customers.id = done.id AND customers.xmin::text = done.version"""
FILLED = """
    SELECT id, convert_to(card, 'UTF8') AS card, card_sealed FROM customers
    WHERE id > $1::bigint AND (card IS NOT NULL OR card_sealed IS NOT NULL) ORDER BY id LIMIT $2"""


async def batches(database: asyncpg.Connection, query: str, most: int) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Walk along the primary key, `most` rows at a time: each batch begins behind the last row of the one before."""
    last = -(2**63)  # the smallest bigint, which no sequence hands out
    while rows := await database.fetch(query, last, most):
        yield rows
        last = rows[-1]["id"]


def row_of(rows: Sequence[asyncpg.Record]) -> Callable[[int, bytes], dict[str, str]]:
    """Return what gives each value of a stream its own encryption context, beside the one that all share."""
    return lambda index, _value: {"row": str(rows[index]["id"])}


async def seal(client: Client, key_id: str, database: asyncpg.Connection, batch_rows: int) -> None:
    """Go through the rows that have no ciphertext until there are none. Stops at a value that cannot be encrypted."""
    await database.execute(ADD_COLUMN)
    is_complete = False
    while not is_complete:
        is_complete = True
        async for rows in batches(database, UNSEALED, batch_rows):
            is_complete = False
            cards = (row["card"] for row in rows)
            try:
                stream = client.encrypt_many(key_id, cards, context=CONTEXT, context_of=row_of(rows))
                blobs = [blob async for blob in stream]
            except ServiceError as error:
                where = "" if error.index is None else f"the row with id {rows[error.index]['id']}: "
                sys.exit(f"postgres_column: {where}{error}")
            ids, versions = [row["id"] for row in rows], [row["version"] for row in rows]
            done = await database.execute(SEAL, ids, versions, blobs)
            print(f"{done.removeprefix('UPDATE ')} rows sealed, up to id {ids[-1]}", flush=True)


async def count_wrong(client: Client, database: asyncpg.Connection, batch_rows: int) -> int:
    """Return how many rows do not have exactly their own value in the ciphertext."""
    wrong = 0
    async for rows in batches(database, FILLED, batch_rows):
        sealed = [row for row in rows if row["card_sealed"] is not None]
        blobs = (row["card_sealed"] for row in sealed)
        # What does not open comes as an `ItemFailure`, which equals no card.
        stream = client.decrypt_many(blobs, context=CONTEXT, context_of=row_of(sealed), errors="yield")
        opened = [card async for card in stream]
        wrong += len(rows) - sum(row["card"] == card for row, card in zip(sealed, opened, strict=True))
    return wrong


async def run(amqp_url: str, database_url: str, options: argparse.Namespace) -> int:
    """Seal, verify and, if asked, drop the plaintext. Returns how many rows are wrong."""
    database = await asyncpg.connect(database_url)
    try:
        async with Client(amqp_url) as client:
            await seal(client, options.key_id, database, options.batch_rows)
            if not options.drop_plaintext:
                return await count_wrong(client, database, options.batch_rows)
            async with database.transaction():
                await database.execute("LOCK TABLE customers")  # nobody changes a row between the check and the drop
                wrong = await count_wrong(client, database, options.batch_rows)
                if not wrong:
                    await database.execute(DROP_COLUMN)
                return wrong
    finally:
        await database.close()


def main() -> None:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key-id", required=True, help="the key: an id, ARN or alias")
    parser.add_argument("--batch-rows", type=int, default=5_000, help="rows in each transaction (default: 5000)")
    parser.add_argument("--drop-plaintext", action="store_true", help="drop the column card when all rows are right")
    options = parser.parse_args()
    amqp_url = os.environ.get("KMSQ_AMQP_URL") or sys.exit("set KMSQ_AMQP_URL: ./dev up && source .dev/env")
    database_url = os.environ.get("DATABASE_URL") or sys.exit("set DATABASE_URL to the database with the table")
    try:
        wrong = asyncio.run(run(amqp_url, database_url, options))
    except (KmsqError, asyncpg.PostgresError, OSError) as error:
        sys.exit(f"postgres_column: {error}")
    print(f"{wrong} rows are WRONG" if wrong else "verified: every row opens to its own value")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
