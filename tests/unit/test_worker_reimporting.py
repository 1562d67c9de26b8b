"""What ImportKeyMaterial takes into a key that has material already: the same again, or what waits for a rotation."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.database import MOMENT, Database
from fakes.deliveries import request
from fakes.imports import add_external_key, ask, code, import_into, importing, key_with, opens, seal
from fakes.workers import change_lane
from kmsq_schemas.models import (
    DeleteImportedKeyMaterialRequest,
    EnableKeyRequest,
    ErrorReply,
    RotateKeyOnDemandRequest,
)
from kmsq_schemas.models.enums import ImportType, KeySpec
from kmsq_worker import envelope
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


async def test_the_same_material_comes_with_a_new_end_and_keeps_its_description(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=TOMORROW, key_material_description="old")
    for fields, expected in (
        ({}, ("KEY_MATERIAL_DOES_NOT_EXPIRE", None, "old")),
        ({"valid_to": NEXT_YEAR, "key_material_description": "new"}, ("KEY_MATERIAL_EXPIRES", NEXT_YEAR, "new")),
    ):
        assert await import_into(database, key_id, A, **fields) == IMPORTED
        said, row = database.tables.imported[key_id, 1], database.tables.keys[key_id]
        assert (said.expiration_model, said.valid_to, said.description) == expected
        assert (row.expiration_model, row.valid_to) == expected[:2]
    assert list(database.tables.materials) == [(key_id, 1)]


@pytest.mark.parametrize("spec", [KeySpec.HMAC_256, KeySpec.ECC_NIST_P256])
async def test_a_key_that_cannot_rotate_takes_nothing_but_what_it_had(database: Database, spec: KeySpec) -> None:
    key_id = add_external_key(database, spec).key_id
    mine, other = (os.urandom(32) if spec is KeySpec.HMAC_256 else key_pairs.generate(spec).reveal() for _ in range(2))
    assert await import_into(database, key_id, mine) == IMPORTED
    for import_type in (None, NEW, EXISTING):
        assert await import_into(database, key_id, other, import_type=import_type) == INCORRECT
    assert await import_into(database, key_id, mine) == IMPORTED
    await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id))
    assert await import_into(database, key_id, other, import_type=NEW) == INCORRECT
    assert await import_into(database, key_id, mine) == IMPORTED


async def test_a_private_key_in_another_encoding_is_the_same_material(database: Database) -> None:
    key_id = add_external_key(database, KeySpec.ECC_NIST_P256).key_id
    whole = key_pairs.generate(KeySpec.ECC_NIST_P256).reveal()
    # PKCS#8 without the public half, which is optional: 32 bytes of private key behind a front that is the same for all.
    short = bytes.fromhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420") + whole[36:68]
    assert await import_into(database, key_id, short) == IMPORTED
    assert await import_into(database, key_id, whole) == IMPORTED
    assert len(database.tables.materials) == 1


async def test_other_bytes_are_taken_only_as_new_material(database: Database) -> None:
    key_id = await key_with(database, A)
    assert await import_into(database, key_id, B) == INCORRECT
    assert await import_into(database, key_id, B, import_type=EXISTING) == INCORRECT
    assert await import_into(database, key_id, B, import_type=NEW) == IMPORTED


async def test_bytes_that_the_key_has_are_not_new(database: Database) -> None:
    key_id = await key_with(database, A, B)
    assert await import_into(database, key_id, A, import_type=NEW) == INCORRECT
    assert await import_into(database, key_id, B, import_type=NEW) == INCORRECT
    await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id))
    assert await import_into(database, key_id, B, import_type=NEW) == INCORRECT


async def test_new_material_waits_for_its_rotation(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=NEXT_YEAR)
    old = await seal(database, key_id)
    assert await import_into(database, key_id, B, import_type=NEW, valid_to=TOMORROW) == IMPORTED
    row = database.tables.keys[key_id]
    assert (row.current_material, row.key_state, row.valid_to) == (1, "Enabled", NEXT_YEAR)
    between = await seal(database, key_id)
    assert [envelope.parse_header(blob).material_number for blob in (old, between)] == [1, 1]
    await ask(database, RotateKeyOnDemandRequest(key_id=key_id))
    row = database.tables.keys[key_id]
    assert (row.current_material, row.key_state, row.valid_to) == (2, "Enabled", TOMORROW)
    new = await seal(database, key_id)
    assert envelope.parse_header(new).material_number == 2
    assert await opens(database, [old, between, new]) == ["secret"] * 3
    assert database.tables.materials[key_id, 2].rotation_type == "ON_DEMAND"


async def test_one_material_waits_at_a_time(database: Database) -> None:
    key_id = await key_with(database, A)
    assert await import_into(database, key_id, B, import_type=NEW) == IMPORTED
    assert await import_into(database, key_id, C, import_type=NEW) == "KMSInvalidState"
    assert await import_into(database, key_id, B, import_type=NEW) == INCORRECT
    assert await import_into(database, key_id, B, valid_to=TOMORROW) == IMPORTED
    assert database.tables.imported[key_id, 2].valid_to == TOMORROW
    assert len(database.tables.materials) == 2


async def test_material_is_named_by_its_id_or_not_at_all(database: Database) -> None:
    key_id = await key_with(database, A, B)
    id_of_a, id_of_b = (envelope.material_id(Secret(one), key_id) for one in (A, B))
    assert await import_into(database, key_id, A, key_material_id=id_of_a) == IMPORTED
    assert await import_into(database, key_id, A, key_material_id=id_of_b) == INCORRECT
    assert await import_into(database, key_id, C, key_material_id=id_of_a) == INCORRECT


async def test_two_keys_with_the_same_bytes_do_not_open_each_other_s_blobs(database: Database) -> None:
    first, second = await key_with(database, A), await key_with(database, A)
    blob = await seal(database, first)
    moved = blob[:2] + bytes.fromhex(second.replace("-", "")) + blob[18:]
    assert await opens(database, [blob, moved]) == ["secret", "InvalidCiphertextException"]
    assert await opens(database, [blob], key_id=second) == ["IncorrectKeyException"]
    assert len({row.material_id for row in database.tables.materials.values()}) == 2


async def test_material_that_comes_back_keeps_its_place_in_the_key_s_history(database: Database) -> None:
    key_id = await key_with(database, A, B)
    rotated = replace(database.tables.materials[key_id, 2], created_at=MOMENT - timedelta(days=9))
    database.tables.materials[key_id, 2] = rotated
    await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id))
    assert await import_into(database, key_id, B) == IMPORTED
    back = database.tables.materials[key_id, 2]
    assert rotated.rotation_type == "ON_DEMAND"
    assert replace(back, wrapped=None) == replace(rotated, wrapped=None)


async def test_damaged_material_comes_back_with_the_same_bytes(database: Database) -> None:
    key_id = await key_with(database, A)
    blob = await seal(database, key_id)
    stored = database.tables.materials[key_id, 1]
    database.tables.materials[key_id, 1] = replace(stored, wrapped=bytes(80))
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await import_into(database, key_id, A) == IMPORTED
    assert await opens(database, [blob]) == ["secret"]


async def test_what_is_said_of_material_is_believed_only_with_its_mac(database: Database) -> None:
    key_id = await key_with(database, A)
    said = database.tables.imported[key_id, 1]
    database.tables.imported[key_id, 1] = replace(said, material_id=envelope.material_id(Secret(B), key_id))
    lane = await change_lane(database)
    replies = await lane.run(*(request(importing(database, key_id, material)) for material in (A, B)))
    assert {reply.code for reply in replies if isinstance(reply, ErrorReply)} == {"KMSInvalidStateException"}
    assert await import_into(database, key_id, B) == "KMSInvalidState"


async def test_with_the_rows_about_its_material_deleted_a_key_takes_none(database: Database) -> None:
    key_id = add_external_key(database, KeySpec.HMAC_256).key_id
    assert await import_into(database, key_id, A) == IMPORTED
    database.tables.imported.clear()
    for material in (A, B):
        assert await import_into(database, key_id, material) == "KMSInvalidState"
        assert await import_into(database, key_id, material, import_type=NEW) == "KMSInvalidState"


async def test_a_key_waits_until_all_of_its_material_is_back(database: Database) -> None:
    key_id = await key_with(database, A, B)
    blob = await seal(database, key_id)
    ids = [database.tables.imported[key_id, number].material_id for number in (1, 2)]
    for material_id in ids:
        await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id, key_material_id=material_id))
    assert await import_into(database, key_id, B) == IMPORTED
    assert state(database, key_id) == "PendingImport"
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await code(database, EnableKeyRequest(key_id=key_id)) == "KMSInvalidState"
    assert await import_into(database, key_id, A) == IMPORTED
    assert state(database, key_id) == "Enabled"
    assert await opens(database, [blob]) == ["secret"]
