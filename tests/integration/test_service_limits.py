"""The main errors of the operations: contexts, foreign keys and blobs, aliases, pages, limits, dry runs."""

from uuid import uuid4

import pytest

from integration.evidence import audit_records, outcomes, sql
from integration.raw import SUCCESS, Producer
from kmsq_schemas import models
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    Request,
)
from kmsq_schemas.models.enums import DataKeySpec, EncryptionAlgorithm, KeySpec, KeyUsage, Origin
from services.stack import PrivateStack

CONTEXT = {"a": "1", "b": "2"}
INVALID = "InvalidCiphertextException"


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


async def sealed(producer: Producer, key: str, context: dict[str, str] | None = None) -> bytes:
    request = EncryptRequest(key_id=key, plaintext=b"secret", encryption_context=context)
    return (await producer.call(request, EncryptReply)).ciphertext_blob


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"a": "1"},
        {"a": "1", "b": "2", "c": "3"},
        {"a": "2", "b": "1"},
        {"A": "1", "b": "2"},
        {"a": "1", "b": "2 "},
    ],
)
async def test_another_context_is_an_invalid_ciphertext_without_a_message(
    admin: Producer, stack: PrivateStack, context: dict[str, str] | None
) -> None:
    blob = await sealed(admin, await new_key(admin), CONTEXT)
    message = admin.message(DecryptRequest(ciphertext_blob=blob, encryption_context=context))
    answer = await admin.ask(message)
    assert (answer.code, answer.error.message) == (INVALID, "")
    assert await outcomes(stack, message.message_id) == [INVALID]
    right_order = DecryptRequest(ciphertext_blob=blob, encryption_context={"b": "2", "a": "1"})
    assert (await admin.call(right_order, DecryptReply)).plaintext == b"secret"


