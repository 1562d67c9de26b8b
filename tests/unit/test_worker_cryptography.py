"""What the operations of a turn answer, beyond the ciphertext format itself."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from fakes.asking import ask, code
from fakes.database import ACCOUNT, Database
from fakes.deliveries import encrypt, request
from fakes.workers import code_of, turn_lane
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateRandomReply,
    GenerateRandomRequest,
    ReEncryptReply,
    ReEncryptRequest,
    Request,
)
from kmsq_schemas.models.enums import (
    DataKeySpec,
    DryRunModifier,
    EncryptionAlgorithm,
    KeyState,
    KeyUsage,
)
from kmsq_schemas.models.symmetric import RecipientInfo
from kmsq_worker.envelope import HEADER_BYTES

CONTEXT = {"invoice": "7"}


@pytest.fixture
def database() -> Database:
    return Database()


async def sealed(database: Database, key_id: str, **changes: Any) -> bytes:
    reply = await ask(
        database, EncryptRequest(key_id=key_id, plaintext=b"secret", encryption_context=CONTEXT), **changes
    )
    assert isinstance(reply, EncryptReply)
    return reply.ciphertext_blob


async def opened(database: Database, blob: bytes, **asked: Any) -> bytes:
    reply = await ask(database, DecryptRequest(ciphertext_blob=blob, encryption_context=CONTEXT, **asked))
    assert isinstance(reply, DecryptReply)
    return reply.plaintext


@pytest.mark.parametrize("content_type", ContentType)
async def test_a_blob_opens_with_its_context_and_names_its_key(database: Database, content_type: ContentType) -> None:
    row = database.add_key()
    database.add_alias("alias/a", row.key_id)
    blob = await sealed(database, "alias/a", content_type=content_type)
    for key_id in (None, row.key_id, "alias/a", ACCOUNT.key_arn(row.key_id), ACCOUNT.alias_arn("alias/a")):
        assert await opened(database, blob, key_id=key_id) == b"secret"


async def test_all_failures_to_decrypt_look_alike(database: Database) -> None:
    row, other = database.add_key(), database.add_key()
    blob = await sealed(database, row.key_id)
    spoilt = {
        "context": (blob, {"invoice": "8"}),
        "no context": (blob, None),
        "flipped": (blob[:-1] + bytes([blob[-1] ^ 1]), CONTEXT),
        "another key": (blob[:2] + bytes.fromhex(other.key_id.replace("-", "")) + blob[18:], CONTEXT),
        "no key of ours": (blob[:2] + uuid4().bytes + blob[18:], CONTEXT),
        "no material": (blob[:18] + b"\x00\x00\x00\x02" + blob[22:], CONTEXT),
        "material 0": (blob[:18] + bytes(4) + blob[22:], CONTEXT),
        "a material that no database holds": (blob[:18] + b"\xff\xff\xff\xff" + blob[22:], CONTEXT),
        "version": (b"\x02" + blob[1:], CONTEXT),
        "short": (blob[:HEADER_BYTES], CONTEXT),
    }
    answers = {}
    for what, (tampered, context) in spoilt.items():
        lane = await turn_lane(database)
        (reply,) = await lane.run(request(DecryptRequest(ciphertext_blob=tampered, encryption_context=context)))
        answers[what] = reply.model_dump()
        assert lane.records[0]["reason"], "the audit record tells them apart"
    assert set(map(str, answers.values())) == {"{'code': 'InvalidCiphertextException', 'message': ''}"}, answers


async def test_a_blob_of_another_key_than_the_one_named_is_refused(database: Database) -> None:
    row, other = database.add_key(), database.add_key()
    blob = await sealed(database, row.key_id)
    assert await code(database, DecryptRequest(ciphertext_blob=blob, key_id=other.key_id)) == "IncorrectKey"


async def test_old_blobs_open_after_a_rotation(database: Database) -> None:
    row = database.add_key()
    old = await sealed(database, row.key_id)
    database.rotate_key(row.key_id)
    new = await sealed(database, row.key_id)
    assert (old[18:22], new[18:22]) == (b"\x00\x00\x00\x01", b"\x00\x00\x00\x02")
    assert [await opened(database, blob) for blob in (old, new)] == [b"secret"] * 2


async def test_re_encryption_moves_a_blob_to_another_key_and_context(database: Database) -> None:
    source, destination = database.add_key(), database.add_key()
    blob = await sealed(database, source.key_id)
    reply = await ask(
        database,
        ReEncryptRequest(
            ciphertext_blob=blob,
            source_encryption_context=CONTEXT,
            destination_key_id=destination.key_id,
            destination_encryption_context={"a": "b"},
        ),
    )
    assert isinstance(reply, ReEncryptReply)
    assert (reply.source_key_id, reply.key_id) == (ACCOUNT.key_arn(source.key_id), ACCOUNT.key_arn(destination.key_id))
    found = await ask(database, DecryptRequest(ciphertext_blob=reply.ciphertext_blob, encryption_context={"a": "b"}))
    assert isinstance(found, DecryptReply)
    assert found.plaintext == b"secret"


def only_by(alias: str) -> str:
    """Write a policy that allows alice everything when she names the key by `alias`."""
    condition = {"StringEquals": {"kms:RequestAlias": alias}}
    allow = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT.user_arn("alice")}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Condition": condition}]})


async def test_an_alias_counts_for_the_key_that_it_names_and_not_for_the_other_of_a_re_encryption(
    database: Database,
) -> None:
    """The last alias of the request was taken for both keys'."""
    source = database.add_key(policy=only_by("alias/source"))
    destination = database.add_key(policy=only_by("alias/destination"))
    database.add_alias("alias/source", source.key_id)
    database.add_alias("alias/destination", destination.key_id)
    blob = await sealed(database, "alias/source")
    for source_name, destination_name, expected in (
        ("alias/source", "alias/destination", "ReEncryptReply"),
        ("alias/source", destination.key_id, "AccessDenied"),
        (source.key_id, "alias/destination", "AccessDenied"),
        (None, "alias/destination", "AccessDenied"),
        (source.key_id, destination.key_id, "AccessDenied"),
    ):
        asked = ReEncryptRequest(
            ciphertext_blob=blob,
            source_encryption_context=CONTEXT,
            source_key_id=source_name,
            destination_key_id=destination_name,
        )
        assert await code(database, asked) == expected


