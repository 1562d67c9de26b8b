"""`audit verify`: silent about a sound log, and naming what was done to one that is not."""

from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest

from fakes.auditors import FakeAuditor, Log
from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import change_lane, turn_lane
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyRequest,
    DeleteAliasRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    GenerateRandomRequest,
    Request,
    RotateKeyOnDemandRequest,
    UpdateKeyDescriptionRequest,
)
from kmsq_worker.audit import StoredRecord, encode_record
from kmsq_worker.verification import PROBLEMS_MAX, Report, Verification


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


async def made(log: Log, *messages: Request) -> list[bytes]:
    """Let a worker make changes; return the records, which are in a chain of their own."""
    lane = await change_lane(log.database)
    await lane.run(*map(request, messages))
    records = [what for _, what in lane.events if isinstance(what, bytes)]
    log.open(*records)
    return records


async def verify(log: Log) -> Report:
    auditor = FakeAuditor(log)
    progress: list[tuple[int, int, int]] = []
    verification = Verification(
        auditor=auditor,
        custody=await log.database.custody(),
        progress=lambda chain, chains, records: progress.append((chain, chains, records)),
    )
    report = await verification.run()
    assert [number for number, _, _ in progress] == list(range(1, len(log.chains) + 1))
    return report


async def problems(log: Log) -> list[str]:
    return (await verify(log)).problems


async def key_of(log: Log) -> str:
    """Let a key be created and changed; return its id."""
    before = set(log.database.tables.keys)
    await made(log, CreateKeyRequest())
    (key_id,) = set(log.database.tables.keys) - before
    return key_id


async def test_a_new_database_is_sound(log: Log) -> None:
    report = await verify(log)
    assert (report.problems, report.chains, report.records, report.rows) == ([], 1, 1, 1)


async def test_what_a_worker_did_is_sound(log: Log) -> None:
    key_id = await key_of(log)
    await made(
        log,
        CreateAliasRequest(alias_name="alias/a", target_key_id=key_id),
        CreateAliasRequest(alias_name="alias/b", target_key_id=key_id),
        RotateKeyOnDemandRequest(key_id=key_id),
        DisableKeyRequest(key_id=key_id),
        EnableKeyRequest(key_id=key_id),
        DeleteAliasRequest(alias_name="alias/b"),
    )
    lane = await turn_lane(log.database)
    await lane.run(request(GenerateRandomRequest(number_of_bytes=1)))
    log.open(*(what for _, what in lane.events if isinstance(what, bytes)), lane="crypto")
    report = await verify(log)
    assert report.problems == []
    assert (report.chains, report.records, report.rows) == (4, 12, 3)


async def test_changes_that_failed_are_sound(log: Log) -> None:
    """Their records named rows that were never written."""
    key_id = await key_of(log)
    await made(
        log, UpdateKeyDescriptionRequest(key_id=key_id, description="\x00"), CreateKeyRequest(description="\x00")
    )
    await made(log, DisableKeyRequest(key_id="00000000-0000-0000-0000-000000000000"))
    assert await problems(log) == []


async def test_a_key_disabled_by_another_worker_at_the_epoch_after_its_creation_is_sound(log: Log) -> None:
    """The record of its creation claimed that epoch, too; whichever chain came last was believed."""
    creating = await change_lane(log.database)
    await creating.run(request(CreateKeyRequest()))
    (key_id,) = log.database.tables.keys
    await made(log, DisableKeyRequest(key_id=key_id))
    log.open(*(what for _, what in creating.events if isinstance(what, bytes)))
    assert await problems(log) == []


@pytest.mark.parametrize("kind", ["edited", "removed", "cut off", "swapped"])
async def test_records_that_were_tampered_with_are_found(log: Log, kind: str) -> None:
    chain_id = log.open(b'{"a":1}', b'{"a":2}', b'{"a":3}')
    assert await problems(log) == []
    one, two, three = log.records[chain_id]
    log.records[chain_id] = {
        "edited": [one, replace(two, record=b'{"a":9}'), three],
        "removed": [one, three],
        "cut off": [one, two],
        "swapped": [two, one, three],
    }[kind]
    (problem,) = await problems(log)
    assert problem.startswith(f"chain {chain_id}: ")


async def test_chains_that_vanished_or_were_smuggled_in_are_found(log: Log) -> None:
    gone = log.open(b"{}")
    del log.chains[gone]
    foreign = uuid4()
    log.append(foreign, "crypto", [b"{}"])
    log.orphans = 7
    assert await problems(log) == [
        f"chain {gone}: it was opened and is gone",
        f"chain {foreign}: the registry does not know it",
        "7 records belong to no chain",
    ]


async def test_a_registry_that_is_gone_is_found(log: Log) -> None:
    log.chains.clear()
    assert (await problems(log))[0] == "the registry chain is missing"


