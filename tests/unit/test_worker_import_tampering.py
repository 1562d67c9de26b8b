"""What is said of imported material: believed if it fits the key's own row, so that nothing lasts longer by an edit."""

from datetime import timedelta

import pytest

from fakes.database import MOMENT, Database
from fakes.deliveries import request
from fakes.imports import importing, key_with
from fakes.workers import change_lane, code_of
from kmsq_schemas.models import ErrorReply
from kmsq_schemas.models.enums import ImportType
from kmsq_worker.keyring import Revisions

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
