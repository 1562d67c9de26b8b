"""kms:ResourceAliases: policies that ask for a key's aliases, and what aliases that somebody edited cannot do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import encrypt, request
from fakes.grants import ALICE, BOB, code, lane_for
from fakes.tables import FakeTables
from fakes.workers import Lane, change_lane, code_of, turn_lane
from kmsq_schemas.models import (
    CreateAliasRequest,
    CreateKeyRequest,
    DeleteAliasRequest,
    DescribeKeyRequest,
    DisableKeyRequest,
    EncryptRequest,
    PutAccountPolicyRequest,
    PutKeyPolicyRequest,
    Request,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from kmsq_worker import aliased
from kmsq_worker.store.rows import AliasRow

ALIAS, OTHER_ALIAS = "alias/app", "alias/other"
IS_APP = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}}
ALL_ARE_APP = {"ForAllValues:StringLike": {"kms:ResourceAliases": "alias/app*"}}
HAS_NONE = {"Null": {"kms:ResourceAliases": "true"}}


@pytest.fixture
def database() -> Database:
    return Database()


def statement(effect: str, condition: dict[str, Any] | None, *actions: str, who: str = BOB) -> dict[str, Any]:
    asked = {"Effect": effect, "Principal": {"AWS": who}, "Action": actions, "Resource": "*"}
    return asked if condition is None else {**asked, "Condition": condition}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


ALLOWING = policy(statement("Allow", None, "kms:*", who=ALICE), statement("Allow", IS_APP, "kms:Encrypt"))
DENYING = policy(
    statement("Allow", None, "kms:*", who=ALICE),
    statement("Allow", None, "kms:Encrypt"),
    statement("Deny", IS_APP, "kms:Encrypt"),
)


def key_with(database: Database, text: str, *names: str) -> str:
    """Return a key with this policy and aliases of these names."""
    key_id = database.add_key(policy=text).key_id
    for name in names:
        database.add_alias(name, key_id)
    return key_id


def digest_of(database: Database, key_id: str) -> bytes:
    return database.tables.keys[key_id].aliases_digest


async def used(database: Database, key_id: str) -> str:
    """Return how an Encrypt of bob's ends."""
    return await code(database, EncryptRequest(key_id=key_id, plaintext=b"x"), "bob")


def alarms(lane: Lane) -> float:
    """Count what a lane's keyring and its changes reported."""
    return len(lane.ring.alarms) + (lane.telemetry.registry.get_sample_value("kmsq_integrity_failures_total") or 0)


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        (IS_APP, {(ALIAS,), (OTHER_ALIAS, ALIAS), ("alias/app-2", ALIAS)}),
        (ALL_ARE_APP, {(), (ALIAS,), ("alias/app-2", ALIAS)}),
        (HAS_NONE, {()}),
    ],
)
async def test_a_condition_sees_all_aliases_of_the_key_however_it_is_named(
    database: Database, condition: dict[str, Any], allowed: set[tuple[str, ...]]
) -> None:
    text = policy(statement("Allow", condition, "kms:Encrypt"))
    database.add_alias("alias/app-of-another-key", database.add_key().key_id)
    for names in ((), (ALIAS,), (OTHER_ALIAS,), (OTHER_ALIAS, ALIAS), ("alias/app-2", ALIAS)):
        key_id = key_with(database, text, *names)
        expected = "EncryptReply" if names in allowed else "AccessDenied"
        for name in (key_id, *names):
            assert await used(database, name) == expected


async def test_an_operation_without_a_key_has_no_aliases(database: Database) -> None:
    database.add_alias(ALIAS, database.add_key().key_id)
    for condition, expected in ((HAS_NONE, "CreateKeyReply"), (IS_APP, "AccessDenied")):
        database.change_account_policy(policy(statement("Allow", condition, "kms:CreateKey")))
        assert await code(database, CreateKeyRequest(), "bob") == expected


async def test_an_alias_that_moves_meanwhile_takes_the_permission_along(database: Database) -> None:
    key_id, other_id = key_with(database, ALLOWING, ALIAS), key_with(database, ALLOWING)
    lane = await turn_lane(database)
    lane.committer.before.append(lambda: database.add_alias(ALIAS, other_id))
    replies = await lane.run(encrypt(key_id, principal="bob"), encrypt(other_id, principal="bob"))
    assert [code_of(reply) for reply in replies] == ["AccessDeniedException", "EncryptReply"]


async def test_changes_see_the_aliases_as_they_are_now(database: Database) -> None:
    text = policy(statement("Allow", IS_APP, "kms:DisableKey"))
    key_id = key_with(database, text, ALIAS)
    assert await code(database, DisableKeyRequest(key_id=key_id), "bob") == "DisableKeyReply"
    database.add_alias(ALIAS, key_with(database, text))
    assert await code(database, DisableKeyRequest(key_id=key_id), "bob") == "AccessDenied"


