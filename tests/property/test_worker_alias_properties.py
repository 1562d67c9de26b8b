"""
Aliases and their keys agree, whatever changes them: each key's row vouches for just the aliases that point at it.

A row from before rows did so begins with the first change of its key, and is never taken for one that has no aliases.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.database import Database
from fakes.deliveries import request
from fakes.keyrings import by_id, ring, wants
from fakes.workers import change_lane
from kmsq_schemas.models import (
    CreateAliasRequest,
    DeleteAliasRequest,
    Request,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)

KEYS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(3)]
NAMES = ["alias/a", "alias/b", "alias/c"]
KEY, NAME = st.sampled_from(KEYS), st.sampled_from(NAMES)

CHANGES = st.lists(
    st.one_of(
        st.builds(lambda name, key_id: CreateAliasRequest(alias_name=name, target_key_id=key_id), NAME, KEY),
        st.builds(lambda name, key_id: UpdateAliasRequest(alias_name=name, target_key_id=key_id), NAME, KEY),
        st.builds(lambda name: DeleteAliasRequest(alias_name=name), NAME),
        st.builds(lambda key_id: UpdateKeyDescriptionRequest(key_id=key_id, description="x"), KEY),
    ),
    max_size=12,
)


async def agree(database: Database) -> None:
    """Hold what a fresh keyring believes against the tables."""
    made = await ring(database)
    view = await made.keyring.view(wants(*map(by_id, KEYS)))
    for key_id, names in database.tables.alias_names(KEYS).items():
        key = view.locate(by_id(key_id), "")
        assert key.aliases == (tuple(names) if key.row.aliases_digest else None)
    assert not made.alarms


@settings(max_examples=100)
@given(aged=st.sets(KEY), pointing=st.dictionaries(NAME, KEY), changes=CHANGES)
def test_keys_and_aliases_agree(aged: set[str], pointing: dict[str, str], changes: list[Request]) -> None:
    async def live() -> None:
        database = Database()
        for key_id in KEYS:
            database.add_key(key_id=key_id)
        for name, key_id in pointing.items():
            database.add_alias(name, key_id)
        for key_id in aged:
            database.age_key(key_id)
        for change in changes:
            before = database.epoch
            await (await change_lane(database)).run(request(change))
            settled = {subject.removeprefix("key:") for subject in database.changed_since(before)}
            aged.difference_update(settled)
            assert {key_id for key_id in KEYS if not database.tables.keys[key_id].aliases_digest} == aged
            await agree(database)

    asyncio.run(live())
