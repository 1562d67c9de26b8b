"""Keys that are used through grants, grants that end meanwhile, and rows of grants that were edited."""

from dataclasses import replace
from typing import Any

import pytest

from fakes.database import MOMENT, Database
from fakes.deliveries import request
from fakes.grants import ALICE, BOB, CAROL, code, constraints, created, edit, take_away
from fakes.keyrings import by_id, ring, wants
from fakes.workers import code_of, turn_lane
from kmsq_schemas.models import (
    CreateGrantRequest,
    DecryptReply,
    DecryptRequest,
    DescribeKeyRequest,
    DisableKeyRequest,
    EncryptReply,
    EncryptRequest,
    GenerateDataKeyRequest,
    GrantOperation,
    ListGrantsRequest,
    ReEncryptRequest,
    Request,
    RetireGrantRequest,
    RevokeGrantRequest,
)
from kmsq_schemas.models.enums import DataKeySpec
from kmsq_worker.errors import KMSInvalidStateException
from kmsq_worker.store.rows import GrantRow

X, XY, Y = {"app": "x"}, {"app": "x", "stage": "y"}, {"app": "y"}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def sealed(database: Database, key_id: str, context: dict[str, str]) -> bytes:
    """Return a blob that alice made."""
    asked = EncryptRequest(key_id=key_id, plaintext=b"x", encryption_context=context)
    (reply,) = await (await turn_lane(database)).run(request(asked))
    assert isinstance(reply, EncryptReply)
    return reply.ciphertext_blob


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, [{}, X, XY, Y]),
        ({"constraints": constraints(subset=X)}, [X, XY]),
        ({"constraints": constraints(equals=X)}, [X]),
        ({"constraints": constraints(equals={})}, [{}]),
        ({"constraints": constraints(equals=XY, subset=X)}, [XY]),
    ],
)
async def test_a_grantee_uses_a_key_in_the_contexts_that_the_grant_allows(
    database: Database, key_id: str, given: dict[str, Any], allowed: list[dict[str, str]]
) -> None:
    made = await created(database, key_id, "Encrypt", "Decrypt", **given)
    for context in ({}, X, XY, Y):
        blob = await sealed(database, key_id, context)
        lane = await turn_lane(database)
        replies = await lane.run(
            request(EncryptRequest(key_id=key_id, plaintext=b"x", encryption_context=context), principal="bob"),
            request(DecryptRequest(ciphertext_blob=blob, encryption_context=context), principal="bob"),
            request(DecryptRequest(ciphertext_blob=blob, encryption_context=context), principal="carol"),
        )
        codes = ["EncryptReply", "DecryptReply"] if context in allowed else ["AccessDeniedException"] * 2
        assert [code_of(reply) for reply in replies] == [*codes, "AccessDeniedException"]
        grants = [made.grant_id] if context in allowed else None
        noted = {(record["principal"], record["operation"]): record.get("grants") for record in lane.records}
        assert noted == {("bob", "Encrypt"): grants, ("bob", "Decrypt"): grants, ("carol", "Decrypt"): None}


async def test_a_context_that_the_grant_allows_opens_no_blob_of_another(database: Database, key_id: str) -> None:
    await created(database, key_id, "Decrypt", constraints=constraints(subset=X))
    blob = await sealed(database, key_id, Y)
    asked = DecryptRequest(ciphertext_blob=blob, encryption_context=X)
    assert await code(database, asked, "bob") == "InvalidCiphertext"


async def test_a_grant_allows_its_operations_and_no_others(database: Database, key_id: str) -> None:
    await created(database, key_id, "GenerateDataKey", "DescribeKey")
    blob = await sealed(database, key_id, {})
    for asked, expected in (
        (GenerateDataKeyRequest(key_id=key_id, key_spec=DataKeySpec.AES_256), "GenerateDataKeyReply"),
        (DescribeKeyRequest(key_id=key_id), "DescribeKeyReply"),
        (EncryptRequest(key_id=key_id, plaintext=b"x"), "AccessDenied"),
        (DecryptRequest(ciphertext_blob=blob), "AccessDenied"),
        (ListGrantsRequest(key_id=key_id), "AccessDenied"),
        (DisableKeyRequest(key_id=key_id), "AccessDenied"),
    ):
        assert await code(database, asked, "bob") == expected


async def test_re_encryption_can_be_granted_on_one_key_each(database: Database, key_id: str) -> None:
    other_id = database.add_key().key_id
    asked = ReEncryptRequest(ciphertext_blob=await sealed(database, key_id, {}), destination_key_id=other_id)
    await created(database, key_id, "ReEncryptFrom")
    assert await code(database, asked, "bob") == "AccessDenied"
    await created(database, other_id, "ReEncryptTo")
    assert await code(database, asked, "bob") == "ReEncryptReply"


