"""After the reply to a change nothing is decided under the state before it: at no worker, in no audit record."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from integration import raw
from integration.evidence import AuditRecord, audit_records, counted, database_now, metric
from integration.raw import SUCCESS, Producer, flood
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DeleteAliasRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    EncryptReply,
    EncryptRequest,
    GenerateRandomRequest,
    GetAccountPolicyReply,
    GetAccountPolicyRequest,
    GetKeyPolicyReply,
    GetKeyPolicyRequest,
    PutAccountPolicyRequest,
    PutKeyPolicyRequest,
    Request,
    ScheduleKeyDeletionRequest,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from services.stack import PrivateStack
from services.worker import Worker

RANDOM = GenerateRandomRequest(number_of_bytes=16)
ADMIN_ARN = "arn:kmsq:iam::000000000000:user/admin"


@pytest.fixture(scope="module")
def three_workers(stack: PrivateStack) -> Sequence[Worker]:
    """Return the shared stack's workers, three at least."""
    while len(stack.workers) < 3:
        stack.add_worker()
    return stack.workers


@pytest.fixture
async def crowd(stack: PrivateStack) -> AsyncGenerator[Sequence[Producer]]:
    """Return four connections of the administrator."""
    async with AsyncExitStack() as connections:
        yield [await connections.enter_async_context(raw.connected(stack.administrator_url)) for _ in range(4)]


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


def encrypts(key_id: str, count: int) -> Sequence[EncryptRequest]:
    return [EncryptRequest(key_id=key_id, plaintext=b"x" * 64)] * count


async def codes(crowd: Sequence[Producer], requests: Sequence[Request]) -> dict[str, int]:
    return counted([answer.code for answer in await flood(crowd, requests)])


async def warm(crowd: Sequence[Producer], workers: Sequence[Worker], request: Request) -> None:
    """Let every worker answer `request` from its keyring."""
    served = [metric(worker, "kmsq_requests_total") for worker in workers]
    while any(metric(worker, "kmsq_requests_total") <= before for worker, before in zip(workers, served, strict=True)):
        assert await codes(crowd, [request] * 200) == {SUCCESS: 200}


