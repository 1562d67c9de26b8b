"""What the audit record of a batch says: one record, whatever its items were and became."""

import hashlib
from typing import Any

import pytest

from fakes.batching import policy, when
from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import turn_lane
from kmsq_schemas.models import (
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchGenerateMacRequest,
    BatchReEncryptRequest,
    Reply,
    Request,
)
from kmsq_schemas.models.enums import KeySpec, KeyUsage, MacAlgorithm

X = {"app": "x"}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def recorded(database: Database, asked: Request, principal: str = "alice") -> tuple[Reply, dict[str, Any]]:
    """Return the reply to a request, and its one audit record."""
    lane = await turn_lane(database)
    (reply,) = await lane.run(request(asked, principal=principal))
    (record,) = lane.records
    assert record["operation"] == type(asked).__name__.removesuffix("Request")
    return reply, record


async def sealed(database: Database, key_id: str, *plaintexts: bytes) -> list[bytes]:
    reply, _ = await recorded(database, BatchEncryptRequest(key_id=key_id, plaintexts=list(plaintexts)))
    assert isinstance(reply, BatchEncryptReply)
    return [blob for blob in reply.ciphertext_blobs if blob is not None]


def digest(*contexts: dict[str, str] | None) -> str:
    """Do what `contexts.py` documents; None is an item without a valid context."""
    hashed = b""
    for context in contexts:
        if context is None:
            hashed += b"\xff\xff\xff\xff"
            continue
        pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
        encoded = b"".join(len(text).to_bytes(4, "big") + text for pair in pairs for text in pair)
        hashed += len(encoded).to_bytes(4, "big") + encoded
    return hashlib.sha256(hashed).hexdigest()


async def test_a_batch_leaves_one_record_of_what_it_touched(database: Database, key_id: str) -> None:
    other = database.add_key().key_id
    blobs = await sealed(database, key_id, b"1")
    database.rotate_key(key_id)
    blobs += [*await sealed(database, key_id, b"2"), *await sealed(database, other, b"3")]
    _, record = await recorded(database, BatchDecryptRequest(ciphertext_blobs=blobs * 4))
    assert (record["outcome"], record["count"], record.get("failed")) == ("Success", 12, None)
    assert sorted(record["keys"]) == sorted([key_id, other])
    assert len(record["revisions"]) == 2
    assert sorted(record["materials"]) == [1, 1, 2]


@pytest.mark.parametrize("insisted", [True, False])
async def test_a_key_is_told_once_however_many_materials_are_claimed_of_it(
    database: Database, key_id: str, *, insisted: bool
) -> None:
    (blob,) = await sealed(database, key_id, b"x")
    forged = [blob[:18] + number.to_bytes(4, "big") + blob[22:] for number in range(100)]
    asked = BatchDecryptRequest(ciphertext_blobs=forged, key_id=key_id if insisted else None)
    _, record = await recorded(database, asked)
    assert (record["keys"], record["materials"]) == ([key_id], [1])
    assert record["failed"] == {"InvalidCiphertextException/unknown-material": "0,2-99"}


async def test_failures_are_told_as_ranges_by_code_and_by_what_the_requester_is_not_told(
    database: Database, key_id: str
) -> None:
    hidden = database.add_key(creator="bob").key_id
    database.add_grant(hidden, "alice", "Encrypt")
    (good,), (denied,) = await sealed(database, key_id, b"x"), await sealed(database, hidden, b"x")
    wrong = good[:-1] + bytes([good[-1] ^ 1])
    blobs = [good, b"junk", b"", good, wrong, wrong, denied, wrong, good, denied]
    reply, record = await recorded(database, BatchDecryptRequest(ciphertext_blobs=blobs))
    assert record["failed"] == {
        "InvalidCiphertextException/length": "1-2",
        "InvalidCiphertextException/tag": "4-5,7",
        "AccessDeniedException/no_allow": "6,9",
    }
    assert record["count"] == 10
    assert b"length" not in reply.model_dump_json().encode()


