"""Rows that are not as this service wrote them: who cannot be served, who can, and who hears of it."""

from dataclasses import fields, replace
from typing import Any
from uuid import uuid4

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.keyrings import by_alias, by_id, ring, wants
from kmsq_worker.custody import Custody, Tampered, authenticate
from kmsq_worker.errors import KMSInternalException, KMSInvalidStateException, NotFoundException
from kmsq_worker.keyring import Revisions
from kmsq_worker.rootkey import RootKeyError
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import KeyRow
from kmsq_worker.view import Wanted
from kmsq_worker.wrapping import DomainKey

ALIAS = "alias/app"


@pytest.fixture
def database() -> Database:
    return Database()


KEY_EDITS: dict[str, dict[str, Any]] = {
    "key_id": {},
    "key_spec": {"key_spec": "HMAC_256"},
    "key_usage": {"key_usage": "SIGN_VERIFY"},
    "origin": {"origin": "EXTERNAL"},
    "key_state": {"key_state": "Disabled"},
    "description": {"description": "x"},
    "policy": {"policy": "{}"},
    "creation_date": {"creation_date": MOMENT.replace(year=2031)},
    "deletion_date": {"deletion_date": MOMENT},
    "pending_window_days": {"pending_window_days": 7},
    "current_material": {"current_material": 2},
    "multi_region": {"multi_region": True},
    "custom_key_store_id": {"custom_key_store_id": "cks-1"},
    "grants_digest": {"grants_digest": b"x"},
    "tags": {"tags": '{"team":"x"}'},
    "rotation_period_days": {"rotation_period_days": 90},
    "next_rotation_date": {"next_rotation_date": MOMENT},
    "expiration_model": {"expiration_model": "KEY_MATERIAL_DOES_NOT_EXPIRE"},
    "valid_to": {"valid_to": MOMENT.replace(year=2031)},
    "aliases_digest": {"aliases_digest": b""},
    "revision": {"revision": 99},
    "mac": {"mac": b""},
}


def edited(database: Database, row: KeyRow, column: str) -> KeyRow:
    """Return the row as somebody with SQL would leave it."""
    source = database.add_key() if column == "key_id" else row
    return replace(source, **{"key_id": row.key_id, **KEY_EDITS[column]})


@pytest.mark.parametrize("column", KEY_EDITS)
async def test_an_edited_key_is_unusable_and_its_neighbours_are_not(database: Database, column: str) -> None:
    row, neighbour = database.add_key(), database.add_key()
    database.add_alias(ALIAS, row.key_id)
    database.tables.keys[row.key_id] = edited(database, row, column)
    made = await ring(database)
    view = await made.keyring.view(wants(by_id(row.key_id), by_alias(ALIAS), by_id(neighbour.key_id)))
    for reference in (by_id(row.key_id), by_alias(ALIAS)):
        with pytest.raises(KMSInvalidStateException, match=f"{row.key_id} failed its integrity check") as caught:
            view.locate(reference, "text")
        assert caught.value.reason == "tampered"
    assert view.locate(by_id(neighbour.key_id), "").row == neighbour
    assert made.alarmed == [f"key:{row.key_id}"]


def test_every_column_of_a_key_is_edited_here() -> None:
    assert set(KEY_EDITS) == {field.name for field in fields(KeyRow)}


async def test_an_edited_alias_leads_nowhere_and_its_key_stays_usable(database: Database) -> None:
    row = database.add_key()
    alias = database.add_alias(ALIAS, row.key_id)
    database.tables.aliases[ALIAS] = replace(alias, creation_date=MOMENT.replace(year=2031))
    made = await ring(database)
    view = await made.keyring.view(wants(by_alias(ALIAS), by_id(row.key_id)))
    with pytest.raises(KMSInvalidStateException, match=f"{ALIAS} failed its integrity check"):
        view.locate(by_alias(ALIAS), ALIAS)
    assert view.locate(by_id(row.key_id), "").row == database.tables.keys[row.key_id]
    assert made.alarmed == [f"alias:{ALIAS}"]


