"""How much one batch may take of a worker: of its memory, its event loop, its replies, its lane."""

import asyncio
import tracemalloc
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest

from fakes.batching import failures
from fakes.database import Database
from fakes.deliveries import bare, request
from fakes.workers import turn_lane
from kmsq_schemas import limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import (
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchGenerateDataKeyRequest,
    BatchGenerateMacRequest,
    BatchReEncryptReply,
    BatchReEncryptRequest,
    BatchRequest,
    ErrorReply,
)
from kmsq_schemas.models.batches import FAILURE_MESSAGE_MAX_CHARS
from kmsq_schemas.models.enums import DataKeySpec, KeySpec, KeyUsage, MacAlgorithm
from kmsq_schemas.operations import Queue
from kmsq_worker import broker, lanes
from kmsq_worker.breath import Breath
from kmsq_worker.errors import KmsError, ValidationException
from kmsq_worker.execution import Touched
from kmsq_worker.inbox import Inbox
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.batches.sealing import AT_ONCE
from kmsq_worker.settings import load

CBOR = ContentType.CBOR
LONG = {f"{number:03d}": "v" * 8 for number in range(400)}  # 7,600 of 8,192 bytes when encoded
SETTINGS = {
    "KMSQ_AMQP_URL": "amqp://broker/",
    "KMSQ_DATABASE_URL": "postgresql://database/kmsq",
    "KMSQ_CHANGES_DATABASE_URL": "postgresql://database/kmsq",
    "KMSQ_ROOT_KEY_FILE": "/etc/kmsq/root.key",
}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def sealed(database: Database, key_id: str, count: int, length: int = 1) -> list[bytes]:
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[bytes(length)] * count)
    (reply,) = await (await turn_lane(database)).run(request(asked, content_type=CBOR))
    assert isinstance(reply, BatchEncryptReply)
    return [blob for blob in reply.ciphertext_blobs if blob is not None]


async def test_every_pass_over_the_items_takes_breaths(database: Database, key_id: str) -> None:
    """Contexts to digest, items to decide on, to open, one by one; items to seal, some at once: none holds the loop."""
    parts = 5
    count = parts * AT_ONCE
    blobs = await sealed(database, key_id, count)
    own: list[dict[str, str] | None] = [{"n": str(number)} for number in range(count)]
    macs = database.add_key(key_spec=KeySpec.HMAC_256, key_usage=KeyUsage.GENERATE_VERIFY_MAC).key_id
    breaths: list[tuple[BatchRequest, int]] = [
        (BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * count), parts),
        (BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * count, encryption_contexts=own), 2 * count + parts),
        (BatchGenerateDataKeyRequest(key_id=key_id, number_of_keys=count, number_of_bytes=1), parts),
        (BatchDecryptRequest(ciphertext_blobs=blobs, encryption_contexts=own), 2 * count),
        (
            BatchReEncryptRequest(
                ciphertext_blobs=blobs,
                destination_key_id=key_id,
                source_encryption_contexts=own,
                destination_encryption_contexts=own,
            ),
            3 * count + parts,
        ),
        (BatchGenerateMacRequest(key_id=macs, messages=blobs, mac_algorithm=MacAlgorithm.HMAC_SHA_256), count),
    ]
    for asked, expected in breaths:
        lane = await turn_lane(database)
        with patch.object(Breath, "take", AsyncMock()) as take:
            await lane.run(request(asked))
        assert take.await_count - expected in range(1, 5)  # the turn takes some, too, for each request and each key


async def test_a_long_shared_context_is_not_held_once_for_each_item(database: Database, key_id: str) -> None:
    """Ten thousand times 8 KB, out of a message of 100 KB, was once 360 MB and ten seconds."""
    count = 1_000
    own: list[dict[str, str] | None] = [{"n": str(number)} for number in range(count)]
    asked = BatchEncryptRequest(
        key_id=key_id, plaintexts=[b"x"] * count, encryption_context=LONG, encryption_contexts=own
    )
    delivery, lane = request(asked, content_type=CBOR), await turn_lane(database)
    tracemalloc.start()
    try:
        (reply,) = await lane.run(delivery)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(reply, BatchEncryptReply)
    assert reply.failed == []
    assert peak < 4_000_000 < count * 7_600


async def test_the_longest_contexts_of_an_item_fit_and_one_more_byte_fails_alone(
    database: Database, key_id: str
) -> None:
    room = limits.CONTEXT_MAX_BYTES - 7_600 - 2 * limits.CONTEXT_LENGTH_BYTES - 1
    own: list[dict[str, str] | None] = [{"n": "v" * room}, {"n": "v" * (room + 1)}, {"0": "v" * (room + 1)}, None]
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 4, encryption_context=LONG, encryption_contexts=own)
    (reply,) = await (await turn_lane(database)).run(request(asked))
    assert isinstance(reply, BatchEncryptReply)
    too_long = ("ValidationException", "EncryptionContext is longer than 8192 bytes.")
    assert failures(reply.failed, 4) == [None, too_long, too_long, None]


