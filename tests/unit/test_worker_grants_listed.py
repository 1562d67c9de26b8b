"""ListGrants and ListRetirableGrants."""

from collections.abc import Sequence

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from fakes.deliveries import request
from fakes.grants import ALICE, BOB, CAROL, NO_GRANT, ROOT, ask, code, constraints, created, edit, lane_for, listed
from kmsq_schemas import limits
from kmsq_schemas.models import (
    GrantListEntry,
    ListGrantsReply,
    ListGrantsRequest,
    ListRetirableGrantsReply,
    ListRetirableGrantsRequest,
)
from kmsq_schemas.models.enums import KeyState
from kmsq_worker.operations import grants

X, XY = {"app": "x"}, {"app": "x", "stage": "y"}
RETIRABLE = ListRetirableGrantsRequest(retiring_principal=CAROL)

List = ListGrantsRequest | ListRetirableGrantsRequest


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def key_id(database: Database) -> str:
    return database.add_key().key_id


async def pages(database: Database, of: List, limit: int | None = None) -> Sequence[Sequence[GrantListEntry]]:
    """Read a list to its end."""
    found: list[Sequence[GrantListEntry]] = []
    marker = None
    while len(found) < 100:
        reply = await ask(database, of.model_copy(update={"limit": limit, "marker": marker}))
        assert isinstance(reply, ListGrantsReply | ListRetirableGrantsReply), reply
        found.append(reply.grants)
        assert reply.truncated is (reply.next_marker is not None)
        if reply.next_marker is None:
            return found
        marker = reply.next_marker
    pytest.fail("the list has no end")


def ids(found: Sequence[Sequence[GrantListEntry]]) -> list[list[str]]:
    return [[entry.grant_id for entry in entries] for entries in found]


async def test_a_list_shows_a_grant_as_it_is(database: Database, key_id: str) -> None:
    plain = await created(database, key_id, "Encrypt")
    asked = constraints(equals=XY, subset=X)
    full = await created(database, key_id, "Decrypt", name="n", retiring_principal=CAROL, constraints=asked)
    (entries,) = await pages(database, ListGrantsRequest(key_id=key_id))
    shown = {entry.grant_id: entry.model_dump(exclude_none=True) for entry in entries}
    same = {
        "key_id": ACCOUNT.key_arn(key_id),
        "grantee_principal": BOB,
        "creation_date": MOMENT.timestamp(),
        "issuing_account": ROOT,
    }
    assert shown[plain.grant_id] == {**same, "grant_id": plain.grant_id, "operations": ["Encrypt"]}
    assert shown[full.grant_id] == {
        **same,
        "grant_id": full.grant_id,
        "operations": ["Decrypt"],
        "name": "n",
        "retiring_principal": CAROL,
        "constraints": {"encryption_context_equals": XY, "encryption_context_subset": X},
    }


async def test_a_constraint_to_no_context_at_all_is_shown(database: Database, key_id: str) -> None:
    await created(database, key_id, "Encrypt", constraints=constraints(equals={}))
    ((entry,),) = await pages(database, ListGrantsRequest(key_id=key_id))
    assert entry.constraints is not None
    assert entry.constraints.encryption_context_equals == {}


async def test_a_list_goes_by_id_and_a_page_at_a_time(database: Database, key_id: str) -> None:
    other_id = database.add_key().key_id
    rows = [database.add_grant(key_id, "bob", "Encrypt", retiring_principal=CAROL) for _ in range(4)]
    rows.append(database.add_grant(other_id, "bob", "Encrypt", retiring_principal=CAROL))
    mine = sorted(row.grant_id for row in rows[:4])
    every = sorted(row.grant_id for row in rows)
    assert ids(await pages(database, ListGrantsRequest(key_id=key_id), 3)) == [mine[:3], mine[3:]]
    assert ids(await pages(database, ListGrantsRequest(key_id=ACCOUNT.key_arn(key_id)), 4)) == [mine]
    assert ids(await pages(database, RETIRABLE, 2)) == [every[:2], every[2:4], every[4:]]
    assert ids(await pages(database, RETIRABLE)) == [every]


@pytest.mark.parametrize("retirable", [False, True])
async def test_a_page_has_50_grants_unless_the_request_says_otherwise(
    database: Database, key_id: str, *, retirable: bool
) -> None:
    for _ in range(51):
        database.add_grant(key_id, "bob", "Encrypt", retiring_principal=CAROL)
    of = RETIRABLE if retirable else ListGrantsRequest(key_id=key_id)
    assert [len(entries) for entries in await pages(database, of)] == [50, 1]
    assert [len(entries) for entries in await pages(database, of, 100)] == [51]


async def test_a_list_can_be_of_one_grant_or_one_grantee(database: Database, key_id: str) -> None:
    bobs = [database.add_grant(key_id, "bob", "Encrypt").grant_id for _ in range(2)]
    carols = database.add_grant(key_id, "carol", "Encrypt").grant_id
    elsewhere = database.add_grant(database.add_key().key_id, "bob", "Encrypt").grant_id
    for grant_id, grantee, expected in (
        (None, BOB, [sorted(bobs)]),
        (None, CAROL, [[carols]]),
        (None, ALICE, [[]]),
        (carols, None, [[carols]]),
        (carols, CAROL, [[carols]]),
        (carols, BOB, [[]]),
        (elsewhere, None, [[]]),
        (NO_GRANT, None, [[]]),
    ):
        of = ListGrantsRequest(key_id=key_id, grant_id=grant_id, grantee_principal=grantee)
        assert ids(await pages(database, of)) == expected
    of_bob = ListGrantsRequest(key_id=key_id, grantee_principal=BOB)
    assert [len(entries) for entries in await pages(database, of_bob, 1)] == [1, 1]
    assert await code(database, ListGrantsRequest(key_id=key_id, grant_id="0" * 63)) == "InvalidGrantId"