async def test_after_the_reply_to_disable_key_none_of_ten_thousand_encrypts_over_three_workers_succeeds(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    key = await new_key(crowd[0])
    for count in (10_000, 300, 300):
        await warm(crowd, three_workers, encrypts(key, 1)[0])
        await crowd[0].do(DisableKeyRequest(key_id=key))
        assert await codes(crowd, encrypts(key, count)) == {"DisabledException": count}
        await crowd[0].do(EnableKeyRequest(key_id=key))
        assert await codes(crowd, encrypts(key, 300)) == {SUCCESS: 300}


async def test_requests_under_way_when_a_key_is_disabled_end_as_either_and_later_ones_fail(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    key = await new_key(crowd[0])
    await warm(crowd, three_workers, encrypts(key, 1)[0])
    under_way = asyncio.create_task(codes(crowd[1:3], encrypts(key, 2_000)))
    await crowd[0].do(DisableKeyRequest(key_id=key))
    assert await codes(crowd[3:], encrypts(key, 1_000)) == {"DisabledException": 1_000}
    assert (await under_way).keys() <= {SUCCESS, "DisabledException"}


async def test_after_the_reply_to_schedule_key_deletion_no_encrypt_succeeds(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    key = await new_key(crowd[0])
    await warm(crowd, three_workers, encrypts(key, 1)[0])
    await crowd[0].do(ScheduleKeyDeletionRequest(key_id=key))
    assert await codes(crowd, encrypts(key, 1_000)) == {"KMSInvalidStateException": 1_000}


async def test_after_the_reply_to_put_key_policy_a_permission_that_it_took_is_gone(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    key = await new_key(crowd[0])
    policy = json.loads((await crowd[0].call(GetKeyPolicyRequest(key_id=key), GetKeyPolicyReply)).policy)
    await warm(crowd, three_workers, encrypts(key, 1)[0])
    deny = {"Effect": "Deny", "Principal": {"AWS": ADMIN_ARN}, "Action": "kms:Encrypt", "Resource": "*"}
    policy["Statement"].append(deny)
    await crowd[0].do(PutKeyPolicyRequest(key_id=key, policy=json.dumps(policy)))
    assert await codes(crowd, encrypts(key, 2_000)) == {"AccessDeniedException": 2_000}
    policy["Statement"].pop()
    await crowd[0].do(PutKeyPolicyRequest(key_id=key, policy=json.dumps(policy)))
    assert await codes(crowd, encrypts(key, 300)) == {SUCCESS: 300}


async def test_after_the_reply_to_update_alias_nothing_is_encrypted_under_the_former_key(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    alias, keys = f"alias/moving-{uuid4()}", [await new_key(crowd[0]) for _ in range(2)]
    await crowd[0].do(CreateAliasRequest(alias_name=alias, target_key_id=keys[0]))
    for target in (keys[1], keys[0], keys[1]):
        await warm(crowd, three_workers, encrypts(alias, 1)[0])
        await crowd[0].do(UpdateAliasRequest(alias_name=alias, target_key_id=target))
        answers = await flood(crowd, encrypts(alias, 1_000))
        assert {answer.reply(EncryptReply).key_id.rpartition("/")[2] for answer in answers} == {target}
    await crowd[0].do(DeleteAliasRequest(alias_name=alias))
    assert await codes(crowd, encrypts(alias, 1_000)) == {"NotFoundException": 1_000}


async def test_after_the_reply_to_put_account_policy_its_denial_holds_everywhere(
    crowd: Sequence[Producer], three_workers: Sequence[Worker]
) -> None:
    key = await new_key(crowd[0])
    policy = (await crowd[0].call(GetAccountPolicyRequest(), GetAccountPolicyReply)).policy
    denying = json.loads(policy)
    actions = ["kms:Encrypt", "kms:GenerateRandom"]
    deny = {"Effect": "Deny", "Principal": {"AWS": ADMIN_ARN}, "Action": actions, "Resource": "*"}
    denying["Statement"].append(deny)
    requests: list[Request] = [*encrypts(key, 1_000), *[RANDOM] * 1_000]
    await warm(crowd, three_workers, encrypts(key, 1)[0])
    await crowd[0].do(PutAccountPolicyRequest(policy=json.dumps(denying)))
    try:
        assert await codes(crowd, requests) == {"AccessDeniedException": 2_000}
    finally:
        await crowd[0].do(PutAccountPolicyRequest(policy=policy))
    assert await codes(crowd, requests) == {SUCCESS: 2_000}


@dataclass(frozen=True)
class Write:
    """An audited change of one subject."""

    subject: str
    record: AuditRecord


async def test_no_audit_record_committed_after_a_change_was_decided_before_it_under_fifty_changes_a_second(
    crowd: Sequence[Producer], three_workers: Sequence[Worker], stack: PrivateStack
) -> None:
    """A stream of Encrypts; two connections change other keys as fast as they can, one the same key."""
    assert len(three_workers) == 3
    toggled, steady, *others = [await new_key(crowd[0]) for _ in range(6)]
    since = await database_now(stack)
    changing = True

    async def stream() -> list[str]:
        heard: list[str] = []
        while changing:
            answers = await flood(crowd[:1], [*encrypts(toggled, 50), *encrypts(steady, 50)])
            heard += [answer.code for answer in answers[50:]]
        return heard

    async def change_others(producer: Producer) -> None:
        for number in range(200):
            key = others[number % len(others)]
            await producer.do(UpdateKeyDescriptionRequest(key_id=key, description=str(number)))

    async def toggle(producer: Producer) -> None:
        for _ in range(50):
            await producer.do(DisableKeyRequest(key_id=toggled), EnableKeyRequest(key_id=toggled))

    streaming = asyncio.create_task(stream())
    await asyncio.gather(change_others(crowd[1]), change_others(crowd[2]), toggle(crowd[3]))
    changing = False
    undisturbed = await streaming
    assert counted(undisturbed) == {SUCCESS: len(undisturbed)}

    records = await audit_records(stack, since=since)
    writes = [Write(subject, record) for record in records for subject in record.facts.get("wrote", {})]
    assert len(writes) == 500
    toggles = [write.record for write in writes if write.subject == f"key:{toggled}"]
    decided = [record for record in records if record.lane == "crypto" and toggled in record.facts.get("keys", ())]
    assert len(toggles) == 100
    assert len(decided) > 1_000
    assert {record.facts["outcome"] for record in decided} == {SUCCESS, "DisabledException"}
    for record in decided:
        before = [toggle for toggle in toggles if toggle.recorded_at < record.recorded_at]
        assert record.facts["epoch"] >= max((toggle.facts["epoch"] for toggle in before), default=0)
        is_disabled = bool(before) and before[-1].facts["operation"] == "DisableKey"
        assert record.facts["outcome"] == ("DisabledException" if is_disabled else SUCCESS)
