"""
When a condition holds. A table: each row is asked in an Allow and in a Deny.

A row is a condition, the request's encryption context and other values, and whether it holds. Where the two effects
differ (the safe side of an ambiguity) the row says `IN_DENY_ONLY`.
"""

import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from kmsq_worker.policy.access import NOTHING, Value
from kmsq_worker.policy.document import parse
from kmsq_worker.policy.evaluate import Access, Decision, evaluate

ALICE = "arn:kmsq:iam::111122223333:user/alice"
KEY = "arn:kmsq:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IN_DENY_ONLY = None

NOON = 1_900_000_000  # 2030-03-17T17:46:40Z


class Row(NamedTuple):
    """One row of the table."""

    condition: dict[str, dict[str, Any]]
    holds: bool | None
    context: Mapping[str, str] = NOTHING
    values: Mapping[str, Value] = NOTHING


def spec(operator: str, wanted: object, actual: str | None, *, holds: bool) -> Row:
    return Row({operator: {"kms:KeySpec": wanted}}, holds, values={"kms:KeySpec": actual} if actual else {})


def app(operator: str, wanted: object, context: dict[str, str], *, holds: bool | None) -> Row:
    return Row({operator: {"kms:EncryptionContext:app": wanted}}, holds, context=context)


def names(operator: str, wanted: object, context: str, *, holds: bool | None) -> Row:
    """Ask for the names in a context, given as letters."""
    return Row({operator: {"kms:EncryptionContextKeys": wanted}}, holds, context=dict.fromkeys(context, "v"))


def days(operator: str, wanted: object, actual: int | None, *, holds: bool) -> Row:
    key = "kms:ScheduleKeyDeletionPendingWindowInDays"
    return Row({operator: {key: wanted}}, holds, values={} if actual is None else {key: actual})


def now(operator: str, wanted: object, *, holds: bool | None, key: str = "aws:CurrentTime", at: int = NOON) -> Row:
    return Row({operator: {key: wanted}}, holds, values={"aws:EpochTime": at})


def caller(operator: str, key: str, wanted: object, *, holds: bool) -> Row:
    return Row({operator: {key: wanted}}, holds)


STRINGS = {
    "equals": spec("StringEquals", "RSA_2048", "RSA_2048", holds=True),
    "equals, not": spec("StringEquals", "RSA_2048", "RSA_4096", holds=False),
    "equals one of": spec("StringEquals", ["RSA_2048", "RSA_4096"], "RSA_4096", holds=True),
    "equals minds case": spec("StringEquals", "rsa_2048", "RSA_2048", holds=False),
    "equals has no wildcards": spec("StringEquals", "RSA_*", "RSA_2048", holds=False),
    "equals, key missing": spec("StringEquals", "RSA_2048", None, holds=False),
    "equals if exists, key missing": spec("StringEqualsIfExists", "RSA_2048", None, holds=True),
    "equals if exists": spec("StringEqualsIfExists", "RSA_2048", "RSA_2048", holds=True),
    "equals if exists, not": spec("StringEqualsIfExists", "RSA_2048", "RSA_4096", holds=False),
    "not equals": spec("StringNotEquals", "RSA_2048", "RSA_4096", holds=True),
    "not equals, but does": spec("StringNotEquals", "RSA_2048", "RSA_2048", holds=False),
    "not equals any of": spec("StringNotEquals", ["RSA_2048", "RSA_4096"], "RSA_4096", holds=False),
    "not equals, key missing": spec("StringNotEquals", "RSA_2048", None, holds=True),
    "not equals if exists, key missing": spec("StringNotEqualsIfExists", "RSA_2048", None, holds=True),
    "equals, ignoring case": spec("StringEqualsIgnoreCase", "rsa_2048", "RSA_2048", holds=True),
    "equals, ignoring case, not": spec("StringEqualsIgnoreCase", "rsa_4096", "RSA_2048", holds=False),
    "equals, ignoring case, key missing": spec("StringEqualsIgnoreCase", "rsa", None, holds=False),
    "not equals, ignoring case": spec("StringNotEqualsIgnoreCase", "rsa_4096", "RSA_2048", holds=True),
    "not equals, ignoring case, but does": spec("StringNotEqualsIgnoreCase", "rsa_2048", "RSA_2048", holds=False),
    "not equals, ignoring case, key missing": spec("StringNotEqualsIgnoreCase", "rsa", None, holds=True),
    "like": spec("StringLike", "RSA_*", "RSA_2048", holds=True),
    "like one character": spec("StringLike", "RSA_?048", "RSA_2048", holds=True),
    "like, whole": spec("StringLike", "RSA", "RSA_2048", holds=False),
    "like minds case": spec("StringLike", "rsa_*", "RSA_2048", holds=False),
    "like anything, key missing": spec("StringLike", "*", None, holds=False),
    "like, several stars": spec("StringLike", "*S*0*8", "RSA_2048", holds=True),
    "like, several stars, not": spec("StringLike", "*0*S*", "RSA_2048", holds=False),
    "like, dots are dots": spec("StringLike", "RSA.*", "RSA_2048", holds=False),
    "not like": spec("StringNotLike", "ECC_*", "RSA_2048", holds=True),
    "not like, but is": spec("StringNotLike", ["ECC_*", "RSA_*"], "RSA_2048", holds=False),
    "not like, key missing": spec("StringNotLike", "*", None, holds=True),
    "names of keys ignore case": Row({"StringEquals": {"KMS:keyspec": "x"}}, holds=True, values={"kms:KeySpec": "x"}),
}

