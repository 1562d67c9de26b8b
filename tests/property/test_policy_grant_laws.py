"""Laws of grants: they hold for every grant, every policy and every access."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from kmsq_worker.errors import AccessDeniedException
from kmsq_worker.policy.access import Access
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.evaluate import Decision, authorize_key, evaluate
from kmsq_worker.policy.grants import Grant, is_within, permits, permitting

ROOT = "arn:kmsq:iam::111122223333:root"
USERS = [f"arn:kmsq:iam::111122223333:user/{name}" for name in ("alice", "bob", "carol")]
KEY_IDS = ["aaaaaaaa", "bbbbbbbb"]
OPERATIONS = ["Encrypt", "Decrypt", "ReEncryptTo", "DescribeKey", "Sign", "CreateGrant", "RetireGrant"]

CONTEXTS = st.dictionaries(st.sampled_from(["app", "App", "stage"]), st.sampled_from(["x", "X"]), max_size=3)
CONSTRAINTS = st.none() | CONTEXTS
GRANTS = st.builds(
    Grant,
    grant_id=st.sampled_from("123456789"),
    key_id=st.sampled_from(KEY_IDS),
    grantee=st.sampled_from([*USERS, ROOT]),
    operations=st.sets(st.sampled_from(OPERATIONS), min_size=1).map(frozenset),
    retiring=st.none() | st.sampled_from(USERS),
    equals=CONSTRAINTS,
    subset=CONSTRAINTS,
)
ACCESSES = st.builds(
    Access,
    principal=st.sampled_from(USERS),
    action=st.sampled_from([*OPERATIONS, "PutKeyPolicy"]).map("kms:{}".format),
    resource=st.sampled_from(KEY_IDS).map("arn:kmsq:kms:eu-central-1:111122223333:key/{}".format),
    context=CONTEXTS,
)
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": st.sampled_from([*USERS, ROOT]).map(lambda arn: {"AWS": arn}),
        "Action": st.sampled_from(["kms:*", "kms:*Grant", "kms:Encrypt", "kms:De*", "kms:Sign"]),
        "Resource": st.just("*"),
    },
)


@st.composite
def children(draw: st.DrawFn, parents: st.SearchStrategy[Grant]) -> tuple[Grant, Grant]:
    """Draw a parent and a grant that is likely to be within it."""
    parent = draw(parents)
    pairs = CONTEXTS.map(lambda more: {**more, **(parent.subset or {})})
    child = replace(
        parent,
        grant_id="child",
        grantee=draw(st.sampled_from(USERS)),
        operations=frozenset(draw(st.sets(st.sampled_from(sorted(parent.operations)), min_size=1))),
        retiring=draw(st.none() | st.sampled_from(USERS)),
        equals=draw(st.just(parent.equals) | st.none() | pairs),
        subset=draw(st.just(parent.subset) | st.none() | pairs),
    )
    return parent, child


def read(parts: list[dict[str, Any]]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": parts}))


POLICIES = st.lists(STATEMENTS, min_size=1, max_size=4).map(read)


def allowed(
    access: Access, key_policy: Policy, account_policy: Policy, grants: list[Grant], target: Grant | None = None
) -> bool:
    try:
        authorize_key(access, key_policy, account_policy, ROOT, grants, target)
    except AccessDeniedException:
        return False
    return True


@st.composite
def fitting(draw: st.DrawFn) -> tuple[Access, Grant, Grant]:
    """Draw an access, a grant that permits it, and the grant that the access is about."""
    access, target = draw(ACCESSES), draw(GRANTS)
    target = replace(target, key_id=access.resource.rpartition("/")[2], retiring=access.principal)
    if access.action == "kms:RetireGrant":
        return access, target, target
    operations = {access.action.removeprefix("kms:"), *target.operations}
    grant = replace(target, grant_id="fits", grantee=access.principal, operations=frozenset(operations))
    if access.action != "kms:CreateGrant":
        grant = replace(grant, equals=draw(st.sampled_from([None, access.context])), subset={})
    return access, grant, target


@given(fitting() | st.tuples(ACCESSES, GRANTS, GRANTS))
def test_a_grant_permits_nothing_that_it_does_not_name(drawn: tuple[Access, Grant, Grant]) -> None:
    access, grant, target = drawn
    foreign = replace(grant, key_id="cccccccc")
    assert not permits(foreign, access, target)
    assert not permits(foreign, access, foreign)
    if access.action == "kms:RetireGrant":
        assert not permits(grant, access, replace(grant, grant_id="another"))
        target = grant
    if permits(grant, access, target):
        by_grantee = access.principal == grant.grantee and access.action.removeprefix("kms:") in grant.operations
        assert by_grantee or (access.action == "kms:RetireGrant" and access.principal == grant.retiring)
        assert access.action != "kms:CreateGrant" or is_within(target, grant)


@given(fitting())
def test_a_grant_permits_what_fits(drawn: tuple[Access, Grant, Grant]) -> None:
    access, grant, target = drawn
    assert permits(grant, access, target)
    assert permitting(access, [grant], target) == grant
    if access.action == "kms:RetireGrant":
        grantees = replace(grant, retiring=None, grantee=access.principal, operations=frozenset({"RetireGrant"}))
        assert permits(grantees, access, grantees)


@given(fitting(), POLICIES, POLICIES)
def test_a_deny_always_wins_over_a_grant(
    drawn: tuple[Access, Grant, Grant], key_policy: Policy, account_policy: Policy
) -> None:
    access, grant, target = drawn
    denied = Decision.DENY in (evaluate(key_policy, access), evaluate(account_policy, access))
    assert allowed(access, key_policy, account_policy, [grant], target) is not denied


@given(ACCESSES, POLICIES, POLICIES, st.lists(GRANTS, max_size=4), GRANTS)
def test_removing_a_grant_never_widens(
    access: Access, key_policy: Policy, account_policy: Policy, grants: list[Grant], target: Grant
) -> None:
    whole = allowed(access, key_policy, account_policy, grants, target)
    for index in range(len(grants)):
        rest = grants[:index] + grants[index + 1 :]
        assert allowed(access, key_policy, account_policy, rest, target) <= whole
    assert allowed(access, key_policy, account_policy, []) <= whole


@given(ACCESSES, POLICIES, POLICIES, st.lists(GRANTS, max_size=4), GRANTS)
def test_a_decision_is_the_policies_or_else_that_of_one_grant(
    access: Access, key_policy: Policy, account_policy: Policy, grants: list[Grant], target: Grant
) -> None:
    by_policy = allowed(access, key_policy, account_policy, [])
    denied = Decision.DENY in (evaluate(key_policy, access), evaluate(account_policy, access))
    about = [target] if access.action == "kms:RetireGrant" else grants
    by_grant = not denied and any(permits(grant, access, target) for grant in about)
    assert allowed(access, key_policy, account_policy, grants, target) is (by_policy or by_grant)


@given(fitting() | st.tuples(ACCESSES, GRANTS, GRANTS), CONSTRAINTS, CONTEXTS, CONTEXTS)
def test_adding_a_constraint_never_widens(
    drawn: tuple[Access, Grant, Grant], equals: dict[str, str] | None, subset: dict[str, str], more: dict[str, str]
) -> None:
    access, grant, target = drawn
    free = replace(grant, equals=None, subset=None)
    pairs = replace(free, equals=equals, subset=subset)
    more_pairs = replace(free, equals=equals, subset={**more, **subset})
    if access.action == "kms:RetireGrant":  # it ends the grant that permits it, whatever that grant demands
        assert permits(pairs, access, pairs) is permits(free, access, free)
        return
    assert permits(pairs, access, target) <= permits(free, access, target)
    assert permits(more_pairs, access, target) <= permits(pairs, access, target)


@given(ACCESSES, st.lists(GRANTS, max_size=5), st.randoms(use_true_random=False), GRANTS)
def test_the_order_of_grants_never_matters(access: Access, grants: list[Grant], random: Any, target: Grant) -> None:
    first = permitting(access, grants, target)
    shuffled = permitting(access, random.sample(grants, len(grants)), target)
    assert (first is None) is (shuffled is None)
    for found in (first, shuffled):
        assert found is None or permits(found, access, target)


def met(parent: Grant, child: Grant, access: Access, target: Grant | None) -> None:
    """Check that whatever the child permits its grantee, the parent permits the parent's."""
    own = access.action == "kms:RetireGrant"
    by_child = Access(child.grantee, access.action, access.resource, access.context)
    by_parent = Access(parent.grantee, access.action, access.resource, access.context)
    if own:  # a grant permits the retirement of itself alone, or of what names the caller as retiring principal
        child, parent = replace(child, retiring=None), replace(parent, retiring=None)
    if permits(child, by_child, child if own else target):
        assert permits(parent, by_parent, parent if own else target)


