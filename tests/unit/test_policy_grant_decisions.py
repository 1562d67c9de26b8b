"""What grants add to policies, and what policies have to say about grants."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kmsq_worker.arn import Account
from kmsq_worker.errors import AccessDeniedException
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.evaluate import (
    DENIED_BY_ACCOUNT_POLICY,
    DENIED_BY_KEY_POLICY,
    NOT_ALLOWED,
    Access,
    Decision,
    authorize_key,
    evaluate,
)
from kmsq_worker.policy.grants import Grant

ACCOUNT = Account("eu-central-1", "111122223333")
ALICE, BOB, CAROL = (ACCOUNT.user_arn(name) for name in ("alice", "bob", "carol"))
ROOT = ACCOUNT.root_arn
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
X, XY = {"app": "x"}, {"app": "x", "stage": "y"}


def grant(*operations: str, **changes: Any) -> Grant:
    """Make a grant for Alice."""
    whole: dict[str, Any] = {"grant_id": "g", "key_id": KEY_ID, "grantee": ALICE, **changes}
    return Grant(operations=frozenset(operations), **whole)


def access(operation: str, principal: str = ALICE, **changes: Any) -> Access:
    return Access(
        **{"principal": principal, "action": f"kms:{operation}", "resource": ACCOUNT.key_arn(KEY_ID), **changes}
    )


def statement(effect: str, principal: str, action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "*", **more}


def policy(*statements: dict[str, Any]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


NOBODY = policy(statement("Allow", CAROL, "kms:ListKeys"))
ALLOW, DENY = statement("Allow", ALICE, "kms:Decrypt"), statement("Deny", ALICE, "kms:Decrypt")
DELEGATE = statement("Allow", ROOT, "kms:*")


def test_a_grant_allows_where_no_policy_does() -> None:
    fits, does_not = grant("Decrypt", grant_id="1"), grant("Encrypt", grant_id="2")
    assert authorize_key(access("Decrypt"), NOBODY, NOBODY, ROOT, [does_not, fits]) is fits


@pytest.mark.parametrize("grants", [[], [grant("Encrypt")], [grant("Decrypt", grantee=BOB)]])
def test_without_a_fitting_grant_the_refusal_is_the_usual_one(grants: list[Grant]) -> None:
    with pytest.raises(AccessDeniedException, match="is not authorized to perform: kms:Decrypt") as caught:
        authorize_key(access("Decrypt"), NOBODY, NOBODY, ROOT, grants)
    assert caught.value.reason == NOT_ALLOWED


@pytest.mark.parametrize(
    ("key_policy", "account_policy", "reason"),
    [
        (policy(DENY), NOBODY, DENIED_BY_KEY_POLICY),
        (NOBODY, policy(DENY), DENIED_BY_ACCOUNT_POLICY),
        (policy(statement("Deny", ROOT, "*")), NOBODY, DENIED_BY_KEY_POLICY),
        (policy(ALLOW, DENY), policy(DENY), DENIED_BY_KEY_POLICY),
    ],
)
def test_a_deny_beats_every_grant(key_policy: Policy, account_policy: Policy, reason: str) -> None:
    with pytest.raises(AccessDeniedException) as caught:
        authorize_key(access("Decrypt"), key_policy, account_policy, ROOT, [grant("Decrypt")])
    assert caught.value.reason == reason


def test_a_deny_beats_the_retiring_principal() -> None:
    target = grant("Decrypt", retiring=ALICE)
    assert authorize_key(access("RetireGrant"), NOBODY, NOBODY, ROOT, target=target) is target
    with pytest.raises(AccessDeniedException):
        authorize_key(access("RetireGrant"), policy(statement("Deny", "*", "kms:Retire*")), NOBODY, ROOT, target=target)


class Untouchable:
    """Grants that the usual path must not pay for."""

    def __iter__(self) -> Iterator[Grant]:
        """Fail."""
        raise AssertionError


@pytest.mark.parametrize(("key_policy", "account_policy"), [(policy(ALLOW), NOBODY), (policy(DELEGATE), policy(ALLOW))])
def test_grants_are_not_even_looked_at_where_a_policy_allows(key_policy: Policy, account_policy: Policy) -> None:
    assert authorize_key(access("Decrypt"), key_policy, account_policy, ROOT, Untouchable()) is None


def test_whoever_a_policy_lets_create_grants_may_create_any() -> None:
    creator = policy(statement("Allow", ALICE, "kms:CreateGrant"))
    child, parent = grant("Decrypt", grantee=BOB), grant("CreateGrant")
    assert authorize_key(access("CreateGrant"), creator, NOBODY, ROOT, [parent], child) is None
    with pytest.raises(AccessDeniedException):
        authorize_key(access("CreateGrant"), NOBODY, NOBODY, ROOT, [parent], child)


@pytest.mark.parametrize(
    "condition",
    [
        {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "DescribeKey"]}},
        {"ArnLike": {"kms:GranteePrincipal": "arn:kmsq:iam::*:user/al*"}},
        {"StringEquals": {"kms:RetiringPrincipal": BOB}},
        {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}},
        {"StringEquals": {"kms:EncryptionContext:app": "x"}},
    ],
)
def test_policies_may_ask_about_the_grant_that_is_created(condition: dict[str, Any]) -> None:
    allowing = policy(statement("Allow", CAROL, "kms:CreateGrant", Condition=condition))
    fits = grant("Decrypt", "DescribeKey", retiring=BOB, subset=X)
    other = grant("Decrypt", "Encrypt", grantee=CAROL, retiring=CAROL, equals={"app": "y"})
    for new, decision in ((fits, Decision.ALLOW), (other, Decision.NEUTRAL)):
        asked = access("CreateGrant", CAROL, context=new.context, values=new.conditions)
        assert evaluate(allowing, asked) is decision


def test_what_a_grant_does_not_have_policies_do_not_find() -> None:
    new = grant("Decrypt")
    asked = access("CreateGrant", context=new.context, values=new.conditions)
    names = ["kms:GrantConstraintType", "kms:RetiringPrincipal", "kms:EncryptionContextKeys"]
    absent = policy(statement("Allow", ALICE, "*", Condition={"Null": dict.fromkeys(names, True)}))
    assert evaluate(absent, asked) is Decision.ALLOW


def test_a_constraint_without_pairs_is_a_constraint() -> None:
    assert grant("Decrypt", equals={}).conditions["kms:GrantConstraintType"] == ("EncryptionContextEquals",)


def test_two_constraints_are_two_types() -> None:
    new = grant("Decrypt", equals=XY, subset=X)
    assert new.context == XY
    asked = access("CreateGrant", context=new.context, values=new.conditions)
    for operator, decision in (("StringEquals", Decision.NEUTRAL), ("ForAnyValue:StringEquals", Decision.ALLOW)):
        condition = {operator: {"kms:GrantConstraintType": "EncryptionContextSubset"}}
        assert evaluate(policy(statement("Allow", ALICE, "*", Condition=condition)), asked) is decision
