"""The streams of each operation, against the KMS in memory."""

import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import kmsq
from fakes.batches import results, until_error, values
from kmsq import Client, GeneratedDataKey, ItemFailure
from kmsq.errors import (
    AccessDeniedException,
    InvalidCiphertextException,
    InvalidRequest,
    ValidationException,
)
from kmsq.testing import FakeKms
from kmsq_schemas.models import BatchGenerateMacReply
from kmsq_schemas.operations import Operation


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeKms, Client, str]]:
    kms = FakeKms()
    async with kms.client() as entered:
        yield kms, entered, (await entered.create_key()).key_metadata.key_id


def row(index: int, _value: bytes) -> dict[str, str]:
    return {"row": str(index)}


async def test_what_was_encrypted_is_decrypted_and_moved_in_its_contexts(fake: tuple[FakeKms, Client, str]) -> None:
    kms, client, key_id = fake
    other = (await client.create_key()).key_metadata.key_id
    table = {"table": "people"}
    blobs = [
        blob
        async for blob in client.encrypt_many(key_id, values(250), context=table, context_of=row, items_per_message=100)
    ]
    moved = [
        blob
        async for blob in client.re_encrypt_many(
            blobs,
            other,
            source_key_id=key_id,
            source_context=table,
            source_context_of=row,
            destination_context_of=row,
            items_per_message=100,
        )
    ]
    found = [value async for value in client.decrypt_many(moved, key_id=other, context_of=row, items_per_message=100)]
    assert found == values(250)
    assert kms.calls[Operation.BATCH_DECRYPT] == 3
    assert (await client.decrypt(blobs[7], encryption_context={**table, "row": "7"})).plaintext == b"7."
    wrong = [failure async for failure in client.decrypt_many(blobs[:5], context=table, errors="yield")]
    assert [type(failure.error) for failure in wrong if isinstance(failure, ItemFailure)] == [
        InvalidCiphertextException
    ] * 5


async def test_values_that_are_too_long_fail_alone_however_long_they_are(fake: tuple[FakeKms, Client, str]) -> None:
    _, client, key_id = fake
    wanted = [b"a", b"", b"x" * 4096, b"x" * 4097, b"x" * 10_000_000, b"b"]
    found = [result async for result in client.encrypt_many(key_id, wanted, errors="yield")]
    failures = {result.index: result.error for result in found if isinstance(result, ItemFailure)}
    assert {index: str(error) for index, error in failures.items()} == {
        index: f"ValidationException: Plaintext has {len(wanted[index])} bytes; 1 to 4096 are allowed."
        for index in (1, 3, 4)
    }


async def test_data_keys_come_in_any_number(fake: tuple[FakeKms, Client, str]) -> None:
    _, client, key_id = fake
    context = {"file": "a"}
    made = [
        data_key
        async for data_key in client.generate_data_keys(
            key_id,
            250,
            key_spec="AES_256",
            context=context,
            context_of=lambda index: {"row": str(index)},
            items_per_message=100,
        )
    ]
    assert len({data_key.plaintext for data_key in made}) == 250
    opened = client.decrypt_many((data_key.ciphertext_blob for data_key in made), context=context, context_of=row)
    assert [plaintext async for plaintext in opened] == [data_key.plaintext for data_key in made]
    wrapped = [blob async for blob in client.generate_data_keys_without_plaintext(key_id, 3, number_of_bytes=7)]
    assert [len(plaintext) async for plaintext in client.decrypt_many(wrapped)] == [7, 7, 7]
    assert [none async for none in client.generate_data_keys(key_id, 0, key_spec="AES_256")] == []


def test_a_data_key_is_not_shown_pickled_or_compared() -> None:
    data_key = GeneratedDataKey(b"canary", b"blob")
    assert "canary" not in repr(data_key)
    assert data_key != GeneratedDataKey(b"canary", b"blob")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(data_key)


async def test_codes_of_many_messages_are_made(fake: tuple[FakeKms, Client, str]) -> None:
    kms, client, key_id = fake
    kms.answer_with(
        "BatchGenerateMac",
        lambda request: BatchGenerateMacReply(
            macs=[message[::-1] for message in request.messages],
            mac_algorithm=request.mac_algorithm,
            key_id=request.key_id,
            failed=[],
        ),
    )
    stream = client.generate_mac_many(key_id, values(25), "HMAC_SHA_256", items_per_message=10)
    assert [code async for code in stream] == results(25)
    huge = client.generate_mac_many(key_id, [b"x" * 100_000], "HMAC_SHA_256")
    assert isinstance(await until_error(huge, []), ValidationException)


async def test_wrong_arguments_are_refused_without_the_values(fake: tuple[FakeKms, Client, str]) -> None:
    kms, client, key_id = fake
    bad: Any = {"a": 1}
    for stream in (
        client.encrypt_many("", [b"canary"]),
        client.encrypt_many(key_id, [b"canary"], context=bad),
        client.generate_data_keys(key_id, 1),
    ):
        error = await until_error(stream, [])
        assert isinstance(error, InvalidRequest)
        assert "canary" not in repr(error)
    assert not kms.calls[Operation.BATCH_ENCRYPT]


async def test_a_key_that_is_denied_midway_ends_the_stream(fake: tuple[FakeKms, Client, str]) -> None:
    kms, client, key_id = fake
    found: list[bytes] = []

    def source() -> Iterator[bytes]:
        for number, value in enumerate(values(1000)):
            if number == 500:
                kms.deny("alice", "Encrypt")
            yield value

    error = await until_error(client.encrypt_many(key_id, source(), items_per_message=100, in_flight=1), found)
    assert isinstance(error, AccessDeniedException)
    assert error.index is None
    assert 300 <= len(found) <= 500
    assert len(found) % 100 == 0


def test_what_streams_yield_is_part_of_the_package() -> None:
    assert {"ItemFailure", "GeneratedDataKey"} <= set(kmsq.__all__)
