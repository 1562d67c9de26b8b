"""Aliases: names that point at keys."""

from collections.abc import AsyncIterator

from kmsq.operations.base import Operations, pages
from kmsq_schemas.models import (
    AliasListEntry,
    CreateAliasReply,
    DeleteAliasReply,
    ListAliasesReply,
    UpdateAliasReply,
)
from kmsq_schemas.operations import Operation


class AliasOperations(Operations):
    """Aliases: names that point at keys."""

    async def create_alias(
        self, alias_name: str, target_key_id: str, *, timeout_seconds: float | None = None
    ) -> CreateAliasReply:
        """Point a new alias (`alias/…`) at a key, named by id or ARN."""
        return await self._ask(
            Operation.CREATE_ALIAS,
            CreateAliasReply,
            timeout_seconds,
            alias_name=alias_name,
            target_key_id=target_key_id,
        )

    async def update_alias(
        self, alias_name: str, target_key_id: str, *, timeout_seconds: float | None = None
    ) -> UpdateAliasReply:
        """Point an alias at another key of the same type and usage."""
        return await self._ask(
            Operation.UPDATE_ALIAS,
            UpdateAliasReply,
            timeout_seconds,
            alias_name=alias_name,
            target_key_id=target_key_id,
        )

    async def delete_alias(self, alias_name: str, *, timeout_seconds: float | None = None) -> DeleteAliasReply:
        """Remove an alias; the key stays."""
        return await self._ask(Operation.DELETE_ALIAS, DeleteAliasReply, timeout_seconds, alias_name=alias_name)

    async def list_aliases(
        self,
        *,
        key_id: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListAliasesReply:
        """List one page of aliases, of one key or of all; `iter_aliases` goes through all pages."""
        return await self._ask(
            Operation.LIST_ALIASES, ListAliasesReply, timeout_seconds, key_id=key_id, limit=limit, marker=marker
        )

    async def iter_aliases(
        self, *, key_id: str | None = None, page_size: int | None = None
    ) -> AsyncIterator[AliasListEntry]:
        """Go through all aliases, of one key or of all, fetching pages as they are needed."""
        async for page in pages(lambda marker: self.list_aliases(key_id=key_id, limit=page_size, marker=marker)):
            for alias in page.aliases:
                yield alias
