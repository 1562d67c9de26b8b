"""Batches: beyond their limits, beside changes, and in crashes."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from integration.evidence import (
    account_locked,
    audit_records,
    metric,
    outcomes,
    queue_depths,
    running,
    until,
    waiting_for_the_lock,
)
from integration.raw import SUCCESS, Message, Producer
from kmsq_schemas import limits, models
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    CreateKeyReply,
    CreateKeyRequest,
)
from services.stack import PrivateStack

JSON, CBOR = ContentType.JSON, ContentType.CBOR
VALIDATION = "ValidationException"
MOST = limits.BATCH_ITEMS_MAX
BATCHES = 20  # fewer than one principal may have waiting


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


async def facts_of_refusal(producer: Producer, stack: PrivateStack, message: Message) -> dict[str, object]:
    """Ask for what must be refused as invalid; return what the only record says."""
    assert (await producer.ask(message)).code == VALIDATION
    (record,) = await audit_records(stack, message_id=message.message_id)
    return dict(record.facts)


async def test_ten_thousand_values_are_encrypted_and_decrypted_in_one_message_each(admin: Producer) -> None:
    plaintexts = [number.to_bytes(256, "big") for number in range(MOST)]
    batch = BatchEncryptRequest(key_id=await new_key(admin), plaintexts=plaintexts)
    made = await admin.call(batch, BatchEncryptReply, content_type=CBOR)
    blobs = [blob for blob in made.ciphertext_blobs if blob]
    opened = await admin.call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply, content_type=CBOR)
    assert opened.plaintexts == plaintexts


async def test_ten_thousand_failures_fit_into_the_reply(admin: Producer, stack: PrivateStack) -> None:
    message = admin.message(BatchDecryptRequest(ciphertext_blobs=[b"x"] * MOST))
    answer = await admin.ask(message)
    assert len(answer.body) <= limits.MESSAGE_MAX_BYTES
    assert [item.index for item in answer.reply(BatchDecryptReply).failed] == list(range(MOST))
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert record.facts["failed"] == {"InvalidCiphertextException/length": f"0-{MOST - 1}"}


@pytest.mark.parametrize("encoding", list(ContentType))
@pytest.mark.parametrize("count", [0, MOST + 1])
async def test_no_items_or_too_many_are_refused(
    admin: Producer, stack: PrivateStack, encoding: ContentType, count: int
) -> None:
    request = BatchEncryptRequest.model_construct(key_id=await new_key(admin), plaintexts=[b"x"] * count)
    facts = await facts_of_refusal(admin, stack, admin.message(request, content_type=encoding))
    assert not {"keys", "materials"} & facts.keys()


async def test_a_body_beyond_four_mebibytes_is_refused(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    message = admin.message(BatchEncryptRequest(key_id=key, plaintexts=[b"x"]), content_type=CBOR)
    longest = BatchEncryptRequest(key_id=key, plaintexts=[b"x" * limits.MESSAGE_MAX_BYTES])
    for body in (encode(longest, CBOR), b"x" * (limits.MESSAGE_MAX_BYTES + 1)):
        facts = await facts_of_refusal(
            admin, stack, replace(message, body=body, message_id=str(uuid4()), correlation_id=uuid4().hex)
        )
        assert not {"keys", "materials"} & facts.keys()


@pytest.mark.parametrize(("encoding", "most"), [(CBOR, 993), (JSON, 745)])
async def test_a_reply_that_would_be_too_long_is_refused_before_any_work(
    admin: Producer, stack: PrivateStack, encoding: ContentType, most: int
) -> None:
    """Of values of 4,096 bytes, a thousand and more fit into a request."""
    key = await new_key(admin)
    batches = [BatchEncryptRequest(key_id=key, plaintexts=[b"x" * 4096] * count) for count in (most, most + 1)]
    answer = await admin.ask(admin.message(batches[0], content_type=encoding))
    assert answer.reply(BatchEncryptReply).failed == []
    assert 0.98 * limits.MESSAGE_MAX_BYTES < len(answer.body) <= limits.MESSAGE_MAX_BYTES
    message = admin.message(batches[1], content_type=encoding)
    facts = await facts_of_refusal(admin, stack, message)
    assert not {"keys", "materials"} & facts.keys()
    error = (await admin.answer(message)).error
    assert "send fewer items" in error.message


async def test_a_batch_whose_key_changes_before_its_commit_is_decided_anew(
    admin: Producer, stack: PrivateStack
) -> None:
    kept, changed = await new_key(admin), await new_key(admin)
    made = [
        await admin.call(BatchEncryptRequest(key_id=key, plaintexts=[b"x"]), BatchEncryptReply)
        for key in (kept, changed)
    ]
    blobs = [reply.ciphertext_blobs[0] or b"" for reply in made]
    disable = admin.message(models.DisableKeyRequest(key_id=changed))
    encrypt = admin.message(BatchEncryptRequest(key_id=changed, plaintexts=[b"x"] * 100))
    decrypt = admin.message(BatchDecryptRequest(ciphertext_blobs=blobs))
    before = stale(stack)
    async with account_locked(stack):
        await admin.publish(disable)
        await until(lambda: waiting(stack, 1))
        await asyncio.gather(admin.publish(encrypt), admin.publish(decrypt))
        await until(lambda: waiting(stack, 2))  # decided while the key was enabled; one or both of them
    assert (await admin.answer(disable)).code == SUCCESS
    assert (await admin.answer(encrypt)).code == "DisabledException"
    opened = (await admin.answer(decrypt)).reply(BatchDecryptReply)
    assert opened.plaintexts == [b"x", None]
    assert [item.code for item in opened.failed] == ["DisabledException"]
    assert stale(stack) > before
    for message in (encrypt, decrypt):
        (record,) = await audit_records(stack, message_id=message.message_id)
        assert record.facts.get("failed", {}).keys() <= {"DisabledException"}


def stale(stack: PrivateStack) -> float:
    return sum(metric(worker, "kmsq_commits_refused_total") for worker in stack.workers)


async def waiting(stack: PrivateStack, count: int) -> bool:
    return await waiting_for_the_lock(stack) >= count


async def test_batches_of_a_worker_that_is_killed_at_work_are_done_by_another(
    lone: PrivateStack, boss: Producer
) -> None:
    async with running(lone) as (doomed,):
        key = await new_key(boss)
        messages = [
            boss.message(BatchEncryptRequest(key_id=key, plaintexts=[b"%d" % place] * 5000), content_type=CBOR)
            for place in range(BATCHES)
        ]
        await asyncio.gather(*map(boss.publish, messages))
        await boss.answer(messages[0])
        await asyncio.to_thread(doomed.kill)
        heard = sum(len(boss.answers_so_far(message)) for message in messages)
        assert heard < len(messages), "it was too fast to be killed at work"
        async with running(lone):
            answers = await asyncio.gather(*map(boss.answer, messages))
            blobs = [answer.reply(BatchEncryptReply).ciphertext_blobs[-1] or b"" for answer in answers]
            opened = await boss.call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply)
            assert opened.plaintexts == [b"%d" % place for place in range(BATCHES)]
    assert set((await queue_depths(lone)).values()) == {0}
    for message in messages:
        audited = await outcomes(lone, message.message_id)
        assert set(audited) == {SUCCESS}
        # A turn that had committed, or even replied, is done again; never is there a reply without its record.
        assert 1 <= len(boss.answers_so_far(message)) <= len(audited) <= 2