async def test_an_alias_that_was_moved_by_hand_makes_both_keys_unusable(database: Database) -> None:
    row, other, neighbour = (database.add_key() for _ in range(3))
    database.tables.aliases[ALIAS] = replace(database.add_alias(ALIAS, row.key_id), key_id=other.key_id)
    made = await ring(database)
    view = await made.keyring.view(wants(by_alias(ALIAS), *(by_id(one.key_id) for one in (row, other, neighbour))))
    for reference in (by_alias(ALIAS), by_id(row.key_id), by_id(other.key_id)):
        with pytest.raises(KMSInvalidStateException, match="failed its integrity check"):
            view.locate(reference, "")
    assert view.locate(by_id(neighbour.key_id), "").row == neighbour
    assert sorted(made.alarmed) == sorted([f"alias:{ALIAS}", f"key:{row.key_id}", f"key:{other.key_id}"])


async def test_an_edited_account_policy_stops_what_needs_it_until_it_is_put_anew(database: Database) -> None:
    row = database.add_key()
    database.tables.account_policy = replace(database.tables.account_policy, policy="{}")
    made = await ring(database)
    view = await made.keyring.view(wants(by_id(row.key_id)))
    with pytest.raises(KMSInternalException, match="must put it anew"):
        view.policy()
    assert view.locate(by_id(row.key_id), "").row == row
    assert made.alarmed == ["account-policy"]
    policy = Database().tables.account_policy.policy
    database.change_account_policy(policy)
    assert (await made.keyring.view([])).policy().text == policy


async def test_a_policy_that_is_signed_and_does_not_parse_is_not_believed(database: Database) -> None:
    row = database.add_key()
    database.tables.keys[row.key_id] = database.signed(replace(row, policy="no policy"))
    made = await ring(database)
    with pytest.raises(KMSInvalidStateException):
        (await made.keyring.view(wants(by_id(row.key_id)))).locate(by_id(row.key_id), "")
    assert [error.what for error in made.alarms] == ["policy does not parse"]


@pytest.mark.parametrize("kind", ["key", "alias", "account-policy"])
async def test_a_row_that_was_rolled_back_is_not_believed(database: Database, kind: str) -> None:
    row = database.add_key()
    alias = database.add_alias(ALIAS, row.key_id)
    before = (database.tables.keys[row.key_id], alias, database.tables.account_policy)
    database.change_key(row.key_id, description="new")
    database.add_alias(ALIAS, row.key_id)
    database.change_account_policy(before[2].policy)
    revisions = Revisions()
    await (await ring(database, revisions=revisions)).keyring.view(wants(by_alias(ALIAS)))
    match kind:
        case "key":
            database.tables.keys[row.key_id] = before[0]
        case "alias":
            database.tables.aliases[ALIAS] = before[1]
        case _:
            database.tables.account_policy = before[2]
    made = await ring(database, revisions=revisions)  # a later session
    await made.keyring.view(wants(by_alias(ALIAS)))
    assert [(error.subject.partition(":")[0], error.what) for error in made.alarms] == [(kind, "rolled back")]


async def test_a_rollback_that_takes_the_change_log_along_is_seen_as_well(database: Database) -> None:
    row = database.add_key()
    database.change_key(row.key_id, description="new")
    revisions = Revisions()
    await (await ring(database, revisions=revisions)).keyring.view(wants(by_id(row.key_id)))
    database.tables.keys[row.key_id] = row
    database.tables.change_log.clear()
    made = await ring(database, revisions=revisions)
    await made.keyring.view(wants(by_id(row.key_id)))
    assert made.alarmed == [f"key:{row.key_id}"]


async def test_a_row_under_a_domain_key_made_meanwhile_is_loaded_with_it(database: Database) -> None:
    made = await ring(database)
    row = database.add_key()
    younger = database.add_domain_key()
    database.tables.keys[row.key_id] = authenticate(younger, row)
    view = await made.keyring.view(wants(by_id(row.key_id)))
    assert view.locate(by_id(row.key_id), "").key_id == row.key_id
    assert not made.alarms


@pytest.mark.parametrize("kind", ["unknown", "under another root key", "moved"])
async def test_a_row_under_a_domain_key_of_nobody_is_not_believed(database: Database, kind: str) -> None:
    """It was answered as not existing, and a domain key that does not unwrap ended the session."""
    row, neighbour = database.add_key(), database.add_key()
    made = await ring(database)
    foreign = DomainKey.generate()
    if kind == "under another root key":
        foreign = database.add_domain_key(MemoryRootKey(Secret.random(32)))
    elif kind == "moved":
        database.domain_keys.append(replace(database.domain_keys[0], domain_key_id=foreign.id))
    database.tables.keys[row.key_id] = authenticate(foreign, row)
    view = await made.keyring.view(wants(by_id(row.key_id), by_id(neighbour.key_id)))
    with pytest.raises(KMSInvalidStateException):
        view.locate(by_id(row.key_id), "")
    assert view.locate(by_id(neighbour.key_id), "").row == neighbour
    assert [(error.subject, error.what) for error in made.alarms] == [(f"key:{row.key_id}", "unknown domain key")]


