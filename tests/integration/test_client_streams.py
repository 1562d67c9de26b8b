"""Streams of values against the whole service, through what goes wrong in the middle of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing

import pytest

from fakes.batches import until_error
from integration.evidence import running
from kmsq import Client, ItemFailure
from kmsq.errors import AccessDeniedException, DisabledException, InvalidCiphertextException, ValidationException
from kmsq.sync import Client as BlockingClient
from services.stack import ACCOUNT, ADMINISTRATOR, PrivateStack

TABLE = {"table": "people"}


@pytest.fixture
async def client(stack: PrivateStack) -> AsyncIterator[Client]:
    async with Client(stack.administrator_url) as entered:
        yield entered


@pytest.fixture
async def key_id(client: Client) -> str:
    return (await client.create_key()).key_metadata.key_id


class Counted:
    """Values that tell their places, and how many of them were read."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._count):
            self.read += 1
            yield b"value %d" % number


def row(index: int, _value: bytes) -> dict[str, str]:
    return {"row": str(index)}


async def test_a_long_stream_comes_back_in_order_and_is_read_as_it_is_taken(client: Client, key_id: str) -> None:
    source = Counted(50_000)
    ahead = taken = 0

    async def sealed() -> AsyncIterator[bytes]:
        nonlocal ahead, taken
        async for blob in client.encrypt_many(key_id, source):
            ahead = max(ahead, source.read - taken)
            taken += 1
            yield blob

    place = 0
    async for value in client.decrypt_many(sealed(), key_id=key_id):
        assert value == b"value %d" % place
        place += 1
    assert place == 50_000
    assert ahead <= (4 + 1) * 1_000


async def test_each_value_has_its_own_context_and_moves_with_it(client: Client, key_id: str) -> None:
    other = (await client.create_key()).key_metadata.key_id
    blobs = [blob async for blob in client.encrypt_many(key_id, Counted(2_500), context=TABLE, context_of=row)]
    assert (await client.decrypt(blobs[1_700], encryption_context={**TABLE, "row": "1700"})).plaintext == b"value 1700"
    moved = client.re_encrypt_many(
        blobs, other, source_context=TABLE, source_context_of=row, destination_context_of=row
    )
    values = [value async for value in client.decrypt_many(moved, key_id=other, context_of=row)]
    assert values == list(Counted(2_500))


async def test_values_fail_alone_wherever_they_are(client: Client, key_id: str) -> None:
    values = [*Counted(3_000)]
    values[5], values[1_500], values[2_999] = b"", b"x" * 4_097, b"x" * 1_000_000
    sealed = [result async for result in client.encrypt_many(key_id, values, errors="yield")]
    failures = {result.index: result.error for result in sealed if isinstance(result, ItemFailure)}
    assert {index: str(error) for index, error in failures.items()} == {
        index: f"ValidationException: Plaintext has {len(values[index])} bytes; 1 to 4096 are allowed."
        for index in (5, 1_500, 2_999)
    }
    blobs = [result for result in sealed if isinstance(result, bytes)]
    blobs[1_000] = blobs[1_000][:-1] + bytes([blobs[1_000][-1] ^ 1])
    opened: list[bytes] = []
    error = await until_error(client.decrypt_many(blobs), opened)
    assert isinstance(error, InvalidCiphertextException)
    assert error.index == 1_000
    assert opened == [*values[:5], *values[6:1_001]]


@pytest.mark.parametrize("pairs", [{"table": "other"}, {"row": "x" * 8_192}], ids=["repeats a shared key", "too long"])
async def test_pairs_that_cannot_be_added_fail_as_the_service_would_have_it(
    client: Client, key_id: str, pairs: dict[str, str]
) -> None:
    contexts = [pairs, {"row": "1"}]
    answered = await client.batch_encrypt(key_id, [b"a", b"b"], encryption_context=TABLE, encryption_contexts=contexts)
    stream = client.encrypt_many(
        key_id, [b"a", b"b"], context=TABLE, context_of=lambda index, _value: contexts[index], errors="yield"
    )
    failure, _ = [result async for result in stream]
    assert isinstance(failure, ItemFailure)
    assert isinstance(failure.error, ValidationException)
    assert [(item.code, item.message) for item in answered.failed] == [(failure.error.code, failure.error.message)]


