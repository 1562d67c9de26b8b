"""Tags: what a request may name, and before what that is checked."""

import pytest

from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import change_lane, code_of
from kmsq_schemas import limits
from kmsq_schemas.models import Request, Tag, TagResourceRequest, UntagResourceRequest


def naming(kind: type[Request], key_id: str, count: int) -> Request:
    """Return a request that names `count` tags."""
    names = [f"name-{number}" for number in range(count)]
    if kind is UntagResourceRequest:
        return UntagResourceRequest(key_id=key_id, tag_keys=names)
    return TagResourceRequest(key_id=key_id, tags=[Tag(tag_key=name, tag_value="") for name in names])


@pytest.mark.parametrize("kind", [TagResourceRequest, UntagResourceRequest])
async def test_no_policy_is_asked_about_more_tags_than_a_key_can_have(kind: type[Request]) -> None:
    database = Database()
    key = database.add_key(creator="bob").key_id
    asked, spared = (naming(kind, key, count) for count in (limits.TAGS_PER_KEY, limits.TAGS_PER_KEY + 1))
    replies = await (await change_lane(database)).run(request(asked), request(spared))
    assert [code_of(reply) for reply in replies] == ["AccessDeniedException", "TagException"]