async def test_a_data_key_is_handed_out_with_its_blob_and_the_wrapped_one_alone_without(database: Database) -> None:
    row = database.add_key()
    both = await ask(
        database, GenerateDataKeyRequest(key_id=row.key_id, number_of_bytes=24, encryption_context=CONTEXT)
    )
    assert isinstance(both, GenerateDataKeyReply)
    assert len(both.plaintext) == 24
    assert await opened(database, both.ciphertext_blob) == both.plaintext
    asked = GenerateDataKeyWithoutPlaintextRequest(
        key_id=row.key_id, key_spec=DataKeySpec.AES_128, encryption_context=CONTEXT
    )
    alone = await ask(database, asked)
    assert isinstance(alone, GenerateDataKeyWithoutPlaintextReply)
    assert len(await opened(database, alone.ciphertext_blob)) == 16


async def test_random_bytes_are_as_many_as_asked_for_and_never_the_same(database: Database) -> None:
    replies = [await ask(database, GenerateRandomRequest(number_of_bytes=n)) for n in (1, 1024, 1024)]
    found = [reply.plaintext for reply in replies if isinstance(reply, GenerateRandomReply)]
    assert [len(one) for one in found] == [1, 1024, 1024]
    assert found[1] != found[2]


def uses(key_id: str, blob: bytes, **more: Any) -> dict[str, Request]:
    """Every use of a key, with its current permissions."""
    return {
        "encrypt": EncryptRequest(key_id=key_id, plaintext=b"x", **more),
        "decrypt": DecryptRequest(ciphertext_blob=blob, encryption_context=CONTEXT, **more),
        "re-encrypt": ReEncryptRequest(
            ciphertext_blob=blob, source_encryption_context=CONTEXT, destination_key_id=key_id, **more
        ),
        "data key": GenerateDataKeyRequest(key_id=key_id, number_of_bytes=16, **more),
        "wrapped data key": GenerateDataKeyWithoutPlaintextRequest(key_id=key_id, number_of_bytes=16, **more),
    }


@pytest.mark.parametrize("use", uses("x" * 36, bytes(99)))
async def test_no_use_without_state_usage_and_permission_and_a_dry_run_says_so(database: Database, use: str) -> None:
    row = database.add_key()
    blob = await sealed(database, row.key_id)
    ask_for = uses(row.key_id, blob)[use]
    assert (await code(database, ask_for)).endswith("Reply")
    assert await code(database, uses(row.key_id, blob, dry_run=True)[use]) == "DryRunOperation"
    assert await code(database, ask_for, principal="bob") == "AccessDenied"
    for columns, expected in (
        ({"key_state": KeyState.DISABLED}, "Disabled"),
        ({"key_state": KeyState.PENDING_DELETION}, "KMSInvalidState"),
        ({"key_state": KeyState.ENABLED, "key_usage": KeyUsage.SIGN_VERIFY}, "InvalidKeyUsage"),
    ):
        database.change_key(row.key_id, **columns)
        lane = await turn_lane(database)
        (reply,) = await lane.run(request(ask_for))
        assert code_of(reply) == f"{expected}Exception"
        assert lane.ring.custody.unwrapped == 0


async def test_what_is_not_there_yet_is_refused_by_name(database: Database) -> None:
    key_id = database.add_key().key_id
    blob = await sealed(database, key_id)
    recipient = RecipientInfo()
    modifiers = [DryRunModifier.IGNORE_CIPHERTEXT]
    for asked in (
        DecryptRequest(ciphertext_blob=blob, recipient=recipient),
        DecryptRequest(ciphertext_blob=blob, dry_run=True, dry_run_modifiers=modifiers),
        ReEncryptRequest(ciphertext_blob=blob, destination_key_id=key_id, dry_run=True, dry_run_modifiers=modifiers),
        GenerateDataKeyRequest(key_id=key_id, number_of_bytes=16, recipient=recipient),
        GenerateRandomRequest(number_of_bytes=16, recipient=recipient),
        GenerateRandomRequest(number_of_bytes=16, custom_key_store_id="cks-1"),
    ):
        assert await code(database, asked) == "UnsupportedOperation"
    rsa = EncryptionAlgorithm.RSAES_OAEP_SHA_256
    assert (
        await code(database, EncryptRequest(key_id=key_id, plaintext=b"x", encryption_algorithm=rsa))
        == "InvalidKeyUsage"
    )


async def test_material_that_was_moved_serves_nobody_and_raises_the_alarm(database: Database) -> None:
    row, other = database.add_key(), database.add_key()
    materials = database.tables.materials
    materials[row.key_id, 1] = replace(materials[row.key_id, 1], wrapped=materials[other.key_id, 1].wrapped)
    lane = await turn_lane(database)
    moved, fine = await lane.run(encrypt(row.key_id), encrypt(other.key_id))
    assert (code_of(moved), code_of(fine)) == ("KMSInvalidStateException", "EncryptReply")
    assert lane.records[0]["reason"] == "tampered"
