"""The fake's tags."""

from collections.abc import Iterable, Mapping

from kmsq.errors import LimitExceededException
from kmsq.testing.world import World, page
from kmsq_schemas import limits, models


def tag_resource(world: World, request: models.TagResourceRequest) -> models.TagResourceReply:
    """Add tags to a key."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    key.tags = merged(key.tags, request.tags)
    return models.TagResourceReply()


def untag_resource(world: World, request: models.UntagResourceRequest) -> models.UntagResourceReply:
    """Remove tags from a key."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    key.tags = {name: value for name, value in key.tags.items() if name not in request.tag_keys}
    return models.UntagResourceReply()


def list_resource_tags(world: World, request: models.ListResourceTagsRequest) -> models.ListResourceTagsReply:
    """List one page of a key's tags."""
    everything = sorted(world.locate_by_id(request.key_id).tags.items())
    tags, next_marker = page(everything, request.marker, request.limit or limits.TAGS_PAGE_DEFAULT)
    return models.ListResourceTagsReply(
        tags=[models.TagListEntry(tag_key=name, tag_value=value) for name, value in tags],
        next_marker=next_marker,
        truncated=next_marker is not None,
    )


def merged(tags: Mapping[str, str], added: Iterable[models.Tag]) -> dict[str, str]:
    """Return `tags` with those added. Raises `LimitExceededException` above 50."""
    everything = {**tags, **{tag.tag_key: tag.tag_value for tag in added}}
    if len(everything) > limits.TAGS_PER_KEY:
        message = f"A key has at most {limits.TAGS_PER_KEY} tags."
        raise LimitExceededException(message)
    return everything