@given(children(GRANTS) | st.tuples(GRANTS, GRANTS), ACCESSES, GRANTS, st.data())
def test_a_child_never_permits_what_its_parent_would_not(
    drawn: tuple[Grant, Grant], access: Access, target: Grant, data: st.DataObject
) -> None:
    parent, child = drawn
    assume(is_within(child, parent))
    met(parent, child, access, target)
    # accesses and grandchildren that the child is likely to permit
    action = data.draw(st.sampled_from(sorted(child.operations)))
    context = data.draw(st.just(child.context) | CONTEXTS.map(lambda more: {**more, **(child.subset or {})}))
    likely = Access(child.grantee, f"kms:{action}", f"arn:kmsq:kms:r:111122223333:key/{child.key_id}", context)
    _, grandchild = data.draw(children(st.just(child)))
    met(parent, child, likely, grandchild)


@given(children(GRANTS), st.data())
def test_grandchildren_are_within_their_grandparents(drawn: tuple[Grant, Grant], data: st.DataObject) -> None:
    parent, child = drawn
    _, grandchild = data.draw(children(st.just(child)))
    assume(is_within(child, parent))
    assume(is_within(grandchild, child))
    assert is_within(grandchild, parent)


@given(GRANTS)
def test_a_grant_is_within_itself(grant: Grant) -> None:
    assert is_within(grant, grant)


@given(GRANTS, st.lists(GRANTS, max_size=3), ACCESSES)
def test_grants_of_others_never_matter(target: Grant, grants: list[Grant], access: Access) -> None:
    mine = [grant for grant in grants if grant.grantee == access.principal]
    assert permitting(access, grants, target) == permitting(access, mine, target)