async def test_shared_pairs_are_told_and_the_items_own_are_digested(database: Database, key_id: str) -> None:
    own: list[dict[str, str] | None] = [{"z": "ü"}, None, {"a": "1", "ä": ""}, {}, {"app": "x"}, {"n": "v" * 9000}]
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 6, encryption_context=X, encryption_contexts=own)
    _, record = await recorded(database, asked)
    assert record["contexts"] == [X]
    assert record["context_digests"] == [digest({**X, "z": "ü"}, X, {**X, "a": "1", "ä": ""}, X, None, None)]
    assert record["failed"] == {"ValidationException": "4-5"}


async def test_contexts_of_both_sides_are_told_the_source_first(database: Database, key_id: str) -> None:
    blobs = await sealed(database, key_id, b"1", b"2")
    asked = BatchReEncryptRequest(
        ciphertext_blobs=blobs,
        source_encryption_context={"s": "1"},
        source_encryption_contexts=[{"b": "2"}, None],
        destination_key_id=database.add_key().key_id,
        destination_encryption_context={"d": "1"},
        destination_encryption_contexts=[None, {"a": "3"}],
    )
    _, record = await recorded(database, asked)
    assert record["contexts"] == [{"s": "1"}, {"d": "1"}]
    assert record["context_digests"] == [
        digest({"s": "1", "b": "2"}, {"s": "1"}),
        digest({"d": "1"}, {"d": "1", "a": "3"}),
    ]


@pytest.mark.parametrize("own", [None, [None, None], [{}, None]])
async def test_without_contexts_of_their_own_there_is_nothing_to_digest(
    database: Database, key_id: str, own: list[dict[str, str] | None] | None
) -> None:
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 2, encryption_contexts=own)
    _, record = await recorded(database, asked)
    assert not record.keys() & {"contexts", "context_digests", "failed"}


async def test_a_batch_that_is_refused_as_a_whole_has_its_count_and_contexts(database: Database, key_id: str) -> None:
    own: list[dict[str, str] | None] = [{"n": "1"}, {"n": "2"}, None]
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 3, encryption_context=X, encryption_contexts=own)
    _, record = await recorded(database, asked, "bob")
    assert (record["outcome"], record["reason"], record["count"]) == ("AccessDeniedException", "no_allow", 3)
    assert (record["keys"], record["contexts"]) == ([key_id], [X])
    assert record["context_digests"] == [digest({**X, "n": "1"}, {**X, "n": "2"}, X)]
    macs = database.add_key(key_spec=KeySpec.HMAC_256, key_usage=KeyUsage.GENERATE_VERIFY_MAC).key_id
    refused: list[Request] = [
        BatchEncryptRequest(key_id="alias/none", plaintexts=[b"x"] * 3),
        BatchDecryptRequest(ciphertext_blobs=[b"x"] * 3, key_id="alias/none"),
        BatchReEncryptRequest(ciphertext_blobs=[b"x"] * 3, destination_key_id="alias/none"),
        BatchGenerateMacRequest(key_id=macs, messages=[b"x"] * 3, mac_algorithm=MacAlgorithm.HMAC_SHA_512),
    ]
    for other in refused:
        _, record = await recorded(database, other)
        assert (record["outcome"] != "Success", record["count"]) == (True, 3)


async def test_a_grant_that_allowed_many_items_is_named_once(database: Database) -> None:
    key_id = database.add_key(policy=policy(when("Deny", "StringEquals", "kms:EncryptionContext:app", "y"))).key_id
    grants = [
        database.add_grant(key_id, "bob", "Encrypt", constraints=f'{{"EncryptionContextSubset":{{"app":"{app}"}}}}')
        for app in ("w", "x", "y", "z")
    ]
    own: list[dict[str, str] | None] = [{"app": app, "n": str(n)} for n in range(4) for app in ("x", "y", "z")]
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 12, encryption_contexts=own)
    _, record = await recorded(database, asked, "bob")
    assert record["grants"] == [grants[1].grant_id, grants[3].grant_id]
    assert record["failed"] == {"AccessDeniedException/explicit_deny_key_policy": "1,4,7,10"}