async def test_grant_tokens_are_taken_and_never_needed(database: Database, key_id: str) -> None:
    made = await created(database, key_id, "Encrypt")
    for tokens in (None, [], [made.grant_token], ["no token"]):
        asked = EncryptRequest(key_id=key_id, plaintext=b"x", grant_tokens=tokens)
        assert await code(database, asked, "bob") == "EncryptReply"
        assert await code(database, asked, "carol") == "AccessDenied"


async def test_an_alias_of_the_key_will_do_to_use_it(database: Database, key_id: str) -> None:
    database.add_alias("alias/a", key_id)
    await created(database, key_id, "Encrypt")
    assert await code(database, EncryptRequest(key_id="alias/a", plaintext=b"x"), "bob") == "EncryptReply"


@pytest.mark.parametrize("ending", [RetireGrantRequest, RevokeGrantRequest])
async def test_a_grant_that_has_ended_allows_nothing(
    database: Database, key_id: str, ending: type[RetireGrantRequest | RevokeGrantRequest]
) -> None:
    made, other = await created(database, key_id, "Encrypt"), await created(database, key_id, "Decrypt")
    blob = await sealed(database, key_id, {})
    asked = EncryptRequest(key_id=key_id, plaintext=b"x")
    assert await code(database, asked, "bob") == "EncryptReply"
    await code(database, ending(key_id=key_id, grant_id=made.grant_id))
    assert await code(database, asked, "bob") == "AccessDenied"
    assert await code(database, DecryptRequest(ciphertext_blob=blob), "bob") == "DecryptReply"
    assert set(database.tables.grants) == {other.grant_id}


async def test_a_turn_under_way_when_its_grant_ends_is_decided_without_it(database: Database, key_id: str) -> None:
    made = await created(database, key_id, "Encrypt")
    lane = await turn_lane(database)
    lane.committer.before.append(lambda: take_away(database, made.grant_id))
    replies = await lane.run(
        request(EncryptRequest(key_id=key_id, plaintext=b"x"), principal="bob"),
        request(EncryptRequest(key_id=key_id, plaintext=b"x"), principal="alice"),
    )
    assert [code_of(reply) for reply in replies] == ["AccessDeniedException", "EncryptReply"]
    assert lane.outcomes == ["AccessDeniedException", "Success"]


async def test_a_turn_under_way_when_its_grant_is_made_is_decided_with_it(database: Database, key_id: str) -> None:
    lane = await turn_lane(database)
    lane.committer.before.append(lambda: database.add_grant(key_id, "bob", "Encrypt"))
    (reply,) = await lane.run(request(EncryptRequest(key_id=key_id, plaintext=b"x"), principal="bob"))
    assert isinstance(reply, EncryptReply)


async def test_a_child_outlives_its_parent(database: Database, key_id: str) -> None:
    parent = await created(database, key_id, "CreateGrant", "Encrypt")
    await created(database, key_id, "Encrypt", grantee=CAROL, principal="bob")
    await code(database, RevokeGrantRequest(key_id=key_id, grant_id=parent.grant_id))
    asked = EncryptRequest(key_id=key_id, plaintext=b"x")
    assert await code(database, asked, "carol") == "EncryptReply"
    assert await code(database, asked, "bob") == "AccessDenied"


async def test_a_deny_beats_a_grant(database: Database) -> None:
    key_id = database.add_key(policy=DENYING_BOB).key_id
    await created(database, key_id, "Encrypt")
    assert await code(database, EncryptRequest(key_id=key_id, plaintext=b"x"), "bob") == "AccessDenied"


DENYING_BOB = f"""{{
    "Version": "2012-10-17",
    "Statement": [
        {{"Effect": "Allow", "Principal": {{"AWS": "{ALICE}"}}, "Action": "kms:*", "Resource": "*"}},
        {{"Effect": "Deny", "Principal": {{"AWS": "{BOB}"}}, "Action": "kms:Encrypt", "Resource": "*"}}
    ]
}}"""


EDITS: dict[str, dict[str, Any]] = {
    "grant_id": {"grant_id": "f" * 64},
    "key_id": {},
    "name": {"name": "other"},
    "grantee_principal": {"grantee_principal": CAROL},
    "retiring_principal": {"retiring_principal": CAROL},
    "operations": {"operations": ["Encrypt", "Decrypt"]},
    "constraints": {"constraints": "{}"},
    "creation_date": {"creation_date": MOMENT.replace(year=2031)},
    "mac": {"mac": b""},
}


