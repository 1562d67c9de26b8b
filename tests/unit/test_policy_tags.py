"""
Conditions on the tags of a key and of a request. A table: each row is asked in an Allow and in a Deny.

Where the two effects differ (the safe side of an ambiguity) the row says `IN_DENY_ONLY`.
"""

import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from kmsq_worker.policy.access import NOTHING, Access, Value
from kmsq_worker.policy.document import parse
from kmsq_worker.policy.evaluate import Decision, evaluate

ALICE = "arn:kmsq:iam::111122223333:user/alice"
KEY = "arn:kmsq:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IN_DENY_ONLY = None


class Row(NamedTuple):
    """A condition, whether it holds, and of what."""

    condition: dict[str, dict[str, Any]]
    holds: bool | None
    values: Mapping[str, Value] = NOTHING
    action: str = "kms:Encrypt"
    resource: str = KEY


def team(operator: str, wanted: object, tags: dict[str, str] | None, *, holds: bool | None) -> Row:
    """Ask for the tag `Team` of a key."""
    return Row({operator: {"aws:ResourceTag/Team": wanted}}, holds, {} if tags is None else {"aws:ResourceTag": tags})


def asked(operator: str, wanted: object, tags: dict[str, str], *, holds: bool | None) -> Row:
    """Ask for the tag `Team` of a TagResource."""
    values: dict[str, Value] = {"aws:RequestTag": tags, "aws:TagKeys": tuple(tags)}
    return Row({operator: {"aws:RequestTag/Team": wanted}}, holds, values, "kms:TagResource")


def keys(operator: str, wanted: object, *tag_keys: str, holds: bool | None) -> Row:
    """Ask for the keys of an UntagResource."""
    return Row({operator: {"aws:TagKeys": wanted}}, holds, {"aws:TagKeys": tag_keys}, "kms:UntagResource")


def unsaid(condition: dict[str, dict[str, Any]], *, holds: bool | None, action: str, resource: str = KEY) -> Row:
    """Ask for what the worker did not supply."""
    return Row(condition, holds, NOTHING, action, resource)


RESOURCE = {
    "equals": team("StringEquals", "red", {"Team": "red"}, holds=True),
    "equals, among others": team("StringEquals", "red", {"Stage": "blue", "Team": "red"}, holds=True),
    "equals one of": team("StringEquals", ["blue", "red"], {"Team": "red"}, holds=True),
    "another value": team("StringEquals", "red", {"Team": "blue"}, holds=False),
    "the value's case": team("StringEquals", "red", {"Team": "Red"}, holds=False),
    "the value's case, ignored": team("StringEqualsIgnoreCase", "red", {"Team": "RED"}, holds=True),
    "the key's case": team("StringEquals", "red", {"tEAM": "red"}, holds=True),
    "another key": team("StringEquals", "red", {"Teams": "red"}, holds=False),
    "no tags": team("StringEquals", "red", {}, holds=False),
    "no such tag, if exists": team("StringEqualsIfExists", "red", {"Stage": "red"}, holds=True),
    "an empty value": team("StringEquals", "", {"Team": ""}, holds=True),
    "like": team("StringLike", "r*", {"Team": "red"}, holds=True),
    "the caller's own": team("StringEquals", "${aws:username}", {"Team": "alice"}, holds=True),
    "another's": team("StringEquals", "${aws:username}", {"Team": "bob"}, holds=False),
    "not equals": team("StringNotEquals", "red", {"Team": "blue"}, holds=True),
    "not equals, but does": team("StringNotEquals", "red", {"Team": "red"}, holds=False),
    "not equals, the key's case": team("StringNotEquals", "red", {"team": "red"}, holds=False),
    "not equals, no tags": team("StringNotEquals", "red", {}, holds=True),
    "null": team("Null", "true", {"Stage": "x"}, holds=True),
    "null, but is there": team("Null", "true", {"TEAM": ""}, holds=False),
    "not null": team("Null", "false", {"Team": "x"}, holds=True),
    "two spellings": team("StringEquals", "red", {"Team": "red", "team": "red"}, holds=True),
    "two spellings, one value": team("StringEquals", "red", {"Team": "red", "team": "blue"}, holds=IN_DENY_ONLY),
    "two spellings, not one value": team("StringNotEquals", "red", {"Team": "red", "team": "x"}, holds=IN_DENY_ONLY),
    "any of two spellings": team("ForAnyValue:StringEquals", "red", {"Team": "red", "team": "x"}, holds=True),
    "any, no tags": team("ForAnyValue:StringEquals", "red", {}, holds=False),
    "any if exists, no tags": team("ForAnyValue:StringEqualsIfExists", "red", {}, holds=IN_DENY_ONLY),
    "a tag of the request is none of the key": Row(
        {"StringEquals": {"aws:ResourceTag/Team": "red"}},
        holds=False,
        values={"aws:ResourceTag": {}, "aws:RequestTag": {"Team": "red"}},
        action="kms:TagResource",
    ),
    "a pair of the context is no tag": Row(
        {"StringEquals": {"aws:ResourceTag/Team": "red", "kms:EncryptionContext:Team": "red"}},
        holds=False,
        values={"aws:ResourceTag": {"Team": "red"}},
    ),
    "two tags": Row(
        {"StringEquals": {"aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2"}},
        holds=True,
        values={"aws:ResourceTag": {"a": "1", "b": "2"}},
    ),
    "not all of two tags": Row(
        {"StringEquals": {"aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2"}},
        holds=False,
        values={"aws:ResourceTag": {"a": "1", "b": "1"}},
    ),
}

