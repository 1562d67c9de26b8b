"""Rows that were edited so that they do not even read: refused like every other edited row, and nobody else's matter."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from fakes.auditors import FakeAuditor, Log
from fakes.database import Database
from fakes.deliveries import encrypt, request
from fakes.workers import change_lane, code_of, turn_lane
from kmsq_schemas.models import DisableKeyRequest
from kmsq_worker.verification import Verification

Edit = Callable[[Database, str], None]


def in_grant(**columns: Any) -> Edit:
    def edit(database: Database, key_id: str) -> None:
        database.tables.grants = {
            grant_id: replace(row, **columns) if row.key_id == key_id else row
            for grant_id, row in database.tables.grants.items()
        }

    return edit


def in_key(**columns: Any) -> Edit:
    def edit(database: Database, key_id: str) -> None:
        database.tables.keys[key_id] = replace(database.tables.keys[key_id], **columns)

    return edit


EDITS = {
    "constraints that are no JSON": in_grant(constraints="x"),
    "constraints that are no object": in_grant(constraints="[1]"),
    "NULL among the operations": in_grant(operations=[None]),
    "operations of two dimensions": in_grant(operations=[["Encrypt"], ["Decrypt"]]),
    "a grant made in infinity": in_grant(creation_date=datetime.max),  # as the driver reads it  # noqa: DTZ901
    "a key made in infinity": in_key(creation_date=datetime.max),  # noqa: DTZ901  # as above
    "tags that are no JSON": in_key(tags="x"),
}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture(params=list(EDITS))
def edited(request: pytest.FixtureRequest, database: Database) -> str:
    """Return a key of alice's, on which bob has a grant, after an edit."""
    key_id = database.add_key().key_id
    database.add_grant(key_id, "bob", "Encrypt")
    EDITS[request.param](database, key_id)
    return key_id


async def test_a_turn_refuses_it_and_serves_its_neighbours(database: Database, edited: str) -> None:
    lane = await turn_lane(database)
    replies = await lane.run(encrypt(edited), encrypt(database.add_key().key_id))
    assert [code_of(reply) for reply in replies] == ["KMSInvalidStateException", "EncryptReply"]
    assert lane.ring.alarmed == [f"key:{edited}"]


async def test_a_change_refuses_it(database: Database, edited: str) -> None:
    (reply,) = await (await change_lane(database)).run(request(DisableKeyRequest(key_id=edited)))
    assert code_of(reply) == "KMSInvalidStateException"


async def test_audit_verify_reports_it(database: Database, edited: str) -> None:
    auditor, custody = FakeAuditor(Log(database)), await database.custody()
    report = await Verification(auditor=auditor, custody=custody, progress=lambda *_: None).run()
    assert report.problems == [f"key:{edited}: row MAC"]