CONTEXT = {
    "pair": app("StringEquals", "x", {"app": "x"}, holds=True),
    "pair among others": app("StringEquals", "x", {"a": "b", "app": "x"}, holds=True),
    "pair, other value": app("StringEquals", "x", {"app": "y"}, holds=False),
    "pair, value's case": app("StringEquals", "x", {"app": "X"}, holds=False),
    "pair, key's case": app("StringEquals", "x", {"APP": "x"}, holds=True),
    "pair, other key": app("StringEquals", "x", {"apps": "x"}, holds=False),
    "pair, no context": app("StringEquals", "x", {}, holds=False),
    "not pair": app("StringNotEquals", "x", {"app": "y"}, holds=True),
    "not pair, key's case": app("StringNotEquals", "x", {"App": "x"}, holds=False),
    "not pair, no context": app("StringNotEquals", "x", {}, holds=True),
    "empty value": app("StringEquals", "", {"app": ""}, holds=True),
    "two keys that differ in case": app("StringEquals", "x", {"app": "x", "App": "x"}, holds=True),
    "two keys, one value": app("StringEquals", "x", {"app": "x", "App": "y"}, holds=IN_DENY_ONLY),
    "two keys, not one value": app("StringNotEquals", "x", {"app": "x", "App": "y"}, holds=IN_DENY_ONLY),
    "any of two keys": app("ForAnyValue:StringEquals", "x", {"app": "x", "App": "y"}, holds=True),
    "any, no context": app("ForAnyValue:StringEquals", "x", {}, holds=False),
    "the caller's own": app("StringEquals", "${aws:username}", {"app": "alice"}, holds=True),
    "another's": app("StringEquals", "${aws:username}", {"app": "bob"}, holds=False),
    "the caller's own, within": app("StringLike", "${aws:username}/*", {"app": "alice/x"}, holds=True),
    "the caller's ARN": app("StringEquals", "${aws:PrincipalArn}", {"app": ALICE}, holds=True),
    "the caller's own, ignoring case": app("StringEqualsIgnoreCase", "${aws:username}", {"app": "ALICE"}, holds=True),
    "the name of the variable": app("StringEquals", "${aws:username}", {"app": "${aws:username}"}, holds=False),
    "a literal star": app("StringLike", "a${*}", {"app": "ab"}, holds=False),
    "a literal star, met": app("StringEquals", "a${*}", {"app": "a*"}, holds=True),
    "all pairs of several": Row(
        {"StringEquals": {"kms:EncryptionContext:a": "1", "kms:EncryptionContext:b": "2"}},
        holds=True,
        context={"a": "1", "b": "2"},
    ),
    "not all pairs of several": Row(
        {"StringEquals": {"kms:EncryptionContext:a": "1", "kms:EncryptionContext:b": "2"}},
        holds=False,
        context={"a": "1", "b": "3"},
    ),
    "not all operators": Row(
        {"StringEquals": {"kms:EncryptionContext:a": "1"}, "StringLike": {"kms:EncryptionContext:a": "2*"}},
        holds=False,
        context={"a": "1"},
    ),
}

