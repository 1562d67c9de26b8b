"""What the keyring keeps, what it forgets, and what it asks for."""

import asyncio
from collections.abc import Collection

import pytest

from fakes.database import Database, FakeReader
from fakes.keyrings import by_alias, by_id, ring, wants
from kmsq_worker import breath
from kmsq_worker.custody import Tampered
from kmsq_worker.errors import InvalidCiphertextException, NotFoundException
from kmsq_worker.keyring import Bounded, Revisions
from kmsq_worker.store.reader import Loaded
from kmsq_worker.view import View, Wanted

ALIAS = "alias/app"


@pytest.fixture
def database() -> Database:
    return Database()


async def test_the_first_look_loads_and_the_second_does_not(database: Database) -> None:
    row = database.add_key()
    made = await ring(database)
    for _ in range(2):
        view = await made.keyring.view(wants(by_id(row.key_id)))
        assert view.locate(by_id(row.key_id), "").row == row
    assert made.lookups == [(0, 1), (1, 0)]
    assert len(database.reader.loads) == 1


async def test_an_alias_and_the_id_behind_it_are_the_same_key(database: Database) -> None:
    row = database.add_key()
    database.add_alias(ALIAS, row.key_id)
    made = await ring(database)
    view = await made.keyring.view(wants(by_alias(ALIAS)))
    assert view.locate(by_alias(ALIAS), ALIAS).key_id == row.key_id
    view = await made.keyring.view(wants(by_id(row.key_id), by_alias(ALIAS)))
    assert made.lookups[-1] == (2, 0)
    assert view.locate(by_id(row.key_id), "") is view.locate(by_alias(ALIAS), "")


async def test_what_is_wanted_twice_is_asked_for_once_and_all_of_it_in_one_go(database: Database) -> None:
    first, second = database.add_key(), database.add_key(current_material=3)
    database.add_alias(ALIAS, first.key_id)
    made = await ring(database)
    old = Wanted(by_id(second.key_id), 1)
    await made.keyring.view([*wants(by_alias(ALIAS), by_id(second.key_id)), old, old])
    assert database.reader.loads == [({ALIAS}, {second.key_id}, {(second.key_id, 1)})]
    assert made.lookups == [(0, 3)]


async def test_nothing_wanted_still_brings_the_account_policy(database: Database) -> None:
    made = await ring(database)
    assert (await made.keyring.view([])).policy().text == database.tables.account_policy.policy
    (await made.keyring.view([])).policy()
    assert len(database.reader.loads) == 1


async def test_what_does_not_exist_is_not_found_and_looked_for_again_next_time(database: Database) -> None:
    made = await ring(database)
    missing = "00000000-0000-0000-0000-000000000000"
    for reference, text in ((by_alias(ALIAS), ALIAS), (by_id(missing), missing)):
        view = await made.keyring.view(wants(reference))
        with pytest.raises(NotFoundException, match=text):
            view.locate(reference, text)
    row = database.add_key(key_id=missing)
    assert (await made.keyring.view(wants(by_id(missing)))).locate(by_id(missing), "").row == row
    assert not made.alarms


async def test_old_material_is_loaded_when_a_blob_names_it(database: Database) -> None:
    row = database.add_key(current_material=3)
    made = await ring(database)
    await made.keyring.view(wants(by_id(row.key_id)))
    for hits in (0, 1):
        view = await made.keyring.view([Wanted(by_id(row.key_id), 2)])
        key = view.locate(by_id(row.key_id), "")
        assert view.material(key, 2).number == 2
        assert made.lookups[-1] == (hits, 1 - hits)


@pytest.mark.parametrize("number", [0, 4, 2**31 - 1, 2**31, 2**32 - 1])
async def test_material_that_a_key_never_had_makes_a_ciphertext_invalid(database: Database, number: int) -> None:
    """A blob may name any 32-bit number; the database's driver refuses those beyond 31 bits: a worker died of it."""
    row = database.add_key(current_material=3)
    made = await ring(database)
    for _ in range(2):  # before the key is known, and when it is
        view = await made.keyring.view([Wanted(by_id(row.key_id), number)])
        with pytest.raises(InvalidCiphertextException):
            view.material(view.locate(by_id(row.key_id), ""), number)


