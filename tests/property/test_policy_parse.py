"""Whatever is handed to `parse`, the answer is a policy or one of two typed errors."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker.errors import LimitExceededException, MalformedPolicyDocumentException
from kmsq_worker.policy.document import parse
from kmsq_worker.policy.evaluate import Access, evaluate

WORDS = st.sampled_from(
    [
        *("Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition", "AWS", "Allow", "Deny", "2012-10-17", "*", "kms:*", "kms:Encrypt"),
        *("arn:kmsq:iam::111122223333:user/alice", "111122223333", "arn:kmsq:kms:*:*:key/*", "${aws:username}", "${"),
        *("StringEquals", "ForAnyValue:StringLike", "Bool", "NumericLessThan", "DateLessThan", "Null", "ArnLike"),
        *("kms:KeySpec", "kms:EncryptionContext:a", "aws:CurrentTime", "aws:EpochTime", "kms:MultiRegion", "true"),
        *("aws:ResourceTag/a", "aws:RequestTag/a", "aws:TagKeys"),
        *("kms:RotationPeriodInDays", "aws:PrincipalArn", "2030-01-31", "1700000000", "9999-99-99", "-1"),
    ],
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
TEXTS = WORDS | st.lists(WORDS, max_size=2) | JSON
STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Principal": st.just("*") | TEXTS, "Action": st.just("*") | TEXTS},
    optional={"Resource": st.just("*"), "NotResource": TEXTS, "Sid": LEAVES}
    | {"Condition": st.dictionaries(WORDS, st.dictionaries(WORDS, TEXTS, max_size=2) | JSON, max_size=2)},
)
ACCESS = Access("arn:kmsq:iam::111122223333:user/alice", "kms:Encrypt", "*", {"a": "b"}, {"aws:EpochTime": 1})


def parse_and_ask(text: str) -> None:
    try:
        policy = parse(text)
    except (MalformedPolicyDocumentException, LimitExceededException) as error:
        assert 0 < len(error.message) <= 200  # noqa: PT017  either outcome is right
    else:
        evaluate(policy, ACCESS)


@given(st.text() | st.text('[]{}",:0.eE-\\u "a'))
def test_any_text(text: str) -> None:
    parse_and_ask(text)


@given(JSON)
def test_any_json(document: Any) -> None:
    parse_and_ask(json.dumps(document))


@given(st.lists(STATEMENTS, max_size=2) | STATEMENTS, st.sampled_from(["2012-10-17", "2008-10-17"]))
def test_anything_shaped_like_a_policy(statements: Any, version: str) -> None:
    parse_and_ask(json.dumps({"Version": version, "Statement": statements}))
