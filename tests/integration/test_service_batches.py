"""Batches: what becomes of each item, and that it is what the single operation would have done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

import pytest

from integration.raw import Producer
from kmsq_schemas import models
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchGenerateMacReply,
    BatchGenerateMacRequest,
    BatchReEncryptReply,
    BatchReEncryptRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    FailedItem,
    KeyMetadata,
    Request,
)
from kmsq_schemas.models.enums import DataKeySpec, KeySpec, KeyUsage, MacAlgorithm

INVALID, VALIDATION = "InvalidCiphertextException", "ValidationException"
SHARED = {"table": "person"}
FRONT, SALT, IV = slice(0, 70), slice(22, 38), slice(70, 82)  # docs/ciphertext.md

Call: TypeAlias = Callable[[Request, type[Any]], Awaitable[Any]]


@pytest.fixture(params=list(ContentType))
def call(admin: Producer, request: pytest.FixtureRequest) -> Call:
    """Return what asks as the administrator, in one of the encodings."""
    return lambda message, model: admin.call(message, model, content_type=request.param)


async def new_key(producer: Producer, **fields: str) -> KeyMetadata:
    made = await producer.call(CreateKeyRequest(**fields), CreateKeyReply)  # type: ignore[arg-type]
    return made.key_metadata


async def sealed(producer: Producer, key: str, plaintext: bytes = b"x", context: dict[str, str] | None = None) -> bytes:
    request = EncryptRequest(key_id=key, plaintext=plaintext, encryption_context=context)
    return (await producer.call(request, EncryptReply)).ciphertext_blob


async def opened(producer: Producer, blob: bytes | None, context: dict[str, str] | None = None) -> DecryptReply:
    assert blob is not None
    return await producer.call(DecryptRequest(ciphertext_blob=blob, encryption_context=context), DecryptReply)


def codes(failed: Sequence[FailedItem]) -> dict[int, str]:
    assert [item.index for item in failed] == sorted({item.index for item in failed})
    return {item.index: item.code for item in failed}


def flipped(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


async def test_items_keep_their_order_and_blobs_of_a_batch_are_ordinary_blobs(admin: Producer, call: Call) -> None:
    key = await new_key(admin)
    plaintexts = [b"%d" % number for number in range(300)]
    contexts = [None if number == 7 else {"row": str(number)} for number in range(300)]
    batch = BatchEncryptRequest(
        key_id=key.key_id, plaintexts=plaintexts, encryption_context=SHARED, encryption_contexts=contexts
    )
    made: BatchEncryptReply = await call(batch, BatchEncryptReply)
    assert (made.key_id, made.key_material_id, made.failed) == (key.arn, key.current_key_material_id, [])
    back: BatchDecryptReply = await call(
        BatchDecryptRequest(
            ciphertext_blobs=[blob for blob in made.ciphertext_blobs if blob],
            encryption_context=SHARED,
            encryption_contexts=contexts,
        ),
        BatchDecryptReply,
    )
    assert (back.plaintexts, back.failed, back.key_material_indexes) == (plaintexts, [], [0] * 300)
    assert (await opened(admin, made.ciphertext_blobs[0], {"row": "0", **SHARED})).plaintext == b"0"
    assert (await opened(admin, made.ciphertext_blobs[7], SHARED)).plaintext == b"7"
    assert (await opened(admin, made.ciphertext_blobs[299], {**SHARED, "row": "299"})).plaintext == b"299"


async def test_the_items_of_a_batch_share_a_salt_and_no_iv_and_another_batch_has_another(
    admin: Producer, call: Call
) -> None:
    batch = BatchEncryptRequest(key_id=(await new_key(admin)).key_id, plaintexts=[b"same"] * 1000)
    first, second = [(await call(batch, BatchEncryptReply)).ciphertext_blobs for _ in range(2)]
    assert [len({blob[FRONT] for blob in blobs}) for blobs in (first, second)] == [1, 1]
    assert first[0][SALT] != second[0][SALT]
    assert len({blob[IV] for blob in first + second}) == len({blob[IV.stop :] for blob in first + second}) == 2000


async def test_one_batch_opens_blobs_of_several_keys_and_materials_and_names_each_once(
    admin: Producer, call: Call
) -> None:
    keys = [await new_key(admin) for _ in range(2)]
    old = [await sealed(admin, key.key_id, b"old") for key in keys]
    await admin.do(models.RotateKeyOnDemandRequest(key_id=keys[0].key_id))
    new = await sealed(admin, keys[0].key_id, b"new")
    blobs = [old[0], old[1], new, old[0], b"x", new]
    reply: BatchDecryptReply = await call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply)
    assert reply.plaintexts == [b"old", b"old", b"new", b"old", None, b"new"]
    assert reply.key_material_indexes == [0, 1, 2, 0, None, 2]
    used = [(material.key_id, material.key_material_id) for material in reply.key_materials]
    assert used[:2] == [(key.arn, key.current_key_material_id) for key in keys]
    single = [await opened(admin, blob) for blob in (old[0], old[1], new)]
    assert used == [(one.key_id, one.key_material_id) for one in single]
    assert codes(reply.failed) == {4: INVALID}


async def test_an_item_beyond_its_limits_fails_alone(admin: Producer, call: Call) -> None:
    key = (await new_key(admin)).key_id
    contexts: list[dict[str, str] | None] = [None, {"table": "person"}, None, {"k": "v" * 8192}, {"k": "v"}, {}]
    batch = BatchEncryptRequest(
        key_id=key,
        plaintexts=[b"", b"b", b"c" * 4097, b"d", b"e", b"f" * 4096],
        encryption_context=SHARED,
        encryption_contexts=contexts,
    )
    reply: BatchEncryptReply = await call(batch, BatchEncryptReply)
    assert codes(reply.failed) == dict.fromkeys(range(4), VALIDATION)
    assert [blob is None for blob in reply.ciphertext_blobs] == [True] * 4 + [False] * 2
    texts = [item.message for item in reply.failed]
    assert "0 bytes" in texts[0]
    assert "repeats a key" in texts[1]
    assert "4097 bytes" in texts[2]
    assert "8192" in texts[3]
    assert (await opened(admin, reply.ciphertext_blobs[4], {"k": "v", **SHARED})).plaintext == b"e"


async def test_what_does_not_open_fails_alone_and_all_of_it_looks_alike(admin: Producer, call: Call) -> None:
    key = (await new_key(admin)).key_id
    blob = await sealed(admin, key, b"secret", SHARED)
    spoilt = [
        b"",
        b"x",
        blob[:-1],
        blob + b"\0",
        blob[:2] + uuid4().bytes + blob[18:],
        *(blob[:18] + number.to_bytes(4, "big") + blob[22:] for number in (0, 99)),
        *(flipped(blob, at) for at in (0, 1, 30, 40, 75, 85, len(blob) - 1)),
        await sealed(admin, key, b"secret"),
        await sealed(admin, key, b"secret", {"table": "Person"}),
        b"x" * 6145,
    ]
    mixed = [part for one in spoilt for part in (blob, one)]
    request = BatchDecryptRequest(ciphertext_blobs=mixed, encryption_context=SHARED)
    reply: BatchDecryptReply = await call(request, BatchDecryptReply)
    assert reply.plaintexts == [b"secret", None] * len(spoilt)
    assert codes(reply.failed) == dict.fromkeys(range(1, len(mixed), 2), INVALID)
    assert {item.message for item in reply.failed} == {""}
    moved: BatchReEncryptReply = await call(
        BatchReEncryptRequest(ciphertext_blobs=mixed, source_encryption_context=SHARED, destination_key_id=key),
        BatchReEncryptReply,
    )
    assert moved.failed == reply.failed
    assert (await opened(admin, moved.ciphertext_blobs[0])).plaintext == b"secret"


async def test_a_batch_that_insists_on_a_key_opens_blobs_of_no_other(admin: Producer, call: Call) -> None:
    mine, other = (await new_key(admin)).key_id, (await new_key(admin)).key_id
    blobs = [await sealed(admin, mine), await sealed(admin, other)]
    reply: BatchDecryptReply = await call(BatchDecryptRequest(ciphertext_blobs=blobs, key_id=mine), BatchDecryptReply)
    assert (reply.plaintexts, codes(reply.failed)) == ([b"x", None], {1: "IncorrectKeyException"})
    unknown = BatchDecryptRequest(ciphertext_blobs=blobs, key_id=str(uuid4()))
    assert await admin.code(unknown) == "NotFoundException"
    moved: BatchReEncryptReply = await call(
        BatchReEncryptRequest(ciphertext_blobs=blobs, source_key_id=other, destination_key_id=mine),
        BatchReEncryptReply,
    )
    assert codes(moved.failed) == {0: "IncorrectKeyException"}


async def test_one_disabled_key_of_several_fails_its_own_items_as_decrypt_does(admin: Producer, call: Call) -> None:
    kept, disabled = (await new_key(admin)).key_id, (await new_key(admin)).key_id
    blobs = [await sealed(admin, key) for key in (kept, disabled, kept)]
    await admin.do(models.DisableKeyRequest(key_id=disabled))
    reply: BatchDecryptReply = await call(BatchDecryptRequest(ciphertext_blobs=blobs), BatchDecryptReply)
    assert reply.plaintexts == [b"x", None, b"x"]
    single = await admin.error(DecryptRequest(ciphertext_blob=blobs[1]))
    assert [(item.index, item.code, item.message) for item in reply.failed] == [(1, single.code, single.message)]
    assert single.code == "DisabledException"
    to_it = BatchReEncryptRequest(ciphertext_blobs=blobs, destination_key_id=disabled)
    assert await admin.code(to_it) == "DisabledException"  # the destination is the whole message's


async def test_re_encryption_binds_each_item_anew_and_says_where_it_came_from(admin: Producer, call: Call) -> None:
    sources, destination = [await new_key(admin) for _ in range(2)], await new_key(admin)
    contexts = [{"row": str(number)} for number in range(3)]
    blobs = [
        await sealed(admin, sources[number % 2].key_id, b"%d" % number, {**SHARED, **contexts[number]})
        for number in range(3)
    ]
    reply: BatchReEncryptReply = await call(
        BatchReEncryptRequest(
            ciphertext_blobs=blobs,
            source_encryption_context=SHARED,
            source_encryption_contexts=[contexts[0], contexts[1], None],
            destination_key_id=destination.key_id,
            destination_encryption_context={"to": "all"},
            destination_encryption_contexts=[None, {"to": "all"}, None],
        ),
        BatchReEncryptReply,
    )
    assert codes(reply.failed) == {1: VALIDATION, 2: INVALID}
    assert (reply.key_id, reply.destination_key_material_id) == (
        destination.arn,
        destination.current_key_material_id,
    )
    assert reply.source_key_material_indexes == [0, None, None]
    assert [material.key_id for material in reply.source_key_materials] == [sources[0].arn]
    assert (await opened(admin, reply.ciphertext_blobs[0], {"to": "all"})).plaintext == b"0"


async def test_where_nothing_may_be_re_encrypted_the_destination_stays_untold(admin: Producer, call: Call) -> None:
    request = BatchReEncryptRequest(ciphertext_blobs=[b"x"], destination_key_id=(await new_key(admin)).key_id)
    reply: BatchReEncryptReply = await call(request, BatchReEncryptReply)
    assert (reply.key_id, reply.destination_key_material_id, codes(reply.failed)) == (None, None, {0: INVALID})


async def test_data_keys_of_a_batch_differ_and_are_wrapped_each_with_its_context(admin: Producer, call: Call) -> None:
    key = await new_key(admin)
    contexts: list[dict[str, str] | None] = [{"file": "a"}, {"table": "again"}, None]
    fields = {"key_id": key.key_id, "number_of_keys": 3, "encryption_context": SHARED, "encryption_contexts": contexts}
    made: models.BatchGenerateDataKeyReply = await call(
        models.BatchGenerateDataKeyRequest.model_validate({**fields, "number_of_bytes": 20}),
        models.BatchGenerateDataKeyReply,
    )
    assert (made.key_id, made.key_material_id) == (key.arn, key.current_key_material_id)
    assert codes(made.failed) == {1: VALIDATION}
    assert made.plaintexts[1] is made.ciphertext_blobs[1] is None
    assert [len(data_key or b"") for data_key in made.plaintexts] == [20, 0, 20]
    assert made.plaintexts[0] != made.plaintexts[2]
    assert (await opened(admin, made.ciphertext_blobs[0], {**SHARED, "file": "a"})).plaintext == made.plaintexts[0]
    assert (await opened(admin, made.ciphertext_blobs[2], SHARED)).plaintext == made.plaintexts[2]
    hidden: models.BatchGenerateDataKeyWithoutPlaintextReply = await call(
        models.BatchGenerateDataKeyWithoutPlaintextRequest.model_validate({**fields, "key_spec": DataKeySpec.AES_128}),
        models.BatchGenerateDataKeyWithoutPlaintextReply,
    )
    assert codes(hidden.failed) == {1: VALIDATION}
    assert len((await opened(admin, hidden.ciphertext_blobs[2], SHARED)).plaintext) == 16


async def test_macs_of_a_batch_are_those_of_the_single_operation(admin: Producer, call: Call) -> None:
    key = await new_key(admin, key_spec=KeySpec.HMAC_512, key_usage=KeyUsage.GENERATE_VERIFY_MAC)
    messages = [b"a", b"", b"c" * 4096, b"d" * 4097]
    algorithm = MacAlgorithm.HMAC_SHA_512
    batch = BatchGenerateMacRequest(key_id=key.key_id, messages=messages, mac_algorithm=algorithm)
    reply: BatchGenerateMacReply = await call(batch, BatchGenerateMacReply)
    assert (reply.key_id, codes(reply.failed)) == (key.arn, {1: VALIDATION, 3: VALIDATION})
    for place in (0, 2):
        single = models.GenerateMacRequest(key_id=key.key_id, message=messages[place], mac_algorithm=algorithm)
        assert (await admin.call(single, models.GenerateMacReply)).mac == reply.macs[place]


async def test_a_key_for_something_else_is_refused_as_by_the_single_operations(admin: Producer) -> None:
    rsa = (await new_key(admin, key_spec=KeySpec.RSA_2048, key_usage=KeyUsage.ENCRYPT_DECRYPT)).key_id
    mac = (await new_key(admin, key_spec=KeySpec.HMAC_256, key_usage=KeyUsage.GENERATE_VERIFY_MAC)).key_id
    blob = await sealed(admin, (await new_key(admin)).key_id)
    short, long = MacAlgorithm.HMAC_SHA_256, MacAlgorithm.HMAC_SHA_512
    for key in (rsa, mac):
        pairs: list[tuple[Request, Request]] = [
            (EncryptRequest(key_id=key, plaintext=b"x"), BatchEncryptRequest(key_id=key, plaintexts=[b"x"])),
            (
                models.GenerateDataKeyRequest(key_id=key, key_spec=DataKeySpec.AES_256),
                models.BatchGenerateDataKeyRequest(key_id=key, number_of_keys=1, key_spec=DataKeySpec.AES_256),
            ),
            (
                models.GenerateMacRequest(key_id=key, message=b"x", mac_algorithm=long),
                BatchGenerateMacRequest(key_id=key, messages=[b"x"], mac_algorithm=long),
            ),
            (
                models.ReEncryptRequest(ciphertext_blob=blob, destination_key_id=mac),
                BatchReEncryptRequest(ciphertext_blobs=[blob], destination_key_id=mac),
            ),
        ]
        for single, batch in pairs:
            expected = await admin.error(single)
            assert await admin.error(batch) == expected, type(batch)
            assert expected.code == "InvalidKeyUsageException"
    assert await admin.code(BatchGenerateMacRequest(key_id=mac, messages=[b"x"], mac_algorithm=short)) == "Success"
