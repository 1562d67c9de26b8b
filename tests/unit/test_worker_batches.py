"""Batches: what their items share is done once, and what becomes of one is no other's matter."""

from typing import Any

import pytest

from fakes.asking import answer, ask, locked_refusal
from fakes.batching import RULES, failures, policy, when
from fakes.database import ACCOUNT, Database
from fakes.deliveries import request
from fakes.grants import take_away
from fakes.workers import code_of, turn_lane
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchGenerateDataKeyReply,
    BatchGenerateDataKeyRequest,
    BatchGenerateDataKeyWithoutPlaintextReply,
    BatchGenerateDataKeyWithoutPlaintextRequest,
    BatchGenerateMacReply,
    BatchGenerateMacRequest,
    BatchReEncryptReply,
    BatchReEncryptRequest,
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    ErrorReply,
    GenerateMacReply,
    GenerateMacRequest,
    Request,
)
from kmsq_schemas.models.enums import DataKeySpec, KeySpec, KeyState, KeyUsage, MacAlgorithm
from kmsq_worker import execution as executing
from kmsq_worker.policy.evaluate import authorize_key

SALT, IV = slice(22, 38), slice(70, 82)  # docs/ciphertext.md
X, Y = {"app": "x"}, {"app": "y"}
INVALID = ("InvalidCiphertextException", "")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def sealed(database: Database, key_id: str, *plaintexts: bytes, **more: Any) -> list[bytes]:
    """Return blobs that alice made, all of them in one batch."""
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=list(plaintexts), **more)
    reply = await answer(BatchEncryptReply, database, asked)
    assert reply.failed == []
    return [blob for blob in reply.ciphertext_blobs if blob is not None]


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return a list that the context of every decision is written into."""
    asked: list[dict[str, str]] = []

    def noting(access: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(dict(access.context))
        return authorize_key(access, *arguments, **more)

    monkeypatch.setattr(executing, "authorize_key", noting)
    return asked


@pytest.mark.parametrize("content_type", ContentType)
async def test_batches_and_single_operations_open_each_others_blobs(
    database: Database, key_id: str, content_type: ContentType
) -> None:
    (blob,) = await sealed(database, key_id, b"in a batch", encryption_context=X, encryption_contexts=[{"n": "1"}])
    opened = await answer(
        DecryptReply, database, DecryptRequest(ciphertext_blob=blob, encryption_context={**X, "n": "1"})
    )
    assert opened.plaintext == b"in a batch"
    asked = EncryptRequest(key_id=key_id, plaintext=b"alone", encryption_context=X)
    single = await answer(EncryptReply, database, asked, content_type=content_type)
    both = BatchDecryptRequest(
        ciphertext_blobs=[single.ciphertext_blob, blob], encryption_context=X, encryption_contexts=[None, {"n": "1"}]
    )
    reply = await answer(BatchDecryptReply, database, both, content_type=content_type)
    assert (reply.plaintexts, reply.failed) == ([b"alone", b"in a batch"], [])
    assert [used.key_id for used in reply.key_materials] == [ACCOUNT.key_arn(key_id)]


async def test_data_keys_of_a_batch_are_different_and_open_one_by_one(database: Database, key_id: str) -> None:
    made = await answer(
        BatchGenerateDataKeyReply,
        database,
        BatchGenerateDataKeyRequest(key_id=key_id, number_of_keys=50, key_spec=DataKeySpec.AES_256),
    )
    assert len(set(made.plaintexts)) == 50
    assert {len(key or b"") for key in made.plaintexts} == {32}
    for blob, key in zip(made.ciphertext_blobs, made.plaintexts, strict=True):
        assert blob is not None
        assert (await answer(DecryptReply, database, DecryptRequest(ciphertext_blob=blob))).plaintext == key
    wrapped = await answer(
        BatchGenerateDataKeyWithoutPlaintextReply,
        database,
        BatchGenerateDataKeyWithoutPlaintextRequest(key_id=key_id, number_of_keys=50, number_of_bytes=7),
    )
    opened = await answer(
        BatchDecryptReply,
        database,
        BatchDecryptRequest(ciphertext_blobs=[blob or b"" for blob in wrapped.ciphertext_blobs]),
    )
    assert len(set(opened.plaintexts)) == 50
    assert {len(key or b"") for key in opened.plaintexts} == {7}


async def test_macs_of_a_batch_are_those_of_generate_mac(database: Database) -> None:
    key_id = database.add_key(key_spec=KeySpec.HMAC_512, key_usage=KeyUsage.GENERATE_VERIFY_MAC).key_id
    messages, algorithm = [b"a", b"", bytes(4096), bytes(4097)], MacAlgorithm.HMAC_SHA_512
    reply = await answer(
        BatchGenerateMacReply,
        database,
        BatchGenerateMacRequest(key_id=key_id, messages=messages, mac_algorithm=algorithm),
    )
    for place in (0, 2):
        single = GenerateMacRequest(key_id=key_id, message=messages[place], mac_algorithm=algorithm)
        assert reply.macs[place] == (await answer(GenerateMacReply, database, single)).mac
    why = "Message has {} bytes; 1 to 4096 are allowed."
    wrong = [None, ("ValidationException", why.format(0)), None, ("ValidationException", why.format(4097))]
    assert failures(reply.failed, 4) == wrong
    assert [reply.macs[1], reply.macs[3]] == [None, None]


async def test_a_batch_seals_under_one_derivation_and_the_next_under_another(database: Database, key_id: str) -> None:
    first, second = [await sealed(database, key_id, *[b"x"] * 300) for _ in range(2)]
    assert len({blob[SALT] for blob in first}) == len({blob[SALT] for blob in second}) == 1
    assert first[0][SALT] != second[0][SALT]
    assert len({blob[IV] for blob in first}) == 300


async def test_materials_are_unwrapped_once_each_however_many_blobs_are_theirs(database: Database, key_id: str) -> None:
    other = database.add_key().key_id
    blobs = await sealed(database, key_id, b"1", b"2")
    database.rotate_key(key_id)
    blobs += await sealed(database, key_id, b"3", b"4")
    blobs += await sealed(database, other, b"5")
    lane = await turn_lane(database)
    (reply,) = await lane.run(request(BatchDecryptRequest(ciphertext_blobs=blobs * 3)))
    assert isinstance(reply, BatchDecryptReply)
    assert reply.plaintexts == [b"1", b"2", b"3", b"4", b"5"] * 3
    assert reply.key_material_indexes == [0, 0, 1, 1, 2] * 3
    assert lane.ring.custody.unwrapped == 3
    ids = {(used.key_id, used.key_material_id) for used in reply.key_materials}
    assert ids == {(ACCOUNT.key_arn(row.key_id), row.material_id) for row in database.tables.materials.values()}


async def test_one_decision_does_for_all_contexts_where_no_policy_reads_them(
    database: Database, key_id: str, decisions: list[dict[str, str]]
) -> None:
    own: list[dict[str, str] | None] = [{"n": str(number)} for number in range(20)]
    blobs = await sealed(database, key_id, *[b"x"] * 20, encryption_contexts=own)
    assert len(decisions) == 1
    await answer(BatchDecryptReply, database, BatchDecryptRequest(ciphertext_blobs=blobs, encryption_contexts=own))
    assert len(decisions) == 2
    moved = BatchReEncryptRequest(
        ciphertext_blobs=blobs, source_encryption_contexts=own, destination_key_id=database.add_key().key_id
    )
    await answer(BatchReEncryptReply, database, moved)
    assert len(decisions) == 4  # one on each key


CONDITIONED = policy(when("Allow", "StringEquals", "kms:EncryptionContext:app", "x"))


@pytest.mark.parametrize("where", ["key policy", "account policy", "grant"])
async def test_each_distinct_context_is_decided_once_where_one_is_read(
    database: Database, decisions: list[dict[str, str]], where: str
) -> None:
    key_id = database.add_key(policy=CONDITIONED if where == "key policy" else RULES["left to the account"]).key_id
    if where == "account policy":
        database.change_account_policy(CONDITIONED)
    if where == "grant":
        database.add_grant(key_id, "bob", "Encrypt", constraints='{"EncryptionContextSubset":{"app":"x"}}')
    own: list[dict[str, str] | None] = [X, Y, None, dict(X), {**X, "b": ""}, {"b": "", **X}, Y, {}]
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"] * 8, encryption_contexts=own)
    reply = await answer(BatchEncryptReply, database, asked, principal="bob")
    assert decisions == [X, Y, {}, {**X, "b": ""}]
    assert [why and why[0] for why in failures(reply.failed, 8)] == [
        None if pairs and pairs.get("app") == "x" else "AccessDeniedException" for pairs in own
    ]


async def test_decisions_on_one_key_are_none_on_another(database: Database) -> None:
    mine, other = database.add_key().key_id, database.add_key(creator="bob").key_id
    database.add_grant(other, "alice", "Encrypt")
    blobs = [
        *await sealed(database, mine, b"1"),
        *await sealed(database, other, b"2"),
        *await sealed(database, mine, b"3"),
    ]
    reply = await answer(BatchDecryptReply, database, BatchDecryptRequest(ciphertext_blobs=blobs))
    assert reply.plaintexts == [b"1", None, b"3"]
    alice, denied = ACCOUNT.user_arn("alice"), ACCOUNT.key_arn(other)
    why = f"User: {alice} is not authorized to perform: kms:Decrypt on resource: {denied}"
    assert failures(reply.failed, 3) == [None, ("AccessDeniedException", why), None]


@pytest.mark.parametrize("state", [KeyState.ENABLED, KeyState.DISABLED, KeyState.PENDING_DELETION])
async def test_who_may_do_nothing_with_a_key_learns_nothing_about_it(database: Database, state: KeyState) -> None:
    key_id = database.add_key(creator="bob", key_state=state).key_id
    database.add_alias("alias/hidden", key_id)
    (blob,) = await sealed(database, database.add_key().key_id, b"x")
    lane = await turn_lane(database)
    moved = BatchReEncryptRequest(ciphertext_blobs=[blob, b"junk"], destination_key_id="alias/hidden")
    (reply,) = await lane.run(request(moved))
    assert isinstance(reply, BatchReEncryptReply)
    assert (reply.key_id, reply.destination_key_material_id, reply.source_key_materials) == (None, None, [])
    assert [why and why[0] for why in failures(reply.failed, 2)] == ["AccessDeniedException", INVALID[0]]
    assert lane.ring.custody.unwrapped == 0
    refused: list[Request] = [
        BatchEncryptRequest(key_id=key_id, plaintexts=[b"", bytes(5000)]),
        BatchGenerateDataKeyRequest(key_id=key_id, number_of_keys=2, key_spec=DataKeySpec.AES_256),
        BatchGenerateMacRequest(key_id=key_id, messages=[b"x"], mac_algorithm=MacAlgorithm.HMAC_SHA_256),
    ]
    for asked in refused:
        assert (await locked_refusal(database, asked))[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"key_state": KeyState.DISABLED}, "DisabledException"),
        ({"key_state": KeyState.PENDING_DELETION}, "KMSInvalidStateException"),
        ({"key_spec": KeySpec.HMAC_256, "key_usage": KeyUsage.GENERATE_VERIFY_MAC}, "InvalidKeyUsageException"),
        ({"key_spec": KeySpec.RSA_2048}, "InvalidKeyUsageException"),
    ],
)
async def test_a_key_that_cannot_be_used_is_told_once_where_all_items_need_it(
    database: Database, columns: dict[str, Any], why: str
) -> None:
    key_id = database.add_key(**columns).key_id
    (blob,) = await sealed(database, database.add_key().key_id, b"x")
    for asked in (
        BatchEncryptRequest(key_id=key_id, plaintexts=[b"x", b""]),
        BatchGenerateDataKeyRequest(key_id=key_id, number_of_keys=2, key_spec=DataKeySpec.AES_256),
        BatchReEncryptRequest(ciphertext_blobs=[b"junk", blob], destination_key_id=key_id),
    ):
        code, _ = await locked_refusal(database, asked)
        assert code == why.removesuffix("Exception")


async def test_a_batch_on_a_key_that_changes_meanwhile_is_decided_anew(database: Database, key_id: str) -> None:
    """Whatever the outcome rests on: the key, another one that a blob names, an alias, a grant, the account policy."""
    other = database.add_key(policy=RULES["left to the account"]).key_id
    grant = database.add_grant(other, "alice", "Encrypt", "Decrypt", "ReEncryptTo")
    database.add_alias("alias/to", other)
    blobs = [*await sealed(database, key_id, b"1"), *await sealed(database, other, b"2")]
    moved = BatchReEncryptRequest(ciphertext_blobs=blobs[:1], destination_key_id="alias/to")
    opened = BatchDecryptRequest(ciphertext_blobs=blobs)
    lane = await turn_lane(database)
    lane.committer.before.append(lambda: database.change_key(key_id, key_state=KeyState.DISABLED))
    lane.committer.before.append(lambda: take_away(database, grant.grant_id))
    lane.committer.before.append(lambda: database.add_alias("alias/to", key_id))
    first, second = await lane.run(request(moved), request(opened))
    assert isinstance(first, ErrorReply)
    assert (first.code, key_id in first.message) == ("DisabledException", True)
    assert isinstance(second, BatchDecryptReply)
    codes = [why and why[0] for why in failures(second.failed, 2)]
    assert codes == ["DisabledException", "AccessDeniedException"]
    assert [code_of(await ask(database, asked)) for asked in (moved, opened)] == [first.code, "BatchDecryptReply"]


async def test_a_key_that_appears_meanwhile_is_found(database: Database) -> None:
    """A blob of a key that nobody knew rests on that key, too."""
    row = database.add_key()
    (blob,) = await sealed(database, row.key_id, b"x")
    del database.tables.keys[row.key_id]

    def restore() -> None:
        database.tables.keys[row.key_id] = row
        database.change_key(row.key_id)

    lane = await turn_lane(database)
    lane.committer.before.append(restore)
    (reply,) = await lane.run(request(BatchDecryptRequest(ciphertext_blobs=[blob, b"junk"])))
    assert isinstance(reply, BatchDecryptReply)
    assert reply.plaintexts == [b"x", None]
