"""What ImportKeyMaterial takes into a key, and in which order it refuses."""

import json
from datetime import timedelta
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import NOW, request
from fakes.imports import STATES, add_external_key, ask, code, import_into, importing, key_with, token_for
from fakes.workers import change_lane
from kmsq_schemas.models import (
    CancelKeyDeletionRequest,
    DeleteImportedKeyMaterialRequest,
    ErrorReply,
    ImportKeyMaterialReply,
)
from kmsq_schemas.models.enums import ImportType, KeySpec, KeyState, Origin
from kmsq_worker import envelope
from kmsq_worker.custody import imported_subject, key_subject
from kmsq_worker.policy.defaults import default_key_policy
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret

IMPORTED, INCORRECT = "ImportKeyMaterialReply", "IncorrectKeyMaterial"
NEW, EXISTING = ImportType.NEW_KEY_MATERIAL, ImportType.EXISTING_KEY_MATERIAL
A, B, C = (bytes([letter]) * 32 for letter in b"abc")
TOMORROW, NEXT_YEAR = MOMENT + timedelta(days=1), MOMENT + timedelta(days=365)


@pytest.fixture
def database() -> Database:
    return Database()


def state(database: Database, key_id: str) -> str:
    return database.tables.keys[key_id].key_state


async def test_the_first_material_enables_its_key(database: Database) -> None:
    key_id = add_external_key(database).key_id
    sent = importing(database, key_id, A, valid_to=TOMORROW, key_material_description="the first")
    reply = await ask(database, sent)
    expected_id = envelope.material_id(Secret(A), key_id)
    assert reply == ImportKeyMaterialReply(key_id=ACCOUNT.key_arn(key_id), key_material_id=expected_id)
    row, said = database.tables.keys[key_id], database.tables.imported[key_id, 1]
    assert (row.key_state, row.current_material, row.revision) == ("Enabled", 1, 1)
    assert (row.expiration_model, row.valid_to) == ("KEY_MATERIAL_EXPIRES", TOMORROW)
    assert (said.material_id, said.import_state, said.valid_to) == (expected_id, "IMPORTED", TOMORROW)
    assert (said.expiration_model, said.description, said.revision) == ("KEY_MATERIAL_EXPIRES", "the first", 1)
    custody = await database.custody()
    custody.verify(row, "key")
    custody.verify(said, "imported")
    assert custody.unwrap(database.tables.materials[key_id, 1], row).reveal() == A
    assert database.tables.materials[key_id, 1].rotation_type is None
    assert database.changed_since(0) == [key_subject(key_id)]


async def test_an_import_is_audited_with_what_it_wrote(database: Database) -> None:
    key_id = add_external_key(database).key_id
    lane = await change_lane(database)
    await lane.run(request(importing(database, key_id, A)))
    (record,) = (record for record in lane.records if record.get("operation") == "ImportKeyMaterial")
    said = database.tables.imported[key_id, 1]
    assert (record["outcome"], record["keys"], record["materials"]) == ("Success", [key_id], [1])
    assert record["wrote"] == {
        imported_subject(said): said.mac.hex(),
        key_subject(key_id): database.tables.keys[key_id].mac.hex(),
    }


@pytest.mark.parametrize("import_type", [None, NEW])
async def test_the_first_material_is_new(database: Database, import_type: ImportType | None) -> None:
    key_id = add_external_key(database).key_id
    assert await import_into(database, key_id, A, import_type=EXISTING) == INCORRECT
    assert await import_into(database, key_id, A, key_material_id=envelope.material_id(Secret(A), key_id)) == INCORRECT
    assert await import_into(database, key_id, A, import_type=import_type) == IMPORTED


@pytest.mark.parametrize(
    ("spec", "material"),
    [
        (KeySpec.SYMMETRIC_DEFAULT, bytes(31)),
        (KeySpec.SYMMETRIC_DEFAULT, bytes(33)),
        (KeySpec.HMAC_384, bytes(32)),
        (KeySpec.ECC_NIST_P256, bytes(32)),
        (KeySpec.ECC_NIST_P256, key_pairs.generate(KeySpec.ECC_SECG_P256K1).reveal()),
        (KeySpec.RSA_2048, key_pairs.generate(KeySpec.ECC_NIST_P256).reveal()),
    ],
)
async def test_material_that_is_no_key_of_the_spec_is_refused(
    database: Database, spec: KeySpec, material: bytes
) -> None:
    key_id = add_external_key(database, spec).key_id
    assert await import_into(database, key_id, material) == INCORRECT
    assert (state(database, key_id), database.tables.materials) == ("PendingImport", {})


