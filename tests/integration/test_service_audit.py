"""Every request leaves a record of who asked for what, and how it ended."""

import asyncio
from uuid import uuid4

from integration.evidence import audit_records, superuser, verify
from integration.raw import SUCCESS, Producer
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DecryptRequest,
    DescribeKeyRequest,
    DisableKeyRequest,
    EncryptReply,
    EncryptRequest,
    GenerateRandomRequest,
    RotateKeyOnDemandRequest,
    UpdateKeyDescriptionRequest,
)
from services.stack import DATABASE, PrivateStack

RANDOM = GenerateRandomRequest(number_of_bytes=16)
CONTEXT = {"purpose": "tests"}


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


async def test_a_success_is_audited_with_who_what_and_under_which_material(
    admin: Producer, stack: PrivateStack
) -> None:
    key = await new_key(admin)
    await admin.do(RotateKeyOnDemandRequest(key_id=key))
    message = admin.message(EncryptRequest(key_id=key, plaintext=b"x", encryption_context=CONTEXT))
    assert (await admin.ask(message)).code == SUCCESS
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert record.lane == "crypto"
    facts = dict(record.facts)
    assert facts.pop("epoch") == facts["revisions"][0]
    assert facts.pop("turn") > 0
    del facts["revisions"]
    assert facts == {
        "v": 1,
        "principal": "admin",
        "actor": None,
        "operation": "Encrypt",
        "message_id": message.message_id,
        "outcome": SUCCESS,
        "keys": [key],
        "materials": [2],
        "contexts": [CONTEXT],
        "count": 1,
    }


async def test_a_denial_is_audited_with_its_reason_which_the_reply_does_not_tell(
    admin: Producer, carol: Producer, stack: PrivateStack
) -> None:
    key = await new_key(admin)
    for request in (DescribeKeyRequest(key_id=key), DisableKeyRequest(key_id=key), RANDOM):
        message = carol.message(request)
        answer = await carol.ask(message)
        assert answer.code == "AccessDeniedException"
        (record,) = await audit_records(stack, message_id=message.message_id)
        assert record.facts["principal"] == "carol"
        assert (record.facts["outcome"], record.facts["reason"]) == ("AccessDeniedException", "no_allow")
        assert b"no_allow" not in answer.body
        assert "wrote" not in record.facts


async def test_a_failure_is_audited_with_its_code(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    blob = (await admin.call(EncryptRequest(key_id=key, plaintext=b"x"), EncryptReply)).ciphertext_blob
    for request, code in (
        (DecryptRequest(ciphertext_blob=blob, encryption_context=CONTEXT), "InvalidCiphertextException"),
        (EncryptRequest(key_id=str(uuid4()), plaintext=b"x"), "NotFoundException"),
        (CreateAliasRequest(alias_name="alias/aws/x", target_key_id=key), "InvalidAliasNameException"),
    ):
        message = admin.message(request)
        assert (await admin.ask(message)).code == code
        (record,) = await audit_records(stack, message_id=message.message_id)
        assert (record.facts["operation"], record.facts["outcome"]) == (message.type, code)


async def test_a_change_is_audited_with_what_it_wrote(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    message = admin.message(DisableKeyRequest(key_id=key))
    assert (await admin.ask(message)).code == SUCCESS
    (record,) = await audit_records(stack, message_id=message.message_id)
    async with superuser(stack) as connection:
        row = await connection.fetchrow("SELECT revision, mac FROM kmsq.keys WHERE key_id = $1", key)
    assert row is not None
    assert record.facts["wrote"] == {f"key:{key}": row["mac"].hex()}
    assert record.facts["epoch"] == row["revision"]


async def test_a_value_that_cannot_be_stored_fails_and_the_record_claims_no_write(
    admin: Producer, stack: PrivateStack
) -> None:
    key = await new_key(admin)
    for request in (
        UpdateKeyDescriptionRequest(key_id=key, description="\0"),
        CreateKeyRequest(description="a\0b"),
    ):
        message = admin.message(request)
        assert (await admin.ask(message)).code == "ValidationException"
        (record,) = await audit_records(stack, message_id=message.message_id)
        assert "wrote" not in record.facts
    assert (await asyncio.to_thread(verify, stack, DATABASE))["sound"] is True
