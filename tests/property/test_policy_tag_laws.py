"""Laws of conditions on tags: they hold for every policy that asks for them."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker.policy.access import NOTHING, Access, Value
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.evaluate import Decision, evaluate

ALICE = "arn:kmsq:iam::111122223333:user/alice"
KEY = "arn:kmsq:kms:eu-central-1:111122223333:key/aaaaaaaa"
WIDTH = {Decision.DENY: 0, Decision.NEUTRAL: 1, Decision.ALLOW: 2}
PAIRS = ["aws:ResourceTag/team", "aws:ResourceTag/TEAM", "AWS:requesttag/Team", "aws:RequestTag/stage"]

TAGS = st.dictionaries(st.sampled_from(["team", "Team", "stage"]), st.sampled_from(["red", "Red", "alice"]))
VALUES = st.lists(st.sampled_from(["red", "R*", "${aws:username}", "team", "*"]), min_size=1, max_size=2)
STRINGS = [
    operator + suffix
    for operator in ("StringEquals", "StringNotEquals", "StringLike", "StringNotEqualsIgnoreCase")
    for suffix in ("", "IfExists")
]


def blocks(prefixes: list[str], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    operators = [prefix + operator for prefix in prefixes for operator in STRINGS]
    return st.dictionaries(
        st.sampled_from(operators),
        st.sampled_from(names).flatmap(lambda name: st.fixed_dictionaries({name: VALUES})),
        min_size=1,
        max_size=2,
    )


CONDITIONS = st.one_of(
    blocks(["", "ForAnyValue:"], PAIRS),
    blocks(["", "ForAnyValue:", "ForAllValues:"], ["aws:TagKeys"]),
    st.sampled_from([*PAIRS, "aws:TagKeys"]).flatmap(
        lambda name: st.fixed_dictionaries({"Null": st.fixed_dictionaries({name: st.booleans()})})
    ),
)
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": st.just("*"),
        "Action": st.just("*"),
        "Resource": st.just("*"),
        "Condition": CONDITIONS,
    },
)
ACTIONS = st.sampled_from(["kms:CreateKey", "kms:TagResource"])


def read(*statements: dict[str, Any]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))


def access(action: str, resource_tags: dict[str, str], request_tags: dict[str, str]) -> Access:
    values: dict[str, Value] = {
        "aws:ResourceTag": resource_tags,
        "aws:RequestTag": request_tags,
        "aws:TagKeys": tuple(request_tags),
    }
    return Access(ALICE, action, KEY, NOTHING, values)


@given(st.lists(STATEMENTS, min_size=1, max_size=4), ACTIONS, TAGS, TAGS)
def test_what_nobody_supplied_never_widens(
    statements: list[dict[str, Any]], action: str, resource_tags: dict[str, str], request_tags: dict[str, str]
) -> None:
    policy = read(*statements)
    known = evaluate(policy, access(action, resource_tags, request_tags))
    assert WIDTH[evaluate(policy, Access(ALICE, action, KEY))] <= WIDTH[known]


@given(STATEMENTS, ACTIONS, TAGS, TAGS)
def test_a_deny_applies_wherever_the_same_allow_would(
    statement: dict[str, Any], action: str, resource_tags: dict[str, str], request_tags: dict[str, str]
) -> None:
    asked = access(action, resource_tags, request_tags)
    if evaluate(read({**statement, "Effect": "Allow"}), asked) is Decision.ALLOW:
        assert evaluate(read({**statement, "Effect": "Deny"}), asked) is Decision.DENY


@given(st.lists(STATEMENTS, min_size=1, max_size=4), ACTIONS, TAGS, TAGS)
def test_the_case_of_a_tags_key_never_matters(
    statements: list[dict[str, Any]], action: str, resource_tags: dict[str, str], request_tags: dict[str, str]
) -> None:
    pairs = [statement for statement in statements if "aws:TagKeys" not in str(statement)]
    policy = read(*pairs, {"Effect": "Allow", "Principal": "*", "Action": "kms:CreateKey", "Resource": "*"})
    turned = [{key.swapcase(): value for key, value in tags.items()} for tags in (resource_tags, request_tags)]
    assert evaluate(policy, access(action, resource_tags, request_tags)) is evaluate(policy, access(action, *turned))


@given(STATEMENTS, st.sampled_from(["kms:Encrypt", "kms:PutKeyPolicy"]), TAGS, TAGS)
def test_a_policy_names_what_it_reads(
    statement: dict[str, Any], action: str, resource_tags: dict[str, str], request_tags: dict[str, str]
) -> None:
    policy = read(statement)
    whole = access(action, resource_tags, request_tags)
    named = {name: value for name, value in whole.values.items() if name in policy.condition_keys}
    assert evaluate(policy, Access(ALICE, action, KEY, NOTHING, named)) is evaluate(policy, whole)