def test_every_column_of_a_grant_is_edited_here() -> None:
    assert set(EDITS) == set(GrantRow.__dataclass_fields__)


async def assert_unusable(database: Database, key_id: str, neighbour_id: str) -> None:
    """Assert that nobody can do anything with a key, and everybody can with its neighbour."""
    made = await ring(database)
    view = await made.keyring.view(wants(by_id(key_id), by_id(neighbour_id)))
    with pytest.raises(KMSInvalidStateException, match=f"{key_id} failed its integrity check"):
        view.locate(by_id(key_id), "")
    assert view.locate(by_id(neighbour_id), "").key_id == neighbour_id
    assert made.alarmed == [f"key:{key_id}"]
    for principal in ("alice", "bob", "carol"):
        assert await code(database, EncryptRequest(key_id=key_id, plaintext=b"x"), principal) == "KMSInvalidState"


@pytest.mark.parametrize("column", EDITS)
async def test_a_grant_that_was_edited_makes_its_key_unusable(database: Database, key_id: str, column: str) -> None:
    neighbour_id = database.add_key().key_id
    row = database.add_grant(key_id, "bob", "Encrypt", constraints='{"EncryptionContextEquals":{"app":"x"}}')
    edit(database, row.grant_id, **EDITS[column] or {"key_id": database.add_key().key_id})
    await assert_unusable(database, key_id, neighbour_id)
    asked: list[Request] = [
        RevokeGrantRequest(key_id=key_id, grant_id=row.grant_id),
        CreateGrantRequest(key_id=key_id, grantee_principal=CAROL, operations=[GrantOperation.ENCRYPT]),
    ]
    for one in asked:
        assert await code(database, one) == "KMSInvalidState"


@pytest.mark.parametrize("kind", ["removed", "all removed", "of another key", "brought back", "an older one for it"])
async def test_grants_that_were_added_or_removed_make_their_key_unusable(
    database: Database, key_id: str, kind: str
) -> None:
    neighbour_id = database.add_key().key_id
    tables = database.tables
    former = database.add_grant(key_id, "carol", "Encrypt")
    take_away(database, former.grant_id)
    first, second = (database.add_grant(key_id, "bob", "Encrypt") for _ in range(2))
    foreign = database.add_grant(neighbour_id, "carol", "Encrypt")
    match kind:
        case "removed":
            del tables.grants[first.grant_id]
        case "all removed":
            del tables.grants[first.grant_id], tables.grants[second.grant_id]
        case "of another key":
            copied = replace(foreign, grant_id="f" * 64, key_id=key_id)
            tables.grants[copied.grant_id] = copied
        case "brought back":
            tables.grants[former.grant_id] = former
        case _:
            del tables.grants[first.grant_id]
            tables.grants[former.grant_id] = former
    await assert_unusable(database, key_id, neighbour_id)


async def test_a_grant_for_a_key_that_has_none_makes_it_unusable(database: Database, key_id: str) -> None:
    neighbour_id = database.add_key().key_id
    row = database.add_grant(key_id, "bob", "Encrypt")
    take_away(database, row.grant_id)
    database.tables.grants[row.grant_id] = row
    await assert_unusable(database, key_id, neighbour_id)


async def test_a_grant_that_was_brought_back_with_its_key_s_old_row_is_noticed(database: Database, key_id: str) -> None:
    neighbour_id = database.add_key().key_id
    made = await ring(database)
    row = database.add_grant(key_id, "bob", "Encrypt")
    before = database.tables.keys[key_id]
    take_away(database, row.grant_id)
    both = wants(by_id(key_id), by_id(neighbour_id))
    await made.keyring.view(both)
    database.tables.keys[key_id], database.tables.grants[row.grant_id] = before, row
    made.keyring.forget(database.epoch)
    view = await made.keyring.view(both)
    with pytest.raises(KMSInvalidStateException):
        view.locate(by_id(key_id), "")
    assert [error.what for error in made.alarms] == ["rolled back"]


async def test_what_a_grantee_decrypts_is_what_was_encrypted(database: Database, key_id: str) -> None:
    await created(database, key_id, "Decrypt", constraints=constraints(subset=X))
    asked = DecryptRequest(ciphertext_blob=await sealed(database, key_id, XY), encryption_context=XY)
    (reply,) = await (await turn_lane(database)).run(request(asked, principal="bob"))
    assert isinstance(reply, DecryptReply)
    assert reply.plaintext == b"x"