REQUEST = {
    "equals": asked("StringEquals", "red", {"Team": "red"}, holds=True),
    "another value": asked("StringEquals", "red", {"Team": "blue"}, holds=False),
    "the key's case": asked("StringEquals", "red", {"team": "red"}, holds=True),
    "no such tag": asked("StringEquals", "red", {"Stage": "red"}, holds=False),
    "not equals, no such tag": asked("StringNotEquals", "red", {"Stage": "red"}, holds=True),
    "null": asked("Null", "true", {}, holds=True),
    "two spellings, one value": asked("StringLike", "r*", {"Team": "red", "TEAM": "x"}, holds=IN_DENY_ONLY),
    "a tag of the key is none of the request": Row(
        {"StringEquals": {"aws:RequestTag/Team": "red"}},
        holds=False,
        values={"aws:ResourceTag": {"Team": "red"}, "aws:RequestTag": {}},
        action="kms:TagResource",
    ),
    "keys, all": keys("ForAllValues:StringEquals", ["Team", "Stage"], "Team", holds=True),
    "keys, all but one": keys("ForAllValues:StringEquals", ["Team", "Stage"], "Team", "Cost", holds=False),
    "keys, none": keys("ForAllValues:StringEquals", ["Team"], holds=True),
    "keys mind case": keys("ForAllValues:StringEquals", "Team", "team", holds=False),
    "keys, ignoring case": keys("ForAllValues:StringEqualsIgnoreCase", "Team", "team", holds=True),
    "keys, any": keys("ForAnyValue:StringLike", "T*", "Stage", "Team", holds=True),
    "keys, not any": keys("ForAnyValue:StringLike", "T*", "Stage", "Cost", holds=False),
    "keys, any of none": keys("ForAnyValue:StringLike", "*", holds=False),
    "keys, null": keys("Null", "true", holds=True),
    "keys, not null": keys("Null", "false", "Team", holds=True),
    "keys, no set operator": keys("StringEquals", "Team", "Team", "Stage", holds=IN_DENY_ONLY),
}