async def test_a_request_wrong_in_every_way_is_refused_for_one_after_the_other(database: Database) -> None:
    """Nothing about token, blob or material shows before the caller, the key and its state are found to be right."""
    key_id = database.add_key(creator="bob", key_state=KeyState.PENDING_DELETION).key_id
    short = importing(database, key_id, bytes(31), valid_to=NEXT_YEAR + timedelta(seconds=1), token=b"x")
    expired = token_for(database, key_id, expires_at=NOW - 1)
    wrong, steps = short.model_copy(update={"encrypted_key_material": b"x"}), []

    async def step() -> None:
        reply = await ask(database, wrong)
        steps.append(reply.code.removesuffix("Exception") if isinstance(reply, ErrorReply) else type(reply).__name__)

    await step()
    database.change_key(key_id, policy=default_key_policy(ACCOUNT.user_arn("alice"), ()))
    await step()
    database.change_key(key_id, origin=Origin.EXTERNAL, current_material=0)
    del database.tables.materials[key_id, 1]
    await step()
    database.change_key(key_id, key_state=KeyState.PENDING_IMPORT)
    for better in (
        {},
        {"valid_to": NEXT_YEAR},
        {"import_token": expired},
        {"import_token": token_for(database, key_id)},
        {"encrypted_key_material": short.encrypted_key_material},
        {"encrypted_key_material": importing(database, key_id, A).encrypted_key_material},
    ):
        wrong = wrong.model_copy(update=better)
        await step()
    assert steps == [
        "AccessDenied",
        "UnsupportedOperation",
        "KMSInvalidState",
        "Validation",
        "InvalidImportToken",
        "ExpiredImportToken",
        "InvalidCiphertext",
        INCORRECT,
        IMPORTED,
    ]


async def test_whoever_may_not_import_learns_nothing_from_what_he_sends(database: Database) -> None:
    key_id = add_external_key(database, creator="bob").key_id
    good = importing(database, key_id, A)
    attempts = [
        good,
        importing(database, key_id, bytes(31)),
        good.model_copy(update={"encrypted_key_material": b"x"}),
        good.model_copy(update={"import_token": b"x"}),
        good.model_copy(update={"import_token": token_for(database, key_id, expires_at=NOW)}),
    ]
    lane = await change_lane(database)
    replies = await lane.run(*map(request, attempts))
    assert len({reply.model_dump_json() for reply in replies}) == 1
    assert lane.outcomes == ["AccessDeniedException"] * len(attempts)


async def test_a_key_that_is_named_wrongly_is_not_found(database: Database) -> None:
    key_id = add_external_key(database).key_id
    database.add_alias("alias/a", key_id)
    good = importing(database, key_id, A)
    for name, expected in (
        ("alias/a", "NotFound"),
        ("00000000-0000-0000-0000-000000000000", "NotFound"),
        ("arn:aws:kms:local:000000000000:key/x", "InvalidArn"),
    ):
        assert await code(database, good.model_copy(update={"key_id": name})) == expected


@pytest.mark.parametrize("before", STATES)
async def test_imports_by_state(database: Database, before: KeyState) -> None:
    key_id = add_external_key(database).key_id
    assert await import_into(database, key_id, A) == IMPORTED
    database.change_key(key_id, key_state=before)
    refused, enabled = before is KeyState.PENDING_DELETION, before is KeyState.PENDING_IMPORT
    assert await import_into(database, key_id, A) == ("KMSInvalidState" if refused else IMPORTED)
    assert state(database, key_id) == (KeyState.ENABLED if enabled else before)


@pytest.mark.parametrize(
    ("valid_to", "expected"),
    [
        (MOMENT, "Validation"),
        (MOMENT + timedelta(milliseconds=1), IMPORTED),
        (NEXT_YEAR, IMPORTED),
        (NEXT_YEAR + timedelta(milliseconds=1), "Validation"),
    ],
)
async def test_material_ends_in_the_future_and_within_a_year(database: Database, valid_to: Any, expected: str) -> None:
    assert await import_into(database, add_external_key(database).key_id, A, valid_to=valid_to) == expected


async def test_a_policy_may_ask_when_material_ends(database: Database) -> None:
    condition = {
        "StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"},
        "DateLessThanEquals": {"kms:ValidTo": TOMORROW.isoformat()},
    }
    statement = {"Effect": "Allow", "Principal": "*", "Action": "kms:ImportKeyMaterial", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})
    key_id = add_external_key(database, policy=policy).key_id
    assert await import_into(database, key_id, A) == "AccessDenied"
    assert await import_into(database, key_id, A, valid_to=TOMORROW + timedelta(seconds=1)) == "AccessDenied"
    assert await import_into(database, key_id, A, valid_to=TOMORROW) == IMPORTED


async def test_a_key_s_deletion_is_cancelled_into_what_its_material_allows(database: Database) -> None:
    for has_material, expected in ((True, "Disabled"), (False, "PendingImport")):
        key_id = await key_with(database, A)
        database.change_key(key_id, key_state=KeyState.PENDING_DELETION)
        if not has_material:
            await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id))
        await ask(database, CancelKeyDeletionRequest(key_id=key_id))
        assert state(database, key_id) == expected
