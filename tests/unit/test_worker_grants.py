"""CreateGrant: which grants there can be, who makes them, and when they are the same."""

import json
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import request
from fakes.grants import ALICE, BOB, CAROL, ROOT, ask, asking, code, constraints, created, lane_for, listed
from kmsq_schemas import limits
from kmsq_schemas.models import (
    CreateGrantReply,
    CreateGrantRequest,
    ErrorReply,
    GrantConstraints,
    GrantOperation,
    ListGrantsRequest,
    ListRetirableGrantsRequest,
)
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage
from kmsq_worker import granted
from kmsq_worker.keyspecs import usages
from kmsq_worker.operations.grantable import grantable

X, XY = {"app": "x"}, {"app": "x", "stage": "y"}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def test_a_grant_is_as_it_was_asked_for(database: Database, key_id: str) -> None:
    asked = asking(
        key_id, "Decrypt", "Encrypt", "Decrypt", retiring_principal=CAROL, name="n", constraints=constraints(subset=X)
    )
    lane = await lane_for(database, asked)
    await lane.run(request(asked))
    (row,) = database.tables.grants.values()
    key = database.tables.keys[key_id]
    assert len(bytes.fromhex(row.grant_id)) == 32
    assert (row.key_id, row.name, row.grantee_principal, row.retiring_principal) == (key_id, "n", BOB, CAROL)
    assert (row.operations, json.loads(row.constraints)) == (["Decrypt", "Encrypt"], {"EncryptionContextSubset": X})
    assert row.creation_date == MOMENT
    assert (key.grants_digest, key.revision) == (granted.digest([row]), 1)
    assert database.tables.change_log == [(1, f"key:{key_id}")]
    (record,) = lane.records
    assert (record["grants"], record["contexts"], record["keys"]) == ([row.grant_id], [X], [key_id])
    assert record["wrote"] == {f"key:{key_id}": key.mac.hex()}


async def test_a_key_is_named_by_id_or_arn(database: Database, key_id: str) -> None:
    database.add_alias("alias/a", key_id)
    for name, expected in (
        (ACCOUNT.key_arn(key_id), "CreateGrantReply"),
        ("alias/a", "NotFound"),
        ("00000000-0000-0000-0000-000000000000", "NotFound"),
        ("arn:aws:kms:local:000000000000:key/x", "InvalidArn"),
    ):
        assert await code(database, asking(name, "Encrypt")) == expected


USERS = {
    "another account": "arn:kmsq:iam::111111111111:user/bob",
    "another partition": "arn:aws:iam::000000000000:user/bob",
    "a role": "arn:kmsq:iam::000000000000:role/bob",
    "a bare name": "bob",
    "no name": ACCOUNT.user_arn(""),
    "a name that no user can have": ACCOUNT.user_arn("Bob"),
    "a path": ACCOUNT.user_arn("team/bob"),
    "a pattern": ACCOUNT.user_arn("bo.b"),
    "too long a name": ACCOUNT.user_arn("b" * 65),
    "the root": ROOT,
}


@pytest.mark.parametrize("arn", USERS.values(), ids=USERS.keys())
async def test_grants_are_for_users_of_the_account_alone(database: Database, key_id: str, arn: str) -> None:
    assert await code(database, asking(key_id, "Encrypt", grantee=arn)) == "InvalidArn"
    assert await code(database, asking(key_id, "Encrypt", retiring_principal=arn)) == "InvalidArn"
    assert await code(database, ListGrantsRequest(key_id=key_id, grantee_principal=arn)) == "InvalidArn"
    assert await code(database, ListRetirableGrantsRequest(retiring_principal=arn)) == "InvalidArn"
    assert not database.tables.grants


async def test_who_grants_to_the_root_reads_why_that_makes_no_sense(database: Database, key_id: str) -> None:
    reply = await ask(database, asking(key_id, "Encrypt", grantee=ROOT))
    assert isinstance(reply, ErrorReply)
    assert reply.message == f"{ROOT} is nobody who calls: grants are for users, {ACCOUNT.user_arn('<name>')}."


SERVICE = "rds.amazonaws.com"
SOURCE = GrantConstraints(source_arn="arn:aws:rds:eu-west-1:000000000000:db:x")


async def test_services_of_aws_get_no_grants(database: Database, key_id: str) -> None:
    operations = [GrantOperation.ENCRYPT]
    for asked in (
        CreateGrantRequest(key_id=key_id, grantee_service_principal=SERVICE, operations=operations),
        asking(key_id, "Encrypt", retiring_service_principal=SERVICE),
        asking(key_id, "Encrypt", constraints=SOURCE),
        ListGrantsRequest(key_id=key_id, grantee_service_principal=SERVICE),
        ListRetirableGrantsRequest(retiring_service_principal=SERVICE),
    ):
        assert await code(database, asked) == "UnsupportedOperation"


