"""What is due is done: by one worker at a time, once, and by another one if that worker dies."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from integration.clockwork import clockwork, events
from integration.evidence import (
    account_locked,
    database_now,
    metric,
    running,
    sql,
    superuser,
    until,
    verify,
    waiting_for_the_lock,
)
from integration.raw import SUCCESS, Producer
from kmsq_schemas import models
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    EncryptReply,
    EncryptRequest,
    GetKeyRotationStatusReply,
    GetKeyRotationStatusRequest,
    ListKeyRotationsReply,
    ListKeyRotationsRequest,
)
from kmsq_schemas.models.enums import GrantOperation, KeyState, RotationType
from kmsq_worker.custody import Custody
from kmsq_worker.store.rows import KeyRow
from services.daemon import ServiceError
from services.stack import ACCOUNT, DATABASE, PrivateStack

DAY = timedelta(days=1)
SILENT_SECONDS = 60
TABLES = ("keys", "key_material", "imported_material", "grants", "aliases", "key_last_use")
COUNTS = [f"SELECT count(*) AS number FROM kmsq.{name} WHERE key_id = $1" for name in TABLES]  # noqa: S608  # our names
EAGER = {"KMSQ_SCHEDULER_SECONDS": "1"}


async def new_key(boss: Producer) -> str:
    return (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


async def encrypted(boss: Producer, key: str) -> bytes:
    return (await boss.call(EncryptRequest(key_id=key, plaintext=b"x"), EncryptReply)).ciphertext_blob


async def state_of(boss: Producer, key: str) -> KeyState:
    return (await boss.call(DescribeKeyRequest(key_id=key), DescribeKeyReply)).key_metadata.key_state


async def rows_of(stack: PrivateStack, key: str) -> int:
    """Count what is left of a key in all tables that hold keys."""
    counts = [await sql(stack, query, key) for query in COUNTS]
    return sum(rows[0]["number"] for rows in counts)


async def is_missed(stack: PrivateStack, name: str) -> bool:
    """Whether `audit verify` finds fault with it; other tests of this stack edit rows by hand, so others may be named."""
    try:
        await asyncio.to_thread(verify, stack, DATABASE)
    except ServiceError as error:
        return name in str(error)
    return False


async def test_a_key_is_deleted_when_its_window_ends_and_nothing_of_it_is_left_but_the_audit_log(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone, 2), clockwork(lone) as clock:
        key, alias = await new_key(boss), f"alias/{uuid4()}"
        blob = await encrypted(boss, key)
        await boss.do(
            models.CreateAliasRequest(alias_name=alias, target_key_id=key),
            models.CreateGrantRequest(
                key_id=key, grantee_principal=f"arn:kmsq:iam::{ACCOUNT}:user/carol", operations=[GrantOperation.ENCRYPT]
            ),
            models.ScheduleKeyDeletionRequest(key_id=key, pending_window_in_days=7),
        )
        now = await database_now(lone)
        await clock.tick(now + 7 * DAY - timedelta(minutes=5))
        assert await state_of(boss, key) == KeyState.PENDING_DELETION
        assert await rows_of(lone, key) > 0
        await clock.tick(now + 7 * DAY)
        assert await rows_of(lone, key) == 0
        assert await events(lone, "KeyDeleted", key) == [SUCCESS]
        # At once, also at workers that have the key at hand.
        assert {await boss.code(DecryptRequest(ciphertext_blob=blob)) for _ in range(10)} == {
            "InvalidCiphertextException"
        }
        assert await boss.code(DescribeKeyRequest(key_id=key)) == "NotFoundException"
        assert await boss.code(DescribeKeyRequest(key_id=alias)) == "NotFoundException"
    assert not await is_missed(lone, key)
    assert not await is_missed(lone, alias)


async def test_a_deletion_that_was_cancelled_is_not_done(lone: PrivateStack, boss: Producer) -> None:
    async with running(lone), clockwork(lone) as clock:
        key = await new_key(boss)
        await boss.do(
            models.ScheduleKeyDeletionRequest(key_id=key, pending_window_in_days=7),
            models.CancelKeyDeletionRequest(key_id=key),
        )
        await clock.tick(await database_now(lone) + 31 * DAY)
        assert await state_of(boss, key) == KeyState.DISABLED
        assert await events(lone, "KeyDeleted", key) == []


async def test_a_key_is_rotated_once_for_each_period_and_its_old_blobs_stay_readable(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone), clockwork(lone) as clock:
        key = await new_key(boss)
        blob = await encrypted(boss, key)
        await boss.do(models.EnableKeyRotationRequest(key_id=key, rotation_period_in_days=90))
        due = (await database_now(lone)) + 90 * DAY
        for now in (due - timedelta(minutes=5), due, due + timedelta(minutes=5), due + 90 * DAY):
            await clock.tick(now)
        history = await boss.call(ListKeyRotationsRequest(key_id=key), ListKeyRotationsReply)
        assert [entry.rotation_type for entry in history.rotations] == [RotationType.AUTOMATIC] * 2
        status = await boss.call(GetKeyRotationStatusRequest(key_id=key), GetKeyRotationStatusReply)
        assert status.key_rotation_enabled
        assert status.next_rotation_date is not None
        assert abs(status.next_rotation_date - (due + 180 * DAY)) < timedelta(seconds=1)
        opened = [
            await boss.call(DecryptRequest(ciphertext_blob=one), DecryptReply)
            for one in (blob, await encrypted(boss, key))
        ]
        assert [reply.plaintext for reply in opened] == [b"x", b"x"]
        assert [reply.key_material_id for reply in opened][1] == history.rotations[1].key_material_id
        assert opened[0].key_material_id not in {entry.key_material_id for entry in history.rotations}


async def test_a_disabled_key_is_rotated_when_it_is_enabled_again(lone: PrivateStack, boss: Producer) -> None:
    async with running(lone), clockwork(lone) as clock:
        key = await new_key(boss)
        await boss.do(models.EnableKeyRotationRequest(key_id=key), models.DisableKeyRequest(key_id=key))
        later = await database_now(lone) + 366 * DAY
        await clock.tick(later)
        assert await events(lone, "KeyRotated", key) == []
        await boss.do(models.EnableKeyRequest(key_id=key))
        await clock.tick(later)
        assert await events(lone, "KeyRotated", key) == [SUCCESS]


async def test_a_key_that_was_edited_by_hand_is_neither_deleted_nor_in_the_way_of_others(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone), clockwork(lone) as clock:
        edited, sound = await new_key(boss), await new_key(boss)
        await boss.do(models.ScheduleKeyDeletionRequest(key_id=sound, pending_window_in_days=7))
        await sql(
            lone,
            "UPDATE kmsq.keys SET key_state = 'PendingDeletion', deletion_date = now() WHERE key_id = $1",
            edited,
        )
        await clock.tick(await database_now(lone) + 8 * DAY)
        assert await rows_of(lone, edited) > 0
        assert await rows_of(lone, sound) == 0
        assert await events(lone, "KeyDeleted", edited) == ["KMSInvalidStateException"]
    await sql(lone, "DELETE FROM kmsq.key_material WHERE key_id = $1", edited)
    await sql(lone, "DELETE FROM kmsq.keys WHERE key_id = $1", edited)


async def test_a_row_that_somebody_put_in_the_way_of_a_rotation_is_in_nobody_else_s_way(
    lone: PrivateStack, boss: Producer
) -> None:
    copied = """
        INSERT INTO kmsq.key_material (key_id, material_number, material_id, wrapped, created_at)
        SELECT key_id, 2, material_id, wrapped, created_at FROM kmsq.key_material WHERE key_id = $1
    """
    async with running(lone), clockwork(lone) as clock:
        blocked, sound = await new_key(boss), await new_key(boss)
        await boss.do(*(models.EnableKeyRotationRequest(key_id=key) for key in (blocked, sound)))
        await sql(lone, copied, blocked)
        assert await boss.code(models.RotateKeyOnDemandRequest(key_id=blocked)) == "KMSInternalException"
        await clock.tick(await database_now(lone) + 366 * DAY)
        assert await events(lone, "KeyRotated", blocked) == ["KMSInternalException"]
        assert await events(lone, "KeyRotated", sound) == [SUCCESS]
    await sql(lone, "DELETE FROM kmsq.key_material WHERE key_id = $1 AND material_number = 2", blocked)


async def test_one_scheduler_works_until_its_connection_ends(lone: PrivateStack) -> None:
    async with clockwork(lone) as second:
        async with clockwork(lone) as first:
            assert await first.due.take_lock(SILENT_SECONDS)
            assert not await second.due.take_lock(SILENT_SECONDS)
        assert await until(lambda: second.due.take_lock(SILENT_SECONDS))


async def test_a_scheduler_that_is_frozen_loses_its_lock(lone: PrivateStack) -> None:
    async with clockwork(lone) as frozen, clockwork(lone) as second:
        assert await frozen.due.take_lock(0.2)
        assert await until(lambda: second.due.take_lock(SILENT_SECONDS))


async def test_whoever_reads_the_audit_log_for_long_is_not_in_the_scheduler_s_way(lone: PrivateStack) -> None:
    partitions = "SELECT max(relname)::text AS newest FROM pg_class WHERE relname ~ '^audit_records_[0-9_]{7}$'"
    newest = (await sql(lone, partitions))[0]["newest"]
    await sql(lone, f"DROP TABLE kmsq.{newest}")  # as when a month begins: one has to be made
    async with clockwork(lone) as clock, superuser(lone) as reader, reader.transaction():
        await reader.fetch("SELECT FROM kmsq.audit_records LIMIT 1")  # as `audit verify` and pg_dump do, for hours
        await clock.tick(await database_now(lone))
        assert (await sql(lone, partitions))[0]["newest"] < newest
    async with clockwork(lone) as clock:
        await clock.tick(await database_now(lone))
    assert (await sql(lone, partitions))[0]["newest"] == newest


async def backdate(stack: PrivateStack, custody: Custody, key: str, deletion_date: datetime) -> None:
    """Change a key as the service would have, long ago."""
    row = KeyRow(**(await sql(stack, "SELECT * FROM kmsq.keys WHERE key_id = $1", key))[0])
    signed = custody.authenticate(replace(row, deletion_date=deletion_date))
    statement = "UPDATE kmsq.keys SET deletion_date = $2, mac = $3 WHERE key_id = $1"
    await sql(stack, statement, key, deletion_date, signed.mac)


async def test_a_job_is_done_once_by_another_worker_when_the_one_that_had_begun_it_dies(
    lone: PrivateStack, boss: Producer
) -> None:
    async with clockwork(lone) as clock, running(lone, 2, environment=EAGER) as workers:
        key = await new_key(boss)
        await boss.do(models.ScheduleKeyDeletionRequest(key_id=key))
        async with account_locked(lone):
            await backdate(lone, clock.custody, key, await database_now(lone) - DAY)
            await until(lambda: waiting_for_the_lock(lone))  # it has begun
            (leader,) = (number for number, worker in enumerate(workers) if '"scheduling"' in worker.log.read_text())
            await asyncio.to_thread(workers[leader].kill)

        async def deleted() -> bool:
            return await rows_of(lone, key) == 0

        await until(deleted)
        assert await events(lone, "KeyDeleted", key) == [SUCCESS]
        assert metric(workers[1 - leader], "kmsq_scheduled_jobs_total") == 1


async def test_a_worker_that_follows_from_before_what_is_left_of_the_change_log_decides_nothing_under_the_old_state(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone), clockwork(lone):
        key, other = await new_key(boss), await new_key(boss)
        await encrypted(boss, key)  # from now on the key is at hand
        await boss.do(
            models.DisableKeyRequest(key_id=key), models.UpdateKeyDescriptionRequest(key_id=other, description="x")
        )
        await sql(lone, "SELECT kmsq.forget_changes(interval '0', 1000000)")
        assert [row["subject"] for row in await sql(lone, "SELECT subject FROM kmsq.change_log")] == [f"key:{other}"]
        assert await boss.code(EncryptRequest(key_id=key, plaintext=b"x")) == "DisabledException"
        assert await boss.code(EncryptRequest(key_id=other, plaintext=b"x")) == SUCCESS


async def test_a_clock_that_was_wrong_hides_no_change_from_a_worker_that_is_behind(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone):
        key, other = await new_key(boss), await new_key(boss)
        await encrypted(boss, key)  # from now on the key is at hand
        await boss.do(
            models.UpdateKeyDescriptionRequest(key_id=other, description="x"),
            models.DisableKeyRequest(key_id=key),
            models.UpdateKeyDescriptionRequest(key_id=other, description="y"),
        )
        epochs = [row["epoch"] for row in await sql(lone, "SELECT epoch FROM kmsq.change_log ORDER BY epoch")][-3:]
        ahead = "UPDATE kmsq.change_log SET changed_at = now() + interval '10 days' WHERE epoch = $1"
        await sql(lone, ahead, epochs[0])
        await sql(lone, "SELECT kmsq.forget_changes(interval '0', 1000000)")
        assert [row["epoch"] for row in await sql(lone, "SELECT epoch FROM kmsq.change_log ORDER BY epoch")] == epochs
        assert await boss.code(EncryptRequest(key_id=key, plaintext=b"x")) == "DisabledException"