async def test_every_change_of_an_alias_is_one_of_its_keys(database: Database) -> None:
    key_id, other_id = database.add_key().key_id, database.add_key().key_id
    concerned: Sequence[tuple[Request, set[str], dict[str, list[str]]]] = (
        (CreateAliasRequest(alias_name=ALIAS, target_key_id=key_id), {key_id}, {key_id: [ALIAS]}),
        (CreateAliasRequest(alias_name=OTHER_ALIAS, target_key_id=key_id), {key_id}, {key_id: [ALIAS, OTHER_ALIAS]}),
        (
            UpdateAliasRequest(alias_name=ALIAS, target_key_id=other_id),
            {key_id, other_id},
            {key_id: [OTHER_ALIAS], other_id: [ALIAS]},
        ),
        (UpdateAliasRequest(alias_name=ALIAS, target_key_id=other_id), set(), {other_id: [ALIAS]}),
        (DeleteAliasRequest(alias_name=ALIAS), {other_id}, {other_id: []}),
    )
    for message, changed, names in concerned:
        lane, before = await lane_for(database, message), database.epoch
        assert code_of((await lane.run(request(message)))[0]).endswith("Reply")
        alias_name = getattr(message, "alias_name", "")
        keys = {f"key:{one}": database.tables.keys[one].mac.hex() for one in changed}
        assert set(database.changed_since(before)) == {f"alias:{alias_name}", *keys}
        assert lane.records[0]["wrote"].items() >= keys.items()
        assert {one: digest_of(database, one) for one in names} == {
            one: aliased.digest(listed) for one, listed in names.items()
        }


