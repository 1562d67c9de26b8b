"""
The keyring's one law, under any interleaving of changes, loads and what commits tell.

What a view says of something that has not changed beyond the view's epoch is what the database says. (A commit checks
just that, and lets nothing else pass.)
"""

import asyncio
from collections.abc import Collection
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.database import Database, FakeReader
from fakes.keyrings import Ring, by_alias, by_id, ring
from kmsq_worker.arn import KeyReferenceKind
from kmsq_worker.errors import NotFoundException
from kmsq_worker.store.reader import Loaded
from kmsq_worker.view import View, Wanted

KEYS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(2)]
ALIASES = ["alias/a", "alias/b"]
# Blobs name materials, and keys by their ids: of an alias, the current material alone is ever wanted.
BY_ID = st.builds(Wanted, st.sampled_from([by_id(key_id) for key_id in KEYS]), st.integers(0, 3))
WANTED = st.lists(
    BY_ID | st.builds(Wanted, st.sampled_from([by_alias(name) for name in ALIASES])), min_size=1, max_size=4
)
KEY, ALIAS = st.sampled_from(KEYS), st.sampled_from(ALIASES)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("describe"), KEY),
        st.tuples(st.just("rotate"), KEY),
        st.tuples(st.just("point"), ALIAS, KEY),
        st.tuples(st.just("follow"), st.integers(0, 3)),
        st.tuples(st.just("follow or forget"), st.booleans()),
        st.tuples(st.just("view"), WANTED),
        st.tuples(st.just("view slowly"), WANTED),
        st.tuples(st.just("answer"), st.integers(0, 5)),
    ),
    min_size=8,
    max_size=25,
)


class HeldReader(FakeReader):
    """Reads at once, and answers when told to: loads overtake each other and the changes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.held: list[asyncio.Event] = []
        self.holds = False

    async def load(
        self, aliases: Collection[str], key_ids: Collection[str], materials: Collection[tuple[str, int]]
    ) -> Loaded:
        loaded = await super().load(aliases, key_ids, materials)
        if self.holds:
            answer = asyncio.Event()
            self.held.append(answer)
            await answer.wait()
        return loaded


class World:
    """A database, its keyring, and the views that are being made."""

    def __init__(self, database: Database, reader: HeldReader, made: Ring) -> None:
        self.database, self.reader, self.made = database, reader, made
        self.viewing: list[asyncio.Task[View]] = []
        self.wanted: dict[asyncio.Task[View], list[Wanted]] = {}

    async def step(self, name: str, *arguments: Any) -> None:
        keyring, database = self.made.keyring, self.database
        match name, arguments:
            case "describe", (key_id,):
                database.change_key(key_id, description=str(database.epoch))
            case "rotate", (key_id,):
                database.rotate_key(key_id)
            case "point", (alias, key_id):
                database.add_alias(alias, key_id)
            case "follow", (lag,):  # a turn commits, decided at an epoch of the keyring's or before
                keyring.follow(database.epoch, database.changed_since(max(0, keyring._epoch - lag)))
            case (("view" | "view slowly"), (wanted,)):
                self.reader.holds = name == "view slowly"
                task = asyncio.create_task(keyring.view(wanted))
                self.viewing.append(task)
                self.wanted[task] = wanted
            case "answer", (which,) if self.reader.held:
                self.reader.held.pop(which % len(self.reader.held)).set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.check()

    def check(self) -> None:
        for task in [task for task in self.viewing if task.done()]:
            self.viewing.remove(task)
            for wanted in self.wanted[task]:
                self.hold_against_the_database(task.result(), wanted)
        assert not self.made.alarms

    def hold_against_the_database(self, view: View, wanted: Wanted) -> None:
        tables, changed = self.database.tables, self.database.changed_since(view.epoch)
        key_id: str | None = wanted.reference.value
        if wanted.reference.kind is KeyReferenceKind.ALIAS:
            if f"alias:{key_id}" in changed:
                return
            key_id = tables.aliases[key_id].key_id if key_id in tables.aliases else None
        try:
            key = view.locate(wanted.reference, "")
        except NotFoundException:
            assert key_id is None
            return
        assert key.key_id == key_id
        if f"key:{key_id}" in changed:
            return
        assert key.row == tables.keys[key.key_id]
        assert key.aliases == tuple(row.alias_name for row in tables.aliases_of(key.key_id))
        number = wanted.material or key.row.current_material
        if number <= key.row.current_material:
            assert view.material(key, number).material_id == tables.materials[key.key_id, number].material_id


@settings(max_examples=200)
@given(steps=STEPS)
def test_what_has_not_changed_is_as_the_database_says(steps: list[tuple[Any, ...]]) -> None:
    async def live() -> None:
        database = Database()
        for key_id in KEYS:
            database.add_key(key_id=key_id)
        database.add_alias(ALIASES[0], KEYS[0])
        reader = HeldReader(database)
        world = World(database, reader, await ring(database, loader=reader, capacity=1))
        for step in steps:
            await world.step(*step)
        while world.viewing:
            await world.step("answer", 0)

    asyncio.run(live())
