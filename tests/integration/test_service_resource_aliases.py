"""kms:ResourceAliases: what an alias permits or forbids goes with it at once, and no edit by SQL dodges it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from integration.evidence import counted, metric, outcomes, sql, verify
from integration.raw import SUCCESS, Producer, flood
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DeleteAliasRequest,
    DescribeKeyRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    EncryptRequest,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from kmsq_worker.arn import Account
from kmsq_worker.custody import Custody
from kmsq_worker.rootkey import load_root_key_file
from kmsq_worker.store.connection import pooled
from kmsq_worker.store.reader import Reader
from kmsq_worker.store.rows import KeyRow
from services.daemon import ServiceError
from services.stack import ACCOUNT, CRYPTO, DATABASE, REGION, PrivateStack
from services.worker import Worker

ADMIN = {"AWS": f"arn:kmsq:iam::{ACCOUNT}:user/admin"}
DENIED, UNUSABLE = "AccessDeniedException", "KMSInvalidStateException"


def policy(effect: str, alias: str) -> str:
    """Let the administrator do everything, and encrypt only if the key has that alias, or does not have it."""
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    encrypting = {"Principal": ADMIN, "Action": "kms:Encrypt", "Resource": "*"}
    rest = {"Effect": "Allow", "Principal": ADMIN, "NotAction": "kms:Encrypt", "Resource": "*"}
    asking = [{"Effect": effect, **encrypting, "Condition": condition}]
    if effect == "Deny":
        asking.append({"Effect": "Allow", **encrypting})
    return json.dumps({"Version": "2012-10-17", "Statement": [rest, *asking]})


def fresh_alias() -> str:
    return f"alias/{uuid4()}"


async def new_key(admin: Producer, effect: str, alias: str) -> str:
    made = await admin.call(CreateKeyRequest(policy=policy(effect, alias)), CreateKeyReply)
    return made.key_metadata.key_id


def encrypt(key_id: str) -> EncryptRequest:
    return EncryptRequest(key_id=key_id, plaintext=b"x")


async def codes(admin: Producer, key_id: str, count: int = 300) -> dict[str, int]:
    return counted([answer.code for answer in await flood([admin], [encrypt(key_id)] * count)])


async def warm(admin: Producer, workers: Sequence[Worker], key_id: str, code: str) -> None:
    """Let every worker answer from its keyring, and always so."""
    assert len(workers) >= 2
    served = [metric(worker, "kmsq_requests_total") for worker in workers]
    while any(metric(worker, "kmsq_requests_total") <= before for worker, before in zip(workers, served, strict=True)):
        assert await codes(admin, key_id) == {code: 300}


async def problems(stack: PrivateStack) -> str:
    """Return what `audit verify` finds, of everything that was ever done to the stack."""
    try:
        await asyncio.to_thread(verify, stack, DATABASE)
    except ServiceError as error:
        return str(error)
    return ""


@asynccontextmanager
async def alarm_raised(workers: Sequence[Worker]) -> AsyncGenerator[None]:
    before = sum(metric(worker, "kmsq_integrity_failures_total") for worker in workers)
    yield
    assert sum(metric(worker, "kmsq_integrity_failures_total") for worker in workers) > before


@asynccontextmanager
async def without_alias(stack: PrivateStack, alias: str) -> AsyncGenerator[None]:
    """Delete an alias by SQL for a while."""
    (row,) = await sql(
        stack, "DELETE FROM kmsq.aliases AS row WHERE alias_name = $1 RETURNING to_jsonb(row)::text", alias
    )
    yield
    await sql(
        stack,
        "INSERT INTO kmsq.aliases SELECT * FROM jsonb_populate_record(NULL::kmsq.aliases, $1::text::jsonb)",
        row[0],
    )


async def test_a_permission_by_alias_moves_with_the_alias_at_every_worker_at_once(
    admin: Producer, stack: PrivateStack
) -> None:
    alias = fresh_alias()
    first, second = await new_key(admin, "Allow", alias), await new_key(admin, "Allow", alias)
    await warm(admin, stack.workers, first, DENIED)
    await admin.do(CreateAliasRequest(alias_name=alias, target_key_id=first))
    await warm(admin, stack.workers, first, SUCCESS)
    await warm(admin, stack.workers, second, DENIED)
    await admin.do(UpdateAliasRequest(alias_name=alias, target_key_id=second))
    assert await codes(admin, first) == {DENIED: 300}
    await warm(admin, stack.workers, second, SUCCESS)
    await admin.do(DeleteAliasRequest(alias_name=alias))
    assert await codes(admin, second) == {DENIED: 300}
    found = await problems(stack)
    assert not any(name in found for name in (alias, first, second))


async def test_a_denial_by_alias_is_not_dodged_by_deleting_the_alias_by_sql(
    admin: Producer, stack: PrivateStack
) -> None:
    alias, kept = fresh_alias(), fresh_alias()
    key, neighbour = await new_key(admin, "Deny", alias), await new_key(admin, "Deny", alias)
    await admin.do(*(CreateAliasRequest(alias_name=name, target_key_id=key) for name in (alias, kept)))
    async with without_alias(stack, alias):
        for request in (
            encrypt(key),
            encrypt(kept),
            DescribeKeyRequest(key_id=key),
            DisableKeyRequest(key_id=key),
            CreateAliasRequest(alias_name=alias, target_key_id=key),
        ):
            async with alarm_raised(stack.workers):
                message = admin.message(request)
                assert (await admin.ask(message)).code == UNUSABLE
            assert await outcomes(stack, message.message_id) == [UNUSABLE]
        assert await admin.code(encrypt(neighbour)) == SUCCESS
        found = await problems(stack)
        assert f"key:{key}: aliases were added or removed" in found
        assert f"alias:{alias}: its row is gone" in found
    await warm(admin, stack.workers, key, DENIED)
    async with without_alias(stack, alias):
        assert await codes(admin, key) == {DENIED: 300}  # the key is at hand, with its alias
    assert await admin.code(DisableKeyRequest(key_id=key)) == SUCCESS
    assert key not in await problems(stack)


async def test_an_alias_added_by_sql_gives_no_permission(admin: Producer, stack: PrivateStack) -> None:
    alias = fresh_alias()
    key, other = await new_key(admin, "Allow", alias), await new_key(admin, "Allow", alias)
    await admin.do(CreateAliasRequest(alias_name=alias, target_key_id=other))
    move = "UPDATE kmsq.aliases SET key_id = $2 WHERE alias_name = $1"
    await sql(stack, move, alias, key)
    try:
        for one in (key, other):
            async with alarm_raised(stack.workers):
                assert await admin.code(encrypt(one)) == UNUSABLE
    finally:
        await sql(stack, move, alias, other)
    assert (await admin.code(encrypt(key)), await admin.code(encrypt(other))) == (DENIED, SUCCESS)


async def age(stack: PrivateStack, key: str) -> None:
    """Make a key's row one that was last written before rows had a digest of aliases."""
    root_key = load_root_key_file(stack.root_key_file)
    async with pooled(stack.database_url(CRYPTO)) as pool:
        account = Account(region=REGION, account_id=ACCOUNT)
        custody = Custody(account=account, root_key=root_key, load=Reader(pool=pool).domain_keys)
        await custody.unlock()
    row = KeyRow(**(await sql(stack, "SELECT * FROM kmsq.keys WHERE key_id = $1", key))[0])
    aged = custody.authenticate(replace(row, aliases_digest=b""))
    await sql(stack, "UPDATE kmsq.keys SET aliases_digest = '', mac = $2 WHERE key_id = $1", key, aged.mac)


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
async def test_the_aliases_of_a_key_from_before_are_taken_for_the_worst_until_its_next_change(
    admin: Producer, stack: PrivateStack, effect: str
) -> None:
    alias = fresh_alias()
    key = await new_key(admin, effect, alias)
    if effect == "Allow":
        await admin.do(CreateAliasRequest(alias_name=alias, target_key_id=key))
    await age(stack, key)
    assert await admin.code(encrypt(key)) == DENIED
    await admin.do(UpdateKeyDescriptionRequest(key_id=key, description="known from now on"))
    assert await codes(admin, key) == {SUCCESS: 300}
    await admin.do(DisableKeyRequest(key_id=key), EnableKeyRequest(key_id=key))
    assert key not in await problems(stack)