SETS = {
    "all": names("ForAllValues:StringEquals", ["a", "b"], "ab", holds=True),
    "all, fewer": names("ForAllValues:StringEquals", ["a", "b"], "a", holds=True),
    "all, more": names("ForAllValues:StringEquals", ["a", "b"], "abc", holds=False),
    "all, none": names("ForAllValues:StringEquals", ["a", "b"], "", holds=True),
    "all mind case": names("ForAllValues:StringEquals", "a", "A", holds=False),
    "all, ignoring case": names("ForAllValues:StringEqualsIgnoreCase", "a", "A", holds=True),
    "all if exists, none": names("ForAllValues:StringEqualsIfExists", "a", "", holds=True),
    "all not": names("ForAllValues:StringNotEquals", ["a", "b"], "cd", holds=True),
    "all not, one is": names("ForAllValues:StringNotEquals", ["a", "b"], "ac", holds=False),
    "all not, none": names("ForAllValues:StringNotLike", "*", "", holds=True),
    "any": names("ForAnyValue:StringEquals", ["a", "b"], "bc", holds=True),
    "any, not": names("ForAnyValue:StringEquals", ["a", "b"], "cd", holds=False),
    "any, none": names("ForAnyValue:StringEquals", ["a", "b"], "", holds=False),
    "any not": names("ForAnyValue:StringNotEquals", ["a", "b"], "ac", holds=True),
    "any not, all are": names("ForAnyValue:StringNotEquals", ["a", "b"], "ab", holds=False),
    "any not, none": names("ForAnyValue:StringNotEquals", ["a", "b"], "", holds=False),
    "any if exists": names("ForAnyValue:StringEqualsIfExists", "a", "ab", holds=True),
    "any if exists, none": names("ForAnyValue:StringEqualsIfExists", "a", "", holds=IN_DENY_ONLY),
    "no set operator, one": names("StringEquals", "a", "a", holds=True),
    "no set operator, several": names("StringEquals", "a", "ab", holds=IN_DENY_ONLY),
    "no set operator, none": names("StringEquals", "a", "", holds=False),
    "null": names("Null", wanted=True, context="", holds=True),
    "null, but is there": names("Null", wanted=True, context="a", holds=False),
    "not null": names("Null", wanted="false", context="a", holds=True),
    "not null, but is": names("Null", wanted=["FALSE"], context="", holds=False),
    "grant operations": Row(
        {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "ReEncryptTo"]}},
        holds=False,
        values={"kms:GrantOperations": ("Encrypt", "Decrypt")},
    ),
    "aliases": Row(
        {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/app-*"}},
        holds=True,
        values={"kms:ResourceAliases": ("alias/x", "alias/app-1")},
    ),
    "no aliases": Row(
        {"ForAnyValue:StringLike": {"kms:ResourceAliases": "*"}},
        holds=False,
        values={"kms:ResourceAliases": ()},
    ),
}

