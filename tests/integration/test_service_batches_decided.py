"""Batches: who may have which items done, and what the audit log says of it."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import pytest

from integration import raw
from integration.evidence import audit_records
from integration.raw import SUCCESS, Producer
from kmsq_schemas import models
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchReEncryptRequest,
    CreateGrantRequest,
    CreateKeyReply,
    CreateKeyRequest,
    EncryptReply,
    EncryptRequest,
    FailedItem,
    GrantConstraints,
    GrantOperation,
    Request,
)
from kmsq_schemas.models.enums import DataKeySpec, KeySpec, KeyUsage, MacAlgorithm
from services.stack import PrivateStack

DENIED, INVALID, VALIDATION = "AccessDeniedException", "InvalidCiphertextException", "ValidationException"
USER = "arn:kmsq:iam::000000000000:user/"
TENANTS = [{"tenant": "blue"}, {"tenant": "red"}, {"tenant": "blue"}, None]
BLUE_ONLY = {"StringEquals": {"kms:EncryptionContext:tenant": "blue"}}


def statement(who: str, *actions: str, **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Principal": {"AWS": USER + who}, "Action": list(actions), "Resource": "*", **more}


async def new_key(admin: Producer, *statements: dict[str, object]) -> str:
    policy = {"Version": "2012-10-17", "Statement": [statement("admin", "kms:*"), *statements]}
    made = await admin.call(CreateKeyRequest(policy=json.dumps(policy)), CreateKeyReply)
    return made.key_metadata.key_id


async def sealed(admin: Producer, key: str, context: dict[str, str] | None = None) -> bytes:
    request = EncryptRequest(key_id=key, plaintext=b"x", encryption_context=context)
    return (await admin.call(request, EncryptReply)).ciphertext_blob


def codes(failed: Sequence[FailedItem]) -> dict[int, str]:
    return {item.index: item.code for item in failed}


async def test_whoever_may_not_do_it_to_one_may_not_do_it_to_many(admin: Producer, carol: Producer) -> None:
    key = await new_key(admin)
    mac_key = (
        await admin.call(
            CreateKeyRequest(key_spec=KeySpec.HMAC_256, key_usage=KeyUsage.GENERATE_VERIFY_MAC), CreateKeyReply
        )
    ).key_metadata.key_id
    await admin.do(models.DisableKeyRequest(key_id=key))  # of which she hears nothing
    spec, algorithm = DataKeySpec.AES_256, MacAlgorithm.HMAC_SHA_256
    without = models.BatchGenerateDataKeyWithoutPlaintextRequest(key_id=key, number_of_keys=2, key_spec=spec)
    pairs: list[tuple[Request, Request]] = [
        (EncryptRequest(key_id=key, plaintext=b"x"), BatchEncryptRequest(key_id=key, plaintexts=[b"x", b""])),
        (
            models.GenerateDataKeyRequest(key_id=key, key_spec=spec),
            models.BatchGenerateDataKeyRequest(key_id=key, number_of_keys=2, key_spec=spec),
        ),
        (models.GenerateDataKeyWithoutPlaintextRequest(key_id=key, key_spec=spec), without),
        (
            models.GenerateMacRequest(key_id=mac_key, message=b"x", mac_algorithm=algorithm),
            models.BatchGenerateMacRequest(key_id=mac_key, messages=[b"x"], mac_algorithm=algorithm),
        ),
    ]
    for single, batch in pairs:
        expected = await carol.error(single)
        assert await carol.error(batch) == expected
        assert expected.code == DENIED


async def test_the_permission_for_one_is_the_permission_for_a_batch_and_no_other(
    admin: Producer, carol: Producer
) -> None:
    key = await new_key(admin, statement("carol", "kms:Encrypt"))
    unknown = await new_key(admin, statement("carol", "kms:BatchEncrypt"))
    made = await carol.call(BatchEncryptRequest(key_id=key, plaintexts=[b"x"] * 3), BatchEncryptReply)
    assert made.failed == []
    assert await carol.code(BatchEncryptRequest(key_id=unknown, plaintexts=[b"x"])) == DENIED
    blobs = [blob for blob in made.ciphertext_blobs if blob]
    opened = await carol.call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply)
    assert (codes(opened.failed), opened.key_materials) == ({0: DENIED, 1: DENIED, 2: DENIED}, [])


@pytest.mark.parametrize("encoding", list(ContentType))
async def test_a_policy_that_asks_for_the_context_decides_on_each_of_them(
    admin: Producer, carol: Producer, encoding: ContentType
) -> None:
    key = await new_key(admin, statement("carol", "kms:Encrypt", "kms:Decrypt", Condition=BLUE_ONLY))
    batch = BatchEncryptRequest(key_id=key, plaintexts=[b"x"] * 4, encryption_contexts=TENANTS)
    made = await carol.call(batch, BatchEncryptReply, content_type=encoding)
    assert codes(made.failed) == {1: DENIED, 3: DENIED}
    single = await carol.error(EncryptRequest(key_id=key, plaintext=b"x", encryption_context=TENANTS[1]))
    assert {item.message for item in made.failed} == {single.message}
    blobs = [await sealed(admin, key, context) for context in TENANTS]
    request = BatchDecryptRequest(ciphertext_blobs=blobs, encryption_contexts=TENANTS)
    opened = await carol.call(request, BatchDecryptReply, content_type=encoding)
    assert opened.plaintexts == [b"x", None, b"x", None]
    # What is shared counts, too; and where every context is denied, so is the message.
    shared = {"encryption_context": {"tenant": "blue"}}
    whole = BatchEncryptRequest.model_validate({"key_id": key, "plaintexts": [b"x"] * 2, **shared})
    assert (await carol.call(whole, BatchEncryptReply, content_type=encoding)).failed == []
    none = BatchEncryptRequest(key_id=key, plaintexts=[b"x"] * 2, encryption_contexts=[None, {"tenant": "red"}])
    assert await carol.error(none, content_type=encoding) == single


@pytest.mark.parametrize("kind", ["encryption_context_subset", "encryption_context_equals"])
async def test_a_grant_s_constraints_decide_on_each_context_and_the_record_names_the_grant_once(
    admin: Producer, carol: Producer, stack: PrivateStack, kind: str
) -> None:
    key = await new_key(admin)
    grant = await admin.call(
        CreateGrantRequest(
            key_id=key,
            grantee_principal=USER + "carol",
            operations=[GrantOperation.ENCRYPT],
            constraints=GrantConstraints.model_validate({kind: {"tenant": "blue"}}),
        ),
        models.CreateGrantReply,
    )
    contexts = [*TENANTS, {"tenant": "blue", "row": "1"}]
    message = carol.message(BatchEncryptRequest(key_id=key, plaintexts=[b"x"] * 5, encryption_contexts=contexts))
    made = (await carol.ask(message)).reply(BatchEncryptReply)
    exact = {} if kind == "encryption_context_subset" else {4: DENIED}
    assert codes(made.failed) == {1: DENIED, 3: DENIED, **exact}
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert record.facts["grants"] == [grant.grant_id]


async def test_a_key_that_is_not_one_s_own_fails_its_items_and_no_others(admin: Producer, carol: Producer) -> None:
    hers, his = await new_key(admin, statement("carol", "kms:*")), await new_key(admin)
    blobs = [await sealed(admin, key) for key in (hers, his, hers)]
    opened = await carol.call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply)
    assert (opened.plaintexts, codes(opened.failed)) == ([b"x", None, b"x"], {1: DENIED})
    moved = await carol.call(
        BatchReEncryptRequest(ciphertext_blobs=blobs, destination_key_id=hers), models.BatchReEncryptReply
    )
    assert codes(moved.failed) == {1: DENIED}
    there = await carol.call(
        BatchReEncryptRequest(ciphertext_blobs=blobs, destination_key_id=his), models.BatchReEncryptReply
    )
    assert (codes(there.failed), there.key_id) == ({0: DENIED, 1: DENIED, 2: DENIED}, None)


async def test_the_broker_permission_for_one_is_none_for_a_batch(principals: dict[str, str]) -> None:
    async with raw.connected(principals["dec"]) as dec:
        with pytest.raises(raw.PUBLISH_REFUSED):
            await dec.publish(dec.message(BatchDecryptRequest(ciphertext_blobs=[b"x"])))


def encoded(context: Mapping[str, str]) -> bytes:
    """An encryption context as associated data: docs/ciphertext.md."""
    ordered = sorted((key.encode(), value.encode()) for key, value in context.items())
    return b"".join(len(text).to_bytes(4, "big") + text for pair in ordered for text in pair)


def digest(contexts: Sequence[Mapping[str, str] | None]) -> str:
    """What the audit record says of the contexts of a batch; None is one that cannot be."""
    told = (b"\xff" * 4 if one is None else len(encoded(one)).to_bytes(4, "big") + encoded(one) for one in contexts)
    return hashlib.sha256(b"".join(told)).hexdigest()


async def test_one_record_tells_of_the_whole_batch(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    await admin.do(models.RotateKeyOnDemandRequest(key_id=key))
    shared, own = {"b": "ä", "a": ""}, [{"c": "1"}, None, {"a": "again"}, {"aa": "2"}, {}]
    message = admin.message(
        BatchEncryptRequest(
            key_id=key,
            plaintexts=[b"x", b"", b"x", b"x", b""],
            encryption_context=shared,
            encryption_contexts=own,
        ),
        content_type=ContentType.CBOR,
    )
    assert (await admin.ask(message)).code == SUCCESS
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert record.lane == "batch"
    facts = dict(record.facts)
    assert facts.pop("epoch") == facts.pop("revisions")[0]
    assert facts.pop("turn") > 0
    assert facts == {
        "v": 1,
        "principal": "admin",
        "actor": None,
        "operation": "BatchEncrypt",
        "message_id": message.message_id,
        "outcome": SUCCESS,
        "keys": [key],
        "materials": [2],
        "contexts": [shared],
        "context_digests": [digest([{**shared, "c": "1"}, shared, None, {**shared, "aa": "2"}, shared])],
        "count": 5,
        "failed": {VALIDATION: "1-2,4"},
    }


async def test_the_record_says_which_items_failed_and_why_the_reply_does_not(
    admin: Producer, carol: Producer, stack: PrivateStack
) -> None:
    hers, his = await new_key(admin, statement("carol", "kms:*")), await new_key(admin)
    good, foreign = await sealed(admin, hers), await sealed(admin, his)
    blobs = [good, b"x", foreign, foreign, good[:-1] + bytes([good[-1] ^ 1]), good[:2] + bytes(16) + good[18:], good]
    message = carol.message(BatchDecryptRequest(ciphertext_blobs=blobs))
    answer = await carol.ask(message)
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert (record.facts["count"], record.facts["materials"]) == (7, [1])
    assert set(record.facts["keys"]) >= {hers, his}
    assert "context_digests" not in record.facts
    failed: dict[str, str] = record.facts["failed"]
    assert failed.pop(f"{DENIED}/no_allow") == "2-3"
    assert failed == {f"{INVALID}/length": "1", f"{INVALID}/tag": "4", f"{INVALID}/unknown-key": "5"}
    assert not any(word in answer.body for word in (b"no_allow", b"unknown-key", b"tag"))


async def test_a_batch_that_is_refused_as_a_whole_leaves_one_record_of_its_failure(
    carol: Producer, admin: Producer, stack: PrivateStack
) -> None:
    key = await new_key(admin)
    message = carol.message(BatchEncryptRequest(key_id=key, plaintexts=[b"x"] * 3))
    assert (await carol.ask(message)).code == DENIED
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert (record.facts["outcome"], record.facts["reason"], record.facts["keys"]) == (DENIED, "no_allow", [key])
    assert "materials" not in record.facts
