"""What no policy may hold, because every request would pay for it."""

import json
from typing import Any

import pytest

from kmsq_worker.errors import LimitExceededException, MalformedPolicyDocumentException
from kmsq_worker.policy import bounds
from kmsq_worker.policy.document import parse
from kmsq_worker.policy.patterns import PATTERN_MAX_CHARS, SLOW_PIECE_MAX_CHARS, STARS_MAX

PAIR = "kms:EncryptionContext:app"
NAMES = "kms:EncryptionContextKeys"


def policy(*changes: dict[str, Any]) -> str:
    whole = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole | change for change in changes]})


def like(values: list[str], key: str = PAIR) -> str:
    return policy({"Condition": {"StringLike": {key: values}}})


def statements(number: int) -> str:
    return policy(*[{}] * number)


def conditions(number: int) -> str:
    return policy({"Condition": {"StringEquals": {f"{PAIR}{n}": "x" for n in range(number)}}})


def targets(number: int) -> str:
    return policy({"Action": [f"kms:*{n}" for n in range(number - 1)], "Resource": "arn:kmsq:kms:*:*:key/x"})


def values(number: int) -> str:
    return like([f"x{n}*" for n in range(number)])


def variables(number: int) -> str:
    resource = "arn:kmsq:kms:r:111122223333:alias/${aws:username}"
    own = [f"${{aws:username}}{n}" for n in range(number - 1)]
    return policy({"Resource": resource, "Condition": {"StringEquals": {PAIR: own}}})


def names(number: int) -> str:
    return like([f"x{n}*" for n in range(number)], NAMES)


def searches(number: int) -> str:
    return like([f"*x{n}*" for n in range(number)])


def slow_searches(number: int) -> str:
    return like([f"*x?{n}*" for n in range(number)])


BOUNDS = {
    "statements": (statements, bounds.STATEMENTS_MAX),
    "conditions": (conditions, bounds.CONDITIONS_MAX),
    "actions and resources with wildcards": (targets, bounds.TARGET_PATTERNS_MAX),
    "condition values with wildcards": (values, bounds.PATTERNS_MAX),
    "condition values with variables": (variables, bounds.VARIABLES_MAX),
    "wildcards or variables for kms:EncryptionContextKeys": (names, bounds.KEY_PATTERNS_MAX),
    "condition values with text between two *": (searches, bounds.SEARCHES_MAX),
    "condition texts between two * with a ?": (slow_searches, bounds.SLOW_SEARCHES_MAX),
}


@pytest.mark.parametrize(("make", "most"), BOUNDS.values(), ids=BOUNDS.keys())
def test_a_policy_holds_so_many_and_no_more(make: Any, most: int, request: pytest.FixtureRequest) -> None:
    parse(make(most))
    with pytest.raises(LimitExceededException) as caught:
        parse(make(most + 1))
    assert f"The policy has {most + 1} " in caught.value.message
    assert request.node.callspec.id in caught.value.message
    assert f"at most {most} are allowed" in caught.value.message


@pytest.mark.parametrize(
    ("fits", "part", "problem"),
    [
        ("x" * (PATTERN_MAX_CHARS - 1) + "*", "x", "longer than 256 characters"),
        ("*x" * STARS_MAX, "x*", "more than 16 wildcards"),
        ("*x?" + "x" * (SLOW_PIECE_MAX_CHARS - 2) + "*", "x", "between two *"),
        ("*${aws:username}" + "x" * SLOW_PIECE_MAX_CHARS + "*", "x", "between two *"),
    ],
)
def test_a_value_is_so_long_and_no_longer(fits: str, part: str, problem: str) -> None:
    parse(like([fits]))
    with pytest.raises(MalformedPolicyDocumentException) as caught:
        parse(like([fits[:-1] + part + fits[-1]]))
    assert problem in caught.value.message


def test_what_is_repeated_counts_once() -> None:
    condition = {"Condition": {"StringLike": {PAIR: ["*a?b*", "*c*"], NAMES: ["a*", "b*", "c*"]}}}
    parse(policy(*[condition] * 50))


def test_exact_values_are_not_bounded() -> None:
    many = [f"{n}" for n in range(3_000)]
    parse(policy({"Condition": {"ForAllValues:StringEquals": {NAMES: many}}}))
    parse(policy({"Action": ["kms:Get*", "kms:List*", "*"] * 50}))


@pytest.mark.parametrize(
    "shape",
    [
        like(["*" + "a" * 4_000 + "b*"] * 8),
        like([f"*b*{n}" for n in range(3_000)]),
        like([f"x{n}*" for n in range(3_000)], NAMES),
        policy({"Condition": {"StringLike": {PAIR: [f"${{aws:username}}{n}" for n in range(1_300)]}}}),
        policy({"Resource": [f"arn:*:kms:*:*:key/{n}" for n in range(1_000)]}),
    ],
)
def test_what_would_stall_a_worker_is_refused(shape: str) -> None:
    with pytest.raises((LimitExceededException, MalformedPolicyDocumentException)):
        parse(shape)