EQUALS, NOT_EQUALS = "StringEquals", "StringNotEquals"
UNSAID = {
    "a key's tags": unsaid({EQUALS: {"aws:ResourceTag/x": "y"}}, holds=IN_DENY_ONLY, action="kms:Encrypt"),
    "a key's tags, not": unsaid({NOT_EQUALS: {"aws:ResourceTag/x": "y"}}, holds=IN_DENY_ONLY, action="kms:Encrypt"),
    "a key's tags, null": unsaid({"Null": {"aws:ResourceTag/x": True}}, holds=IN_DENY_ONLY, action="kms:Encrypt"),
    "tags of what is no key": unsaid(
        {NOT_EQUALS: {"aws:ResourceTag/x": "y"}}, holds=True, action="kms:CreateKey", resource="*"
    ),
    "tags to create with": unsaid(
        {NOT_EQUALS: {"aws:RequestTag/x": "y"}}, holds=IN_DENY_ONLY, action="kms:CreateKey", resource="*"
    ),
    "tags to put": unsaid({"Null": {"aws:RequestTag/x": True}}, holds=IN_DENY_ONLY, action="kms:TagResource"),
    "tags to take away have no values": unsaid(
        {"Null": {"aws:RequestTag/x": True}}, holds=True, action="kms:UntagResource"
    ),
    "keys to create with": unsaid(
        {"ForAllValues:StringEquals": {"aws:TagKeys": "x"}}, holds=IN_DENY_ONLY, action="kms:CreateKey", resource="*"
    ),
    "keys to put": unsaid({"Null": {"aws:TagKeys": True}}, holds=IN_DENY_ONLY, action="kms:TagResource"),
    "keys to take away": unsaid({"Null": {"aws:TagKeys": True}}, holds=IN_DENY_ONLY, action="KMS:untagRESOURCE"),
    "keys of what does not tag": unsaid(
        {"ForAllValues:StringEquals": {"aws:TagKeys": "x"}}, holds=True, action="kms:Encrypt"
    ),
    "tags of what does not tag": unsaid({"Null": {"aws:RequestTag/x": True}}, holds=True, action="kms:Encrypt"),
}

ROWS = {
    f"{family}: {name}": row
    for family, rows in (("resource", RESOURCE), ("request", REQUEST), ("unsaid", UNSAID))
    for name, row in rows.items()
}


def decide(effect: str, row: Row) -> Decision:
    statement = {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", "Condition": row.condition}
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    return evaluate(policy, Access(ALICE, row.action, row.resource, NOTHING, row.values))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_an_allow_applies_when_its_condition_holds(row: Row) -> None:
    assert decide("Allow", row) is (Decision.ALLOW if row.holds else Decision.NEUTRAL)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_deny_applies_when_its_condition_holds(row: Row) -> None:
    assert decide("Deny", row) is (Decision.NEUTRAL if row.holds is False else Decision.DENY)


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "ForAnyValue:StringLike", "Null"])
def test_a_tag_spelt_in_many_ways_is_unknown(operator: str) -> None:
    spellings = ["".join(letters) for letters in itertools.product("tT", "eE", "aA", "mM")]
    wanted, value = ("false", "") if operator == "Null" else ("x", "y" if "Not" in operator else "x")
    for many, holds in ((8, True), (9, IN_DENY_ONLY)):
        row = team(operator, wanted, dict.fromkeys(spellings[:many], value), holds=holds)
        test_an_allow_applies_when_its_condition_holds(row)
        test_a_deny_applies_when_its_condition_holds(row)


def test_one_access_tells_its_pairs_apart() -> None:
    values: dict[str, Value] = {"aws:ResourceTag": {"team": "red"}, "aws:RequestTag": {"team": "blue"}}
    access = Access(ALICE, "kms:TagResource", KEY, {"team": "green"}, values)
    for name, value in (("aws:ResourceTag", "red"), ("aws:RequestTag", "blue"), ("kms:EncryptionContext", "green")):
        key = f"{name}:team" if name.startswith("kms:") else f"{name}/team"
        for wanted in ("red", "green", "blue"):
            statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
            policy = parse(json.dumps({"Statement": {**statement, "Condition": {"StringEquals": {key: wanted}}}}))
            assert evaluate(policy, access) is (Decision.ALLOW if wanted == value else Decision.NEUTRAL)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("aws:ResourceTag/x", {"aws:ResourceTag": "x"}),
        ("aws:ResourceTag/x", {"aws:ResourceTag": ("x",)}),
        ("aws:RequestTag/x", {"aws:RequestTag": True}),
        ("aws:TagKeys", {"aws:TagKeys": {"x": "y"}}),
        ("aws:TagKeys", {"aws:TagKeys": "x"}),
        ("kms:KeySpec", {"kms:KeySpec": {"x": "y"}}),
        ("kms:GrantOperations", {"kms:GrantOperations": {"x": "y"}}),
    ],
)
def test_a_value_of_the_wrong_type_is_never_compared(key: str, values: dict[str, Value]) -> None:
    for effect in ("Allow", "Deny"):
        with pytest.raises(TypeError):
            decide(effect, Row({"StringEquals": {key: "x"}}, holds=True, values=values))
