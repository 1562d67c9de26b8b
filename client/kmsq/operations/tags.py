"""Tags: what an account notes about its keys."""

from collections.abc import AsyncIterator, Sequence

from kmsq.operations.base import Operations, Tags, pages, tag_list
from kmsq_schemas.models import ListResourceTagsReply, TagListEntry, TagResourceReply, UntagResourceReply
from kmsq_schemas.operations import Operation


class TagOperations(Operations):
    """Tags: what an account notes about its keys."""

    async def tag_resource(self, key_id: str, tags: Tags, *, timeout_seconds: float | None = None) -> TagResourceReply:
        """Add tags, `{"team": "billing"}`, to a key, named by id or ARN. A tag key that is there gets the new value."""
        return await self._ask(
            Operation.TAG_RESOURCE, TagResourceReply, timeout_seconds, key_id=key_id, tags=tag_list(tags)
        )

    async def untag_resource(
        self, key_id: str, tag_keys: Sequence[str], *, timeout_seconds: float | None = None
    ) -> UntagResourceReply:
        """Remove the tags with these tag keys; those that are not there are passed over."""
        return await self._ask(
            Operation.UNTAG_RESOURCE, UntagResourceReply, timeout_seconds, key_id=key_id, tag_keys=list(tag_keys)
        )

    async def list_resource_tags(
        self,
        key_id: str,
        *,
        limit: int | None = None,
        marker: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListResourceTagsReply:
        """List one page of a key's tags, at most 50; `iter_resource_tags` goes through all."""
        return await self._ask(
            Operation.LIST_RESOURCE_TAGS,
            ListResourceTagsReply,
            timeout_seconds,
            key_id=key_id,
            limit=limit,
            marker=marker,
        )

    async def iter_resource_tags(self, key_id: str, *, page_size: int | None = None) -> AsyncIterator[TagListEntry]:
        """Go through all tags of a key, fetching pages as they are needed."""
        async for page in pages(lambda marker: self.list_resource_tags(key_id, limit=page_size, marker=marker)):
            for tag in page.tags:
                yield tag