Edit = Callable[[dict[str, AliasRow], str], object]
EDITS: dict[str, Edit] = {
    "deleted": lambda aliases, _: aliases.pop(ALIAS),
    "moved": lambda aliases, other_id: aliases.update({ALIAS: replace(aliases[ALIAS], key_id=other_id)}),
    "renamed": lambda aliases, _: aliases.update({"alias/x": replace(aliases.pop(ALIAS), alias_name="alias/x")}),
    "joined by another": lambda aliases, _: aliases.update({"alias/x": replace(aliases[ALIAS], alias_name="alias/x")}),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_a_denial_cannot_be_dodged_by_editing_an_alias_which_makes_the_key_unusable(
    database: Database, edit: Edit
) -> None:
    key_id, neighbour_id = key_with(database, DENYING, ALIAS), key_with(database, DENYING)
    edit(database.tables.aliases, database.add_key().key_id)
    for message in (
        EncryptRequest(key_id=key_id, plaintext=b"x"),
        DescribeKeyRequest(key_id=key_id),
        UpdateKeyDescriptionRequest(key_id=key_id, description="x"),
        CreateAliasRequest(alias_name="alias/new", target_key_id=key_id),
    ):
        lane = await lane_for(database, message)
        (reply,) = await lane.run(request(message))
        assert code_of(reply) == "KMSInvalidStateException"
        assert alarms(lane) == 1
    assert await used(database, neighbour_id) == "EncryptReply"


async def test_a_permission_cannot_be_had_by_adding_an_alias(database: Database) -> None:
    key_id, other_id = key_with(database, ALLOWING), key_with(database, ALLOWING, ALIAS)
    forged = replace(database.tables.aliases[ALIAS], key_id=key_id, alias_name="alias/app-2")
    database.tables.aliases["alias/app-2"] = forged
    assert await used(database, key_id) == "KMSInvalidState"
    assert await used(database, other_id) == "EncryptReply"


async def test_an_alias_that_is_deleted_by_hand_while_another_is_made_is_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next digest is made of what the last one vouched for, not of what the table says by then."""
    key_id = key_with(database, DENYING, ALIAS)

    async def delete_and_count(_tables: FakeTables, _key_id: str) -> int:
        database.tables.aliases.pop(ALIAS)
        return 0

    monkeypatch.setattr(FakeTables, "count_aliases", delete_and_count)  # asked for after the key's row was verified
    asked = CreateAliasRequest(alias_name=OTHER_ALIAS, target_key_id=key_id)
    assert await code(database, asked) == "CreateAliasReply"
    assert await used(database, key_id) == "KMSInvalidState"


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_aliases_of_a_row_from_before_digests_are_taken_for_the_worst_and_raise_no_alarm(
    database: Database, *, is_deleted: bool
) -> None:
    keys = {text: key_with(database, text, name) for text, name in ((ALLOWING, ALIAS), (DENYING, OTHER_ALIAS))}
    without = key_with(database, DENYING)
    for key_id in (*keys.values(), without):
        assert "aliases_digest" not in database.age_key(key_id).columns()
    if is_deleted:
        database.tables.aliases.clear()
    lane = await turn_lane(database)
    bobs = [encrypt(key_id, principal="bob") for key_id in (*keys.values(), without)]
    assert {code_of(reply) for reply in await lane.run(*bobs)} == {"AccessDeniedException"}
    assert await code(database, EncryptRequest(key_id=keys[DENYING], plaintext=b"x")) == "EncryptReply"
    assert not lane.ring.alarms


async def test_any_change_of_a_key_from_before_digests_settles_which_aliases_it_has(database: Database) -> None:
    key_id = key_with(database, ALLOWING, ALIAS)
    database.age_key(key_id)
    assert await used(database, key_id) == "AccessDenied"
    described = UpdateKeyDescriptionRequest(key_id=key_id, description="x")
    assert await code(database, described) == "UpdateKeyDescriptionReply"
    assert digest_of(database, key_id) == aliased.digest([ALIAS])
    assert await used(database, key_id) == "EncryptReply"


@pytest.mark.parametrize("forgery", [{"alias_name": "alias/forged"}, {"creation_date": MOMENT.replace(year=2031)}])
async def test_an_alias_that_does_not_vouch_for_itself_is_not_settled(
    database: Database, forgery: dict[str, Any]
) -> None:
    key_id = key_with(database, ALLOWING, OTHER_ALIAS)
    row = database.age_key(key_id)
    forged = replace(database.tables.aliases[OTHER_ALIAS], **forgery)
    database.tables.aliases[forged.alias_name] = forged
    lane = await change_lane(database)
    (reply,) = await lane.run(request(UpdateKeyDescriptionRequest(key_id=key_id, description="x")))
    assert code_of(reply) == "KMSInvalidStateException"
    assert alarms(lane) == 1
    assert database.tables.keys[key_id] == row


async def test_whoever_may_put_a_policy_by_an_alias_alone_must_have_that_alias(database: Database) -> None:
    text = policy(statement("Allow", IS_APP, "kms:*", who=ALICE))
    key_id, named_id = database.add_key().key_id, key_with(database, ALLOWING, ALIAS)
    assert await code(database, PutKeyPolicyRequest(key_id=key_id, policy=text)) == "MalformedPolicyDocument"
    assert await code(database, CreateKeyRequest(policy=text)) == "MalformedPolicyDocument"
    assert await code(database, PutKeyPolicyRequest(key_id=named_id, policy=text)) == "PutKeyPolicyReply"
    assert await code(database, DeleteAliasRequest(alias_name=ALIAS)) == "DeleteAliasReply"
    assert await code(database, PutKeyPolicyRequest(key_id=named_id, policy=text)) == "AccessDenied"


async def test_a_key_to_be_has_no_aliases(database: Database) -> None:
    alone = policy(statement("Allow", HAS_NONE, "kms:*", who=ALICE))
    assert await code(database, CreateKeyRequest(policy=alone)) == "CreateKeyReply"
    (key_id,) = database.tables.keys
    assert digest_of(database, key_id) == aliased.digest(())
    asked = CreateAliasRequest(alias_name=ALIAS, target_key_id=key_id)
    assert await code(database, asked) == "CreateAliasReply"
    assert await code(database, EncryptRequest(key_id=key_id, plaintext=b"x")) == "AccessDenied"


async def test_an_account_policy_may_ask_for_aliases(database: Database) -> None:
    own = json.loads(database.tables.account_policy.policy)["Statement"]
    text = policy(*own, statement("Deny", IS_APP, "kms:Encrypt", who=ALICE))
    assert await code(database, PutAccountPolicyRequest(policy=text)) == "PutAccountPolicyReply"
    key_id, other_id = database.add_key().key_id, database.add_key().key_id
    database.add_alias(ALIAS, key_id)
    for one, expected in ((key_id, "AccessDenied"), (other_id, "EncryptReply")):
        assert await code(database, EncryptRequest(key_id=ACCOUNT.key_arn(one), plaintext=b"x")) == expected


def test_a_digest_tells_sets_of_names_apart() -> None:
    sets: list[list[str]] = [[], ["alias/a"], ["alias/a", "alias/b"], ["alias/aalias/b"], ["alias/b"], [""]]
    assert len({aliased.digest(names) for names in sets}) == len(sets)
    assert {len(aliased.digest(names)) for names in sets} == {32}
    assert aliased.digest(["b", "a"]) == aliased.digest(["a", "b"])
