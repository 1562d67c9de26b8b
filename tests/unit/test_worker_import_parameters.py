"""GetParametersForImport, and the way from there into a key."""

import json
import os
from datetime import timedelta
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import NOW, request
from fakes.imports import DAY_MS, STATES, add_external_key, ask, code, importing, opens, seal, sending, token_for, wrap
from fakes.workers import Lane, change_lane, code_of
from kmsq_schemas import limits
from kmsq_schemas.models import (
    ErrorReply,
    GetParametersForImportReply,
    GetParametersForImportRequest,
    ImportKeyMaterialReply,
)
from kmsq_schemas.models.enums import AlgorithmSpec, KeySpec, KeyState, WrappingKeySpec
from kmsq_worker.import_token import open_token
from kmsq_worker.primitives import key_pairs
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import DomainKey

OAEP_1, OAEP_256 = AlgorithmSpec.RSAES_OAEP_SHA_1, AlgorithmSpec.RSAES_OAEP_SHA_256
AES_1, AES_256 = AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1, AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256
RSA_2048, RSA_3072, RSA_4096 = WrappingKeySpec.RSA_2048, WrappingKeySpec.RSA_3072, WrappingKeySpec.RSA_4096


@pytest.fixture
def database() -> Database:
    return Database()


def asking(
    key_id: str, algorithm: AlgorithmSpec = OAEP_256, spec: WrappingKeySpec = RSA_2048
) -> GetParametersForImportRequest:
    return GetParametersForImportRequest(key_id=key_id, wrapping_algorithm=algorithm, wrapping_key_spec=spec)


async def parameters(
    database: Database, key_id: str, algorithm: AlgorithmSpec = OAEP_256, spec: WrappingKeySpec = RSA_2048
) -> GetParametersForImportReply:
    reply = await ask(database, asking(key_id, algorithm, spec))
    assert isinstance(reply, GetParametersForImportReply), reply
    return reply


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [(OAEP_1, RSA_2048), (OAEP_256, RSA_3072), (AES_1, RSA_2048), (AES_256, RSA_4096)],
)
async def test_material_goes_into_a_key_each_way(
    database: Database, algorithm: AlgorithmSpec, spec: WrappingKeySpec
) -> None:
    key_id = add_external_key(database).key_id
    given = await parameters(database, key_id, algorithm, spec)
    sent = sending(key_id, given.import_token, wrap(given.public_key, algorithm, os.urandom(32)))
    assert await code(database, sent) == "ImportKeyMaterialReply"
    assert await opens(database, [await seal(database, key_id)]) == ["secret"]


@pytest.mark.parametrize("spec", [KeySpec.RSA_2048, KeySpec.ECC_NIST_P521, KeySpec.ML_DSA_87, KeySpec.HMAC_512])
async def test_material_of_every_kind_goes_into_its_key(database: Database, spec: KeySpec) -> None:
    row = add_external_key(database, spec)
    material = os.urandom(64) if spec is KeySpec.HMAC_512 else key_pairs.generate(spec).reveal()
    given = await parameters(database, row.key_id, AES_256)
    sent = sending(row.key_id, given.import_token, wrap(given.public_key, AES_256, material))
    assert await code(database, sent) == "ImportKeyMaterialReply"
    stored = (await database.custody()).unwrap(database.tables.materials[row.key_id, 1], row)
    assert stored.reveal() == material


async def test_the_reply_names_the_key_and_ends_with_its_token_after_a_day(database: Database) -> None:
    row = add_external_key(database, KeySpec.HMAC_256)
    given = await parameters(database, row.key_id, AES_1)
    assert given.key_id == ACCOUNT.key_arn(row.key_id)
    assert given.parameters_valid_to == MOMENT + timedelta(hours=24)
    token = open_token(database.domain_key, row.key_id, given.import_token)
    assert (token.key_id, token.key_spec, token.algorithm) == (row.key_id, KeySpec.HMAC_256, AES_1)
    assert token.expires_at == NOW + DAY_MS
    assert key_pairs.public_key(key_pairs.load(token.private_key)) == given.public_key


async def test_each_request_gets_a_key_pair_of_its_own(database: Database) -> None:
    key_id = add_external_key(database).key_id
    first, second = await parameters(database, key_id), await parameters(database, ACCOUNT.key_arn(key_id))
    assert first.public_key != second.public_key
    mixed = sending(key_id, first.import_token, wrap(second.public_key, OAEP_256, bytes(32)))
    assert await code(database, mixed) == "InvalidCiphertext"


@pytest.mark.parametrize("algorithm", [AlgorithmSpec.RSAES_PKCS1_V1_5, AlgorithmSpec.SM2PKE])
async def test_ways_of_wrapping_that_are_not_served(database: Database, algorithm: AlgorithmSpec) -> None:
    assert await code(database, asking(add_external_key(database).key_id, algorithm)) == "UnsupportedOperation"


async def test_there_are_no_sm2_wrapping_keys(database: Database) -> None:
    key_id = add_external_key(database).key_id
    assert await code(database, asking(key_id, AES_256, WrappingKeySpec.SM2)) == "UnsupportedOperation"


@pytest.mark.parametrize("algorithm", [OAEP_1, OAEP_256])
async def test_an_rsa_private_key_is_too_long_to_be_wrapped_by_rsa(
    database: Database, algorithm: AlgorithmSpec
) -> None:
    assert await code(database, asking(add_external_key(database, KeySpec.RSA_2048).key_id, algorithm)) == "Validation"


