"""Tags: what an account notes about its keys."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas import limits
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.types import KeyId, Marker

_TagKey = Annotated[str, Field(min_length=1, max_length=limits.TAG_KEY_MAX_CHARS)]
_TagValue = Annotated[str, Field(max_length=limits.TAG_VALUE_MAX_CHARS)]
_TagsLimit = Annotated[int, Field(ge=1, le=limits.TAGS_PAGE_MAX)]


class Tag(Request):
    tag_key: _TagKey
    tag_value: _TagValue


class TagListEntry(Reply):
    """`Tag` as replies show it."""

    tag_key: _TagKey
    tag_value: _TagValue


class TagResourceRequest(Request):
    """Add tags to a key; a tag key that is there gets the new value."""

    key_id: KeyId
    tags: list[Tag]


class TagResourceReply(Reply):
    pass


class UntagResourceRequest(Request):
    """Remove tags from a key, named by their tag keys."""

    key_id: KeyId
    tag_keys: list[_TagKey]


class UntagResourceReply(Reply):
    pass


class ListResourceTagsRequest(Request):
    """List a key's tags, a page at a time."""

    key_id: KeyId
    limit: _TagsLimit | None = None
    marker: Marker | None = None


class ListResourceTagsReply(Reply):
    tags: list[TagListEntry]
    next_marker: Marker | None = None
    truncated: bool
