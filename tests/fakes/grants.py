"""Requests about grants, each answered by a lane of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fakes.database import ACCOUNT, Database
from fakes.deliveries import request
from fakes.workers import Lane, change_lane, code_of, turn_lane
from kmsq_schemas.models import (
    CreateGrantReply,
    CreateGrantRequest,
    GrantConstraints,
    GrantOperation,
    ListGrantsReply,
    ListGrantsRequest,
    Reply,
    Request,
)
from kmsq_worker import granted
from kmsq_worker.operations import CHANGE_OPERATIONS

ALICE, BOB, CAROL, ROOT = (*map(ACCOUNT.user_arn, ("alice", "bob", "carol")), ACCOUNT.root_arn)
NO_GRANT = "0" * 64


async def lane_for(database: Database, message: Request) -> Lane:
    """Return a lane that answers such requests."""
    is_change = type(message).__name__.removesuffix("Request") in CHANGE_OPERATIONS
    return await (change_lane(database) if is_change else turn_lane(database))


async def ask(database: Database, message: Request, principal: str = "alice") -> Reply:
    """Return the answer to one request."""
    (reply,) = await (await lane_for(database, message)).run(request(message, principal=principal))
    return reply


async def code(database: Database, message: Request, principal: str = "alice") -> str:
    """Return the error that one request is answered with, without `Exception`, or the name of its reply's type."""
    return code_of(await ask(database, message, principal)).removesuffix("Exception")


async def listed(database: Database, key_id: str) -> Sequence[str]:
    """Return the ids of a key's grants as alice sees them."""
    reply = await ask(database, ListGrantsRequest(key_id=key_id))
    assert isinstance(reply, ListGrantsReply)
    return [grant.grant_id for grant in reply.grants]


def asking(key_id: str, *operations: str, grantee: str = BOB, **more: Any) -> CreateGrantRequest:
    """Return a request for a grant."""
    names = [GrantOperation(operation) for operation in operations]
    return CreateGrantRequest(key_id=key_id, grantee_principal=grantee, operations=names, **more)


def constraints(
    *, equals: Mapping[str, str] | None = None, subset: Mapping[str, str] | None = None
) -> GrantConstraints:
    """Return constraints on the encryption context."""
    return GrantConstraints(
        encryption_context_equals=None if equals is None else dict(equals),
        encryption_context_subset=None if subset is None else dict(subset),
    )


async def created(
    database: Database, key_id: str, *operations: str, principal: str = "alice", **more: Any
) -> CreateGrantReply:
    """Create a grant, for bob unless `grantee` says otherwise."""
    reply = await ask(database, asking(key_id, *operations, **more), principal)
    assert isinstance(reply, CreateGrantReply), reply
    return reply


def take_away(database: Database, grant_id: str) -> None:
    """Take a grant away as the service would, at a new epoch."""
    row = database.tables.grants.pop(grant_id)
    left = [grant for grant in database.tables.grants.values() if grant.key_id == row.key_id]
    database.change_key(row.key_id, grants_digest=granted.digest(left))


def edit(database: Database, grant_id: str, /, **columns: Any) -> None:
    """Edit a grant as somebody with SQL would."""
    row = database.tables.grants.pop(grant_id)
    edited = replace(row, **columns)
    database.tables.grants[edited.grant_id] = edited