OTHERS = {
    "number equals": days("NumericEquals", "7", 7, holds=True),
    "number equals, in decimals": days("NumericEquals", "7.0", 7, holds=True),
    "number equals one of": days("NumericEquals", [7, 30], 30, holds=True),
    "number equals, missing": days("NumericEquals", 7, None, holds=False),
    "number not equals": days("NumericNotEquals", [7, 30], 8, holds=True),
    "number not equals, but does": days("NumericNotEquals", [7, 30], 7, holds=False),
    "number not equals, missing": days("NumericNotEquals", 7, None, holds=True),
    "number less": days("NumericLessThan", 7, 6, holds=True),
    "number less, equal": days("NumericLessThan", 7, 7, holds=False),
    "number less or equal": days("NumericLessThanEquals", 7, 7, holds=True),
    "number less or equal, not": days("NumericLessThanEquals", 6.5, 7, holds=False),
    "number greater": days("NumericGreaterThan", "6.5", 7, holds=True),
    "number greater, equal": days("NumericGreaterThan", 7, 7, holds=False),
    "number greater or equal": days("NumericGreaterThanEquals", 7, 7, holds=True),
    "number greater, missing": days("NumericGreaterThan", 0, None, holds=False),
    "number greater if exists, missing": days("NumericGreaterThanIfExists", 0, None, holds=True),
    "a number as text": days("StringEquals", "7", 7, holds=True),
    "before": now("DateLessThan", "2030-03-18", holds=True),
    "before, not": now("DateLessThan", "2030-03-17", holds=False),
    "before, by the second": now("DateLessThan", "2030-03-17T17:46:41Z", holds=True),
    "before, at the second": now("DateLessThan", "2030-03-17T17:46:40Z", holds=False),
    "at or before": now("DateLessThanEquals", "2030-03-17T17:46:40Z", holds=True),
    "at, in another zone": now("DateEquals", "2030-03-17T18:46:40+01:00", holds=True),
    "at, in seconds since 1970": now("DateEquals", NOON, holds=True),
    "not at": now("DateNotEquals", "2030-03-17", holds=True),
    "after": now("DateGreaterThan", "2030-03-17T17:46Z", holds=True),
    "after, not": now("DateGreaterThan", "2030-03-17T17:46:40.5Z", holds=False),
    "at or after": now("DateGreaterThanEquals", "2030-03-17T17:46:40Z", holds=True),
    "after one of": now("DateGreaterThan", ["2031-01-01", "2030-01-01"], holds=True),
    "epoch time as a date": now("DateLessThan", "2030-03-18", key="aws:EpochTime", holds=True),
    "epoch time as a number": now("NumericLessThan", NOON + 1, key="aws:EpochTime", holds=True),
    "a time that was not supplied": Row({"DateLessThan": {"aws:CurrentTime": "2030-03-18"}}, IN_DENY_ONLY),
    "not at a time that was not supplied": Row({"DateNotEquals": {"aws:CurrentTime": "2030-03-18"}}, IN_DENY_ONLY),
    "a time that was not supplied, if exists": Row(
        {"DateLessThanIfExists": {"aws:CurrentTime": "2030-03-18"}}, IN_DENY_ONLY
    ),
    "valid to": Row(
        {"DateLessThan": {"kms:ValidTo": "2030-03-18"}},
        holds=True,
        values={"kms:ValidTo": NOON},
    ),
    "aliases that were not supplied": Row({"ForAllValues:StringLike": {"kms:ResourceAliases": "x"}}, IN_DENY_ONLY),
    "null aliases that were not supplied": Row({"Null": {"kms:ResourceAliases": True}}, IN_DENY_ONLY),
    "true": Row({"Bool": {"kms:MultiRegion": "TRUE"}}, holds=True, values={"kms:MultiRegion": True}),
    "true, not": Row({"Bool": {"kms:MultiRegion": True}}, holds=False, values={"kms:MultiRegion": False}),
    "false": Row({"Bool": {"kms:MultiRegion": False}}, holds=True, values={"kms:MultiRegion": False}),
    "truth missing": Row({"Bool": {"kms:MultiRegion": False}}, holds=False),
    "truth missing, if exists": Row({"BoolIfExists": {"kms:MultiRegion": True}}, holds=True),
    "truth as text": Row({"StringEquals": {"kms:MultiRegion": "true"}}, holds=True, values={"kms:MultiRegion": True}),
    "the caller's ARN": caller("ArnEquals", "aws:PrincipalArn", ALICE, holds=True),
    "the caller's ARN, wildcards": caller("ArnEquals", "aws:PrincipalArn", "arn:*:iam::*:user/a*", holds=True),
    "the caller's ARN, in its parts": caller("ArnLike", "aws:PrincipalArn", "arn:*:user/alice:::", holds=False),
    "not the caller's ARN": caller("ArnNotLike", "aws:PrincipalArn", "arn:*:iam::*:user/b*", holds=True),
    "not the caller's ARN, but is": caller("ArnNotEquals", "aws:PrincipalArn", ALICE, holds=False),
    "the caller's ARN as text": caller("StringLike", "aws:PrincipalArn", "*:user/alice", holds=True),
    "the caller's name": caller("StringEquals", "aws:username", "alice", holds=True),
    "the caller's account": caller("StringEquals", "kms:CallerAccount", "111122223333", holds=True),
    "the caller's account, as AWS says": caller("StringEquals", "aws:PrincipalAccount", "111122223333", holds=True),
    "the caller's type": caller("StringEquals", "aws:PrincipalType", "User", holds=True),
    "a grant for an AWS service": caller("Bool", "kms:GrantIsForAWSResource", "true", holds=False),
    "the grantee": Row(
        {"ArnLike": {"kms:GranteePrincipal": "arn:kmsq:iam::*:user/b*"}},
        holds=True,
        values={"kms:GranteePrincipal": "arn:kmsq:iam::111122223333:user/bob"},
    ),
}

