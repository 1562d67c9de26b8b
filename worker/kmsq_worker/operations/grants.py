"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace

from kmsq_schemas import limits
from kmsq_schemas.models import (
    CreateGrantReply,
    CreateGrantRequest,
    GrantConstraints,
    GrantListConstraints,
    GrantListEntry,
    GrantOperation,
    ListGrantsReply,
    ListGrantsRequest,
    ListRetirableGrantsReply,
    ListRetirableGrantsRequest,
    RetireGrantReply,
    RetireGrantRequest,
    RevokeGrantReply,
    RevokeGrantRequest,
)
from kmsq_worker.arn import USER_NAME, Account
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key, key_subject
from kmsq_worker.envelope import encode_context
from kmsq_worker.errors import (
    InvalidArnException,
    InvalidGrantIdException,
    LimitExceededException,
    NotFoundException,
    UnsupportedOperationException,
    ValidationException,
)
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.granted import EQUALS, SUBSET, as_grant
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.grant_tokens import GRANT_ID_BYTES, NamedGrant, make_token, read_token
from kmsq_worker.operations.grantable import require_grantable
from kmsq_worker.operations.pages import Page, page, position_of
from kmsq_worker.operations.states import require_enabled
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.store.rows import GrantRow

PAGE_CONSTRAINTS_MAX_CHARS = 2 * 1024 * 1024  # of one page, as rows hold them: a reply stays below 4 MiB

_CONSTRAINT_TYPE = ConditionKey.GRANT_CONSTRAINT_TYPE
_is_grant_id = re.compile(rf"[0-9a-f]{{{2 * GRANT_ID_BYTES}}}").fullmatch
_is_user_name = re.compile(USER_NAME).fullmatch


async def create_grant(execution: ChangeExecution, request: CreateGrantRequest, _: None) -> CreateGrantReply:
    """
    Permit a user some operations on a key, with immediate effect; a key has at most 50,000 grants.

    With a name, the grant of this name and exactly these parameters is returned if it is there already.
    """
    key = await execution.locate(request.key_id)
    row = _new_row(execution, key, request)
    grant = as_grant(row)
    execution.authorize("kms:CreateGrant", key, context=grant.context, values=grant.conditions, target=grant)
    require_enabled(key)
    require_grantable(key, grant)
    existing = _same_grant(key, row)
    if existing is None:
        _require_room(key)
    stop_if_dry(request.dry_run)
    if existing is None:
        await execution.create_grant(key, row)
    named = NamedGrant(key_id=key.key_id, grant_id=(existing or row).grant_id)
    execution.touched.grants.append(named.grant_id)
    return CreateGrantReply(grant_id=named.grant_id, grant_token=make_token(execution.custody, named))