async def test_a_grant_has_operations(database: Database, key_id: str) -> None:
    assert await code(database, asking(key_id)) == "Validation"


@pytest.mark.parametrize("constraint", [constraints(equals={"a" * 8_185: ""}), constraints(subset={"ä" * 4_093: ""})])
async def test_a_constraint_is_no_longer_than_a_context(
    database: Database, key_id: str, constraint: GrantConstraints
) -> None:
    assert await code(database, asking(key_id, "Encrypt", constraints=constraint)) == "Validation"


async def test_a_constraint_may_have_8_192_encoded_bytes(database: Database, key_id: str) -> None:
    await created(database, key_id, "Encrypt", constraints=constraints(equals={"a" * 8_184: ""}))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (KeyState.ENABLED, "CreateGrantReply"),
        (KeyState.DISABLED, "Disabled"),
        (KeyState.PENDING_DELETION, "KMSInvalidState"),
        (KeyState.PENDING_IMPORT, "KMSInvalidState"),
    ],
)
async def test_grants_are_made_on_enabled_keys_and_listed_on_all(
    database: Database, state: KeyState, expected: str
) -> None:
    key_id = database.add_key(key_state=state).key_id
    assert await code(database, asking(key_id, "Encrypt")) == expected
    assert await code(database, asking(key_id, "Encrypt", dry_run=True)) in {expected, "DryRunOperation"}
    assert len(await listed(database, key_id)) == expected.endswith("Reply")


ALWAYS = "CreateGrant DescribeKey RetireGrant"
ENCRYPTING = "Encrypt Decrypt ReEncryptFrom ReEncryptTo"
DATA_KEYS = "GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"
POSSIBLE = {
    (KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT): f"{ENCRYPTING} {DATA_KEYS}",
    (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT): f"{ENCRYPTING} GetPublicKey",
    (KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY): "Sign Verify GetPublicKey",
    (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY): "Sign Verify GetPublicKey",
    (KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT): "DeriveSharedSecret GetPublicKey",
    (KeySpec.ML_KEM_768, KeyUsage.ENCAPSULATE_DECAPSULATE): "Encapsulate Decapsulate GetPublicKey",
    (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC): "GenerateMac VerifyMac",
}


@pytest.mark.parametrize(("spec", "usage"), POSSIBLE)
async def test_a_grant_allows_what_its_key_can_do(database: Database, spec: KeySpec, usage: KeyUsage) -> None:
    key_id = database.add_key(key_spec=spec, key_usage=usage).key_id
    possible = set(f"{ALWAYS} {POSSIBLE[spec, usage]}".split())
    await created(database, key_id, *sorted(possible))
    for other in set(GrantOperation) - possible:
        reply = await ask(database, asking(key_id, "DescribeKey", other))
        assert isinstance(reply, ErrorReply)
        assert (reply.code, reply.message.endswith(f": a grant cannot allow {other}.")) == ("ValidationException", True)


def test_every_operation_that_a_grant_can_allow_some_key_can_do() -> None:
    assert {one for possible in POSSIBLE.values() for one in f"{ALWAYS} {possible}".split()} == set(GrantOperation)
    assert all(grantable(spec, usage) for spec in KeySpec for usage in usages(spec))


async def test_constraints_need_a_key_whose_operations_have_a_context(database: Database) -> None:
    key_id = database.add_key(key_spec=KeySpec.RSA_2048).key_id
    for constraint in (constraints(equals=X), constraints(subset=X), constraints(subset={})):
        assert await code(database, asking(key_id, "Encrypt", constraints=constraint)) == "Validation"
    await created(database, key_id, "Encrypt", constraints=constraints())


async def test_the_same_name_and_parameters_are_the_same_grant(database: Database, key_id: str) -> None:
    database.add_grant(key_id, "carol", "CreateGrant", "Encrypt", "Decrypt")
    like: dict[str, Any] = {"name": "n", "retiring_principal": CAROL, "constraints": constraints(equals=XY, subset=X)}
    first = await created(database, key_id, "Encrypt", "Decrypt", **like)
    before = database.tables.copy()
    like["constraints"] = constraints(equals=dict(reversed(XY.items())), subset=X)
    for principal in ("alice", "carol"):
        again = await created(database, key_id, "Decrypt", "Encrypt", "Decrypt", principal=principal, **like)
        assert again.grant_id == first.grant_id
    database.tables.claims.clear()
    before.claims.clear()
    assert database.tables == before


