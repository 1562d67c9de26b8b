"""How imported material ends: DeleteImportedKeyMaterial, and the job for what has expired."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import request
from fakes.imports import STATES, add_external_key, ask, code, importing, key_with, opens, seal
from fakes.lanes import FakeChanges
from fakes.workers import change_lane, code_of, turn_lane
from kmsq_schemas.models import (
    DecryptRequest,
    DeleteImportedKeyMaterialReply,
    DeleteImportedKeyMaterialRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    EncryptRequest,
    RotateKeyOnDemandRequest,
)
from kmsq_schemas.models.enums import ImportType, KeyState
from kmsq_worker.change_execution import ChangeExecution, Rules
from kmsq_worker.custody import imported_subject, key_subject
from kmsq_worker.keyring import Revisions
from kmsq_worker.operations.importing import expire_when_due

DELETED, IMPORTED = "DeleteImportedKeyMaterialReply", "ImportKeyMaterialReply"
NEW = ImportType.NEW_KEY_MATERIAL
A, B, C = (bytes([letter]) * 32 for letter in b"abc")
HOUR = timedelta(hours=1)


@pytest.fixture
def database() -> Database:
    return Database()


async def delete(database: Database, key_id: str, number: int | None = None) -> str:
    material_id = None if number is None else database.tables.imported[key_id, number].material_id
    return await code(database, DeleteImportedKeyMaterialRequest(key_id=key_id, key_material_id=material_id))


async def expire(database: Database, key_id: str, now: datetime) -> bool:
    """Do the scheduler's job to one key, as its row is now."""
    events: list[tuple[str, object]] = []
    async with FakeChanges(database, events).transaction(exclusive=True) as transaction:
        execution = ChangeExecution(
            custody=await database.custody(),
            principal="kmsq-scheduler",
            situation=replace(await transaction.situation(), clock=now),
            transaction=transaction,
            revisions=Revisions(),
            rules=Rules(frozenset()),
            alarm=lambda tampered: pytest.fail(str(tampered)),
        )
        key = await execution.locate_row(database.tables.keys[key_id])
        was_due = await expire_when_due(execution, key, now)
        await transaction.log_changes(execution.epoch, sorted(execution.changed))
    return was_due


def facts(database: Database, key_id: str) -> tuple[str, list[str], list[bool]]:
    """Return a key's state, the states of its materials, and which of them are still there."""
    said = [row.import_state for (of, _), row in sorted(database.tables.imported.items()) if of == key_id]
    kept = [row.wrapped is not None for (of, _), row in sorted(database.tables.materials.items()) if of == key_id]
    return database.tables.keys[key_id].key_state, said, kept