@pytest.mark.parametrize("content_type", ContentType)
async def test_a_reply_is_never_longer_than_was_computed(
    database: Database, key_id: str, content_type: ContentType
) -> None:
    hidden = database.add_key(creator="b" * 64).key_id
    database.add_grant(hidden, "alice", "Encrypt")
    blobs = [*await sealed(database, key_id, 40, 100), *await sealed(database, hidden, 40)] + [b"", bytes(7000)] * 10
    macs = database.add_key(key_spec=KeySpec.HMAC_512, key_usage=KeyUsage.GENERATE_VERIFY_MAC).key_id
    for asked in (
        BatchEncryptRequest(key_id=key_id, plaintexts=[b"", b"x", bytes(4096), bytes(5000)] * 20),
        BatchDecryptRequest(ciphertext_blobs=blobs),
        BatchReEncryptRequest(ciphertext_blobs=blobs, destination_key_id=key_id),
        BatchGenerateDataKeyRequest(key_id=key_id, number_of_keys=100, key_spec=DataKeySpec.AES_256),
        BatchGenerateMacRequest(key_id=macs, messages=[b"", b"x"] * 50, mac_algorithm=MacAlgorithm.HMAC_SHA_512),
    ):
        lane = await turn_lane(database)
        await lane.run(request(asked, content_type=content_type))
        (sent,) = lane.broker.replies
        assert sent.type == type(asked).__name__.removesuffix("Request")
        assert 1_000 < len(sent.body) <= asked.reply_max_bytes(content_type)


async def test_a_reply_that_could_be_too_long_is_refused_before_anything_is_done(
    database: Database, key_id: str
) -> None:
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[bytes(4096)] * 1_000)
    lane = await turn_lane(database)
    (reply,) = await lane.run(request(asked, content_type=CBOR))
    assert isinstance(reply, ErrorReply)
    size = asked.reply_max_bytes(CBOR)
    assert reply.model_dump() == {
        "code": "ValidationException",
        "message": f"The reply could have {size} bytes; at most 4194304 are allowed: send fewer items.",
    }
    assert lane.ring.custody.unwrapped == 0
    assert {(*aliases, *keys, *materials) for aliases, keys, materials in database.reader.loads} <= {()}
    assert not lane.records[0].keys() & {"keys", "materials", "contexts"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("plain", "plain"),
        ("k\u00fcrzer \u2026", "k?rzer ?"),
        ("x" * 280, "x" * 280),
        ("x" * 281, "x" * 277 + "..."),
        ("\u00fc" * 300, "?" * 277 + "..."),
    ],
)
def test_what_is_said_of_a_failed_item_is_short_and_plain(message: str, told: str) -> None:
    results: Results[bytes] = Results(Touched(), 2)
    results.put(1, ValidationException(message))
    (failed,) = results.failed
    assert (failed.index, failed.code, failed.message) == (1, "ValidationException", told)
    assert len(told) <= FAILURE_MESSAGE_MAX_CHARS


@pytest.mark.parametrize(
    ("indices", "told"), [([0], "0"), ([0, 1, 2], "0-2"), ([0, 2, 3, 5], "0,2-3,5"), ([7, 9999], "7,9999")]
)
def test_ranges_name_every_failure_and_no_other(indices: list[int], told: str) -> None:
    touched = Touched()
    results: Results[bytes] = Results(touched, 10_000)
    error: KmsError = ValidationException("no", reason="why")
    for index in reversed(indices):
        results.put(index, error)
    assert [item.index for item in results.settle(["key"])] == indices
    assert (touched.count, touched.failed) == (10_000, {"ValidationException/why": told})


async def test_who_re_encrypts_forged_blobs_of_many_keys_gets_an_error_for_each(
    database: Database, key_id: str
) -> None:
    """Each names a key of its own that does not exist, and the worker looks for all of them at once."""
    (blob,) = await sealed(database, key_id, 1)
    forged = [blob[:2] + number.to_bytes(16, "big") + blob[18:] for number in range(2_000)]
    lane, before = await turn_lane(database), len(database.reader.loads)
    asked = BatchReEncryptRequest(ciphertext_blobs=forged, destination_key_id=key_id)
    (reply,) = await lane.run(request(asked, content_type=CBOR))
    assert isinstance(reply, BatchReEncryptReply)
    assert {(item.code, item.message) for item in reply.failed} == {("InvalidCiphertextException", "")}
    assert (len(reply.failed), reply.key_id) == (2_000, None)
    assert len(database.reader.loads) - before == 1
    assert len(lane.used[0].subjects) == 2_002  # every one of them, the destination and the account policy


def test_a_batch_lane_holds_few_messages_and_nobody_fills_it_alone() -> None:
    settings = load(SETTINGS)
    inbox = lanes.inbox_of(Queue.BATCH, settings)
    for _ in range(broker.BATCH_PREFETCH):
        inbox.put(bare(Queue.BATCH))
    taken = asyncio.run(inbox.take(broker.BATCH_PREFETCH))
    assert [delivery.throttled for delivery in taken].count(False) == 24
    assert (broker.BATCH_PREFETCH, lanes.turn_max_of(Queue.BATCH, settings)) == (32, 4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, (4, 4, 256)), ({"KMSQ_TURN_MAX": "2"}, (2, 2, 2)), ({"KMSQ_TURN_MAX": "1000"}, (4, 4, 1000))],
)
def test_a_setting_lowers_how_many_share_a_turn_and_never_raises_it(
    changes: dict[str, str], expected: tuple[int, ...]
) -> None:
    settings = load({**SETTINGS, **changes})
    turns = tuple(lanes.turn_max_of(queue, settings) for queue in (Queue.BATCH, Queue.SLOW, Queue.CRYPTO))
    assert turns == expected


async def test_the_broker_hands_out_few_batches_at_a_time() -> None:
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    counts: dict[Queue, Any] = {}
    for queue in (Queue.BATCH, Queue.SLOW, Queue.CRYPTO):
        channel = AsyncMock()
        open_channel = AsyncMock(return_value=channel)
        consumer = broker.Broker(user="worker", publishing=AsyncMock(), open_channel=open_channel, lost=lost)
        await consumer.consume(queue, Inbox(principal_max=1))
        counts[queue] = channel.basic_qos.await_args.kwargs["prefetch_count"]
    assert counts == {Queue.BATCH: 32, Queue.SLOW: 250, Queue.CRYPTO: 1_000}
