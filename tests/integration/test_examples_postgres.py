"""The migration of a Postgres column: killed, in the way of others, and before rows that are wrong."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from examples import postgres_column
from integration import evidence
from integration.example_runs import environment_of, new_database, started
from kmsq import Client
from services.stack import PrivateStack

CUSTOMERS = 3_000
BATCH_ROWS = 300
# In which row's write, counted from 0, and whether the database loses the batch with it, or completes it unheard.
KILLS = ((150, True), (450, False), (1_799, True))

WATCH = """
    CREATE TABLE gate (id bigint);
    CREATE TABLE writes (id bigint);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id IN (SELECT id FROM gate) THEN PERFORM pg_advisory_xact_lock(1); END IF;
        INSERT INTO writes VALUES (NEW.id);
        RETURN NEW;
    END $$;
    CREATE TRIGGER watch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION watch();"""
AT_THE_GATE = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
ALONE = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()"


@pytest.fixture
def database_url(stack: PrivateStack) -> str:
    return new_database(stack)


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[asyncpg.Connection]:
    """Return a connection of the database's owner."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def client(stack: PrivateStack) -> AsyncGenerator[Client]:
    """Return the account's administrator."""
    async with Client(stack.administrator_url) as connected:
        yield connected


@pytest.fixture
async def key_id(client: Client) -> str:
    return (await client.create_key()).key_metadata.key_id


async def make_customers(database: asyncpg.Connection, count: int) -> None:
    """Make a table with the ids 10, 20, …; every tenth row has no card. Writes stop at the rows in the table gate."""
    await database.execute("CREATE TABLE customers (id bigint PRIMARY KEY, card text)")
    rows = [(10 * number, f"card {number}" if number % 10 else None) for number in range(1, count + 1)]
    await database.executemany("INSERT INTO customers VALUES ($1, $2)", rows)
    await database.execute(WATCH)


async def opened_cards(client: Client, database: asyncpg.Connection) -> dict[int, str | None]:
    """Return what the ciphertexts hold, by row."""
    rows = await database.fetch("SELECT id, card_sealed FROM customers ORDER BY id")
    cards: dict[int, str | None] = {row["id"]: None for row in rows}
    sealed = [row for row in rows if row["card_sealed"] is not None]
    stream = client.decrypt_many(
        [row["card_sealed"] for row in sealed],
        context={"table": "customers", "column": "card"},
        context_of=lambda index, _blob: {"row": str(sealed[index]["id"])},
    )
    opened = [card.decode() async for card in stream]
    return cards | {row["id"]: card for row, card in zip(sealed, opened, strict=True)}


async def cards(database: asyncpg.Connection) -> dict[int, str | None]:
    return {row["id"]: row["card"] for row in await database.fetch("SELECT id, card FROM customers ORDER BY id")}


@asynccontextmanager
async def stopped_at(database: asyncpg.Connection, row_id: int) -> AsyncIterator[None]:
    """Stop whoever writes the row until the end of the block."""
    await database.execute("DELETE FROM gate")
    await database.execute("INSERT INTO gate VALUES ($1)", row_id)
    await database.execute("SELECT pg_advisory_lock(1)")
    yield
    await database.execute("SELECT pg_advisory_unlock(1)")


async def test_a_migration_that_is_killed_again_and_again_seals_every_row_once(
    stack: PrivateStack, database: asyncpg.Connection, database_url: str, client: Client, key_id: str
) -> None:
    environment = environment_of(stack, database_url)
    await make_customers(database, CUSTOMERS)
    plaintexts = await cards(database)
    filled = [row_id for row_id, card in plaintexts.items() if card is not None]
    arguments = ("postgres_column.py", "--key-id", key_id, "--batch-rows", str(BATCH_ROWS))
    for position, is_lost in KILLS:
        async with stopped_at(database, filled[position]), started(environment, *arguments) as migration:
            writer = await evidence.until(lambda: database.fetchval(AT_THE_GATE))
            migration.kill()
            await migration.wait()
            if is_lost:
                await database.execute("SELECT pg_terminate_backend($1)", writer)
                await evidence.until(lambda: database.fetchval(ALONE))
        await evidence.until(lambda: database.fetchval(ALONE))
        sealed = await database.fetch("SELECT id FROM customers WHERE card_sealed IS NOT NULL")
        assert len(sealed) == (position // BATCH_ROWS + (not is_lost)) * BATCH_ROWS
    async with started(environment, *arguments) as migration:
        out, err = await migration.communicate()
    assert (migration.returncode, err) == (0, b"")
    assert out.endswith(b"verified: every row opens to its own value\n")
    assert await opened_cards(client, database) == plaintexts
    assert [row["id"] for row in await database.fetch("SELECT id FROM writes ORDER BY id")] == filled


async def migrate(stack: PrivateStack, database_url: str, key_id: str, *, drop_plaintext: bool = False) -> int:
    """Run the migration in this process. Returns how many rows are wrong."""
    options = Namespace(key_id=key_id, batch_rows=5_000, drop_plaintext=drop_plaintext)
    return await postgres_column.run(stack.administrator_url, database_url, options)


async def test_a_row_that_changes_while_it_is_encrypted_is_sealed_as_it_is_now(
    stack: PrivateStack,
    database: asyncpg.Connection,
    database_url: str,
    key_id: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await make_customers(database, 5)
    async with stopped_at(database, 10):
        migration = asyncio.create_task(migrate(stack, database_url, key_id))
        await evidence.until(lambda: database.fetchval(AT_THE_GATE))
        await database.execute("UPDATE customers SET card = 'another card' WHERE id = 40")
    assert await migration == 0
    assert capsys.readouterr().out.splitlines() == ["4 rows sealed, up to id 50", "1 rows sealed, up to id 40"]


async def test_a_value_that_cannot_be_encrypted_is_named_by_its_row(
    stack: PrivateStack, database: asyncpg.Connection, database_url: str, key_id: str
) -> None:
    await make_customers(database, 5)
    await database.execute("UPDATE customers SET card = '' WHERE id = 40")
    with pytest.raises(SystemExit, match="the row with id 40: ValidationException: Plaintext has 0 bytes"):
        await migrate(stack, database_url, key_id)


async def test_the_plaintext_stays_while_one_row_is_wrong(
    stack: PrivateStack, database: asyncpg.Connection, database_url: str, key_id: str
) -> None:
    await make_customers(database, 20)
    assert await migrate(stack, database_url, key_id) == 0
    # The rows 20 and 40 swap their ciphertexts, 50 has another card than was sealed, 100 should have none.
    await database.execute("""
        UPDATE customers SET card_sealed = (SELECT card_sealed FROM customers AS other WHERE other.id = 60 - customers.id)
        WHERE id IN (20, 40);
        UPDATE customers SET card = 'another' WHERE id = 50;
        UPDATE customers SET card_sealed = 'x' WHERE id = 100;""")
    assert await migrate(stack, database_url, key_id, drop_plaintext=True) == 4
    assert (await cards(database))[40] == "card 4"