async def test_deleted_material_is_gone_until_it_is_imported_again(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    blob = await seal(database, key_id)
    reply = await ask(database, DeleteImportedKeyMaterialRequest(key_id=key_id))
    material_id = database.tables.imported[key_id, 1].material_id
    assert reply == DeleteImportedKeyMaterialReply(key_id=ACCOUNT.key_arn(key_id), key_material_id=material_id)
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT"], [False])
    row = database.tables.keys[key_id]
    assert (row.current_material, row.expiration_model, row.valid_to) == (1, None, None)
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await code(database, EncryptRequest(key_id=key_id, plaintext=b"x")) == "KMSInvalidState"
    described = await ask(database, DescribeKeyRequest(key_id=key_id))
    assert isinstance(described, DescribeKeyReply)
    assert described.key_metadata.current_key_material_id == material_id
    assert await code(database, importing(database, key_id, B)) == "IncorrectKeyMaterial"
    assert await code(database, importing(database, key_id, A)) == IMPORTED
    assert facts(database, key_id) == ("Enabled", ["IMPORTED"], [True])
    assert await opens(database, [blob]) == ["secret"]


async def test_a_turn_that_was_decided_before_the_deletion_is_decided_anew(database: Database) -> None:
    key_id = await key_with(database, A)
    blob = await seal(database, key_id)
    before = database.tables.copy()
    await delete(database, key_id)
    after, database.tables = database.tables, before
    lane = await turn_lane(database)
    lane.committer.before.append(lambda: setattr(database, "tables", after))
    (reply,) = await lane.run(request(DecryptRequest(ciphertext_blob=blob)))
    assert code_of(reply) == "KMSInvalidStateException"
    assert lane.outcomes == ["KMSInvalidStateException"]


async def test_a_deletion_is_audited_with_what_it_wrote(database: Database) -> None:
    key_id = await key_with(database, A)
    lane = await change_lane(database)
    await lane.run(request(DeleteImportedKeyMaterialRequest(key_id=key_id)))
    said, row = database.tables.imported[key_id, 1], database.tables.keys[key_id]
    (record,) = (record for record in lane.records if record.get("operation") == "DeleteImportedKeyMaterial")
    assert record["materials"] == [1]
    assert record["wrote"] == {imported_subject(said): said.mac.hex(), key_subject(key_id): row.mac.hex()}
    custody = await database.custody()
    custody.verify(said, "imported")
    custody.verify(row, "key")


@pytest.mark.parametrize("before", STATES)
async def test_deletions_by_state(database: Database, before: KeyState) -> None:
    key_id = await key_with(database, A)
    database.change_key(key_id, key_state=before)
    assert await delete(database, key_id) == DELETED
    after = before if before is KeyState.PENDING_DELETION else KeyState.PENDING_IMPORT
    assert facts(database, key_id) == (after, ["PENDING_IMPORT"], [False])


async def test_where_there_is_nothing_to_delete_nothing_changes(database: Database) -> None:
    never, once = add_external_key(database).key_id, await key_with(database, A)
    await delete(database, once)
    before, epoch = database.tables.copy(), database.epoch
    reply = await ask(database, DeleteImportedKeyMaterialRequest(key_id=never))
    assert reply == DeleteImportedKeyMaterialReply(key_id=ACCOUNT.key_arn(never), key_material_id=None)
    reply = await ask(database, DeleteImportedKeyMaterialRequest(key_id=once))
    assert isinstance(reply, DeleteImportedKeyMaterialReply)
    assert reply.key_material_id == before.imported[once, 1].material_id
    assert (database.tables.keys, database.tables.imported, database.epoch) == (before.keys, before.imported, epoch)


async def test_older_material_can_be_deleted_by_its_id_and_the_key_waits_for_it(database: Database) -> None:
    key_id = await key_with(database, A, B)
    assert await delete(database, key_id, 1) == DELETED
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT", "IMPORTED"], [False, True])
    assert await code(database, importing(database, key_id, A)) == IMPORTED
    assert facts(database, key_id) == ("Enabled", ["IMPORTED", "IMPORTED"], [True, True])


async def test_what_is_left_of_a_key_that_is_pending_import_can_be_deleted_too(database: Database) -> None:
    key_id = await key_with(database, A, B)
    assert [await delete(database, key_id, number) for number in (1, 2)] == [DELETED] * 2
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT"] * 2, [False, False])


async def test_without_an_id_it_is_the_current_material_that_is_deleted(database: Database) -> None:
    key_id = await key_with(database, A, B)
    await code(database, importing(database, key_id, C, import_type=NEW))
    assert await delete(database, key_id) == DELETED
    assert facts(database, key_id)[2] == [True, False, True]


async def test_an_unknown_material_is_not_found(database: Database) -> None:
    key_id, other = await key_with(database, A), await key_with(database, A)
    material_id = database.tables.imported[other, 1].material_id
    for unknown in (material_id, "0" * 64):
        asked = DeleteImportedKeyMaterialRequest(key_id=key_id, key_material_id=unknown)
        assert await code(database, asked) == "NotFound"
    assert facts(database, key_id) == ("Enabled", ["IMPORTED"], [True])


async def test_material_that_only_waits_is_deleted_and_its_key_goes_on(database: Database) -> None:
    key_id = await key_with(database, A)
    await code(database, importing(database, key_id, B, import_type=NEW))
    assert await delete(database, key_id, 2) == DELETED
    assert facts(database, key_id) == ("Enabled", ["IMPORTED", "PENDING_IMPORT"], [True, False])
    assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "KMSInvalidState"
    assert await opens(database, [await seal(database, key_id)]) == ["secret"]


@pytest.mark.parametrize("import_type", [None, NEW, ImportType.EXISTING_KEY_MATERIAL])
async def test_material_that_waited_comes_back(database: Database, import_type: ImportType | None) -> None:
    key_id = await key_with(database, A)
    await code(database, importing(database, key_id, B, import_type=NEW))
    await delete(database, key_id, 2)
    assert await code(database, importing(database, key_id, B, import_type=import_type)) == IMPORTED
    assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "RotateKeyOnDemandReply"
    assert await opens(database, [await seal(database, key_id)]) == ["secret"]


async def test_other_material_takes_the_place_of_what_waited_and_is_gone(database: Database) -> None:
    key_id = await key_with(database, A)
    sent = importing(database, key_id, B, import_type=NEW, key_material_description="a mistake")
    await code(database, sent)
    await delete(database, key_id, 2)
    assert await code(database, importing(database, key_id, C)) == "IncorrectKeyMaterial"
    assert await code(database, importing(database, key_id, C, import_type=NEW)) == IMPORTED
    said, material = database.tables.imported[key_id, 2], database.tables.materials[key_id, 2]
    assert (said.description, said.material_id) == ("", material.material_id)
    await code(database, RotateKeyOnDemandRequest(key_id=key_id))
    assert await opens(database, [await seal(database, key_id)]) == ["secret"]
    row = database.tables.keys[key_id]
    assert (await database.custody()).unwrap(material, row).reveal() == C


async def test_deleting_needs_the_permission_a_key_by_its_id_and_the_origin(database: Database) -> None:
    theirs = add_external_key(database, creator="bob").key_id
    database.add_alias("alias/a", theirs)
    assert await delete(database, theirs) == "AccessDenied"
    assert await delete(database, "alias/a") == "NotFound"
    assert await delete(database, database.add_key().key_id) == "UnsupportedOperation"


async def test_expired_material_is_destroyed_when_its_time_has_come_and_not_before(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    blob, epoch = await seal(database, key_id), database.epoch
    assert not await expire(database, key_id, MOMENT + HOUR - timedelta(microseconds=1))
    assert (facts(database, key_id), database.epoch) == (("Enabled", ["IMPORTED"], [True]), epoch)
    assert await expire(database, key_id, MOMENT + HOUR)
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT"], [False])
    assert database.epoch == epoch + 1
    assert not await expire(database, key_id, MOMENT + HOUR)
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await code(database, importing(database, key_id, A)) == IMPORTED
    assert await opens(database, [blob]) == ["secret"]


async def test_of_a_key_s_materials_only_those_expire_whose_time_has_come(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    later: dict[str, Any] = {"import_type": NEW, "valid_to": MOMENT + 2 * HOUR}
    await code(database, importing(database, key_id, B, **later))
    await code(database, RotateKeyOnDemandRequest(key_id=key_id))
    await code(database, importing(database, key_id, C, import_type=NEW))
    assert database.tables.keys[key_id].valid_to == MOMENT + HOUR
    assert await expire(database, key_id, MOMENT + HOUR)
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT", "IMPORTED", "IMPORTED"], [False, True, True])
    assert database.tables.keys[key_id].valid_to == MOMENT + 2 * HOUR
    assert await expire(database, key_id, MOMENT + 3 * HOUR)
    assert facts(database, key_id)[2] == [False, False, True]


@pytest.mark.parametrize("before", STATES)
async def test_expiries_by_state(database: Database, before: KeyState) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    database.change_key(key_id, key_state=before)
    assert await expire(database, key_id, MOMENT + HOUR)
    after = before if before is KeyState.PENDING_DELETION else KeyState.PENDING_IMPORT
    assert facts(database, key_id) == (after, ["PENDING_IMPORT"], [False])


async def test_material_that_only_waits_expires_and_its_key_goes_on(database: Database) -> None:
    key_id = await key_with(database, A)
    await code(database, importing(database, key_id, B, import_type=NEW, valid_to=MOMENT + HOUR))
    assert await expire(database, key_id, MOMENT + HOUR)
    assert facts(database, key_id) == ("Enabled", ["IMPORTED", "PENDING_IMPORT"], [True, False])
    assert await code(database, importing(database, key_id, C, import_type=NEW)) == IMPORTED


def age(database: Database, key_id: str, number: int) -> None:
    """Let material have expired just now, before the scheduler has looked."""
    said = database.tables.imported[key_id, number]
    database.tables.imported[key_id, number] = database.signed(replace(said, valid_to=MOMENT))
    if number <= database.tables.keys[key_id].current_material:
        database.change_key(key_id, valid_to=MOMENT)


@pytest.mark.parametrize("before", [KeyState.ENABLED, KeyState.DISABLED])
async def test_a_key_comes_back_though_the_scheduler_never_saw_it_expire(database: Database, before: KeyState) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    blob = await seal(database, key_id)
    database.change_key(key_id, key_state=before)
    age(database, key_id, 1)
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await code(database, importing(database, key_id, A, valid_to=MOMENT + HOUR)) == IMPORTED
    assert facts(database, key_id) == ("Enabled", ["IMPORTED"], [True])
    assert await opens(database, [blob]) == ["secret"]


async def test_a_key_is_not_enabled_by_one_material_while_another_has_expired(database: Database) -> None:
    key_id = await key_with(database, A, B, valid_to=MOMENT + HOUR)
    blob = await seal(database, key_id)
    await delete(database, key_id)
    age(database, key_id, 1)
    assert await code(database, importing(database, key_id, B)) == IMPORTED
    assert await opens(database, [blob]) == ["KMSInvalidStateException"]
    assert await expire(database, key_id, MOMENT)
    assert facts(database, key_id) == ("PendingImport", ["PENDING_IMPORT", "IMPORTED"], [False, True])


async def test_what_waited_and_has_expired_gives_way_before_the_scheduler_has_looked(database: Database) -> None:
    key_id = await key_with(database, A)
    await code(database, importing(database, key_id, B, import_type=NEW, valid_to=MOMENT + HOUR))
    age(database, key_id, 2)
    assert await code(database, importing(database, key_id, C, import_type=NEW)) == IMPORTED
    row = database.tables.keys[key_id]
    assert (await database.custody()).unwrap(database.tables.materials[key_id, 2], row).reveal() == C
    assert facts(database, key_id) == ("Enabled", ["IMPORTED", "IMPORTED"], [True, True])


async def test_what_waits_is_not_rotated_to_once_it_has_expired(database: Database) -> None:
    key_id = await key_with(database, A)
    await code(database, importing(database, key_id, B, import_type=NEW, valid_to=MOMENT + HOUR))
    age(database, key_id, 2)
    assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "KMSInvalidState"
    assert facts(database, key_id) == ("Enabled", ["IMPORTED", "IMPORTED"], [True, True])
