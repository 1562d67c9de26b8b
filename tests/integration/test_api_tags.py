"""Tags: what an account notes about its keys."""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from integration.api import Api, new_key


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in pairs.items()]


async def tags_of(api: Api, key: str) -> Mapping[str, str]:
    listed = await api("ListResourceTags", KeyId=key)
    assert listed.keys() == {"Tags", "Truncated"}
    return {tag["TagKey"]: tag["TagValue"] for tag in listed["Tags"]}


async def test_a_key_is_created_with_tags(api: Api) -> None:
    key = (await new_key(api, Tags=tags(Project="kmsq", Étage="0", Empty="")))["KeyId"]
    assert await tags_of(api, key) == {"Project": "kmsq", "Étage": "0", "Empty": ""}


async def test_a_key_without_tags_has_an_empty_list(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api("ListResourceTags", KeyId=key) == {"Tags": [], "Truncated": False}


async def test_tags_are_added_overwritten_and_removed(api: Api) -> None:
    made = await new_key(api, Tags=tags(Project="kmsq"))
    key = made["KeyId"]
    assert await api("TagResource", KeyId=key, Tags=tags(Stage="test", Owner="x")) == {}
    assert await tags_of(api, key) == {"Project": "kmsq", "Stage": "test", "Owner": "x"}
    await api("TagResource", KeyId=made["Arn"], Tags=tags(Stage="live"))
    assert await tags_of(api, made["Arn"]) == {"Project": "kmsq", "Stage": "live", "Owner": "x"}
    assert await api("UntagResource", KeyId=key, TagKeys=["Owner", "Stage"]) == {}
    assert await tags_of(api, key) == {"Project": "kmsq"}


async def test_tag_keys_are_told_apart_by_case(api: Api) -> None:
    key = (await new_key(api, Tags=tags(Stage="1", stage="2")))["KeyId"]
    await api("UntagResource", KeyId=key, TagKeys=["STAGE", "stage"])
    assert await tags_of(api, key) == {"Stage": "1"}


async def test_to_remove_a_tag_that_is_not_there_is_no_error(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api("UntagResource", KeyId=key, TagKeys=["Stage"]) == {}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (tags(Stage="1") + tags(Stage="2"), "TagException"),
        ([{"TagKey": "aws:stage", "TagValue": "x"}], "TagException"),
        ([{"TagKey": "AWS:stage", "TagValue": "x"}], "TagException"),
        ([{"TagKey": "", "TagValue": "x"}], "ValidationException"),
        ([{"TagKey": "x" * 129, "TagValue": "x"}], "ValidationException"),
        ([{"TagKey": "x", "TagValue": "x" * 257}], "ValidationException"),
        ([{"TagKey": "x"}], "ValidationException"),
    ],
    ids=["doubled", "reserved", "reserved in capitals", "without a key", "key too long", "value too long", "no value"],
)
async def test_tags_have_rules(api: Api, wrong: list[dict[str, str]], code: str) -> None:
    key = (await new_key(api))["KeyId"]
    assert await api.code("CreateKey", Tags=wrong) == code
    assert await api.code("TagResource", KeyId=key, Tags=wrong) == code
    assert await tags_of(api, key) == {}


async def test_a_key_has_at_most_50_tags(api: Api) -> None:
    fifty = tags(**{f"tag{number}": "x" for number in range(50)})
    one_more = tags(one_more="x")
    key = (await new_key(api, Tags=fifty))["KeyId"]
    assert await api.code("TagResource", KeyId=key, Tags=one_more) == "LimitExceededException"
    assert await api.code("CreateKey", Tags=fifty + one_more) == "TagException"
    await api("TagResource", KeyId=key, Tags=tags(tag0="y"))  # overwrites
    await api("UntagResource", KeyId=key, TagKeys=["tag1"])
    await api("TagResource", KeyId=key, Tags=one_more)
    assert len(await tags_of(api, key)) == 50


async def test_tags_belong_to_keys_and_not_to_aliases(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    alias = f"alias/{uuid4()}"
    await api("CreateAlias", AliasName=alias, TargetKeyId=key)
    for operation, more in (
        ("TagResource", {"Tags": tags(Stage="x")}),
        ("UntagResource", {"TagKeys": ["Stage"]}),
        ("ListResourceTags", {}),
    ):
        for name in (alias, str(uuid4())):
            assert await api.code(operation, KeyId=name, **more) == "NotFoundException"