async def list_grants(execution: TurnExecution, request: ListGrantsRequest) -> ListGrantsReply:
    """List a key's grants by id: all, one, or those of one grantee."""
    grantee = _optional_user(execution.account, request.grantee_principal, request.grantee_service_principal)
    if request.grant_id is not None:
        _require_grant_id(request.grant_id)
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:ListGrants", key)
    scope = f"ListGrants {key.key_id} {request.grant_id or ''} {grantee or ''}"
    after = position_of(execution.custody, scope, request.marker)
    rows = [
        row
        for row in key.grants.rows.values()
        if row.grant_id > after
        and request.grant_id in (None, row.grant_id)
        and grantee in (None, row.grantee_principal)
    ]
    found = _page(execution, scope, rows, request.limit or limits.GRANTS_PAGE_DEFAULT)
    return ListGrantsReply(
        grants=[_entry(execution.account, row) for row in found.entries],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


async def list_retirable_grants(
    execution: TurnExecution, request: ListRetirableGrantsRequest
) -> ListRetirableGrantsReply:
    """List the grants, of all keys in all states, that name a user as the one who may retire them; by id."""
    retiring = _user(execution.account, request.retiring_principal)
    execution.authorize_account("kms:ListRetirableGrants")
    scope = f"ListRetirableGrants {retiring}"
    limit = request.limit or limits.GRANTS_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker)
    rows = await execution.reader.list_retirable(retiring, after, limit + 1)
    found = _page(execution, scope, rows, limit)
    believed = await execution.believed(found.entries, lambda row: key_subject(row.key_id))
    return ListRetirableGrantsReply(
        grants=[_entry(execution.account, row) for row in believed],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


async def retire_grant(execution: ChangeExecution, request: RetireGrantRequest, _: None) -> RetireGrantReply:
    """
    Give a grant back, which is named by its token or by key and id.

    The grant itself tells who may: its retiring principal, and its grantee if it allows RetireGrant. Where it does not
    exist, only a policy can allow, so that nobody else learns which grants there are.
    """
    named = _named(execution, request)
    key = await execution.locate(named.key_id)
    row = key.grants.rows.get(named.grant_id)
    grant = None if row is None else as_grant(row)
    context = None if grant is None else grant.context
    values: Values = {} if grant is None else {_CONSTRAINT_TYPE: grant.conditions[_CONSTRAINT_TYPE]}
    try:
        execution.authorize("kms:RetireGrant", key, context=context, values=values, target=grant)
    finally:
        execution.touched.grants[:] = [named.grant_id]  # once, and in the record of a refusal, too
    await _delete(execution, key, named.grant_id, dry_run=request.dry_run)
    return RetireGrantReply()


async def revoke_grant(execution: ChangeExecution, request: RevokeGrantRequest, _: None) -> RevokeGrantReply:
    """Take a grant away, with immediate effect."""
    _require_grant_id(request.grant_id)
    key = await execution.locate(request.key_id)
    execution.touched.grants.append(request.grant_id)
    execution.authorize("kms:RevokeGrant", key)
    await _delete(execution, key, request.grant_id, dry_run=request.dry_run)
    return RevokeGrantReply()


async def _delete(execution: ChangeExecution, key: Key, grant_id: str, *, dry_run: bool | None) -> None:
    if grant_id not in key.grants.rows:
        message = f"Grant {grant_id} not found"
        raise NotFoundException(message)
    stop_if_dry(dry_run)
    await execution.delete_grant(key, grant_id)


def _new_row(execution: ChangeExecution, key: Key, request: CreateGrantRequest) -> GrantRow:
    """Write down what is asked for, under a new id, if a grant can be like that."""
    retiring = (request.retiring_principal, request.retiring_service_principal)
    if not request.operations:
        message = "A grant needs at least one operation."
        raise ValidationException(message)
    return GrantRow(
        grant_id=secrets.token_hex(GRANT_ID_BYTES),
        key_id=key.key_id,
        name=request.name,
        grantee_principal=_user(execution.account, request.grantee_principal),
        retiring_principal=_optional_user(execution.account, *retiring),
        operations=[operation.value for operation in dict.fromkeys(request.operations)],
        constraints=_encode_constraints(request.constraints or GrantConstraints()),
        creation_date=execution.moment,
    )


def _encode_constraints(constraints: GrantConstraints) -> str:
    if constraints.source_arn is not None:
        message = "SourceArn is not supported: it names resources of AWS services, and there are none here."
        raise UnsupportedOperationException(message)
    given = {EQUALS: constraints.encryption_context_equals, SUBSET: constraints.encryption_context_subset}
    for context in given.values():
        encode_context(context or {})  # for its limits
    return json.dumps({name: context for name, context in given.items() if context is not None}, sort_keys=True)


def _same_grant(key: Key, row: GrantRow) -> GrantRow | None:
    """Return the grant that has this one's name and is like it in everything but id and date."""
    if row.name is None:
        return None
    grant = as_grant(row)
    named = (other for other in key.grants.rows.values() if other.name == row.name)
    return next((other for other in named if as_grant(other) == replace(grant, grant_id=other.grant_id)), None)


def _require_room(key: Key) -> None:
    if len(key.grants) >= limits.GRANTS_PER_KEY:
        message = f"{key.arn} has {limits.GRANTS_PER_KEY} grants, the most a key can have."
        raise LimitExceededException(message)


def _named(execution: ChangeExecution, request: RetireGrantRequest) -> NamedGrant:
    if request.grant_token is not None:
        return read_token(execution.custody, request.grant_token)
    if request.key_id is None or request.grant_id is None:  # the contract refuses this before
        message = "Please specify either GrantToken or both KeyId and GrantId"
        raise ValidationException(message)
    _require_grant_id(request.grant_id)
    return NamedGrant(key_id=request.key_id, grant_id=request.grant_id)


def _require_grant_id(grant_id: str) -> None:
    if not _is_grant_id(grant_id):
        message = f"A grant id has {2 * GRANT_ID_BYTES} hexadecimal digits in lower case."
        raise InvalidGrantIdException(message)


def _optional_user(account: Account, arn: str | None, service: str | None) -> str | None:
    return None if arn is None and service is None else _user(account, arn)


def _user(account: Account, arn: str | None) -> str:
    """
    Return the ARN of one of the account's users, whether there is such a user or not.

    Without an ARN the request names a service principal: the contract wants one of the two. Raises
    `InvalidArnException`, `UnsupportedOperationException`.
    """
    if arn is None:
        message = "Service principals are not supported: they are services of AWS, and there are none here."
        raise UnsupportedOperationException(message)
    if arn == account.root_arn:
        message = f"{arn} is nobody who calls: grants are for users, {account.user_arn('<name>')}."
        raise InvalidArnException(message)
    prefix = account.user_arn("")
    if not arn.startswith(prefix) or not _is_user_name(arn[len(prefix) :]):
        message = f"{arn} is not the ARN of a user of this account, {account.user_arn('<name>')}."
        raise InvalidArnException(message)
    return arn


def _page(execution: TurnExecution, scope: str, rows: Sequence[GrantRow], limit: int) -> Page[GrantRow]:
    """Make a page of up to `limit` grants; of fewer if their constraints are long."""
    chars = 0
    for count, row in enumerate(rows[:limit]):
        chars += len(row.constraints)
        if chars > PAGE_CONSTRAINTS_MAX_CHARS:
            limit = count
            break
    return page(execution.custody, scope, rows, limit, lambda row: row.grant_id)


def _entry(account: Account, row: GrantRow) -> GrantListEntry:
    contexts: dict[str, dict[str, str]] = json.loads(row.constraints)
    constraints = GrantListConstraints(
        encryption_context_equals=contexts.get(EQUALS), encryption_context_subset=contexts.get(SUBSET)
    )
    return GrantListEntry(
        key_id=account.key_arn(row.key_id),
        grant_id=row.grant_id,
        name=row.name,
        creation_date=row.creation_date,
        grantee_principal=row.grantee_principal,
        retiring_principal=row.retiring_principal,
        issuing_account=account.root_arn,
        operations=[GrantOperation(operation) for operation in row.operations],
        constraints=constraints if contexts else None,
    )