async def test_the_keyring_is_bounded_and_forgets_what_was_used_least_recently(database: Database) -> None:
    rows = [database.add_key() for _ in range(4)]
    made = await ring(database, capacity=3)
    for row in (*rows[:3], rows[0], rows[3]):
        await made.keyring.view(wants(by_id(row.key_id)))
    made.lookups.clear()
    for row in (rows[0], rows[2], rows[3], rows[1]):
        await made.keyring.view(wants(by_id(row.key_id)))
    assert made.lookups == [(1, 0), (1, 0), (1, 0), (0, 1)]
    assert max(len(made.keyring._keys), len(made.keyring._materials)) == 3


async def test_a_full_keyring_still_serves_more_keys_than_it_holds(database: Database) -> None:
    rows = [database.add_key() for _ in range(5)]
    made = await ring(database, capacity=2)
    view = await made.keyring.view(wants(*(by_id(row.key_id) for row in rows)))
    for row in rows:
        assert view.material(view.locate(by_id(row.key_id), ""), 1).number == 1


async def test_following_the_epoch_drops_exactly_what_changed(database: Database) -> None:
    first, second = database.add_key(), database.add_key()
    database.add_alias("alias/first", first.key_id)
    database.add_alias("alias/second", second.key_id)
    everything = wants(by_alias("alias/first"), by_alias("alias/second"))
    made = await ring(database)
    await made.keyring.view(everything)
    changed = database.change_key(first.key_id, description="new")
    made.keyring.follow(database.epoch, database.changed_since(2))
    view = await made.keyring.view(everything)
    assert made.lookups[-1] == (1, 1)
    assert view.locate(by_alias("alias/first"), "").row == changed
    assert view.epoch == database.epoch == 3
    for subject in ("alias:alias/second", "key:of-nobody", "alias:alias/of-nobody", "something:else"):
        database.note_change(subject)
    made.keyring.follow(database.epoch, database.changed_since(3))
    await made.keyring.view(wants(by_id(second.key_id), by_alias("alias/second")))
    assert made.lookups[-1] == (1, 1)
    loads = len(database.reader.loads)
    made.keyring.follow(database.note_change("account-policy"), ["account-policy"])
    await made.keyring.view(everything)
    assert made.lookups[-1] == (2, 0)
    assert len(database.reader.loads) == loads + 1


async def test_an_alias_that_moved_leads_to_its_new_key(database: Database) -> None:
    first, second = database.add_key(), database.add_key()
    database.add_alias(ALIAS, first.key_id)
    made = await ring(database)
    await made.keyring.view(wants(by_alias(ALIAS)))
    database.add_alias(ALIAS, second.key_id)
    made.keyring.follow(database.epoch, database.changed_since(1))
    view = await made.keyring.view(wants(by_alias(ALIAS)))
    assert view.locate(by_alias(ALIAS), "").key_id == second.key_id


async def test_a_keyring_that_is_too_far_behind_forgets_everything(database: Database) -> None:
    row = database.add_key()
    database.add_alias(ALIAS, row.key_id)
    made = await ring(database)
    await made.keyring.view(wants(by_alias(ALIAS)))
    made.keyring.forget(20_000)
    view = await made.keyring.view(wants(by_alias(ALIAS)))
    assert made.lookups[-1] == (0, 1)
    assert view.epoch == 20_000


async def test_the_epoch_never_goes_back(database: Database) -> None:
    made = await ring(database)
    made.keyring.follow(7, [])
    made.keyring.follow(5, [])
    made.keyring.forget(6)
    assert (await made.keyring.view([])).epoch == 7