async def test_a_key_with_material_of_the_service_s_own_takes_none(database: Database) -> None:
    assert await code(database, asking(database.add_key().key_id)) == "UnsupportedOperation"


@pytest.mark.parametrize("state", STATES)
async def test_parameters_by_state(database: Database, state: KeyState) -> None:
    key_id = add_external_key(database, key_state=state).key_id
    expected = "KMSInvalidState" if state is KeyState.PENDING_DELETION else "GetParametersForImportReply"
    assert await code(database, asking(key_id)) == expected


async def test_parameters_need_the_permission_and_a_key_by_its_id(database: Database) -> None:
    theirs = add_external_key(database, creator="bob").key_id
    database.add_alias("alias/a", theirs)
    assert await code(database, asking(theirs)) == "AccessDenied"
    assert await code(database, asking(theirs, AlgorithmSpec.SM2PKE)) == "AccessDenied"
    assert await code(database, asking("alias/a")) == "NotFound"


async def test_a_policy_may_ask_how_material_is_wrapped(database: Database) -> None:
    condition = {"StringEquals": {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256", "kms:WrappingKeySpec": "RSA_2048"}}
    key_id = add_external_key(database, policy=policy_with(condition, "kms:GetParametersForImport")).key_id
    assert await code(database, asking(key_id)) == "GetParametersForImportReply"
    assert await code(database, asking(key_id, OAEP_1)) == "AccessDenied"
    assert await code(database, asking(key_id, OAEP_256, RSA_3072)) == "AccessDenied"


def policy_with(condition: dict[str, Any], *actions: str) -> str:
    """Allow `actions` to alice, under a condition."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT.user_arn("alice")},
        "Action": list(actions),
        "Resource": "*",
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(("left", "expected"), [(1, "ImportKeyMaterialReply"), (0, "ExpiredImportToken")])
async def test_a_token_ends_at_its_very_millisecond(database: Database, left: int, expected: str) -> None:
    key_id = add_external_key(database).key_id
    token = token_for(database, key_id, expires_at=NOW + left)
    assert await code(database, importing(database, key_id, bytes(32), token=token)) == expected


async def test_a_token_can_be_used_again_while_it_lasts(database: Database) -> None:
    key_id = add_external_key(database).key_id
    sent = importing(database, key_id, bytes(32))
    assert [await code(database, sent) for _ in range(2)] == ["ImportKeyMaterialReply"] * 2


async def test_tokens_of_others_are_refused_and_raise_no_alarm(database: Database) -> None:
    key_id, other = add_external_key(database).key_id, add_external_key(database).key_id
    tokens = [
        token_for(database, other),
        token_for(database, key_id, domain_key=DomainKey.generate()),
        token_for(database, key_id, domain_key=database.add_domain_key(MemoryRootKey(Secret.random(32)))),
        b"\x01",
    ]
    lane = await lane_before_the_last_domain_key(database)
    replies = await lane.run(*(request(importing(database, key_id, bytes(32), token=token)) for token in tokens))
    assert [code_of(reply) for reply in replies] == ["InvalidImportTokenException"] * len(tokens)
    assert lane.ring.alarms == []
    assert database.tables.materials == {}


async def lane_before_the_last_domain_key(database: Database) -> Lane:
    """Return the lane of a worker that began before the last domain key was made."""
    last = database.domain_keys.pop()
    lane = await change_lane(database)
    database.domain_keys.append(last)
    return lane


async def test_a_token_under_a_domain_key_that_another_worker_made_is_taken(database: Database) -> None:
    key_id = add_external_key(database).key_id
    newer = database.add_domain_key()
    lane = await lane_before_the_last_domain_key(database)
    sent = importing(database, key_id, bytes(32), token=token_for(database, key_id, domain_key=newer))
    (reply,) = await lane.run(request(sent))
    assert isinstance(reply, ImportKeyMaterialReply)


async def test_material_wrapped_in_another_way_than_the_token_says_is_refused(database: Database) -> None:
    key_id = add_external_key(database).key_id
    for algorithm in (OAEP_1, OAEP_256, AES_1):
        token = token_for(database, key_id, algorithm=algorithm)
        assert await code(database, importing(database, key_id, bytes(32), token=token)) == "InvalidCiphertext"


async def test_no_flipped_bit_of_wrapped_material_is_taken(database: Database) -> None:
    key_id = add_external_key(database).key_id
    sent = importing(database, key_id, bytes(32))
    wrapped = sent.encrypted_key_material
    changed = [wrapped[:at] + bytes([wrapped[at] ^ 0x10]) + wrapped[at + 1 :] for at in range(0, len(wrapped), 7)]
    refused = [wrapped[:-1], wrapped + b"\x00", b"\x00", bytes(limits.WRAPPED_MATERIAL_MAX_BYTES), *changed]
    requests = [request(sent.model_copy(update={"encrypted_key_material": one})) for one in refused]
    lane = await change_lane(database)
    replies = await lane.run(*requests)
    assert all(reply == ErrorReply(code="InvalidCiphertextException", message="") for reply in replies)
    assert database.tables.materials == {}


async def test_a_key_s_own_arn_may_name_it_in_both_requests(database: Database) -> None:
    row = add_external_key(database)
    sent = importing(database, row.key_id, bytes(32))
    named = sent.model_copy(update={"key_id": ACCOUNT.key_arn(row.key_id)})
    assert await code(database, named) == "ImportKeyMaterialReply"
