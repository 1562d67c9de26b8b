"""RetireGrant and RevokeGrant: who ends grants, what they are named by, and what nobody learns on the way."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from fakes.database import ACCOUNT, Database
from fakes.deliveries import request
from fakes.grants import ALICE, BOB, CAROL, NO_GRANT, ask, asking, code, constraints, created, lane_for
from kmsq_schemas.models import (
    ErrorReply,
    ListGrantsReply,
    ListGrantsRequest,
    RetireGrantRequest,
    RevokeGrantRequest,
)
from kmsq_schemas.models.enums import KeyState
from kmsq_worker import granted
from kmsq_worker.operations.grant_tokens import NamedGrant, make_token, read_token
from kmsq_worker.policy.defaults import default_key_policy

Ending = RetireGrantRequest | RevokeGrantRequest
ENDINGS = [RetireGrantRequest, RevokeGrantRequest]


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def test_a_grant_is_retired_by_token_or_by_key_and_id(database: Database, key_id: str) -> None:
    made = [await created(database, key_id, "Encrypt", retiring_principal=CAROL) for _ in range(4)]
    for asked in (
        RetireGrantRequest(grant_token=made[0].grant_token),
        RetireGrantRequest(key_id=key_id, grant_id=made[1].grant_id),
        RetireGrantRequest(key_id=ACCOUNT.key_arn(key_id), grant_id=made[2].grant_id),
    ):
        assert await code(database, asked, "carol") == "RetireGrantReply"
    (left,) = database.tables.grants.values()
    assert left.grant_id == made[3].grant_id
    assert database.tables.keys[key_id].grants_digest == granted.digest([left])
    assert database.epoch == 7


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_key_without_its_last_grant_is_as_it_was(database: Database, key_id: str, ending: type[Ending]) -> None:
    grant_id = (await created(database, key_id, "Encrypt")).grant_id
    asked = ending(key_id=key_id, grant_id=grant_id)
    lane = await lane_for(database, asked)
    await lane.run(request(asked))
    row = database.tables.keys[key_id]
    assert (database.tables.grants, row.grants_digest, row.revision) == ({}, b"", 2)
    (record,) = lane.records
    assert (record["grants"], record["wrote"]) == ([grant_id], {f"key:{key_id}": row.mac.hex()})


@pytest.mark.parametrize(
    ("principal", "operations", "may"),
    [
        ("carol", [], True),
        ("bob", [], False),
        ("bob", ["RetireGrant"], True),
        ("dave", ["RetireGrant"], False),
        ("alice", [], True),
    ],
    ids=["retiring principal", "grantee", "grantee who may", "stranger", "whom the key policy allows"],
)
async def test_who_may_retire_a_grant(
    database: Database, key_id: str, principal: str, operations: list[str], *, may: bool
) -> None:
    made = await created(
        database, key_id, "Decrypt", *operations, retiring_principal=CAROL, constraints=constraints(equals={"app": "x"})
    )
    dry = RetireGrantRequest(grant_token=made.grant_token, dry_run=True)
    assert await code(database, dry, principal) == ("DryRunOperation" if may else "AccessDenied")
    assert len(database.tables.grants) == 1
    asked = RetireGrantRequest(grant_token=made.grant_token)
    lane = await lane_for(database, asked)
    await lane.run(request(asked, principal=principal))
    assert (len(database.tables.grants), lane.records[0]["grants"]) == (0 if may else 1, [made.grant_id])


async def test_the_right_to_retire_one_grant_is_none_to_retire_another(database: Database, key_id: str) -> None:
    own = await created(database, key_id, "RetireGrant", grantee=BOB, retiring_principal=BOB)
    other = await created(database, key_id, "RetireGrant", grantee=CAROL)
    assert await code(database, RetireGrantRequest(grant_token=other.grant_token), "bob") == "AccessDenied"
    assert await code(database, RetireGrantRequest(grant_token=own.grant_token), "bob") == "RetireGrantReply"


def policy(*statements: dict[str, Any]) -> str:
    """Return a key policy that lets alice do everything, with further statements."""
    everything = {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:*", "Resource": "*"}
    further = [{"Action": "kms:RetireGrant", "Resource": "*", **one} for one in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": [everything, *further]})


async def test_a_policy_can_forbid_retiring(database: Database) -> None:
    key_id = database.add_key(policy=policy({"Effect": "Deny", "Principal": {"AWS": CAROL}})).key_id
    made = await created(database, key_id, "Decrypt", retiring_principal=CAROL)
    assert await code(database, RetireGrantRequest(grant_token=made.grant_token), "carol") == "AccessDenied"


@pytest.mark.parametrize(
    "condition",
    [
        {"kms:EncryptionContext:app": "x"},
        {"kms:EncryptionContextKeys": "app"},
        {"kms:GrantConstraintType": "EncryptionContextSubset"},
    ],
)
async def test_a_policy_can_ask_for_the_constraints_of_what_is_retired(
    database: Database, condition: dict[str, str]
) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Condition": {"StringEquals": condition}}
    key_id = database.add_key(policy=policy(statement)).key_id
    fits = await created(database, key_id, "Decrypt", grantee=CAROL, constraints=constraints(subset={"app": "x"}))
    other = await created(database, key_id, "Decrypt", grantee=CAROL, constraints=constraints(equals={"stage": "x"}))
    assert await code(database, RetireGrantRequest(grant_token=other.grant_token), "bob") == "AccessDenied"
    assert await code(database, RetireGrantRequest(grant_token=fits.grant_token), "bob") == "RetireGrantReply"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_who_may_do_nothing_learns_not_even_which_grants_there_are(
    database: Database, key_id: str, ending: type[Ending]
) -> None:
    grant_id = (await created(database, key_id, "Decrypt")).grant_id
    dry_run = True
    answers = [
        await ask(database, ending(key_id=key_id, grant_id=one, dry_run=dry_run), "dave")
        for one in (grant_id, NO_GRANT)
    ]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], ErrorReply)
    assert answers[0].code == "AccessDeniedException"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_grant_that_does_not_exist_is_not_found(database: Database, key_id: str, ending: type[Ending]) -> None:
    elsewhere = await created(database, database.add_key().key_id, "Decrypt")
    for grant_id in (NO_GRANT, elsewhere.grant_id):
        reply = await ask(database, ending(key_id=key_id, grant_id=grant_id))
        assert isinstance(reply, ErrorReply)
        assert (reply.code, reply.message) == ("NotFoundException", f"Grant {grant_id} not found")
        assert await code(database, ending(key_id=key_id, grant_id=grant_id, dry_run=True)) == "NotFound"
    assert set(database.tables.grants) == {elsewhere.grant_id}
    database.add_alias("alias/a", key_id)
    for key in ("alias/a", "00000000-0000-0000-0000-000000000000"):
        assert await code(database, ending(key_id=key, grant_id=NO_GRANT)) == "NotFound"


@pytest.mark.parametrize("grant_id", ["x", "0" * 63, "0" * 65, "A" * 64, "0" * 63 + "\n"])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_grant_ids_have_64_hexadecimal_digits(
    database: Database, key_id: str, ending: type[Ending], grant_id: str
) -> None:
    assert await code(database, ending(key_id=key_id, grant_id=grant_id)) == "InvalidGrantId"


async def test_a_grant_ends_once(database: Database, key_id: str) -> None:
    made = await created(database, key_id, "Decrypt", retiring_principal=CAROL)
    asked = RetireGrantRequest(grant_token=made.grant_token)
    assert await code(database, asked, "carol") == "RetireGrantReply"
    assert await code(database, asked, "carol") == "AccessDenied"
    assert await code(database, asked, "alice") == "NotFound"
    assert await code(database, RevokeGrantRequest(key_id=key_id, grant_id=made.grant_id)) == "NotFound"


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_grants_end_in_every_state_of_their_key(
    database: Database, ending: type[Ending], state: KeyState
) -> None:
    row = database.add_key(key_state=state)
    grant_id = database.add_grant(row.key_id, "bob", "Encrypt").grant_id
    dry = ending(key_id=row.key_id, grant_id=grant_id, dry_run=True)
    assert await code(database, dry) == "DryRunOperation"
    assert grant_id in database.tables.grants
    await ask(database, ending(key_id=row.key_id, grant_id=grant_id))
    assert (database.tables.grants, database.tables.keys[row.key_id].key_state) == ({}, state)


@pytest.mark.parametrize("principal", ["bob", "carol", "dave"])
async def test_no_grant_lets_revoke(database: Database, key_id: str, principal: str) -> None:
    made = await created(database, key_id, "RetireGrant", "CreateGrant", retiring_principal=CAROL)
    asked = RevokeGrantRequest(key_id=key_id, grant_id=made.grant_id)
    lane = await lane_for(database, asked)
    (reply,) = await lane.run(request(asked, principal=principal))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, lane.records[0]["grants"]) == ("AccessDeniedException", [made.grant_id])


async def test_administrators_of_a_key_revoke_and_neither_grant_nor_retire(database: Database) -> None:
    key_id = database.add_key(policy=default_key_policy(ALICE, [BOB])).key_id
    made = await created(database, key_id, "Encrypt", grantee=CAROL)
    assert await code(database, asking(key_id, "Encrypt", grantee=CAROL), "bob") == "AccessDenied"
    assert await code(database, RetireGrantRequest(grant_token=made.grant_token), "bob") == "AccessDenied"
    asked = RevokeGrantRequest(key_id=key_id, grant_id=made.grant_id)
    assert await code(database, asked, "bob") == "RevokeGrantReply"


async def test_a_token_leads_back_to_its_grant_under_whichever_domain_key(database: Database) -> None:
    named = NamedGrant(key_id="mrk-00000000000000000000000000000000", grant_id="ab" * 32)
    token = make_token(await database.custody(), named)
    database.add_domain_key()
    custody = await database.custody()
    assert read_token(custody, token) == named
    assert read_token(custody, make_token(custody, named)) == named
    assert make_token(custody, named) != token


async def test_each_token_of_a_grant_is_another_and_all_name_it(database: Database, key_id: str) -> None:
    made = [await created(database, key_id, "Encrypt", name="once") for _ in range(3)]
    assert (len({one.grant_id for one in made}), len({one.grant_token for one in made})) == (1, 3)
    assert await code(database, RetireGrantRequest(grant_token=made[1].grant_token)) == "RetireGrantReply"
    assert await code(database, RetireGrantRequest(grant_token=made[2].grant_token)) == "NotFound"


def spoilt(token: str) -> dict[str, str]:
    """Return tokens that nobody made, each like one that was."""
    raw = urlsafe_b64decode(token)
    bits = {f"byte {place}": raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :] for place in (0, 15, 16, 47)}
    bits |= {
        f"byte {place}": raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :] for place in (48, 59, 60, 91, 92, -1)
    }
    cut = {f"{length} bytes": raw[:length] for length in (0, 1, 16, 47, 48, 60, 91, 92, len(raw) - 1)}
    encoded = {what: urlsafe_b64encode(one).decode() for what, one in {**bits, **cut, "more": raw + b"0"}.items()}
    return {
        **encoded,
        "0 bytes": "=",
        "no base64": "\u2603",
        "spaces": f"{token[:4]} {token[4:]}",
        "a new line": f"{token}\n",
        "padding": f"{token}====",
        "no padding": token.rstrip("="),
        "text": "token",
    }


async def test_a_token_that_was_altered_is_refused(database: Database, key_id: str) -> None:
    made = await created(database, key_id, "Encrypt")
    assert len(urlsafe_b64decode(made.grant_token)) % 3 != 0, "else there were no padding to remove"
    for what, token in spoilt(made.grant_token).items():
        answer = await code(database, RetireGrantRequest(grant_token=token))
        assert (what, answer) == (what, "InvalidGrantToken")
    assert set(database.tables.grants) == {made.grant_id}


async def test_tokens_are_no_markers_no_ids_and_nobody_else_s(database: Database, key_id: str) -> None:
    made = await created(database, key_id, "Encrypt")
    await created(database, key_id, "Encrypt")
    reply = await ask(database, ListGrantsRequest(key_id=key_id, limit=1))
    assert isinstance(reply, ListGrantsReply)
    assert reply.next_marker is not None
    named = NamedGrant(key_id=key_id, grant_id=made.grant_id)
    foreign = make_token(await Database().custody(), named)
    for token in (reply.next_marker, made.grant_id, foreign):
        assert await code(database, RetireGrantRequest(grant_token=token)) == "InvalidGrantToken"
    assert await code(database, ListGrantsRequest(key_id=key_id, marker=made.grant_token)) == "InvalidMarker"
