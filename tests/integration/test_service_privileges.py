"""Each role of the service can do its work and nothing else; a worker that is set up wrongly refuses to start."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from integration.evidence import copy_database, queue_depths, running
from integration.raw import SUCCESS, Producer
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest, EncryptRequest, ListKeysRequest
from services.daemon import ServiceError
from services.stack import AUDITOR, CHANGE, CRYPTO, OWNER, PrivateStack

NO_CHAIN = "'00000000-0000-0000-0000-000000000000', 0, ''"

# What nobody who stole the password of a worker's role may do with it.
FORBIDDEN_TO_ALL = (
    "INSERT INTO kmsq.audit_records VALUES (gen_random_uuid(), 1, now(), '', '')",
    "INSERT INTO kmsq.audit_records_default VALUES (gen_random_uuid(), 1, now(), '', '')",
    "UPDATE kmsq.audit_records SET record = ''",
    "DELETE FROM kmsq.audit_records",
    "TRUNCATE kmsq.audit_records",
    "DROP TABLE kmsq.audit_records",
    "UPDATE kmsq.audit_chains SET head_sequence = 0",
    "DELETE FROM kmsq.audit_chains",
    "INSERT INTO kmsq.audit_registry VALUES (9999, now(), '', '')",
    "DELETE FROM kmsq.audit_registry",
    "DELETE FROM kmsq.keys",
    "DELETE FROM kmsq.key_material",
    "UPDATE kmsq.key_material SET key_id = ''",
    "UPDATE kmsq.key_material SET material_number = 2",
    "DELETE FROM kmsq.imported_material",
    "UPDATE kmsq.grants SET grantee_principal = ''",
    "INSERT INTO kmsq.key_last_use VALUES ('', 0, '', now(), '')",
    "UPDATE kmsq.domain_keys SET wrapped = ''",
    "INSERT INTO kmsq.domain_keys SELECT gen_random_uuid(), '', ''",
    "UPDATE kmsq.account SET region = 'elsewhere'",
    "DELETE FROM kmsq.change_log",
    "UPDATE kmsq.change_log SET epoch = 0",
    "DELETE FROM kmsq.account_policy",
    "UPDATE public.schema_migrations SET version = '0'",
    "CREATE TABLE kmsq.mine (n int)",
    "CREATE FUNCTION kmsq.audit_month() RETURNS date LANGUAGE sql AS 'SELECT now()::date'",
    "ALTER TABLE kmsq.audit_records DISABLE TRIGGER ALL",
    "SET ROLE kmsq_owner",
)
FORBIDDEN_TO_CRYPTO = (
    "UPDATE kmsq.keys SET key_state = 'Enabled'",
    "UPDATE kmsq.key_material SET wrapped = ''",
    "UPDATE kmsq.imported_material SET import_state = 'IMPORTED'",
    "INSERT INTO kmsq.grants SELECT * FROM kmsq.grants",
    "DELETE FROM kmsq.grants",
    "SELECT kmsq.delete_key('')",
    "SELECT kmsq.forget_changes(interval '0', 1)",
    "INSERT INTO kmsq.keys SELECT * FROM kmsq.keys",
    "INSERT INTO kmsq.key_material SELECT * FROM kmsq.key_material",
    "INSERT INTO kmsq.aliases SELECT * FROM kmsq.aliases",
    "UPDATE kmsq.aliases SET key_id = ''",
    "DELETE FROM kmsq.aliases",
    "UPDATE kmsq.account_policy SET policy = ''",
    "INSERT INTO kmsq.change_log VALUES (9999, 'x')",
    "SELECT * FROM kmsq.change_requests",
    "SELECT * FROM kmsq.audit_records",
)
FORBIDDEN_TO_CHANGE = (
    "SELECT * FROM kmsq.audit_records",
    f"SELECT kmsq.commit_turn(0, '{{}}', NULL, {NO_CHAIN}, '{{}}', '{{}}', '')",
    "SELECT kmsq.note_last_use(0::smallint, '{}', '{}', '{}', '{}')",
)
FORBIDDEN_TO_AUDITOR = (
    *FORBIDDEN_TO_CRYPTO[:14],
    "SELECT * FROM kmsq.change_requests",
    f"SELECT kmsq.append_audit({NO_CHAIN}, '{{}}', '{{}}', '')",
    f"SELECT kmsq.commit_turn(0, '{{}}', NULL, {NO_CHAIN}, '{{}}', '{{}}', '')",
)

DEEDS = [
    (role, deed)
    for role, deeds in (
        (CRYPTO, FORBIDDEN_TO_ALL + FORBIDDEN_TO_CRYPTO),
        (CHANGE, FORBIDDEN_TO_ALL + FORBIDDEN_TO_CHANGE),
        (AUDITOR, FORBIDDEN_TO_ALL + FORBIDDEN_TO_AUDITOR),
    )
    for deed in deeds
]


@pytest.mark.parametrize(("role", "deed"), DEEDS)
async def test_a_role_is_refused(stack: PrivateStack, role: str, deed: str) -> None:
    connection = await asyncpg.connect(stack.database_url(role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(deed)
    finally:
        await connection.close()


async def test_functions_that_run_as_their_owner_resolve_names_in_no_schema_of_the_callers(
    stack: PrivateStack,
) -> None:
    connection = await asyncpg.connect(stack.database_url(OWNER))
    rows = await connection.fetch(
        "SELECT proname, prosecdef, proconfig FROM pg_proc WHERE pronamespace = 'kmsq'::regnamespace"
    )
    await connection.close()
    powerful = [row for row in rows if row["prosecdef"]]
    assert {row["proname"] for row in powerful} >= {"append_audit", "commit_turn", "open_chain"}
    assert all("search_path=pg_catalog, pg_temp" in row["proconfig"] for row in powerful)


async def test_a_worker_without_the_role_of_changes_serves_everything_else(lone: PrivateStack, boss: Producer) -> None:
    async with running(lone):
        key = (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
    environment = {"KMSQ_QUEUES": "crypto,read", "KMSQ_CHANGES_DATABASE_URL": ""}
    change = boss.message(CreateKeyRequest())
    async with running(lone, environment=environment):
        await boss.publish(change)
        assert await boss.code(EncryptRequest(key_id=key, plaintext=b"x")) == SUCCESS
        assert await boss.code(ListKeysRequest()) == SUCCESS
        assert (await queue_depths(lone))["kmsq.admin"] == 1
        assert boss.answers_so_far(change) == []
    async with running(lone, environment={"KMSQ_QUEUES": "admin"}):
        assert (await boss.answer(change)).code == SUCCESS


async def refused(stack: PrivateStack, **environment: str) -> str:
    """Run a worker that must end by itself with exit code 1, and return what it printed."""
    worker = {
        "KMSQ_AMQP_URL": stack.worker_url,
        "KMSQ_DATABASE_URL": stack.database_url(CRYPTO),
        "KMSQ_CHANGES_DATABASE_URL": stack.database_url(CHANGE),
        "KMSQ_HEALTH_PORT": "0",
    }
    with pytest.raises(ServiceError, match="exited with 1") as caught:
        await asyncio.to_thread(stack.kmsq_worker, "run", environment={**worker, **environment})
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
async def copied(stack: PrivateStack) -> AsyncGenerator[str]:
    """Return the name of a copy of the database."""
    await asyncio.to_thread(copy_database, stack, "privileges_copy")
    yield "privileges_copy"
    await asyncio.to_thread(stack.database.sql, "DROP DATABASE privileges_copy WITH (FORCE)")


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        (
            "DELETE FROM public.schema_migrations WHERE version = (SELECT max(version) FROM public.schema_migrations)",
            "dbmate",
        ),
        ("DROP TABLE public.schema_migrations", "dbmate"),
        ("INSERT INTO public.schema_migrations VALUES ('29990101000000')", "newer kmsq"),
        ("DELETE FROM kmsq.account", "kmsq-worker init"),
    ],
    ids=["an-older-schema", "no-schema", "a-newer-schema", "an-empty-database"],
)
async def test_a_worker_refuses_another_database_and_says_what_to_do(
    stack: PrivateStack, copied: str, statement: str, advice: str
) -> None:
    await asyncio.to_thread(stack.database.sql, statement, database=copied)
    assert advice in await refused(stack, KMSQ_DATABASE_URL=stack.database.url(CRYPTO, copied))


async def test_a_worker_refuses_the_wrong_root_key(stack: PrivateStack, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    await asyncio.to_thread(stack.kmsq_worker, "root-key", "create", str(wrong))
    assert "root key" in (await refused(stack, KMSQ_ROOT_KEY_FILE=str(wrong))).lower()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_worker_refuses_a_root_key_that_others_can_read(stack: PrivateStack, tmp_path: Path, mode: int) -> None:
    exposed = tmp_path / "exposed.key"
    shutil.copyfile(stack.root_key_file, exposed)
    exposed.chmod(mode)
    assert "chmod" in await refused(stack, KMSQ_ROOT_KEY_FILE=str(exposed))


async def test_a_worker_refuses_a_root_key_file_that_is_missing_or_no_key(stack: PrivateStack, tmp_path: Path) -> None:
    await refused(stack, KMSQ_ROOT_KEY_FILE=str(tmp_path / "missing.key"))
    junk = tmp_path / "junk.key"
    junk.write_text("no key")
    junk.chmod(0o600)
    await refused(stack, KMSQ_ROOT_KEY_FILE=str(junk))


async def test_a_worker_that_must_make_changes_asks_for_the_role_to_make_them_with(stack: PrivateStack) -> None:
    assert "KMSQ_CHANGES_DATABASE_URL" in await refused(stack, KMSQ_CHANGES_DATABASE_URL="")


async def test_the_settings_are_printed_without_passwords(stack: PrivateStack) -> None:
    environment = {
        "KMSQ_AMQP_URL": stack.worker_url,
        "KMSQ_DATABASE_URL": stack.database_url(CRYPTO),
        "KMSQ_CHANGES_DATABASE_URL": stack.database_url(CHANGE),
    }
    printed = await asyncio.to_thread(stack.kmsq_worker, "settings", environment=environment)
    assert printed.count("***") == 3
    for url in environment.values():
        assert url.split("@")[0].rpartition(":")[2] not in printed