async def test_a_chain_under_a_domain_key_of_nobody_is_found(log: Log) -> None:
    chain_id = log.open(b"{}")
    nobody = uuid4()
    log.chains[chain_id] = replace(log.chains[chain_id], domain_key_id=nobody)
    assert await problems(log) == [f"domain-key:{nobody}: unknown"]


async def test_a_registry_record_that_was_added_by_hand_is_found_and_those_before_it_are_believed(log: Log) -> None:
    """One bad record made everything of its batch unheard of."""
    log.open(b"{}")
    log.records[log.registry].append(StoredRecord(3, b'{"event":"ChainOpened","chain":"x"}', bytes(32)))
    (problem,) = await problems(log)
    assert "record 3 was altered" in problem


@pytest.mark.parametrize("kind", ["edited", "rolled back", "gone", "smuggled in", "other material", "no material"])
async def test_rows_that_were_tampered_with_are_found(log: Log, kind: str) -> None:
    key_id = await key_of(log)
    tables = log.database.tables
    before = tables.keys[key_id]
    await made(log, DisableKeyRequest(key_id=key_id))
    subject = f"key:{key_id}"
    match kind:
        case "edited":
            tables.keys[key_id] = replace(tables.keys[key_id], key_state="Enabled")
            expected = [f"{subject}: row MAC"]
        case "rolled back":
            tables.keys[key_id] = before
            expected = [f"{subject}: it is not what the last audited change wrote (rolled back?)"]
        case "gone":
            del tables.keys[key_id]
            expected = [f"{subject}: its row is gone"]
        case "smuggled in":
            row = log.database.add_key()
            expected = [f"key:{row.key_id}: no audited change wrote it"]
        case "other material":
            other = log.database.add_key().key_id
            tables.materials[key_id, 1] = replace(tables.materials[other, 1], key_id=key_id)
            del tables.keys[other]
            expected = [f"{subject}: material 1 does not unwrap"]
        case _:
            del tables.materials[key_id, 1]
            expected = [f"{subject}: material 1 is gone"]
    assert await problems(log) == expected


async def test_a_deleted_alias_that_came_back_is_found(log: Log) -> None:
    key_id = await key_of(log)
    await made(log, CreateAliasRequest(alias_name="alias/a", target_key_id=key_id))
    alias = log.database.tables.aliases["alias/a"]
    await made(log, DeleteAliasRequest(alias_name="alias/a"))
    log.database.tables.aliases["alias/a"] = alias
    assert await problems(log) == [
        f"key:{key_id}: aliases were added or removed",
        "alias:alias/a: it is not what the last audited change wrote (rolled back?)",
    ]


async def test_an_alias_that_was_deleted_by_hand_is_found(log: Log) -> None:
    key_id = await key_of(log)
    await made(log, CreateAliasRequest(alias_name="alias/a", target_key_id=key_id))
    del log.database.tables.aliases["alias/a"]
    assert await problems(log) == [f"key:{key_id}: aliases were added or removed", "alias:alias/a: its row is gone"]


async def test_a_key_whose_row_is_from_before_digests_of_aliases_is_sound(log: Log) -> None:
    key_id = log.database.add_key().key_id
    alias = log.database.add_alias("alias/a", key_id)
    wrote = {f"key:{key_id}": log.database.age_key(key_id).mac.hex(), "alias:alias/a": alias.mac.hex()}
    log.open(encode_record({"epoch": alias.revision, "wrote": wrote}))
    assert await problems(log) == []
    await made(log, CreateAliasRequest(alias_name="alias/b", target_key_id=key_id))
    assert await problems(log) == []


async def test_a_month_that_was_dropped_is_reported_and_no_problem(log: Log) -> None:
    await key_of(log)
    log.drop_month()
    report = await verify(log)
    assert (report.problems, report.dropped_months) == ([], {"2027-01"})


async def test_records_are_not_dropped_with_a_month_that_somebody_wrote_beside_their_chain(log: Log) -> None:
    chain_id = log.open(b"{}")
    log.records[chain_id] = []
    log.chains[chain_id] = replace(log.chains[chain_id], month=date(2020, 1, 1))
    assert await problems(log) == [f"chain {chain_id}: the head says 1 records, 0 are there"]


async def test_a_dropped_month_does_not_excuse_a_forged_head(log: Log) -> None:
    chain_id = log.open(b"{}")
    log.drop_month()
    log.chains[chain_id] = replace(log.chains[chain_id], head_sequence=9)
    assert await problems(log) == [f"chain {chain_id}: the head says 9 records, 0 are there"]


async def test_records_that_are_gone_from_a_month_that_is_there_are_a_problem(log: Log) -> None:
    chain_id = log.open(b"{}")
    log.records[chain_id] = []
    assert await problems(log) == [f"chain {chain_id}: the head says 1 records, 0 are there"]


async def test_a_report_has_an_end(log: Log) -> None:
    report = Report()
    for _ in range(PROBLEMS_MAX + 5):
        report.add("x")
    assert len(report.problems) == PROBLEMS_MAX
    assert await problems(log) == []