async def test_all_failures_to_decrypt_look_alike(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    blob = await sealed(admin, key)
    nobody = blob[:2] + uuid4().bytes + blob[18:]
    damaged = [
        nobody,
        b"x",
        blob[:-1],
        blob + b"\0",
        blob[:18] + (99).to_bytes(4, "big") + blob[22:],
        blob[:18] + (0).to_bytes(4, "big") + blob[22:],
        *(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in (0, 1, 30, 40, 75, 85, len(blob) - 1)),
    ]
    bodies = set()
    for spoilt in damaged:
        message = admin.message(DecryptRequest(ciphertext_blob=spoilt))
        answer = await admin.ask(message)
        assert answer.code == INVALID
        bodies.add(answer.body)
        re_encrypt = models.ReEncryptRequest(ciphertext_blob=spoilt, destination_key_id=key)
        assert (await admin.ask(admin.message(re_encrypt))).body == answer.body
    assert len(bodies) == 1
    message = admin.message(DecryptRequest(ciphertext_blob=nobody))
    await admin.ask(message)
    (record,) = await audit_records(stack, message_id=message.message_id)
    assert record.facts["reason"] == "unknown-key"


async def test_a_blob_is_opened_with_the_key_that_the_request_names_or_not_at_all(admin: Producer) -> None:
    mine, other = await new_key(admin), await new_key(admin)
    blob = await sealed(admin, mine)
    alias = f"alias/{uuid4()}"
    await admin.do(models.CreateAliasRequest(alias_name=alias, target_key_id=other))
    assert await admin.code(DecryptRequest(ciphertext_blob=blob, key_id=mine)) == SUCCESS
    for wrong in (other, alias):
        assert await admin.code(DecryptRequest(ciphertext_blob=blob, key_id=wrong)) == "IncorrectKeyException"
        moved = models.ReEncryptRequest(ciphertext_blob=blob, source_key_id=wrong, destination_key_id=mine)
        assert await admin.code(moved) == "IncorrectKeyException"
    assert await admin.code(DecryptRequest(ciphertext_blob=blob, key_id=str(uuid4()))) == "NotFoundException"


async def test_a_dry_run_checks_everything_and_returns_nothing(admin: Producer, carol: Producer) -> None:
    key = await new_key(admin)
    blob = await sealed(admin, key)
    requests: list[Request] = [
        EncryptRequest(key_id=key, plaintext=b"x", dry_run=True),
        DecryptRequest(ciphertext_blob=blob, dry_run=True),
        models.ReEncryptRequest(ciphertext_blob=blob, destination_key_id=key, dry_run=True),
        models.GenerateDataKeyRequest(key_id=key, number_of_bytes=1, dry_run=True),
        models.GenerateDataKeyWithoutPlaintextRequest(key_id=key, number_of_bytes=1, dry_run=True),
    ]
    assert [await admin.code(request) for request in requests] == ["DryRunOperationException"] * 5
    assert [await carol.code(request) for request in requests] == ["AccessDeniedException"] * 5
    wrong_context = DecryptRequest(ciphertext_blob=blob, encryption_context=CONTEXT, dry_run=True)
    assert await admin.code(wrong_context) == INVALID
    await admin.do(models.DisableKeyRequest(key_id=key))
    assert [await admin.code(request) for request in requests] == ["DisabledException"] * 5


async def test_what_is_not_offered_is_refused_and_not_ignored(admin: Producer) -> None:
    key = await new_key(admin)
    blob = await sealed(admin, key)
    recipient = models.RecipientInfo()
    unsupported, usage = "UnsupportedOperationException", "InvalidKeyUsageException"
    rsa = EncryptionAlgorithm.RSAES_OAEP_SHA_256
    requests: list[tuple[Request, str]] = [
        (CreateKeyRequest(key_spec=KeySpec.SM2, key_usage=KeyUsage.ENCRYPT_DECRYPT), unsupported),
        (CreateKeyRequest(origin=Origin.EXTERNAL_KEY_STORE), unsupported),
        (CreateKeyRequest(multi_region=True), unsupported),
        (CreateKeyRequest(custom_key_store_id="x"), unsupported),
        (CreateKeyRequest(key_usage=KeyUsage.SIGN_VERIFY), "ValidationException"),
        (DecryptRequest(ciphertext_blob=blob, recipient=recipient), unsupported),
        (models.GenerateDataKeyRequest(key_id=key, number_of_bytes=1, recipient=recipient), unsupported),
        (models.GenerateRandomRequest(number_of_bytes=1, custom_key_store_id="x"), unsupported),
        (EncryptRequest(key_id=key, plaintext=b"x", encryption_algorithm=rsa), usage),
        (DecryptRequest(key_id=key, ciphertext_blob=blob, encryption_algorithm=rsa), usage),
    ]
    assert [await admin.code(request) for request, _ in requests] == [code for _, code in requests]


@pytest.mark.parametrize("encoding", list(ContentType))
async def test_values_beyond_their_limits_are_refused(admin: Producer, encoding: ContentType) -> None:
    key = await new_key(admin)
    beyond: list[Request] = [
        EncryptRequest.model_construct(key_id=key, plaintext=b""),
        EncryptRequest.model_construct(key_id=key, plaintext=b"x" * 4097),
        EncryptRequest.model_construct(key_id=key, plaintext=b"x", encryption_context={"k": "v" * 8192}),
        DecryptRequest.model_construct(ciphertext_blob=b"x" * 6145),
        models.GenerateRandomRequest.model_construct(number_of_bytes=0),
        models.GenerateDataKeyRequest.model_construct(key_id=key),
        models.GenerateDataKeyRequest.model_construct(key_id=key, number_of_bytes=1, key_spec=DataKeySpec.AES_256),
        models.ScheduleKeyDeletionRequest.model_construct(key_id=key, pending_window_in_days=6),
        models.ScheduleKeyDeletionRequest.model_construct(key_id=key, pending_window_in_days=31),
        CreateKeyRequest.model_construct(description="x" * 8193),
        models.CreateAliasRequest.model_construct(alias_name="noalias", target_key_id=key),
        models.ListKeysRequest.model_construct(limit=1001),
        models.ListAliasesRequest.model_construct(limit=101),
    ]
    for request in beyond:
        assert (await admin.error(request, content_type=encoding)).code == "ValidationException"


async def test_alias_rules(admin: Producer) -> None:
    key = await new_key(admin)
    name = f"alias/{uuid4()}"
    create = models.CreateAliasRequest(alias_name=name, target_key_id=key)
    await admin.do(create)
    assert await admin.code(create) == "AlreadyExistsException"
    for reserved in ("alias/aws/x", "alias/"):
        request = models.CreateAliasRequest(alias_name=reserved, target_key_id=key)
        assert await admin.code(request) == "InvalidAliasNameException"
    missing = f"alias/{uuid4()}"
    assert await admin.code(models.UpdateAliasRequest(alias_name=missing, target_key_id=key)) == "NotFoundException"
    assert await admin.code(models.DeleteAliasRequest(alias_name=missing)) == "NotFoundException"
    await admin.do(models.DeleteAliasRequest(alias_name=name), create)


async def test_a_key_has_at_most_fifty_aliases(admin: Producer) -> None:
    full, other = await new_key(admin), await new_key(admin)
    prefix = f"alias/{uuid4()}-"
    await admin.do(*(models.CreateAliasRequest(alias_name=f"{prefix}{n}", target_key_id=full) for n in range(50)))
    one_more = models.CreateAliasRequest(alias_name=f"{prefix}50", target_key_id=full)
    assert await admin.code(one_more) == "LimitExceededException"
    await admin.do(models.CreateAliasRequest(alias_name=f"{prefix}50", target_key_id=other))
    moved = models.UpdateAliasRequest(alias_name=f"{prefix}50", target_key_id=full)
    assert await admin.code(moved) == "LimitExceededException"
    await admin.do(models.UpdateAliasRequest(alias_name=f"{prefix}49", target_key_id=full))


async def test_a_key_is_rotated_on_demand_at_most_twenty_five_times(admin: Producer) -> None:
    key = await new_key(admin)
    await admin.do(*[models.RotateKeyOnDemandRequest(key_id=key)] * 25)
    assert await admin.code(models.RotateKeyOnDemandRequest(key_id=key)) == "LimitExceededException"
    pages: list[list[models.RotationsListEntry]] = []
    marker = None
    while not pages or marker:
        request = models.ListKeyRotationsRequest(key_id=key, limit=10, marker=marker)
        found = await admin.call(request, models.ListKeyRotationsReply)
        pages.append(found.rotations)
        marker = found.next_marker
        assert found.truncated is (marker is not None)
    assert [len(page) for page in pages] == [10, 10, 5]
    assert len({entry.key_material_id for page in pages for entry in page}) == 25


async def test_pages_hold_every_key_and_every_alias_once(admin: Producer, stack: PrivateStack) -> None:
    key = await new_key(admin)
    for number in range(7):
        name = f"alias/paged-{uuid4()}-{number}"
        await admin.do(models.CreateAliasRequest(alias_name=name, target_key_id=key))
    keys: list[str] = []
    marker = None
    while True:
        listed = await admin.call(models.ListKeysRequest(limit=3, marker=marker), models.ListKeysReply)
        assert len(listed.keys) <= 3
        keys += [entry.key_id for entry in listed.keys]
        if not listed.truncated:
            break
        marker = listed.next_marker
    rows = await sql(stack, "SELECT key_id FROM kmsq.keys")
    assert sorted(keys) == sorted(row["key_id"] for row in rows)
    request = models.ListAliasesRequest(key_id=key, limit=4)
    first = await admin.call(request, models.ListAliasesReply)
    rest_request = request.model_copy(update={"marker": first.next_marker})
    rest = await admin.call(rest_request, models.ListAliasesReply)
    assert [first.truncated, rest.truncated] == [True, False]
    assert len({entry.alias_name for page in (first, rest) for entry in page.aliases}) == 7


async def test_a_marker_is_good_for_the_list_that_made_it(admin: Producer) -> None:
    keys = [await new_key(admin) for _ in range(2)]
    for key in keys:
        for _ in range(2):
            await admin.do(models.CreateAliasRequest(alias_name=f"alias/{uuid4()}", target_key_id=key))
    listed = await admin.call(models.ListAliasesRequest(key_id=keys[0], limit=1), models.ListAliasesReply)
    marker = listed.next_marker
    assert marker
    foreign: list[Request] = [
        models.ListAliasesRequest(key_id=keys[1], marker=marker),
        models.ListAliasesRequest(marker=marker),
        models.ListKeysRequest(marker=marker),
        models.ListKeyRotationsRequest(key_id=keys[0], marker=marker),
        models.ListAliasesRequest(key_id=keys[0], marker=marker[:-4] + "AAAA"),
        models.ListAliasesRequest(key_id=keys[0], marker="x"),
        models.ListAliasesRequest(key_id=keys[0], marker="ÿ"),
    ]
    assert [await admin.code(request) for request in foreign] == ["InvalidMarkerException"] * len(foreign)
