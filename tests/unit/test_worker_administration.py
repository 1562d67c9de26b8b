"""What each change does to rows, and when it does not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import request
from fakes.workers import change_lane, code_of
from kmsq_schemas import limits
from kmsq_schemas.models import (
    CancelKeyDeletionRequest,
    CreateAliasRequest,
    CreateKeyReply,
    CreateKeyRequest,
    DeleteAliasRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    PutAccountPolicyRequest,
    PutKeyPolicyRequest,
    Reply,
    Request,
    RotateKeyOnDemandRequest,
    ScheduleKeyDeletionReply,
    ScheduleKeyDeletionRequest,
    UpdateAliasRequest,
    UpdateKeyDescriptionRequest,
)
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage, Origin
from kmsq_schemas.models.tags import Tag
from kmsq_worker.policy.defaults import default_key_policy, initial_account_policy

NOBODY = default_key_policy(ACCOUNT.user_arn("nobody"), ())


@pytest.fixture
def database() -> Database:
    return Database()


async def ask(database: Database, message: Request, **changes: Any) -> Reply:
    """Make one change."""
    (reply,) = await (await change_lane(database)).run(request(message, **changes))
    return reply


async def code(database: Database, message: Request, **changes: Any) -> str:
    return code_of(await ask(database, message, **changes)).removesuffix("Exception")


def administering(key_id: str) -> dict[str, Request]:
    return {
        "enable": EnableKeyRequest(key_id=key_id),
        "disable": DisableKeyRequest(key_id=key_id),
        "describe": UpdateKeyDescriptionRequest(key_id=key_id, description="new"),
        "rotate": RotateKeyOnDemandRequest(key_id=key_id),
        "schedule": ScheduleKeyDeletionRequest(key_id=key_id),
        "cancel": CancelKeyDeletionRequest(key_id=key_id),
        "alias": CreateAliasRequest(alias_name="alias/new", target_key_id=key_id),
        "policy": PutKeyPolicyRequest(key_id=key_id, policy=default_key_policy(ACCOUNT.user_arn("alice"), ())),
    }


INVALID, DISABLED = "KMSInvalidState", "Disabled"


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        (KeyState.ENABLED, {"cancel": INVALID}),
        (KeyState.DISABLED, {"cancel": INVALID, "rotate": DISABLED}),
        (
            KeyState.PENDING_DELETION,
            dict.fromkeys(["enable", "disable", "describe", "rotate", "schedule", "alias"], INVALID),
        ),
    ],
)
@pytest.mark.parametrize("change", administering("x"))
async def test_changes_by_state(database: Database, state: KeyState, refused: dict[str, str], change: str) -> None:
    row = database.add_key(key_state=state)
    found = await code(database, administering(row.key_id)[change])
    assert found == refused.get(change, found)
    assert found.endswith("Reply") is (change not in refused)
    assert database.epoch == (change not in refused)


@pytest.mark.parametrize("change", administering("x"))
async def test_each_change_needs_its_permission_a_key_that_exists_and_no_alias(database: Database, change: str) -> None:
    theirs = database.add_key(creator="bob").key_id
    database.add_alias("alias/a", theirs)
    assert await code(database, administering(theirs)[change]) == "AccessDenied"
    assert await code(database, administering("00000000-0000-0000-0000-000000000000")[change]) == "NotFound"
    assert await code(database, administering("alias/a")[change]) == "NotFound"
    assert await code(database, administering("arn:aws:kms:local:000000000000:key/x")[change]) == "InvalidArn"
    assert database.epoch == 1


async def test_a_key_begins_as_it_was_asked_for_and_its_creator_may_do_everything(database: Database) -> None:
    reply = await ask(database, CreateKeyRequest(description="what for"))
    assert isinstance(reply, CreateKeyReply)
    (row,) = database.tables.keys.values()
    (material,) = database.tables.materials.values()
    assert (row.description, row.key_state, row.current_material) == ("what for", "Enabled", 1)
    assert row.policy == default_key_policy(ACCOUNT.user_arn("alice"), [ACCOUNT.user_arn("root")])
    assert reply.key_metadata.current_key_material_id == material.material_id
    assert len(await _secret(database, row.key_id)) == 32


async def _secret(database: Database, key_id: str) -> bytes:
    row = database.tables.keys[key_id]
    material = database.tables.materials[key_id, row.current_material]
    return (await database.custody()).unwrap(material, row).reveal()


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"key_spec": KeySpec.RSA_2048, "key_usage": KeyUsage.SIGN_VERIFY}, "CreateKeyReply"),
        ({"key_spec": KeySpec.SM2, "key_usage": KeyUsage.SIGN_VERIFY}, "UnsupportedOperation"),
        ({"key_spec": KeySpec.ML_KEM_512, "key_usage": KeyUsage.ENCAPSULATE_DECAPSULATE}, "UnsupportedOperation"),
        ({"origin": Origin.EXTERNAL}, "CreateKeyReply"),
        ({"origin": Origin.AWS_CLOUDHSM}, "UnsupportedOperation"),
        ({"multi_region": True}, "UnsupportedOperation"),
        ({"custom_key_store_id": "cks-1"}, "UnsupportedOperation"),
        ({"xks_key_id": "x"}, "UnsupportedOperation"),
        ({"tags": [Tag(tag_key="a", tag_value="b")]}, "CreateKeyReply"),
        ({"tags": [Tag(tag_key="a", tag_value="b"), Tag(tag_key="a", tag_value="c")]}, "Tag"),
        ({"tags": [Tag(tag_key="aws:a", tag_value="b")]}, "Tag"),
        ({"tags": [Tag(tag_key=f"{number}", tag_value="") for number in range(51)]}, "Tag"),
        ({"key_usage": KeyUsage.SIGN_VERIFY}, "Validation"),
        ({"key_spec": KeySpec.HMAC_256, "key_usage": KeyUsage.SIGN_VERIFY}, "Validation"),
        ({"policy": "no policy"}, "MalformedPolicyDocument"),
        ({"policy": NOBODY}, "MalformedPolicyDocument"),
        ({"policy": "x" * (limits.POLICY_MAX_BYTES + 1)}, "LimitExceeded"),
        ({"policy": NOBODY, "bypass_policy_lockout_safety_check": True}, "CreateKeyReply"),
        ({"key_usage": KeyUsage.ENCRYPT_DECRYPT, "origin": Origin.AWS_KMS, "multi_region": False}, "CreateKeyReply"),
    ],
)
async def test_keys_that_can_be_made(database: Database, asked: dict[str, Any], refusal: str) -> None:
    assert await code(database, CreateKeyRequest(**asked)) == refusal
    assert len(database.tables.keys) == refusal.endswith("Reply")


async def test_creating_a_key_needs_the_account_s_permission(database: Database) -> None:
    assert await code(database, CreateKeyRequest(), principal="bob") == "AccessDenied"


@pytest.mark.parametrize(("asked", "days"), [(None, 30), (7, 7), (30, 30)])
async def test_a_deletion_is_scheduled_and_cancelled(database: Database, asked: int | None, days: int) -> None:
    key_id = database.add_key().key_id
    reply = await ask(database, ScheduleKeyDeletionRequest(key_id=key_id, pending_window_in_days=asked))
    assert isinstance(reply, ScheduleKeyDeletionReply)
    row = database.tables.keys[key_id]
    assert row.deletion_date == reply.deletion_date == MOMENT + timedelta(days=days)
    assert (row.pending_window_days, row.key_state) == (days, "PendingDeletion")
    await ask(database, CancelKeyDeletionRequest(key_id=key_id))
    row = database.tables.keys[key_id]
    assert (row.key_state, row.deletion_date, row.pending_window_days) == ("Disabled", None, None)


async def test_a_rotation_adds_material_and_keeps_the_old(database: Database) -> None:
    key_id = database.add_key().key_id
    before = await _secret(database, key_id)
    assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "RotateKeyOnDemandReply"
    assert database.tables.keys[key_id].current_material == 2
    assert sorted(database.tables.materials) == [(key_id, 1), (key_id, 2)]
    assert database.tables.materials[key_id, 2].rotation_type == "ON_DEMAND"
    assert await _secret(database, key_id) != before


async def test_a_key_is_rotated_on_demand_25_times_at_most(database: Database) -> None:
    key_id = database.add_key().key_id
    codes = {await code(database, RotateKeyOnDemandRequest(key_id=key_id)) for _ in range(25)}
    assert codes == {"RotateKeyOnDemandReply"}
    assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "LimitExceeded"
    assert database.tables.keys[key_id].current_material == 26


@pytest.mark.parametrize("name", ["alias/a", f"alias/{'a' * 250}", "alias/a:b/c_d-E9", "alias/awsome"])
async def test_names_that_an_alias_may_have(database: Database, name: str) -> None:
    row = database.add_key()
    assert await code(database, CreateAliasRequest(alias_name=name, target_key_id=row.key_id)) == "CreateAliasReply"
    assert database.tables.aliases[name].key_id == row.key_id


@pytest.mark.parametrize(
    "name", ["alias/", "alias/aws/x", "alias/aws/", "alias/a b", "alias/ä", "alias/a\n", "Alias/a", "a", "alias/a*"]
)
async def test_names_that_no_alias_may_have(database: Database, name: str) -> None:
    row = database.add_key()
    asked = CreateAliasRequest.model_construct(alias_name=name, target_key_id=row.key_id)
    assert await code(database, asked) in {"InvalidAliasName", "Validation"}
    assert not database.tables.aliases


async def test_an_alias_exists_once(database: Database) -> None:
    asked = CreateAliasRequest(alias_name="alias/a", target_key_id=database.add_key().key_id)
    assert await code(database, asked) == "CreateAliasReply"
    assert await code(database, asked) == "AlreadyExists"


async def test_a_key_has_50_aliases_at_most(database: Database) -> None:
    full, other = database.add_key().key_id, database.add_key().key_id
    for number in range(limits.ALIASES_PER_KEY):
        database.add_alias(f"alias/{number}", full)
    database.add_alias("alias/other", other)
    assert await code(database, CreateAliasRequest(alias_name="alias/new", target_key_id=full)) == "LimitExceeded"
    moving = UpdateAliasRequest(alias_name="alias/other", target_key_id=full)
    assert await code(database, moving) == "LimitExceeded"
    staying = UpdateAliasRequest(alias_name="alias/0", target_key_id=full)
    assert await code(database, staying) == "UpdateAliasReply"


async def test_an_alias_moves_between_keys_that_its_mover_may_administer(database: Database) -> None:
    mine, also_mine = database.add_key().key_id, database.add_key().key_id
    theirs = database.add_key(creator="bob").key_id
    signing = database.add_key(key_usage=KeyUsage.SIGN_VERIFY).key_id
    deleted = database.add_key(key_state=KeyState.PENDING_DELETION).key_id
    database.add_alias("alias/mine", mine)
    database.add_alias("alias/theirs", theirs)
    for name, target, expected in (
        ("alias/mine", also_mine, "UpdateAliasReply"),
        ("alias/mine", theirs, "AccessDenied"),
        ("alias/theirs", mine, "AccessDenied"),
        ("alias/mine", signing, INVALID),
        ("alias/mine", deleted, INVALID),
        ("alias/none", mine, "NotFound"),
        ("alias/aws/x", mine, "NotFound"),
    ):
        assert await code(database, UpdateAliasRequest(alias_name=name, target_key_id=target)) == expected
    assert database.tables.aliases["alias/mine"].key_id == also_mine


async def test_an_alias_is_deleted_and_its_key_stays(database: Database) -> None:
    row, theirs = database.add_key(), database.add_key(creator="bob")
    database.add_alias("alias/a", row.key_id)
    database.add_alias("alias/b", theirs.key_id)
    lane = await change_lane(database)
    await lane.run(request(DeleteAliasRequest(alias_name="alias/a")))
    changed = database.tables.keys[row.key_id]
    assert lane.records[0]["wrote"] == {"alias:alias/a": None, f"key:{row.key_id}": changed.mac.hex()}
    assert set(database.tables.aliases) == {"alias/b"}
    assert await code(database, DeleteAliasRequest(alias_name="alias/a")) == "NotFound"
    assert await code(database, DeleteAliasRequest(alias_name="alias/b")) == "AccessDenied"
    assert changed == replace(row, revision=changed.revision, mac=changed.mac)


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"policy": NOBODY}, "MalformedPolicyDocument"),
        ({"policy": "{}"}, "MalformedPolicyDocument"),
        ({"policy": NOBODY, "bypass_policy_lockout_safety_check": True}, "PutKeyPolicyReply"),
        ({"policy": NOBODY, "policy_name": "other"}, "NotFound"),
    ],
)
async def test_a_key_policy_must_leave_its_writer_in(database: Database, asked: dict[str, Any], refusal: str) -> None:
    row = database.add_key()
    assert await code(database, PutKeyPolicyRequest(key_id=row.key_id, **asked)) == refusal
    assert (database.tables.keys[row.key_id].policy == NOBODY) is refusal.endswith("Reply")


async def test_an_account_policy_must_leave_its_writer_in_unless_bootstrap_administrators_write_it(
    database: Database,
) -> None:
    bobs = initial_account_policy([ACCOUNT.user_arn("bob")])
    assert await code(database, PutAccountPolicyRequest(policy=bobs)) == "MalformedPolicyDocument"
    assert await code(database, PutAccountPolicyRequest(policy=bobs), principal="bob") == "AccessDenied"
    assert await code(database, PutAccountPolicyRequest(policy="?"), principal="root") == "MalformedPolicyDocument"
    assert await code(database, PutAccountPolicyRequest(policy=bobs), principal="root") == "PutAccountPolicyReply"
    assert (database.tables.account_policy.policy, database.tables.account_policy.revision) == (bobs, 1)
    again = PutAccountPolicyRequest(policy=bobs, bypass_policy_lockout_safety_check=True)
    assert await code(database, again, principal="bob") == "PutAccountPolicyReply"
