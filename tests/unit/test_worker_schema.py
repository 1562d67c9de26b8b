"""Which database a worker serves, and which it refuses."""

from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

import kmsq_worker
from kmsq_worker.arn import Account
from kmsq_worker.errors import Unavailable, ValidationException
from kmsq_worker.store.connection import Connection, translated
from kmsq_worker.store.schema import SCHEMA_VERSION, WrongDatabase, require_account, require_schema

MIGRATIONS = Path(kmsq_worker.__file__).parents[2] / "migrations"


class FakeConnection:
    """Answers one query after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def fetchval(self, _query: str) -> Any:
        return self._answers.pop(0)

    async def fetchrow(self, _query: str) -> Any:
        return self._answers.pop(0)


def answering(*answers: Any) -> Connection:
    return cast("Connection", FakeConnection(*answers))


def test_the_version_is_that_of_the_newest_migration() -> None:
    versions = sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("*.sql"))
    assert versions[-1] == SCHEMA_VERSION
    assert len(set(versions)) == len(versions)
    assert {len(version) for version in versions} == {14}, "dbmate sorts them as texts"


async def test_the_right_version_is_served() -> None:
    migrated = True
    await require_schema(answering(migrated, SCHEMA_VERSION))


@pytest.mark.parametrize(
    ("answers", "advice"),
    [
        ((False,), "at version none.*dbmate --migrations-dir migrations up"),
        ((True, None), "at version none.*dbmate"),
        ((True, "20200101000000"), "at version 20200101000000.*dbmate"),
        ((True, "29991231235959"), "migrated by a newer kmsq: run that version's workers"),
    ],
)
async def test_another_version_is_refused_with_what_to_do(answers: tuple[Any, ...], advice: str) -> None:
    with pytest.raises(WrongDatabase, match=advice):
        await require_schema(answering(*answers))


async def test_an_account_is_read_and_an_empty_database_refused_with_what_to_do() -> None:
    found = await require_account(answering({"region": "local", "account_id": "000000000000"}))
    assert found == Account(region="local", account_id="000000000000")
    with pytest.raises(WrongDatabase, match="run `kmsq-worker init"):
        await require_account(answering(None))


@pytest.mark.parametrize(
    "error",
    [asyncpg.PostgresError("canary"), asyncpg.InterfaceError("canary"), ConnectionResetError("canary"), TimeoutError()],
)
def test_what_the_driver_raises_is_unavailable_and_keeps_its_cause(error: Exception) -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise error
    assert caught.value.__cause__ is error
    assert str(caught.value) == type(error).__name__


def test_a_value_that_cannot_be_stored_is_the_request_s_fault() -> None:
    with pytest.raises(ValidationException, match="cannot be stored") as caught, translated():
        raise asyncpg.DataError("canary")
    assert "canary" not in caught.value.message


def test_other_errors_pass_the_seam_as_they_are() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("x")
