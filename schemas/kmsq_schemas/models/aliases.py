"""Aliases: names that point at keys."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas import limits
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.types import AliasName, Arn, KeyId, Marker, Timestamp

_AliasesLimit = Annotated[int, Field(ge=1, le=limits.ALIASES_PAGE_MAX)]


class CreateAliasRequest(Request):
    """Name a key."""

    alias_name: AliasName
    target_key_id: KeyId


class CreateAliasReply(Reply):
    pass


class UpdateAliasRequest(Request):
    """Point an alias at another key of the same type and usage."""

    alias_name: AliasName
    target_key_id: KeyId


class UpdateAliasReply(Reply):
    pass


class DeleteAliasRequest(Request):
    """Delete an alias; its key stays."""

    alias_name: AliasName


class DeleteAliasReply(Reply):
    pass


class ListAliasesRequest(Request):
    """List aliases, of one key or of the account, a page at a time."""

    key_id: KeyId | None = None
    limit: _AliasesLimit | None = None
    marker: Marker | None = None


class AliasListEntry(Reply):
    alias_name: AliasName
    alias_arn: Arn
    target_key_id: KeyId
    creation_date: Timestamp
    last_updated_date: Timestamp


class ListAliasesReply(Reply):
    aliases: list[AliasListEntry]
    next_marker: Marker | None = None
    truncated: bool
