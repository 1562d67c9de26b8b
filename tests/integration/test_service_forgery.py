"""`kmsq-worker audit verify` finds what somebody does to the audit log, or to the rows that it speaks of."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import asyncpg
import pytest

from integration import raw
from integration.evidence import copy_database, dead_letters, sql, verify
from integration.raw import Producer
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DeleteAliasRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    EncryptRequest,
    GenerateRandomRequest,
    UpdateAliasRequest,
)
from services.daemon import ServiceError
from services.stack import PrivateStack

RANDOM = GenerateRandomRequest(number_of_bytes=16)


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


@dataclass(frozen=True)
class Scene:
    """
    A copy of a database in which much has happened.

    `key` was changed last by a DisableKey, `alias` points at it, `gone` was deleted; `old_…` are earlier rows, as JSON.
    """

    stack: PrivateStack
    key: str
    alias: str
    old_key: str
    old_alias: str
    gone_alias: str


@pytest.fixture(scope="module")
def scene(stack: PrivateStack, principals: dict[str, str]) -> Iterator[Scene]:
    made = asyncio.run(history(stack, principals["carol"], f"alias/audited-{uuid4()}"))
    copy_database(stack, "audit_pristine")
    yield made
    stack.database.sql("DROP DATABASE audit_pristine")


async def history(stack: PrivateStack, carol_url: str, alias: str) -> Scene:
    """Let successes, denials, failures, refusals and changes happen."""

    async def row(table: str, column: str, value: str) -> str:
        statement = f"SELECT to_jsonb(row)::text AS row FROM {table} AS row WHERE {column} = $1"  # noqa: S608  # ours
        (found,) = await sql(stack, statement, value)
        return str(found["row"])

    async with raw.connected(stack.administrator_url) as admin, raw.connected(carol_url) as carol:
        key, other = await new_key(admin), await new_key(admin)
        await admin.do(
            CreateAliasRequest(alias_name=alias, target_key_id=other),
            CreateAliasRequest(alias_name=f"{alias}-gone", target_key_id=key),
        )
        old_alias = await row("kmsq.aliases", "alias_name", alias)
        gone_alias = await row("kmsq.aliases", "alias_name", f"{alias}-gone")
        await admin.do(
            DeleteAliasRequest(alias_name=f"{alias}-gone"),
            UpdateAliasRequest(alias_name=alias, target_key_id=key),
            *(EncryptRequest(key_id=alias, plaintext=b"x") for _ in range(20)),
            DisableKeyRequest(key_id=key),
            EnableKeyRequest(key_id=key),
        )
        old_key = await row("kmsq.keys", "key_id", key)
        await admin.do(DisableKeyRequest(key_id=key))
        assert await carol.code(EncryptRequest(key_id=alias, plaintext=b"x")) == "AccessDeniedException"
        assert await admin.code(EncryptRequest(key_id=alias, plaintext=b"x")) == "DisabledException"
        async with raw.connected(stack.broker.administrator_url) as mighty, dead_letters(stack) as letters:
            await mighty.publish(replace(mighty.message(RANDOM), user_id=None))
            await letters.get()
    return Scene(stack, key, alias, old_key, old_alias, gone_alias)


@pytest.fixture
async def broken(scene: Scene) -> AsyncGenerator[asyncpg.Connection]:
    """Return a connection to a copy that the test may break, which is then verified as `audit_broken`."""
    database = scene.stack.database
    await asyncio.to_thread(database.sql, "CREATE DATABASE audit_broken TEMPLATE audit_pristine")
    connection = await asyncpg.connect(database.url(database.SUPERUSER, "audit_broken"))
    yield connection
    await connection.close()
    await asyncio.to_thread(database.sql, "DROP DATABASE audit_broken WITH (FORCE)")


async def problems(scene: Scene) -> str:
    """Verify the broken copy: exit code 2, and the problems that it names."""
    with pytest.raises(ServiceError, match="exited with 2") as caught:
        await asyncio.to_thread(verify, scene.stack, "audit_broken")
    return str(caught.value)


async def test_everything_that_happened_verifies(scene: Scene, broken: asyncpg.Connection) -> None:
    report = await asyncio.to_thread(verify, scene.stack, "audit_broken")
    assert report["sound"] is True
    assert report["records"] == await broken.fetchval(
        "SELECT (SELECT count(*) FROM kmsq.audit_records) + (SELECT count(*) FROM kmsq.audit_registry)"
    )
    assert report["rows"] == await broken.fetchval(
        """
        SELECT (SELECT count(*) FROM kmsq.keys) + (SELECT count(*) FROM kmsq.aliases)
            + (SELECT count(*) FROM kmsq.imported_material) + 1
        """
    )


BUSIEST = "SELECT chain_id FROM kmsq.audit_records GROUP BY chain_id ORDER BY count(*) DESC LIMIT 1"

# What is done in SQL, and what the verification says of it; {chain} has the most records.
FORGERIES = {
    "an-edited-record": (
        """
        UPDATE kmsq.audit_records
        SET record = convert_to(replace(convert_from(record, 'UTF8'), 'AccessDenied', 'Success'), 'UTF8')
        WHERE convert_from(record, 'UTF8') LIKE '%AccessDenied%'
        """,
        "was altered, moved or replaced",
    ),
    "a-deleted-record": (
        "DELETE FROM kmsq.audit_records WHERE chain_id = '{chain}' AND sequence = 3",
        "record 3 is missing",
    ),
    "two-records-exchanged": (
        """
        UPDATE kmsq.audit_records AS one SET record = other.record FROM kmsq.audit_records AS other
        WHERE one.chain_id = '{chain}' AND other.chain_id = one.chain_id
          AND one.sequence IN (3, 4) AND other.sequence = 7 - one.sequence
        """,
        "record 3 was altered, moved or replaced",
    ),
    "a-record-moved-to-another-chain": (
        """
        UPDATE kmsq.audit_records SET chain_id = (SELECT chain_id FROM kmsq.audit_chains
          WHERE lane = 'read' ORDER BY head_sequence LIMIT 1), sequence = 1000
        WHERE chain_id = '{chain}' AND sequence = 3
        """,
        "record 3 is missing",
    ),
    "a-cut-tail": (
        "DELETE FROM kmsq.audit_records WHERE chain_id = '{chain}' AND sequence > 4",
        "records, 4 are there",
    ),
    "a-cut-tail-with-the-head-set-back": (
        """
        DELETE FROM kmsq.audit_records WHERE chain_id = '{chain}' AND sequence > 4;
        UPDATE kmsq.audit_chains AS chain SET head_sequence = 4, head_mac = record.mac
        FROM kmsq.audit_records AS record
        WHERE chain.chain_id = '{chain}' AND record.chain_id = chain.chain_id AND record.sequence = 4
        """,
        "the head at 4 is not sealed by this service: records were cut off",
    ),
    "an-emptied-chain-with-the-head-set-back": (
        """
        DELETE FROM kmsq.audit_records WHERE chain_id = '{chain}';
        UPDATE kmsq.audit_chains SET head_sequence = 0 WHERE chain_id = '{chain}'
        """,
        "the head at 0 is not sealed by this service: records were cut off",
    ),
    "a-removed-chain": (
        "DELETE FROM kmsq.audit_chains WHERE chain_id = '{chain}'",
        "chain {chain}: it was opened and is gone",
    ),
    "a-chain-removed-with-its-records": (
        """
        DELETE FROM kmsq.audit_records WHERE chain_id = '{chain}';
        DELETE FROM kmsq.audit_chains WHERE chain_id = '{chain}'
        """,
        "chain {chain}: it was opened and is gone",
    ),
    "a-cut-registry": (
        "DELETE FROM kmsq.audit_registry WHERE sequence = (SELECT max(sequence) FROM kmsq.audit_registry)",
        "the head says",
    ),
    "a-removed-registry": (
        "DELETE FROM kmsq.audit_registry; DELETE FROM kmsq.audit_chains WHERE lane = 'registry'",
        "the registry chain is missing",
    ),
    "a-key-enabled-by-hand": (
        "UPDATE kmsq.keys SET key_state = 'Enabled' WHERE key_id = '{key}'",
        "key:{key}: row MAC",
    ),
    "a-key's-policy-edited": (
        "UPDATE kmsq.keys SET policy = replace(policy, 'user/admin', 'user/carol') WHERE key_id = '{key}'",
        "key:{key}: row MAC",
    ),
    "a-removed-key": (
        """
        DELETE FROM kmsq.aliases WHERE key_id = '{key}';
        DELETE FROM kmsq.key_material WHERE key_id = '{key}';
        DELETE FROM kmsq.keys WHERE key_id = '{key}'
        """,
        "key:{key}: its row is gone",
    ),
    "an-alias-pointed-elsewhere": (
        """
        UPDATE kmsq.aliases SET key_id = (SELECT key_id FROM kmsq.keys WHERE key_id <> '{key}' LIMIT 1)
        WHERE alias_name = '{alias}'
        """,
        "alias:{alias}: row MAC",
    ),
    "an-edited-account-policy": (
        "UPDATE kmsq.account_policy SET policy = replace(policy, 'user/admin', 'user/carol')",
        "account-policy: row MAC",
    ),
    "a-removed-account-policy": ("DELETE FROM kmsq.account_policy", "account-policy: its row is gone"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_verification_finds(scene: Scene, broken: asyncpg.Connection, forgery: str) -> None:
    statement, problem = FORGERIES[forgery]
    names = {"{key}": scene.key, "{alias}": scene.alias, "{chain}": str(await broken.fetchval(BUSIEST))}
    for name, value in names.items():
        statement, problem = statement.replace(name, value), problem.replace(name, value)
    await broken.execute(statement)
    assert problem in await problems(scene)


async def test_verification_finds_a_key_rolled_back_to_an_earlier_state(
    scene: Scene, broken: asyncpg.Connection
) -> None:
    await broken.execute(
        "UPDATE kmsq.keys AS row SET key_state = old.key_state, revision = old.revision, mac = old.mac"
        " FROM jsonb_populate_record(NULL::kmsq.keys, $1::text::jsonb) AS old WHERE row.key_id = old.key_id",
        scene.old_key,
    )
    assert f"key:{scene.key}: it is not what the last audited change wrote (rolled back?)" in await problems(scene)


async def test_verification_finds_an_alias_rolled_back_to_an_earlier_target(
    scene: Scene, broken: asyncpg.Connection
) -> None:
    await broken.execute("DELETE FROM kmsq.aliases WHERE alias_name = $1", scene.alias)
    await restore_alias(broken, scene.old_alias)
    assert f"alias:{scene.alias}: it is not what the last audited change wrote (rolled back?)" in await problems(scene)


async def test_verification_finds_a_deleted_alias_that_was_brought_back(
    scene: Scene, broken: asyncpg.Connection
) -> None:
    await restore_alias(broken, scene.gone_alias)
    assert f"alias:{scene.alias}-gone: it is not what the last audited change wrote" in await problems(scene)


async def restore_alias(connection: asyncpg.Connection, row: str) -> None:
    await connection.execute(
        "INSERT INTO kmsq.aliases SELECT * FROM jsonb_populate_record(NULL::kmsq.aliases, $1::text::jsonb)", row
    )