async def test_nothing_is_unwrapped_before_it_is_unlocked_and_then_once(database: Database) -> None:
    row = database.add_key(current_material=2)
    made = await ring(database)
    both = [*wants(by_id(row.key_id)), Wanted(by_id(row.key_id), 1)]
    for expected in (0, 2):
        view = await made.keyring.view(both)
        key = view.locate(by_id(row.key_id), "")
        assert made.custody.unwrapped == expected
        secrets = {view.material(key, number).unlock(made.custody, key).reveal() for number in (1, 2)}
        assert (len(secrets), made.custody.unwrapped) == (2, 2)


@pytest.mark.parametrize("kind", ["copied", "flipped", "empty", "unknown domain key", "other number"])
async def test_material_that_was_moved_or_altered_does_not_unlock(database: Database, kind: str) -> None:
    row, other = database.add_key(), database.add_key(current_material=2)
    materials = database.tables.materials
    good = materials[row.key_id, 1].wrapped or b""
    spoilt = {
        "copied": materials[other.key_id, 1].wrapped,
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "empty": b"",
        "unknown domain key": good[:1] + uuid4().bytes + good[17:],
        "other number": materials[other.key_id, 2].wrapped,
    }
    target = (other.key_id, 1) if kind == "other number" else (row.key_id, 1)
    materials[target] = replace(materials[target], wrapped=spoilt[kind])
    made = await ring(database)
    view = await made.keyring.view([Wanted(by_id(row.key_id), 1), Wanted(by_id(other.key_id), 1)])
    key = view.locate(by_id(target[0]), "")
    with pytest.raises(Tampered, match=f"key:{target[0]}: material 1 does not unwrap"):
        view.material(key, 1).unlock(made.custody, key)
    neighbour = view.locate(by_id(row.key_id if target[0] == other.key_id else other.key_id), "")
    assert len(view.material(neighbour, 1).unlock(made.custody, neighbour)) == 32


async def test_an_alias_whose_key_is_gone_is_not_found(database: Database) -> None:
    row = database.add_key()
    database.add_alias(ALIAS, row.key_id)
    del database.tables.keys[row.key_id]
    made = await ring(database)
    view = await made.keyring.view(wants(by_alias(ALIAS)))
    with pytest.raises(NotFoundException, match="Alias alias/app is not found"):
        view.locate(by_alias(ALIAS), ALIAS)


async def test_custody_writes_with_the_newest_domain_key_and_reads_with_all(database: Database) -> None:
    old = database.tables.account_policy
    younger = database.add_domain_key()
    custody = await database.custody()
    assert custody.current.id == younger.id
    custody.verify(old, "account-policy")
    anew = custody.authenticate(old)
    assert anew.mac != old.mac
    custody.verify(anew, "account-policy")


async def test_custody_without_domain_keys_vouches_for_nothing(database: Database) -> None:
    database.domain_keys.clear()
    custody = await database.custody()
    with pytest.raises(Tampered, match="domain-keys: none"):
        _ = custody.current
    with pytest.raises(Tampered, match="unknown domain key"):
        custody.verify(database.tables.account_policy, "account-policy")
    with pytest.raises(Tampered, match="unknown"):
        custody.domain_key(uuid4())


async def test_a_root_key_that_is_not_this_database_s_unlocks_nothing(database: Database) -> None:
    foreign = MemoryRootKey(Secret.random(32))
    custody = Custody(account=ACCOUNT, root_key=foreign, load=database.reader.domain_keys)
    with pytest.raises(RootKeyError, match="needs root key"):
        await custody.unlock()


async def test_a_digest_recognises_its_request_alone_and_malformed_ones_nothing(database: Database) -> None:
    custody = await database.custody()
    digest = custody.digest(b"request")
    assert custody.is_digest(digest, b"request")
    database.add_domain_key()
    assert (await database.custody()).is_digest(digest, b"request"), "whichever domain key it was made under"
    for wrong in (b"", digest[:-1], digest + b"\x00", digest[:16], uuid4().bytes + digest[16:], bytes(48)):
        assert not custody.is_digest(wrong, b"request")
    assert not custody.is_digest(digest, b"Request")
