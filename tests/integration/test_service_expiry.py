"""Imported material that expires is destroyed then, on the real database, whoever would rather keep it."""

import os
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from integration.clockwork import clockwork, events
from integration.evidence import database_now, running, sql
from integration.raw import SUCCESS, Producer
from kmsq.importing import wrap_key_material
from kmsq_schemas import models
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    GetParametersForImportReply,
    GetParametersForImportRequest,
)
from kmsq_schemas.models.enums import AlgorithmSpec, KeyState, Origin, WrappingKeySpec
from services.stack import PrivateStack

DAY = timedelta(days=1)
ALGORITHM = AlgorithmSpec.RSAES_OAEP_SHA_256


@pytest.fixture
async def key(lone: PrivateStack, boss: Producer) -> AsyncGenerator[str]:
    """Return a key whose material expires in a day, at a worker that runs meanwhile."""
    async with running(lone):
        made = await boss.call(CreateKeyRequest(origin=Origin.EXTERNAL), CreateKeyReply)
        key_id = made.key_metadata.key_id
        asked = GetParametersForImportRequest(
            key_id=key_id, wrapping_algorithm=ALGORITHM, wrapping_key_spec=WrappingKeySpec.RSA_2048
        )
        given = await boss.call(asked, GetParametersForImportReply)
        await boss.do(
            models.ImportKeyMaterialRequest(
                key_id=key_id,
                import_token=given.import_token,
                encrypted_key_material=wrap_key_material(os.urandom(32), given.public_key, ALGORITHM),
                valid_to=await database_now(lone) + DAY,
            )
        )
        yield key_id
    await sql(lone, "DELETE FROM kmsq.imported_material WHERE key_id = $1", key_id)
    await sql(lone, "DELETE FROM kmsq.key_material WHERE key_id = $1", key_id)
    await sql(lone, "DELETE FROM kmsq.keys WHERE key_id = $1", key_id)


async def is_kept(stack: PrivateStack, key: str) -> bool:
    (row,) = await sql(stack, "SELECT wrapped IS NOT NULL AS kept FROM kmsq.key_material WHERE key_id = $1", key)
    return bool(row["kept"])


async def test_material_is_destroyed_when_it_expires(lone: PrivateStack, boss: Producer, key: str) -> None:
    async with clockwork(lone) as clock:
        now = await database_now(lone)
        await clock.tick(now + DAY - timedelta(minutes=5))
        assert await events(lone, "KeyMaterialExpired", key) == []
        assert await is_kept(lone, key)
        for _ in range(2):
            await clock.tick(now + DAY)
        assert await events(lone, "KeyMaterialExpired", key) == [SUCCESS]
        assert not await is_kept(lone, key)
    described = await boss.call(DescribeKeyRequest(key_id=key), DescribeKeyReply)
    assert described.key_metadata.key_state == KeyState.PENDING_IMPORT


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE kmsq.imported_material SET valid_to = NULL WHERE key_id = $1",
        "UPDATE kmsq.imported_material SET import_state = 'PENDING_IMPORT' WHERE key_id = $1",
        "DELETE FROM kmsq.imported_material WHERE key_id = $1",
        "UPDATE kmsq.keys SET valid_to = NULL WHERE key_id = $1",
    ],
)
async def test_material_that_somebody_would_keep_by_an_edit_does_not_expire_unnoticed(
    lone: PrivateStack, key: str, edit: str
) -> None:
    await sql(lone, edit, key)
    async with clockwork(lone) as clock:
        await clock.tick(await database_now(lone) + DAY)
    assert await events(lone, "KeyMaterialExpired", key) == ["KMSInvalidStateException"]
