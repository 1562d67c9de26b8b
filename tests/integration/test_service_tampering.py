"""A row that somebody edited by SQL is not believed: its key is unusable and an alarm rises, the others are unharmed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from integration.evidence import metric, outcomes, running, sql, superuser
from integration.raw import SUCCESS, Producer
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    DescribeKeyRequest,
    DisableKeyRequest,
    EncryptReply,
    EncryptRequest,
    GetAccountPolicyReply,
    GetAccountPolicyRequest,
    GetKeyPolicyRequest,
    ListAliasesReply,
    ListAliasesRequest,
    ListKeysRequest,
    PutAccountPolicyRequest,
    Request,
    RotateKeyOnDemandRequest,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from services.stack import PrivateStack
from services.worker import Worker


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


def encrypt(key_id: str) -> EncryptRequest:
    return EncryptRequest(key_id=key_id, plaintext=b"x")


def alarms(workers: Sequence[Worker]) -> float:
    return sum(metric(worker, "kmsq_integrity_failures_total") for worker in workers)


@asynccontextmanager
async def alarm_raised(workers: Sequence[Worker]) -> AsyncGenerator[None]:
    before = alarms(workers)
    yield
    assert alarms(workers) > before


# Each is done to a key that no worker has loaded yet: what is cached is not read again.
EDITS = {
    "its-state": "UPDATE kmsq.keys SET key_state = 'Disabled' WHERE key_id = $1",
    "its-policy": "UPDATE kmsq.keys SET policy = replace(policy, 'user/admin', 'user/carol') WHERE key_id = $1",
    "its-policy's-syntax": "UPDATE kmsq.keys SET policy = '{' WHERE key_id = $1",
    "its-description": "UPDATE kmsq.keys SET description = 'harmless?' WHERE key_id = $1",
    "its-revision": "UPDATE kmsq.keys SET revision = revision + 1 WHERE key_id = $1",
    "its-current-material": "UPDATE kmsq.keys SET current_material = 2 WHERE key_id = $1",
    "its-reserved-columns": "UPDATE kmsq.keys SET custom_key_store_id = 'x' WHERE key_id = $1",
    "its-grants-digest": "UPDATE kmsq.keys SET grants_digest = '\\x00' WHERE key_id = $1",
    "its-aliases-digest": "UPDATE kmsq.keys SET aliases_digest = '' WHERE key_id = $1",
    "its-mac": "UPDATE kmsq.keys SET mac = set_byte(mac, 20, get_byte(mac, 20) # 1) WHERE key_id = $1",
    "its-mac's-length": "UPDATE kmsq.keys SET mac = '' WHERE key_id = $1",
    "its-mac's-domain-key": "UPDATE kmsq.keys SET mac = set_byte(mac, 0, get_byte(mac, 0) # 1) WHERE key_id = $1",
}


@pytest.mark.parametrize("edit", EDITS)
async def test_a_key_is_unusable_once_somebody_edited(admin: Producer, stack: PrivateStack, edit: str) -> None:
    victim, neighbour = await new_key(admin), await new_key(admin)
    (row,) = await sql(stack, "SELECT to_jsonb(row)::text AS old FROM kmsq.keys AS row WHERE key_id = $1", victim)
    await sql(stack, EDITS[edit], victim)
    try:
        for request in (
            encrypt(victim),
            DescribeKeyRequest(key_id=victim),
            GetKeyPolicyRequest(key_id=victim),
            UpdateKeyDescriptionRequest(key_id=victim, description="x"),
            DisableKeyRequest(key_id=victim),
            CreateAliasRequest(alias_name=f"alias/{victim}", target_key_id=victim),
        ):
            async with alarm_raised(stack.workers):
                message = admin.message(request)
                assert (await admin.ask(message)).code == "KMSInvalidStateException"
            assert await outcomes(stack, message.message_id) == ["KMSInvalidStateException"]
            assert await admin.code(encrypt(neighbour)) == SUCCESS
    finally:
        await restore_key(stack, str(row["old"]))
    assert await admin.code(encrypt(victim)) == SUCCESS


async def restore_key(stack: PrivateStack, row: str) -> None:
    async with superuser(stack) as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # the material refers to the row
        await connection.execute(
            """
            WITH old AS (SELECT * FROM jsonb_populate_record(NULL::kmsq.keys, $1::text::jsonb))
            UPDATE kmsq.keys AS row SET (key_state, policy, description, revision, current_material,
              custom_key_store_id, grants_digest, aliases_digest, mac) = (SELECT old.key_state, old.policy,
              old.description, old.revision, old.current_material, old.custom_key_store_id, old.grants_digest,
              old.aliases_digest, old.mac FROM old)
            WHERE key_id = (SELECT key_id FROM old)
            """,
            row,
        )


async def test_key_material_moved_to_another_key_does_not_unwrap(admin: Producer, stack: PrivateStack) -> None:
    first, second, neighbour = [await new_key(admin) for _ in range(3)]
    blob = (await admin.call(encrypt(neighbour), EncryptReply)).ciphertext_blob
    swap = """
        UPDATE kmsq.key_material AS one SET wrapped = other.wrapped FROM kmsq.key_material AS other
        WHERE (one.key_id, other.key_id) IN (($1, $2), ($2, $1))
    """
    await sql(stack, swap, first, second)
    for victim in (first, second):
        async with alarm_raised(stack.workers):
            assert await admin.code(encrypt(victim)) == "KMSInvalidStateException"
        assert await admin.code(encrypt(neighbour)) == SUCCESS
        assert (await admin.call(DecryptRequest(ciphertext_blob=blob), DecryptReply)).plaintext == b"x"
    await sql(stack, swap, first, second)


async def test_key_material_moved_to_another_number_does_not_unwrap(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    blob = (await admin.call(encrypt(key), EncryptReply)).ciphertext_blob
    await admin.do(RotateKeyOnDemandRequest(key_id=key))
    # Before any worker loads the second material, the first one takes its place.
    await sql(
        stack,
        """
        UPDATE kmsq.key_material AS new SET wrapped = old.wrapped FROM kmsq.key_material AS old
        WHERE new.key_id = $1 AND new.material_number = 2 AND old.key_id = $1 AND old.material_number = 1
        """,
        key,
    )
    async with alarm_raised(stack.workers):
        assert await admin.code(encrypt(key)) == "KMSInvalidStateException"
    renumbered = blob[:18] + (2).to_bytes(4, "big") + blob[22:]
    assert await admin.code(DecryptRequest(ciphertext_blob=renumbered)) == "KMSInvalidStateException"
    assert (await admin.call(DecryptRequest(ciphertext_blob=blob), DecryptReply)).plaintext == b"x"


async def test_an_edited_alias_and_the_keys_it_named_are_unusable_until_it_is_mended(
    admin: Producer, stack: PrivateStack
) -> None:
    mine, foreign, unconcerned = [await new_key(admin) for _ in range(3)]
    alias, neighbour = f"alias/edited-{uuid4()}", f"alias/intact-{uuid4()}"
    await admin.do(
        CreateAliasRequest(alias_name=alias, target_key_id=mine),
        CreateAliasRequest(alias_name=neighbour, target_key_id=mine),
    )
    point = "UPDATE kmsq.aliases SET key_id = $2 WHERE alias_name = $1"
    await sql(stack, point, alias, foreign)
    named = [encrypt(name) for name in (alias, neighbour, mine, foreign)]
    for request in (*named, UpdateAliasRequest(alias_name=alias, target_key_id=mine)):
        async with alarm_raised(stack.workers):
            assert await admin.code(request) == "KMSInvalidStateException"
    assert await admin.code(encrypt(unconcerned)) == SUCCESS
    await sql(stack, point, alias, mine)
    assert [await admin.code(request) for request in named] == [SUCCESS] * 4


async def test_an_edited_alias_is_not_listed_as_if_it_were_true(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    edited, intact = f"alias/edited-{uuid4()}", f"alias/intact-{uuid4()}"
    await admin.do(*(CreateAliasRequest(alias_name=name, target_key_id=key) for name in (edited, intact)))
    age = "UPDATE kmsq.aliases SET creation_date = creation_date + $2::interval WHERE alias_name = $1"
    await sql(stack, age, edited, timedelta(days=-1))
    try:
        async with alarm_raised(stack.workers):
            listed = await admin.call(ListAliasesRequest(key_id=key), ListAliasesReply)
        assert [entry.alias_name for entry in listed.aliases] == [intact]
    finally:
        await sql(stack, age, edited, timedelta(days=1))


async def test_an_edited_account_policy_decides_nothing_until_an_administrator_puts_it_anew(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone):
        key = await new_key(boss)
        policy = (await boss.call(GetAccountPolicyRequest(), GetAccountPolicyReply)).policy
    await sql(lone, "UPDATE kmsq.account_policy SET policy = replace(policy, 'user/admin', '*')")
    async with running(lone) as workers:
        requests: list[Request] = [encrypt(key), ListKeysRequest(), GetAccountPolicyRequest(), CreateKeyRequest()]
        for request in requests:
            async with alarm_raised(workers):
                assert await boss.code(request) == "KMSInternalException"
        await boss.do(PutAccountPolicyRequest(policy=policy))
        assert [await boss.code(request) for request in requests] == [SUCCESS] * 4


async def test_a_row_rolled_back_under_a_worker_that_saw_the_newer_one_is_refused(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone) as workers:
        key, neighbour = await new_key(boss), await new_key(boss)
        await boss.do(encrypt(key), UpdateKeyDescriptionRequest(key_id=key, description="old"))
        (row,) = await sql(lone, "SELECT to_jsonb(row)::text AS old FROM kmsq.keys AS row WHERE key_id = $1", key)
        await boss.do(DisableKeyRequest(key_id=key))
        assert await boss.code(encrypt(key)) == "DisabledException"
        (now,) = await sql(lone, "SELECT to_jsonb(row)::text AS old FROM kmsq.keys AS row WHERE key_id = $1", key)
        await restore_key(lone, str(row["old"]))
        async with alarm_raised(workers):
            assert (
                await boss.code(UpdateKeyDescriptionRequest(key_id=key, description="x")) == "KMSInvalidStateException"
            )
        assert await boss.code(encrypt(key)) == "DisabledException"
        assert await boss.code(encrypt(neighbour)) == SUCCESS
        await restore_key(lone, str(now["old"]))


async def test_a_key_whose_row_was_deleted_is_gone_and_harms_nobody(lone: PrivateStack, boss: Producer) -> None:
    async with running(lone):
        key, neighbour = await new_key(boss), await new_key(boss)
        blob = (await boss.call(encrypt(neighbour), EncryptReply)).ciphertext_blob
        await sql(lone, "DELETE FROM kmsq.key_material WHERE key_id = $1", key)
        assert await boss.code(encrypt(key)) != SUCCESS
        await sql(lone, "DELETE FROM kmsq.keys WHERE key_id = $1", key)
        assert await boss.code(DisableKeyRequest(key_id=key)) == "NotFoundException"
        assert (await boss.call(DecryptRequest(ciphertext_blob=blob), DecryptReply)).plaintext == b"x"