ROWS = {
    f"{family}: {name}": row
    for family, rows in (("string", STRINGS), ("context", CONTEXT), ("set", SETS), ("other", OTHERS))
    for name, row in rows.items()
}


def decide(effect: str, row: Row) -> Decision:
    statement = {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", "Condition": row.condition}
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    return evaluate(policy, Access(ALICE, "kms:Encrypt", KEY, row.context, row.values))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_an_allow_applies_when_its_condition_holds(row: Row) -> None:
    assert decide("Allow", row) is (Decision.ALLOW if row.holds else Decision.NEUTRAL)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_deny_applies_when_its_condition_holds(row: Row) -> None:
    assert decide("Deny", row) is (Decision.NEUTRAL if row.holds is False else Decision.DENY)


@pytest.mark.parametrize("resource", ["*", KEY.replace("key/", "alias/")])
def test_what_is_no_key_has_no_aliases(resource: str) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    condition = {"ForAnyValue:StringLike": {"kms:ResourceAliases": "*"}}
    policy = parse(json.dumps({"Statement": {**statement, "Condition": condition}}))
    assert evaluate(policy, Access(ALICE, "kms:CreateKey", resource)) is Decision.NEUTRAL


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"Bool": {"kms:MultiRegion": True}}, "true"),
        ({"NumericEquals": {"kms:RotationPeriodInDays": 1}}, "1"),
        ({"NumericEquals": {"kms:RotationPeriodInDays": 1}}, True),
    ],
)
def test_a_value_of_the_wrong_type_is_never_compared(condition: dict[str, dict[str, Any]], value: Value) -> None:
    key = next(iter(next(iter(condition.values()))))
    with pytest.raises(TypeError):
        decide("Deny", Row(condition, holds=True, values={key: value}))


def test_text_between_stars_is_found_wherever_it_is() -> None:
    pattern = "*" + "a" * 120 + "b*c*"
    assert decide("Allow", app("StringLike", pattern, {"app": "a" * 8_000 + "bc"}, holds=True)) is Decision.ALLOW
    assert decide("Allow", app("StringLike", pattern, {"app": "a" * 8_000 + "cb"}, holds=False)) is Decision.NEUTRAL


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "ForAnyValue:StringLike", "Null"])
def test_a_context_key_spelt_in_many_ways_is_unknown(operator: str) -> None:
    spellings = ["".join(letters) for letters in itertools.product("aA", "pP", "pP", "qQ")]
    for many, holds in ((8, True), (9, IN_DENY_ONLY)):
        row = Row(
            {operator: {"kms:EncryptionContext:appq": "false" if operator == "Null" else "x"}},
            holds,
            context=dict.fromkeys(spellings[:many], "y" if "Not" in operator else "x"),
        )
        test_an_allow_applies_when_its_condition_holds(row)
        test_a_deny_applies_when_its_condition_holds(row)


def test_one_access_may_be_asked_by_many_policies() -> None:
    access = Access(ALICE, "kms:Encrypt", KEY, {"app": "X1", "b": "2"})
    for condition, holds in (
        ({"StringLike": {"kms:EncryptionContext:app": "X*"}}, True),
        ({"StringLike": {"kms:EncryptionContext:app": ["X*", "y"]}}, True),
        ({"StringNotLike": {"kms:EncryptionContext:app": "X*"}}, False),
        ({"StringEqualsIgnoreCase": {"kms:EncryptionContext:APP": "x1"}}, True),
        ({"StringLike": {"kms:EncryptionContext:app": "x*"}}, False),
        ({"ForAllValues:StringLike": {"kms:EncryptionContextKeys": ["a*", "b"]}}, True),
        ({"ForAllValues:StringLike": {"kms:EncryptionContextKeys": ["a*", "c"]}}, False),
        ({"ForAllValues:StringLike": {"kms:EncryptionContextKeys": ["a*", "app", "b"]}}, True),
    ):
        statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition}
        policy = parse(json.dumps({"Statement": statement}))
        assert evaluate(policy, access) is (Decision.ALLOW if holds else Decision.NEUTRAL), condition
