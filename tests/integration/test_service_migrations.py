"""Migrations: what they leave of the rows of before, and that each can be undone and applied again."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from fakes.database import ACCOUNT
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage, Origin
from kmsq_worker.custody import Custody
from kmsq_worker.policy.defaults import default_key_policy, initial_account_policy
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.connection import pooled
from kmsq_worker.store.reader import Reader
from kmsq_worker.wrapping import DomainKey
from services.postgres import PostgresNode
from services.stack import OWNER, PROGRAMS, ROOT

DATABASE = "migrations"
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
MIGRATIONS = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))


class Migrated:
    """A database of its own, and dbmate."""

    def __init__(self, node: PostgresNode) -> None:
        self.url = node.url(OWNER, DATABASE)

    def dbmate(self, command: str) -> None:
        """Apply what is not applied (`up`), or undo the newest migration (`down`)."""
        arguments = ["--migrations-dir", str(ROOT / "migrations"), "--no-dump-schema", command]
        done = subprocess.run(
            [PROGRAMS / "dbmate", *arguments],
            env={"DATABASE_URL": self.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def migrated(postgres_node: PostgresNode) -> Iterator[Migrated]:
    """Return a database at the newest version, without a row."""
    postgres_node.provide(DATABASE, OWNER)
    database = Migrated(postgres_node)
    database.dbmate("up")
    yield database
    postgres_node.sql(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture
async def owner(migrated: Migrated) -> AsyncGenerator[asyncpg.Connection]:
    """Return a connection of the database's owner."""
    connection = await asyncpg.connect(migrated.url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS) + 1))
def test_migrations_can_be_undone_and_applied_again(migrated: Migrated, number: int) -> None:
    for _ in range(number):
        migrated.dbmate("down")
    migrated.dbmate("up")


async def insert(owner: asyncpg.Connection, table: str, columns: dict[str, object]) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  # our own names
    await owner.execute(statement, *columns.values())


async def test_rows_of_before_the_tags_and_schedules_are_as_authentic_as_they_were(
    migrated: Migrated, owner: asyncpg.Connection
) -> None:
    domain_key, root_key = DomainKey.generate(), MemoryRootKey(Secret.random(32))
    policy = {"policy": initial_account_policy([ACCOUNT.user_arn("admin")]), "revision": 0}
    alias = {"alias_name": "alias/old", "key_id": str(uuid4()), "creation_date": MOMENT, "last_updated_date": MOMENT}
    # Every column that the table had, as the first version of the worker authenticated them.
    key: dict[str, object] = {
        "key_id": alias["key_id"],
        "key_spec": KeySpec.SYMMETRIC_DEFAULT,
        "key_usage": KeyUsage.ENCRYPT_DECRYPT,
        "origin": Origin.AWS_KMS,
        "key_state": KeyState.PENDING_DELETION,
        "description": "old",
        "policy": default_key_policy(ACCOUNT.user_arn("admin"), ()),
        "creation_date": MOMENT,
        "deletion_date": MOMENT,
        "pending_window_days": 7,
        "current_material": 1,
        "multi_region": False,
        "custom_key_store_id": None,
        "grants_digest": b"",
        "revision": 7,
    }
    await asyncio.to_thread(migrated.dbmate, "down")
    await owner.execute(
        "INSERT INTO kmsq.domain_keys (domain_key_id, root_key_id, wrapped) VALUES ($1, $2, $3)",
        domain_key.id,
        root_key.id,
        root_key.wrap(domain_key.key, domain_key.id),
    )
    rows = {"kmsq.account_policy": policy, "kmsq.keys": key, "kmsq.aliases": {**alias, "revision": 3}}
    for table, columns in rows.items():
        await insert(owner, table, {**columns, "mac": domain_key.row_mac(table, columns)})
    await asyncio.to_thread(migrated.dbmate, "up")
    async with pooled(migrated.url) as pool:
        reader = Reader(pool=pool)
        custody = Custody(account=ACCOUNT, root_key=root_key, load=reader.domain_keys)
        await custody.unlock()
        loaded = await reader.load(["alias/old"], [], [])
    custody.open_account_policy(loaded.account_policy)
    custody.verify(loaded.aliases[0], "alias")
    opened = custody.open_key(loaded.keys[0], loaded.grants, loaded.alias_names[loaded.keys[0].key_id])
    assert opened.row.description == "old"
    assert opened.aliases is None, "which aliases it has nobody vouches for yet"
