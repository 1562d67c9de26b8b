"""TagResource, UntagResource, ListResourceTags. A key's tags are a column of its row: a JSON object."""

import json
from collections.abc import Iterable, Mapping, Sized
from dataclasses import replace

from kmsq_schemas import limits
from kmsq_schemas.models import (
    ListResourceTagsReply,
    ListResourceTagsRequest,
    Tag,
    TagListEntry,
    TagResourceReply,
    TagResourceRequest,
    UntagResourceReply,
    UntagResourceRequest,
)
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key
from kmsq_worker.errors import LimitExceededException, TagException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.states import refuse_pending_deletion
from kmsq_worker.policy.keys import ConditionKey

_RESERVED_PREFIX = "aws:"


async def tag_resource(execution: ChangeExecution, request: TagResourceRequest, _: None) -> TagResourceReply:
    """Add tags to a key, or change their values; a key has at most 50."""
    _refuse_too_many(request.tags)
    key = await execution.locate(request.key_id)
    execution.authorize("kms:TagResource", key, values=tag_values(request.tags))
    refuse_pending_deletion(key)
    await _save(execution, key, {**tags_of(key), **checked_tags(request.tags)})
    return TagResourceReply()


async def untag_resource(execution: ChangeExecution, request: UntagResourceRequest, _: None) -> UntagResourceReply:
    """Remove tags from a key; a tag that it does not have is no error."""
    _refuse_too_many(request.tag_keys)
    key = await execution.locate(request.key_id)
    execution.authorize("kms:UntagResource", key, values={ConditionKey.TAG_KEYS: tuple(request.tag_keys)})
    refuse_pending_deletion(key)
    _refuse_reserved(request.tag_keys)
    kept = {name: value for name, value in tags_of(key).items() if name not in request.tag_keys}
    await _save(execution, key, kept)
    return UntagResourceReply()


async def list_resource_tags(execution: TurnExecution, request: ListResourceTagsRequest) -> ListResourceTagsReply:
    """List a key's tags, in the order of their keys."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:ListResourceTags", key)
    scope = f"ListResourceTags {key.key_id}"
    limit = request.limit or limits.TAGS_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker)
    tags = tags_of(key)
    names = sorted(name for name in tags if name > after)
    found = page(execution.custody, scope, names, limit, str)
    return ListResourceTagsReply(
        tags=[TagListEntry(tag_key=name, tag_value=tags[name]) for name in found.entries],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


def tags_of(key: Key) -> Mapping[str, str]:
    """Return a key's tags."""
    tags: Mapping[str, str] = json.loads(key.row.tags)
    return tags


def encode_tags(tags: Mapping[str, str]) -> str:
    """
    Write tags as a key's row holds them: the same tags give the same text.

    Raises `LimitExceededException` for more than 50.
    """
    if len(tags) > limits.TAGS_PER_KEY:
        message = f"A key has at most {limits.TAGS_PER_KEY} tags."
        raise LimitExceededException(message)
    return json.dumps(tags, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def checked_tags(tags: Iterable[Tag]) -> Mapping[str, str]:
    """Return tags that may be put on a key. Raises `TagException`."""
    listed = [(tag.tag_key, tag.tag_value) for tag in tags]
    _refuse_too_many(listed)
    named = dict(listed)
    if len(named) != len(listed):
        message = "Duplicate tag keys"
        raise TagException(message)
    _refuse_reserved(named)
    return named


def tag_values(tags: Iterable[Tag]) -> Values:
    """Return what policies may ask about the tags of a request."""
    named = {tag.tag_key: tag.tag_value for tag in tags}
    return {ConditionKey.REQUEST_TAG: named, ConditionKey.TAG_KEYS: tuple(named)}


def _refuse_too_many(tags: Sized) -> None:
    """
    Raise `TagException` for a request with more tags than a key can have.

    Before any policy is asked: tens of thousands fit into a request, and a policy that looks at each of them takes a
    second, under the account's lock.
    """
    if len(tags) > limits.TAGS_PER_KEY:
        raise TagException("Too many tags")


def _refuse_reserved(names: Iterable[str]) -> None:
    if any(name.lower().startswith(_RESERVED_PREFIX) for name in names):
        message = f"Tags beginning with {_RESERVED_PREFIX} are reserved"
        raise TagException(message)


async def _save(execution: ChangeExecution, key: Key, tags: Mapping[str, str]) -> None:
    await execution.save_key(replace(key.row, tags=encode_tags(tags)))
