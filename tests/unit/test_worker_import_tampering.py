"""What is said of imported material: believed if it fits the key's own row, so that nothing lasts longer by an edit."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fakes.auditors import FakeAuditor, Log
from fakes.database import MOMENT, Database
from fakes.deliveries import encrypt, request
from fakes.imports import importing, key_with
from fakes.workers import Lane, change_lane, code_of, turn_lane
from kmsq_schemas.models import DeleteImportedKeyMaterialRequest, ErrorReply
from kmsq_schemas.models.enums import ImportType
from kmsq_worker.keyring import Revisions
from kmsq_worker.store.reader import Loaded
from kmsq_worker.verification import Verification

A, B = (bytes([letter]) * 32 for letter in b"ab")
HOUR = timedelta(hours=1)


@pytest.fixture
def database() -> Database:
    return Database()


async def import_into(database: Database, key_id: str, material: bytes, revisions: Revisions) -> str:
    """Import further material, or the same again, at a worker that remembers `revisions`."""
    sent = importing(database, key_id, material, import_type=None if material is A else ImportType.NEW_KEY_MATERIAL)
    (reply,) = await (await change_lane(database, revisions=revisions)).run(request(sent))
    return reply.message if isinstance(reply, ErrorReply) else code_of(reply)


def alarms(lane: Lane) -> float:
    return lane.telemetry.registry.get_sample_value("kmsq_integrity_failures_total") or 0


async def test_a_row_that_was_deleted_does_not_make_a_key_s_material_last(database: Database) -> None:
    key_id = await key_with(database, A, valid_to=MOMENT + HOUR)
    before = database.tables.keys[key_id]
    database.tables.imported.clear()
    assert "integrity" in await import_into(database, key_id, B, Revisions())
    assert database.tables.keys[key_id] == before


async def test_an_older_row_does_not_make_a_key_s_material_last(database: Database) -> None:
    key_id = await key_with(database, A)
    older = dict(database.tables.imported)
    again = importing(database, key_id, A, valid_to=MOMENT + HOUR)
    await (await change_lane(database)).run(request(again))
    before = database.tables.keys[key_id]
    assert before.valid_to == MOMENT + HOUR
    database.tables.imported |= older
    assert "integrity" in await import_into(database, key_id, B, Revisions())
    assert database.tables.keys[key_id] == before


async def test_an_older_row_is_noticed_by_whoever_saw_the_newer_one(database: Database) -> None:
    key_id = await key_with(database, A)
    older, revisions = dict(database.tables.imported), Revisions()
    for _ in range(2):
        assert await import_into(database, key_id, A, revisions) == "ImportKeyMaterialReply"
    database.tables.imported |= older
    assert "integrity" in await import_into(database, key_id, A, revisions)
    assert await import_into(database, key_id, A, Revisions()) == "ImportKeyMaterialReply"


async def test_material_destroyed_while_a_turn_with_it_is_decided_is_no_reason_for_an_alarm(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = await key_with(database, A)
    lane = await turn_lane(database)
    load = database.reader.load

    async def interrupted(*wanted: Any) -> Loaded:
        """Read materials in a statement of their own, as the real reader does, after a change."""
        loaded = await load(*wanted)
        monkeypatch.undo()
        await (await change_lane(database)).run(request(DeleteImportedKeyMaterialRequest(key_id=key_id)))
        return replace(loaded, materials=[database.tables.materials[key_id, 1]])

    monkeypatch.setattr(database.reader, "load", interrupted)
    (reply,) = await lane.run(encrypt(key_id))
    assert isinstance(reply, ErrorReply)
    assert reply.message.endswith("is pending import.")
    assert (lane.steps[0], alarms(lane)) == ("committed", 0)


async def test_material_that_somebody_destroyed_by_hand_is_a_reason_for_an_alarm(database: Database) -> None:
    key_id = await key_with(database, A)
    database.tables.materials[key_id, 1] = replace(database.tables.materials[key_id, 1], wrapped=None)
    lane = await turn_lane(database)
    (reply,) = await lane.run(encrypt(key_id))
    assert isinstance(reply, ErrorReply)
    assert reply.message.endswith("failed its integrity check.")
    assert alarms(lane) == 1


async def problems(database: Database, key_id: str) -> set[str]:
    """Return what `audit verify` says of a key but that no audited change wrote it: there was no audit log."""
    custody = await database.custody()
    verification = Verification(auditor=FakeAuditor(Log(database)), custody=custody, progress=lambda *_: None)
    said = {line for line in (await verification.run()).problems if not line.endswith("no audited change wrote it")}
    return {line.removeprefix(f"key:{key_id}: ") for line in said}


async def test_destroyed_material_that_is_back_without_an_import_is_not_used_and_audit_verify_says_so(
    database: Database,
) -> None:
    key_id = await key_with(database, A)
    kept = database.tables.materials[key_id, 1]
    await (await change_lane(database)).run(request(DeleteImportedKeyMaterialRequest(key_id=key_id)))
    assert await problems(database, key_id) == set()
    database.tables.materials[key_id, 1] = kept
    (reply,) = await (await turn_lane(database)).run(encrypt(key_id))
    assert code_of(reply) == "KMSInvalidStateException"
    assert await problems(database, key_id) == {"material 1 was destroyed and is back"}


async def test_material_is_not_given_out_under_another_id(database: Database) -> None:
    key_id = await key_with(database, A)
    database.tables.materials[key_id, 1] = replace(database.tables.materials[key_id, 1], material_id="0" * 64)
    lane = await turn_lane(database)
    (reply,) = await lane.run(encrypt(key_id))
    assert code_of(reply) == "KMSInvalidStateException"
    assert alarms(lane) == 1
    assert await problems(database, key_id) == {"material 1 has another id"}
