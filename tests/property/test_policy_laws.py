"""Laws of the evaluator: they hold for every policy and every access."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker.errors import AccessDeniedException
from kmsq_worker.policy.access import Access, Value
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.evaluate import Decision, authorize_key, evaluate

ROOT = "arn:kmsq:iam::111122223333:root"
USERS = [f"arn:kmsq:iam::111122223333:user/{name}" for name in ("alice", "bob", "carol")]
KEYS = [f"arn:kmsq:kms:eu-central-1:111122223333:key/{letter * 8}" for letter in "ab"]
ACTIONS = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey"]
CONTEXTS = st.dictionaries(st.sampled_from(["app", "App", "stage"]), st.sampled_from(["x", "y", "alice"]), max_size=3)
WIDTH = {Decision.DENY: 0, Decision.NEUTRAL: 1, Decision.ALLOW: 2}


def some(*choices: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3)


OPERATORS = st.sampled_from(
    [
        prefix + operator + suffix
        for prefix in ("", "ForAnyValue:", "ForAllValues:")
        for operator in ("StringEquals", "StringNotEquals", "StringLike", "StringNotEqualsIgnoreCase")
        for suffix in ("", "IfExists")
    ],
)
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.dictionaries(OPERATORS, st.fixed_dictionaries({"kms:EncryptionContextKeys": some("app", "*", "s?age")})),
    st.dictionaries(OPERATORS, st.fixed_dictionaries({"kms:KeySpec": some("RSA_2048", "RSA*", "SYMMETRIC_DEFAULT")})),
    st.fixed_dictionaries(
        {"StringEquals": st.fixed_dictionaries({"kms:EncryptionContext:app": some("x", "${aws:username}")})},
    ),
    st.fixed_dictionaries({"Null": st.fixed_dictionaries({"kms:EncryptionContext:stage": st.booleans()})}),
)
PRINCIPALS = some(*USERS, ROOT, "111122223333", "*").map(lambda arns: {"AWS": arns})


@st.composite
def statements(draw: st.DrawFn, effect: st.SearchStrategy[str]) -> dict[str, Any]:
    chosen = draw(effect)
    inverted = chosen == "Deny" and draw(st.booleans())
    return {
        "Effect": chosen,
        **({"NotPrincipal": {"AWS": draw(some(*USERS, ROOT))}} if inverted else {"Principal": draw(PRINCIPALS)}),
        draw(st.sampled_from(["Action", "NotAction"])): draw(some(*ACTIONS, "kms:*", "*", "kms:?e*", "KMS:encrypt")),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(some(*KEYS, "*", "arn:kmsq:kms:*:*:key/a*")),
        "Condition": draw(CONDITIONS),
    }


ANY = statements(st.sampled_from(["Allow", "Deny"]))
ALLOWS = statements(st.just("Allow"))
DENIES = statements(st.just("Deny"))
POLICIES = st.lists(ANY, min_size=1, max_size=5)
ACCESSES = st.builds(
    Access,
    principal=st.sampled_from(USERS),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from([*KEYS, "*"]),
    context=CONTEXTS,
    values=st.sampled_from(["RSA_2048", "SYMMETRIC_DEFAULT"]).map(lambda spec: dict[str, Value]({"kms:KeySpec": spec})),
)


def read(parts: list[dict[str, Any]]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": parts}))


def allowed(access: Access, key_policy: list[dict[str, Any]], account_policy: list[dict[str, Any]]) -> bool:
    try:
        authorize_key(access, read(key_policy), read(account_policy), ROOT)
    except AccessDeniedException:
        return False
    return True


@given(POLICIES, DENIES, ACCESSES)
def test_a_deny_that_applies_always_wins(policy: list[dict[str, Any]], deny: dict[str, Any], access: Access) -> None:
    if evaluate(read([deny]), access) is not Decision.DENY:
        deny = {"Effect": "Deny", "Principal": "*", "Action": access.action, "Resource": access.resource}
    assert evaluate(read([*policy, deny]), access) is Decision.DENY
    assert not allowed(access, [*policy, deny], policy)
    assert not allowed(access, policy, [*policy, deny])


@given(POLICIES, DENIES, ACCESSES)
def test_adding_a_deny_never_widens(policy: list[dict[str, Any]], deny: dict[str, Any], access: Access) -> None:
    assert WIDTH[evaluate(read([*policy, deny]), access)] <= WIDTH[evaluate(read(policy), access)]


@given(st.lists(ANY, min_size=2, max_size=5), POLICIES, ACCESSES)
def test_removing_an_allow_never_widens(
    policy: list[dict[str, Any]],
    account_policy: list[dict[str, Any]],
    access: Access,
) -> None:
    for index, statement in enumerate(policy):
        rest = policy[:index] + policy[index + 1 :]
        if statement["Effect"] == "Allow":
            assert WIDTH[evaluate(read(rest), access)] <= WIDTH[evaluate(read(policy), access)]
            assert allowed(access, rest, account_policy) <= allowed(access, policy, account_policy)


@given(POLICIES, st.randoms(use_true_random=False), ACCESSES)
def test_the_order_of_statements_never_matters(policy: list[dict[str, Any]], random: Any, access: Access) -> None:
    shuffled = random.sample(policy, len(policy))
    assert evaluate(read(shuffled), access) is evaluate(read(policy), access)


@given(POLICIES, POLICIES, ACCESSES)
def test_a_whole_is_the_sum_of_its_statements(
    policy: list[dict[str, Any]],
    account_policy: list[dict[str, Any]],
    access: Access,
) -> None:
    alone = {evaluate(read([statement]), access) for statement in policy}
    strongest = next(d for d in (Decision.DENY, Decision.ALLOW, Decision.NEUTRAL) if d in alone)
    assert evaluate(read(policy), access) is strongest
    if strongest is not Decision.NEUTRAL:
        denied = Decision.DENY in (strongest, evaluate(read(account_policy), access))
        assert allowed(access, policy, account_policy) is not denied


@given(POLICIES, ACCESSES)
def test_the_case_of_an_action_never_matters(policy: list[dict[str, Any]], access: Access) -> None:
    shouted = Access(access.principal, access.action.upper(), access.resource, access.context, access.values)
    assert evaluate(read(policy), shouted) is evaluate(read(policy), access)


@given(ANY, ACCESSES, CONTEXTS)
def test_a_condition_narrows(statement: dict[str, Any], access: Access, context: dict[str, str]) -> None:
    access = Access(access.principal, access.action, access.resource, context, access.values)
    if evaluate(read([{**statement, "Condition": {}}]), access) is Decision.NEUTRAL:
        assert evaluate(read([statement]), access) is Decision.NEUTRAL


@given(ALLOWS, ACCESSES)
def test_a_deny_applies_wherever_the_same_allow_would(statement: dict[str, Any], access: Access) -> None:
    as_allow, as_deny = ({**statement, "Effect": effect} for effect in ("Allow", "Deny"))
    if evaluate(read([as_allow]), access) is Decision.ALLOW:
        assert evaluate(read([as_deny]), access) is Decision.DENY


@given(st.lists(DENIES, min_size=1, max_size=5), POLICIES, ACCESSES)
def test_what_nobody_allows_is_denied(
    denies: list[dict[str, Any]],
    policy: list[dict[str, Any]],
    access: Access,
) -> None:
    with pytest.raises(AccessDeniedException):
        authorize_key(access, read(denies), read(policy), ROOT)