class SlowReader(FakeReader):
    """A reader whose answer arrives when `answer` is set."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def load(
        self, aliases: Collection[str], key_ids: Collection[str], materials: Collection[tuple[str, int]]
    ) -> Loaded:
        loaded = await super().load(aliases, key_ids, materials)
        self.asked.set()
        await self.answer.wait()
        return loaded


async def test_a_load_that_a_change_overtook_serves_its_view_and_is_not_kept(database: Database) -> None:
    row = database.add_key()
    slow = SlowReader(database)
    made = await ring(database, loader=slow)
    viewing = asyncio.create_task(made.keyring.view(wants(by_id(row.key_id))))
    await slow.asked.wait()
    changed = database.change_key(row.key_id, key_state="Disabled")
    made.keyring.follow(database.epoch, database.changed_since(0))
    slow.answer.set()
    view = await viewing
    assert view.locate(by_id(row.key_id), "").row == row
    assert view.epoch == 0  # so that its commit is refused
    view = await made.keyring.view(wants(by_id(row.key_id)))
    assert view.locate(by_id(row.key_id), "").row == changed
    assert view.epoch == 1


async def test_loads_that_overtake_each_other_raise_no_alarm(database: Database) -> None:
    """The older row arrives after the newer one has been seen: nothing was rolled back."""
    row = database.add_key()
    revisions = Revisions()
    slow = SlowReader(database)
    late = await ring(database, loader=slow, revisions=revisions)
    viewing = asyncio.create_task(late.keyring.view(wants(by_id(row.key_id))))
    await slow.asked.wait()
    database.change_key(row.key_id, description="new")
    quick = await ring(database, revisions=revisions)
    await quick.keyring.view(wants(by_id(row.key_id)))
    slow.answer.set()
    assert (await viewing).locate(by_id(row.key_id), "").row == row
    assert not late.alarms


def test_a_revision_that_goes_back_is_tampering() -> None:
    revisions = Revisions()
    for revision in (3, 3, 5):
        revisions.check("key:x", revision, newest=revisions.newest)
    revisions.check("key:y", 1, newest=revisions.newest)
    with pytest.raises(Tampered, match=r"key:x: rolled back"):
        revisions.check("key:x", 4, newest=revisions.newest)
    revisions.check("key:x", 4, newest=4)  # read before revision 5 was known to exist
    with pytest.raises(Tampered):
        revisions.check("key:x", 4, newest=revisions.newest)


def test_revisions_remember_as_many_subjects_as_they_may() -> None:
    revisions = Revisions(capacity=2)
    for subject in ("a", "b", "c"):
        revisions.check(subject, 9, newest=revisions.newest)
    revisions.check("a", 1, newest=revisions.newest)
    with pytest.raises(Tampered):
        revisions.check("c", 1, newest=revisions.newest)


def test_a_bounded_map_forgets_what_was_used_least_recently() -> None:
    bounded: Bounded[str, int] = Bounded(2)
    bounded.keep("a", 1)
    bounded.keep("b", 2)
    assert bounded.use("a") == 1
    bounded.keep("c", 3)
    assert (bounded.use("a"), bounded.use("b"), bounded.use("c")) == (1, None, 3)
    bounded.keep("a", 4)
    bounded.keep("d", 5)
    assert list(bounded.items()) == [("a", 4), ("d", 5)]


def test_a_view_without_an_account_policy_authorises_nothing() -> None:
    with pytest.raises(Exception, match="account policy failed its integrity check"):
        View(0).policy()


async def test_others_run_between_the_keys_that_a_view_loads(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breath, "BREATH_SECONDS", -1)
    rows = [database.add_key() for _ in range(10)]
    viewing = asyncio.create_task((await ring(database)).keyring.view(wants(*(by_id(row.key_id) for row in rows))))
    pauses = 0
    while not viewing.done():
        await asyncio.sleep(0)
        pauses += 1
    assert len(viewing.result().keys) == len(rows)
    assert pauses >= len(rows)
