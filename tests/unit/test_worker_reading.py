"""Policies and lists, as they are read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import code_of, turn_lane
from kmsq_schemas.models import (
    DescribeKeyRequest,
    GetAccountPolicyReply,
    GetAccountPolicyRequest,
    GetKeyPolicyReply,
    GetKeyPolicyRequest,
    ListAliasesReply,
    ListAliasesRequest,
    ListKeyRotationsReply,
    ListKeyRotationsRequest,
    ListKeysReply,
    ListKeysRequest,
    Reply,
    Request,
)
from kmsq_schemas.models.enums import IncludeKeyMaterial
from kmsq_worker.errors import Unavailable


@pytest.fixture
def database() -> Database:
    return Database()


async def ask(database: Database, message: Request, **changes: Any) -> Reply:
    """Ask a fresh worker, which has nothing cached."""
    (reply,) = await (await turn_lane(database)).run(request(message, **changes))
    return reply


async def code(database: Database, message: Request, **changes: Any) -> str:
    return code_of(await ask(database, message, **changes)).removesuffix("Exception")


async def test_policies_read_as_they_were_put(database: Database) -> None:
    row = database.add_key()
    key = await ask(database, GetKeyPolicyRequest(key_id=row.key_id))
    account = await ask(database, GetAccountPolicyRequest())
    assert isinstance(key, GetKeyPolicyReply)
    assert isinstance(account, GetAccountPolicyReply)
    assert (key.policy, key.policy_name) == (row.policy, "default")
    assert account.policy == database.tables.account_policy.policy
    assert await code(database, GetKeyPolicyRequest(key_id=row.key_id, policy_name="other")) == "NotFound"
    database.add_alias("alias/a", row.key_id)
    assert await code(database, GetKeyPolicyRequest(key_id="alias/a")) == "NotFound"
    assert await code(database, DescribeKeyRequest(key_id="alias/a")) == "DescribeKeyReply"


async def test_lists_are_paged_to_their_end(database: Database) -> None:
    rows = [database.add_key(current_material=3) for _ in range(5)]
    for number in range(5):
        database.add_alias(f"alias/{number}", rows[number % 2].key_id)

    async def pages(message: Callable[..., Request], **asked: Any) -> list[Any]:
        found: list[Any] = []
        marker = None
        while True:
            reply = await ask(database, message(limit=2, marker=marker, **asked))
            assert isinstance(reply, ListKeysReply | ListAliasesReply | ListKeyRotationsReply)
            entries = next(iter(reply))[1]
            assert len(entries) <= 2
            found += entries
            marker = reply.next_marker
            if not reply.truncated:
                return found

    assert [one.key_id for one in await pages(ListKeysRequest)] == sorted(row.key_id for row in rows)
    assert [one.alias_name for one in await pages(ListAliasesRequest)] == [f"alias/{number}" for number in range(5)]
    of_one = await pages(ListAliasesRequest, key_id=rows[1].key_id)
    assert [one.alias_name for one in of_one] == ["alias/1", "alias/3"]
    rotations = await pages(ListKeyRotationsRequest, key_id=rows[0].key_id)
    everything = await pages(
        ListKeyRotationsRequest,
        key_id=rows[0].key_id,
        include_key_material=IncludeKeyMaterial.ALL_KEY_MATERIAL,
    )
    assert (len(rotations), len(everything)) == (2, 3)
    assert everything[-1].key_material_state == "CURRENT"


@pytest.mark.parametrize("message", [ListKeysRequest(), ListAliasesRequest(), GetAccountPolicyRequest()])
async def test_the_account_s_lists_and_policy_need_the_account_s_permission(
    database: Database, message: Request
) -> None:
    assert (await code(database, message)).endswith("Reply")
    assert await code(database, message, principal="bob") == "AccessDenied"


async def test_a_key_s_rotations_and_policy_need_the_key_s_permission(database: Database) -> None:
    key_id = database.add_key(creator="bob").key_id
    for message in (ListKeyRotationsRequest(key_id=key_id), GetKeyPolicyRequest(key_id=key_id)):
        assert await code(database, message) == "AccessDenied"
        assert (await code(database, message, principal="bob")).endswith("Reply")


async def test_a_marker_of_another_list_is_refused(database: Database) -> None:
    for _ in range(2):
        database.add_key()
    reply = await ask(database, ListKeysRequest(limit=1))
    assert isinstance(reply, ListKeysReply)
    assert await code(database, ListAliasesRequest(marker=reply.next_marker)) == "InvalidMarker"


async def test_an_edited_alias_is_not_listed_and_raises_the_alarm(database: Database) -> None:
    key_id = database.add_key().key_id
    for name in ("alias/a", "alias/b"):
        database.add_alias(name, key_id)
    database.tables.aliases["alias/a"] = replace(database.tables.aliases["alias/a"], key_id=database.add_key().key_id)
    lane = await turn_lane(database)
    (reply,) = await lane.run(request(ListAliasesRequest()))
    assert isinstance(reply, ListAliasesReply)
    assert [one.alias_name for one in reply.aliases] == ["alias/b"]
    assert lane.telemetry.registry.get_sample_value("kmsq_integrity_failures_total") == 1


async def test_a_database_that_is_lost_while_a_list_is_read_ends_the_lane(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(_after: str, _limit: int) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(database.reader, "list_keys", lose)
    lane = await turn_lane(database)
    with pytest.raises(ExceptionGroup) as caught:
        await lane.run(request(ListKeysRequest()))
    assert caught.group_contains(Unavailable)
    assert not lane.events