async def test_a_marker_is_good_for_its_list_alone(database: Database, key_id: str) -> None:
    other_id = database.add_key().key_id
    for one in (key_id, other_id):
        for _ in range(2):
            database.add_grant(one, "bob", "Encrypt", retiring_principal=CAROL)
            database.add_grant(one, "carol", "Encrypt", retiring_principal=BOB)
    lists: list[List] = [
        ListGrantsRequest(key_id=key_id, limit=1),
        ListGrantsRequest(key_id=key_id, grantee_principal=BOB, limit=1),
        ListGrantsRequest(key_id=other_id, limit=1),
        ListRetirableGrantsRequest(retiring_principal=CAROL, limit=1),
        ListRetirableGrantsRequest(retiring_principal=BOB, limit=1),
    ]
    for made, of in enumerate(lists):
        reply = await ask(database, of)
        assert isinstance(reply, ListGrantsReply | ListRetirableGrantsReply)
        for read, other in enumerate(lists):
            expected = f"{type(reply).__name__}" if made == read else "InvalidMarker"
            assert await code(database, other.model_copy(update={"marker": reply.next_marker})) == expected


@pytest.mark.parametrize("retirable", [False, True])
async def test_long_constraints_shorten_a_page_so_that_its_reply_is_not_too_long(
    database: Database, key_id: str, monkeypatch: pytest.MonkeyPatch, *, retirable: bool
) -> None:
    pair = '{"EncryptionContextEquals":{"app":"x"}}'
    rows = [database.add_grant(key_id, "bob", "Encrypt", retiring_principal=CAROL, constraints=pair) for _ in range(5)]
    monkeypatch.setattr(grants, "PAGE_CONSTRAINTS_MAX_CHARS", 2 * len(pair) + 1)
    of = RETIRABLE if retirable else ListGrantsRequest(key_id=key_id)
    every = sorted(row.grant_id for row in rows)
    assert ids(await pages(database, of, 4)) == [every[:2], every[2:4], every[4:]]
    assert ids(await pages(database, of, 1)) == [[one] for one in every]


async def test_the_longest_page_fits_into_a_message(database: Database, key_id: str) -> None:
    """Each control character takes one byte of a context and six of a JSON text."""
    longest = {f"{number}\u0001": "\u0001" * 384 for number in range(7)} | {"\u0001" * 5_400: ""}
    first = await created(database, key_id, "Encrypt", constraints=constraints(equals=longest, subset=longest))
    as_stored = database.tables.grants[first.grant_id].constraints
    for _ in range(99):
        database.add_grant(key_id, "bob", "Encrypt", constraints=as_stored)
    asked = ListGrantsRequest(key_id=key_id, limit=100)
    lane = await lane_for(database, asked)
    await lane.run(request(asked))
    (sent,) = lane.broker.replies
    assert 1024 * 1024 < len(sent.body) < limits.MESSAGE_MAX_BYTES


@pytest.mark.parametrize("state", KeyState)
async def test_grants_are_listed_in_every_state_of_their_key(database: Database, state: KeyState) -> None:
    key_id = database.add_key(key_state=state).key_id
    grant_id = database.add_grant(key_id, "bob", "Encrypt", retiring_principal=CAROL).grant_id
    assert await listed(database, key_id) == [grant_id]
    assert ids(await pages(database, RETIRABLE)) == [[grant_id]]


async def test_lists_need_their_permission_and_a_grant_gives_none(database: Database, key_id: str) -> None:
    database.add_alias("alias/a", key_id)
    database.add_grant(key_id, "bob", "CreateGrant", "RetireGrant", retiring_principal=BOB)
    assert await code(database, ListGrantsRequest(key_id=key_id), "bob") == "AccessDenied"
    assert await code(database, ListGrantsRequest(key_id=key_id, grant_id=NO_GRANT), "bob") == "AccessDenied"
    assert await code(database, ListRetirableGrantsRequest(retiring_principal=BOB), "bob") == "AccessDenied"
    assert await code(database, ListGrantsRequest(key_id="alias/a")) == "NotFound"


async def test_nobody_else_s_retirable_grants_are_listed(database: Database, key_id: str) -> None:
    database.add_grant(key_id, "carol", "RetireGrant", retiring_principal=BOB)
    database.add_grant(key_id, "carol", "RetireGrant")
    assert ids(await pages(database, RETIRABLE)) == [[]]


async def test_a_retirable_grant_that_was_edited_is_not_listed_and_reported(
    database: Database, key_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    edited, whole = (database.add_grant(key_id, "bob", "Encrypt", retiring_principal=CAROL).grant_id for _ in range(2))
    edit(database, edited, grantee_principal=CAROL)
    assert ids(await pages(database, RETIRABLE)) == [[whole]]
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["subject"]) == ("integrity check failed", f"key:{key_id}")