@pytest.mark.parametrize(
    "other",
    [
        {"name": "m"},
        {"name": None},
        {"grantee_principal": CAROL},
        {"retiring_principal": ALICE},
        {"retiring_principal": None},
        {"constraints": constraints(subset=XY)},
        {"constraints": constraints(equals=X)},
        {"constraints": None},
        {"operations": [GrantOperation.ENCRYPT]},
    ],
)
async def test_the_same_name_with_other_parameters_is_another_grant(
    database: Database, key_id: str, other: dict[str, Any]
) -> None:
    first = asking(key_id, "Encrypt", "Decrypt", name="n", retiring_principal=CAROL, constraints=constraints(subset=X))
    made = [await ask(database, asked) for asked in (first, first.model_copy(update=other), first)]
    ids = [reply.grant_id for reply in made if isinstance(reply, CreateGrantReply)]
    assert ids[0] == ids[2] != ids[1]
    assert set(database.tables.grants) == set(ids)


async def test_without_a_name_or_on_another_key_every_grant_is_new(database: Database, key_id: str) -> None:
    other_id = database.add_key().key_id
    made = [await created(database, key_id, "Encrypt") for _ in range(2)]
    made += [await created(database, one, "Encrypt", name="n") for one in (key_id, other_id)]
    assert len({reply.grant_id for reply in made}) == len({reply.grant_token for reply in made}) == 4


async def test_a_key_has_50_000_grants_at_most(
    database: Database, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.GRANTS_PER_KEY == 50_000
    monkeypatch.setattr(limits, "GRANTS_PER_KEY", 2)
    first = await created(database, key_id, "Encrypt", name="n")
    await created(database, key_id, "Encrypt")
    assert await code(database, asking(key_id, "Encrypt")) == "LimitExceeded"
    assert await code(database, asking(key_id, "Encrypt", dry_run=True)) == "LimitExceeded"
    assert (await created(database, key_id, "Encrypt", name="n")).grant_id == first.grant_id


async def test_a_dry_run_creates_nothing(database: Database, key_id: str) -> None:
    assert await code(database, asking(key_id, "Encrypt", dry_run=True)) == "DryRunOperation"
    assert await code(database, asking(key_id, "Encrypt", dry_run=True), "bob") == "AccessDenied"
    assert await code(database, asking(key_id, "Sign", dry_run=True)) == "Validation"
    assert (database.tables.grants, database.epoch) == ({}, 0)


def allowing(principal: str, action: str, **condition: Any) -> str:
    """Return a key policy that lets alice do everything, and `principal` one thing."""
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*", **condition},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize(
    ("operator", "name", "value"),
    [
        ("ForAllValues:StringEquals", "kms:GrantOperations", ["Encrypt", "DescribeKey"]),
        ("ArnEquals", "kms:GranteePrincipal", CAROL),
        ("ArnEquals", "kms:RetiringPrincipal", CAROL),
        ("StringEquals", "kms:GrantConstraintType", "EncryptionContextSubset"),
        ("StringEquals", "kms:EncryptionContext:app", "x"),
    ],
)
async def test_a_policy_says_which_grants_may_be_made(
    database: Database, operator: str, name: str, value: object
) -> None:
    policy = allowing(BOB, "kms:CreateGrant", Condition={operator: {name: value}})
    key_id = database.add_key(policy=policy).key_id
    fits = asking(key_id, "Encrypt", grantee=CAROL, retiring_principal=CAROL, constraints=constraints(subset=X))
    other = asking(key_id, "Decrypt", grantee=BOB, retiring_principal=BOB, constraints=constraints(equals={"app": "y"}))
    assert await code(database, fits, "bob") == "CreateGrantReply"
    assert await code(database, other, "bob") == "AccessDenied"
    assert await code(database, fits, "carol") == "AccessDenied"


async def test_a_grantee_grants_no_more_than_was_granted(database: Database, key_id: str) -> None:
    parent = database.add_grant(
        key_id, "bob", "CreateGrant", "Decrypt", constraints='{"EncryptionContextSubset":{"app":"x"}}'
    )
    within = asking(key_id, "Decrypt", grantee=CAROL, constraints=constraints(equals=XY))
    for beyond in (
        asking(key_id, "Decrypt", grantee=CAROL),
        asking(key_id, "Decrypt", grantee=CAROL, constraints=constraints(subset={"app": "y"})),
        asking(key_id, "Encrypt", grantee=CAROL, constraints=constraints(subset=X)),
        asking(key_id, "Decrypt", "Encrypt", grantee=BOB, constraints=constraints(subset=X)),
    ):
        assert await code(database, beyond, "bob") == "AccessDenied"
    assert set(database.tables.grants) == {parent.grant_id}
    lane = await lane_for(database, within)
    await lane.run(request(within, principal="bob"))
    (child,) = set(database.tables.grants) - {parent.grant_id}
    assert lane.records[0]["grants"] == [parent.grant_id, child]
    assert await code(database, within, "carol") == "AccessDenied"