async def deny(client: Client, key_id: str, *, rows: Sequence[str] | None = None) -> None:
    condition = {} if rows is None else {"Condition": {"StringEquals": {"kms:EncryptionContext:row": rows}}}
    who = {"AWS": f"arn:kmsq:iam::{ACCOUNT}:user/{ADMINISTRATOR}"}
    statements = [
        {"Effect": "Allow", "Principal": who, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": who, "Action": "kms:Encrypt", "Resource": "*", **condition},
    ]
    await client.put_key_policy(key_id, json.dumps({"Version": "2012-10-17", "Statement": statements}))


@pytest.mark.parametrize(
    ("end", "error"),
    [(Client.disable_key, DisabledException), (deny, AccessDeniedException)],
    ids=["disabled", "denied"],
)
async def test_a_key_that_is_lost_midway_ends_the_stream_after_the_results_before(
    client: Client, key_id: str, end: Callable[[Client, str], Awaitable[object]], error: type[Exception]
) -> None:
    taken = 0

    async def take() -> None:
        nonlocal taken
        async with aclosing(client.encrypt_many(key_id, Counted(1_000_000), in_flight=2, errors="yield")) as stream:
            async for _ in stream:
                taken += 1
                if taken == 3_000:
                    await end(client, key_id)

    with pytest.raises(error) as caught:
        await take()
    assert getattr(caught.value, "index", 0) is None  # no value's failure, but all values'
    assert taken % 1_000 == 0
    assert 3_000 <= taken <= 6_000


async def test_values_denied_for_their_own_contexts_fail_alone_however_they_share_messages(
    client: Client, key_id: str
) -> None:
    await deny(client, key_id, rows=["1", "4"])
    for items_per_message in (1, 2, 1_000):  # of two, the last message is row 4 alone
        stream = client.encrypt_many(
            key_id, Counted(5), context_of=row, items_per_message=items_per_message, errors="yield"
        )
        found = [result async for result in stream]
        failures = [result for result in found if isinstance(result, ItemFailure)]
        assert [failure.index for failure in failures] == [1, 4]
        assert {type(failure.error) for failure in failures} == {AccessDeniedException}


async def test_data_keys_and_codes_come_in_any_number(client: Client, key_id: str) -> None:
    made = [one async for one in client.generate_data_keys(key_id, 2_500, key_spec="AES_256", context=TABLE)]
    assert len({one.plaintext for one in made}) == 2_500
    opened = client.decrypt_many((one.ciphertext_blob for one in made), context=TABLE)
    assert [plaintext async for plaintext in opened] == [one.plaintext for one in made]
    wrapped = client.generate_data_keys_without_plaintext(key_id, 10, number_of_bytes=1_024)
    assert [len(plaintext) async for plaintext in client.decrypt_many(wrapped)] == [1_024] * 10
    mac_key = (await client.create_key(key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC")).key_metadata.key_id
    codes = [code async for code in client.generate_mac_many(mac_key, Counted(1_500), "HMAC_SHA_256")]
    assert len(set(codes)) == 1_500
    await client.verify_mac(mac_key, b"value 1499", codes[1_499], "HMAC_SHA_256")
    assert [one async for one in client.generate_mac_many(mac_key, [b"", b"x"], "HMAC_SHA_256", errors="yield")][
        1:
    ] == [(await client.generate_mac(mac_key, b"x", "HMAC_SHA_256")).mac]


async def test_full_messages_of_the_largest_and_the_most_values_pass(client: Client, key_id: str) -> None:
    for values in ([b"x"] * 20_000, [b"x" * 4_096] * 600):
        blobs = [blob async for blob in client.encrypt_many(key_id, values, items_per_message=10_000)]
        assert [value async for value in client.decrypt_many(blobs, items_per_message=10_000)] == values
    made = [
        one async for one in client.generate_data_keys(key_id, 3_000, number_of_bytes=1_024, items_per_message=10_000)
    ]
    assert len(made) == 3_000


async def test_a_script_has_it_all_without_an_event_loop(stack: PrivateStack, key_id: str) -> None:
    def script() -> None:
        with BlockingClient(stack.administrator_url) as client:
            assert client.decrypt(client.encrypt(key_id, b"x").ciphertext_blob).plaintext == b"x"
            blobs = client.encrypt_many(key_id, Counted(5_500), context=TABLE, context_of=row)
            assert list(client.decrypt_many(blobs, context=TABLE, context_of=row)) == list(Counted(5_500))

    await asyncio.to_thread(script)


async def test_a_stream_outlives_a_killed_worker_and_a_lost_connection(lone: PrivateStack) -> None:
    async with running(lone, 2) as (victim, _), Client(lone.administrator_url, timeout_seconds=60) as client:
        key_id = (await client.create_key()).key_metadata.key_id
        accidents: dict[int, Callable[[], object]] = {
            5_000: victim.kill,
            15_000: lambda: lone.broker.ctl("close_all_user_connections", ADMINISTRATOR, "test"),
        }
        under_way: list[asyncio.Task[object]] = []
        blobs = []
        async for blob in client.encrypt_many(key_id, Counted(40_000), in_flight=8):
            blobs.append(blob)
            if len(blobs) in accidents:
                under_way.append(asyncio.create_task(asyncio.to_thread(accidents[len(blobs)])))
            if len(blobs) % 1_000 == 0 and under_way and not under_way[-1].done():
                await asyncio.sleep(0.1)  # so that the accident comes in the middle, and not after the end
        await asyncio.gather(*under_way)
        assert len(under_way) == len(accidents)
        assert victim.exit_status is not None
        place = 0
        async for value in client.decrypt_many(blobs):
            assert value == b"value %d" % place
            place += 1
        assert place == 40_000
