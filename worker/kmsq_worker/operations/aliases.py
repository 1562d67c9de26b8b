"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

import re
from collections.abc import Sequence
from dataclasses import replace

from kmsq_schemas import limits
from kmsq_schemas.models import (
    AliasListEntry,
    CreateAliasReply,
    CreateAliasRequest,
    DeleteAliasReply,
    DeleteAliasRequest,
    ListAliasesReply,
    ListAliasesRequest,
    UpdateAliasReply,
    UpdateAliasRequest,
)
from kmsq_schemas.models.enums import KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.arn import Account, parse_key_reference
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key, alias_subject
from kmsq_worker.errors import (
    AlreadyExistsException,
    InvalidAliasNameException,
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
)
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.states import refuse_pending_deletion
from kmsq_worker.store.rows import AliasRow
from kmsq_worker.view import Wanted

_ALIAS_NAME = re.compile(r"alias/[a-zA-Z0-9:/_-]{1,250}")
_RESERVED_PREFIX = "alias/aws/"


async def create_alias(execution: ChangeExecution, request: CreateAliasRequest, _: None) -> CreateAliasReply:
    """Give a key a further name; a key has at most 50."""
    _require_alias_name(request.alias_name)
    key = await execution.locate(request.target_key_id)
    execution.authorize("kms:CreateAlias", key)
    refuse_pending_deletion(key)
    if await execution.find_alias(request.alias_name) is not None:
        message = f"An alias with the name {execution.account.alias_arn(request.alias_name)} already exists"
        raise AlreadyExistsException(message)
    await _require_room(execution, key)
    now = execution.moment
    await execution.create_alias(
        AliasRow(
            alias_name=request.alias_name,
            key_id=key.key_id,
            creation_date=now,
            last_updated_date=now,
            revision=execution.epoch,
        ),
        key,
    )
    return CreateAliasReply()


async def update_alias(execution: ChangeExecution, request: UpdateAliasRequest, _: None) -> UpdateAliasReply:
    """Point an alias at another key of the same type and usage."""
    alias = await _existing(execution, request.alias_name)
    current = await _target(execution, alias)
    target = await execution.locate(request.target_key_id)
    execution.authorize("kms:UpdateAlias", current)
    execution.authorize("kms:UpdateAlias", target)
    refuse_pending_deletion(target)
    if _kind(current) != _kind(target):
        message = f"{alias.alias_name} can only be moved to a key of the same type and usage."
        raise KMSInvalidStateException(message)
    if current.key_id != target.key_id:
        await _require_room(execution, target)
    moved = replace(alias, key_id=target.key_id, last_updated_date=execution.moment)
    await execution.move_alias(moved, current, target)
    return UpdateAliasReply()


async def delete_alias(execution: ChangeExecution, request: DeleteAliasRequest, _: None) -> DeleteAliasReply:
    """Delete an alias; its key stays as it is."""
    alias = await _existing(execution, request.alias_name)
    key = await _target(execution, alias)
    execution.authorize("kms:DeleteAlias", key)
    await execution.delete_alias(alias, key)
    return DeleteAliasReply()


def wants_aliases(account: Account, request: ListAliasesRequest) -> Sequence[Wanted]:
    """Need the key whose aliases are asked for."""
    return () if request.key_id is None else (Wanted(parse_key_reference(request.key_id, account)),)


async def list_aliases(execution: TurnExecution, request: ListAliasesRequest) -> ListAliasesReply:
    """List the account's aliases, or those of one key, by name."""
    execution.authorize_account("kms:ListAliases")
    key_id = None if request.key_id is None else execution.locate_by_id(request.key_id).key_id
    scope = f"ListAliases {key_id or ''}"
    limit = request.limit or limits.ALIASES_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker)
    rows = await execution.reader.list_aliases(key_id, after, limit + 1)
    found = page(execution.custody, scope, rows, limit, lambda row: row.alias_name)
    return ListAliasesReply(
        aliases=[_entry(execution, row) for row in await execution.believed(found.entries, _subject)],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


def _entry(execution: TurnExecution, row: AliasRow) -> AliasListEntry:
    return AliasListEntry(
        alias_name=row.alias_name,
        alias_arn=execution.account.alias_arn(row.alias_name),
        target_key_id=row.key_id,
        creation_date=row.creation_date,
        last_updated_date=row.last_updated_date,
    )


def _subject(row: AliasRow) -> str:
    return alias_subject(row.alias_name)


async def _existing(execution: ChangeExecution, alias_name: str) -> AliasRow:
    alias = await execution.find_alias(alias_name)
    if alias is None:
        message = f"Alias {execution.account.alias_arn(alias_name)} is not found."
        raise NotFoundException(message)
    return alias


async def _target(execution: ChangeExecution, alias: AliasRow) -> Key:
    return await execution.locate(alias.key_id)


def _kind(key: Key) -> tuple[bool, str]:
    """Tell symmetric keys, HMAC keys and key pairs apart, by their usage as well; any spec of a kind will do, as in AWS."""
    return keyspecs.is_asymmetric(KeySpec(key.row.key_spec)), key.row.key_usage


async def _require_room(execution: ChangeExecution, key: Key) -> None:
    if await execution.transaction.count_aliases(key.key_id) >= limits.ALIASES_PER_KEY:
        message = f"{key.arn} has {limits.ALIASES_PER_KEY} aliases, the most a key can have."
        raise LimitExceededException(message)


def _require_alias_name(alias_name: str) -> None:
    if alias_name.startswith(_RESERVED_PREFIX):
        message = f"Aliases that begin with {_RESERVED_PREFIX} are reserved."
        raise InvalidAliasNameException(message)
    if not _ALIAS_NAME.fullmatch(alias_name):
        message = "An alias is 'alias/' and 1 to 250 characters of a-z A-Z 0-9 : / _ -"
        raise InvalidAliasNameException(message)
