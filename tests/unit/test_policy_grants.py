"""What a grant permits, and which grants may come out of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from botocore.loaders import Loader

from kmsq_worker.arn import Account
from kmsq_worker.policy.access import NOTHING, Access
from kmsq_worker.policy.grants import UNCONSTRAINED_OPERATIONS, Grant, is_within, permits, permitting

ACCOUNT = Account("eu-central-1", "111122223333")
ALICE, BOB, CAROL = (ACCOUNT.user_arn(name) for name in ("alice", "bob", "carol"))
ROOT = ACCOUNT.root_arn
KEY_ID, OTHER_ID = "1234abcd-12ab-34cd-56ef-1234567890ab", "ffffffff-12ab-34cd-56ef-1234567890ab"
KEY = ACCOUNT.key_arn(KEY_ID)
PAIRS = {"app": "x", "stage": "y"}

CONSTRAINED_OPERATIONS = {
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
}
SERVICE = Loader().load_service_model("kms", "service-2", "2014-11-01")
GRANT_OPERATIONS = SERVICE["shapes"]["GrantOperation"]["enum"]


def grant(*operations: str, **changes: Any) -> Grant:
    """Make a grant for Alice."""
    whole: dict[str, Any] = {"grant_id": "g", "key_id": KEY_ID, "grantee": ALICE, **changes}
    return Grant(operations=frozenset(operations), **whole)


def access(operation: str, principal: str = ALICE, **changes: Any) -> Access:
    return Access(**{"principal": principal, "action": f"kms:{operation}", "resource": KEY, **changes})


class Case(NamedTuple):
    """A grant of Encrypt and Decrypt, a Decrypt, and whether the one permits the other."""

    permitted: bool
    grant: Mapping[str, Any] = NOTHING
    access: Mapping[str, Any] = NOTHING


def context(*, permitted: bool, of: dict[str, str], **constraints: dict[str, str]) -> Case:
    return Case(permitted, constraints, {"context": of})


CASES = {
    "the grantee": Case(permitted=True),
    "another user": Case(permitted=False, access={"principal": BOB}),
    "the grantee's name, longer": Case(permitted=False, access={"principal": ALICE + "s"}),
    "the grantee's name in another account": Case(
        permitted=False, access={"principal": ALICE.replace("111122223333", "444455556666")}
    ),
    "the grantee's name in capitals": Case(permitted=False, access={"principal": ALICE.upper()}),
    "the root is nobody's name": Case(permitted=False, grant={"grantee": ROOT}),
    "the root is itself": Case(permitted=True, grant={"grantee": ROOT}, access={"principal": ROOT}),
    "the retiring principal": Case(permitted=False, grant={"retiring": BOB}, access={"principal": BOB}),
    "another key": Case(permitted=False, access={"resource": ACCOUNT.key_arn(OTHER_ID)}),
    "no key": Case(permitted=False, access={"resource": "*"}),
    "a key whose id ends alike": Case(permitted=False, grant={"key_id": KEY_ID[1:]}),
    "an alias": Case(permitted=False, access={"resource": ACCOUNT.key_arn(KEY_ID).replace(":key/", ":alias/")}),
    "another operation": Case(permitted=False, access={"action": "kms:Sign"}),
    "an operation that no grant can hold": Case(permitted=False, access={"action": "kms:PutKeyPolicy"}),
    "an operation that begins alike": Case(permitted=False, access={"action": "kms:DecryptAll"}),
    "half of an operation": Case(permitted=False, access={"action": "kms:Decryp"}),
    "any context where none is asked for": context(permitted=True, of=PAIRS),
    "equals": context(permitted=True, of=PAIRS, equals=PAIRS),
    "equals, in another order": context(permitted=True, of=dict(reversed(PAIRS.items())), equals=PAIRS),
    "equals, fewer pairs": context(permitted=False, of={"app": "x"}, equals=PAIRS),
    "equals, more pairs": context(permitted=False, of={**PAIRS, "more": ""}, equals=PAIRS),
    "equals, no context": context(permitted=False, of={}, equals=PAIRS),
    "equals, another value": context(permitted=False, of={"app": "y"}, equals={"app": "x"}),
    "equals, the value's case": context(permitted=False, of={"app": "X"}, equals={"app": "x"}),
    "equals, the key's case": context(permitted=False, of={"App": "x"}, equals={"app": "x"}),
    "equals, no wildcards": context(permitted=False, of={"app": "x"}, equals={"app": "*"}),
    "equals nothing": context(permitted=True, of={}, equals={}),
    "equals nothing, but there is": context(permitted=False, of={"app": "x"}, equals={}),
    "subset": context(permitted=True, of=PAIRS, subset={"app": "x"}),
    "subset, all": context(permitted=True, of=PAIRS, subset=PAIRS),
    "subset, fewer pairs": context(permitted=False, of={"app": "x"}, subset=PAIRS),
    "subset, no context": context(permitted=False, of={}, subset={"app": "x"}),
    "subset, another value": context(permitted=False, of={"app": "y", "stage": "x"}, subset={"app": "x"}),
    "subset, the value's case": context(permitted=False, of={"app": "X"}, subset={"app": "x"}),
    "subset, the key's case": context(permitted=False, of={"App": "x"}, subset={"app": "x"}),
    "subset, two spellings of which one is right": context(
        permitted=True, of={"App": "y", "app": "x"}, subset={"app": "x"}
    ),
    "subset of nothing": context(permitted=True, of={}, subset={}),
    "both": context(permitted=True, of=PAIRS, equals=PAIRS, subset={"app": "x"}),
    "both, the first alone": context(permitted=False, of={"app": "x"}, equals={"app": "x"}, subset=PAIRS),
    "both, the second alone": context(permitted=False, of=PAIRS, equals={"app": "x"}, subset={"app": "x"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_grant_permits_what_it_names_and_nothing_else(case: Case) -> None:
    granted = grant("Encrypt", "Decrypt", **case.grant)
    asked = access(**{"operation": "Decrypt", **case.access})
    assert permits(granted, asked) is case.permitted
    assert permitting(asked, [granted]) is (granted if case.permitted else None)


def test_every_grant_operation_is_either_constrained_or_not() -> None:
    assert set(GRANT_OPERATIONS) == CONSTRAINED_OPERATIONS | UNCONSTRAINED_OPERATIONS
    assert not CONSTRAINED_OPERATIONS & UNCONSTRAINED_OPERATIONS


@pytest.mark.parametrize("operation", sorted(CONSTRAINED_OPERATIONS))
@pytest.mark.parametrize("constraint", ["equals", "subset"])
def test_constraints_bind_what_has_an_encryption_context(operation: str, constraint: str) -> None:
    granted = grant(operation, **{constraint: PAIRS})
    assert permits(granted, access(operation, context=PAIRS))
    assert not permits(granted, access(operation))


@pytest.mark.parametrize("operation", sorted(UNCONSTRAINED_OPERATIONS - {"CreateGrant", "RetireGrant"}))
@pytest.mark.parametrize("constraint", ["equals", "subset"])
def test_constraints_do_not_bind_what_has_none(operation: str, constraint: str) -> None:
    assert permits(grant(operation, **{constraint: PAIRS}), access(operation))


def test_an_operation_that_nobody_knows_yet_is_constrained() -> None:
    assert not permits(grant("EncryptDifferently", subset=PAIRS), access("EncryptDifferently"))


class Child(NamedTuple):
    """Two grants, and whether the first is within the second."""

    within: bool
    child: Grant
    parent: Grant


PARENT = grant("Decrypt", "CreateGrant")
X, XY = {"app": "x"}, PAIRS


def made(*operations: str, within: bool) -> Child:
    return Child(within, grant(*operations), PARENT)


def constrained(*, within: bool, child: dict[str, Any], parent: dict[str, Any]) -> Child:
    return Child(within, grant("Decrypt", **child), replace(PARENT, **parent))


CHILDREN = {
    "the same": made("Decrypt", "CreateGrant", within=True),
    "fewer operations": made("Decrypt", within=True),
    "more operations": made("Decrypt", "CreateGrant", "Encrypt", within=False),
    "another operation": made("DescribeKey", within=False),
    "another key": constrained(within=False, child={"key_id": OTHER_ID}, parent={}),
    "another grantee": constrained(within=True, child={"grantee": BOB}, parent={}),
    "a retiring principal": constrained(within=True, child={"retiring": BOB}, parent={"retiring": CAROL}),
    "constraints where there were none": constrained(within=True, child={"equals": X, "subset": X}, parent={}),
    "equals": constrained(within=True, child={"equals": X}, parent={"equals": X}),
    "equals, dropped": constrained(within=False, child={}, parent={"equals": X}),
    "equals, more pairs": constrained(within=False, child={"equals": XY}, parent={"equals": X}),
    "equals, fewer pairs": constrained(within=False, child={"equals": X}, parent={"equals": XY}),
    "equals, another value": constrained(within=False, child={"equals": {"app": "y"}}, parent={"equals": X}),
    "equals, the key's case": constrained(within=False, child={"equals": {"App": "x"}}, parent={"equals": X}),
    "equals to subset": constrained(within=False, child={"subset": X}, parent={"equals": X}),
    "equals, and a subset besides": constrained(within=True, child={"equals": X, "subset": XY}, parent={"equals": X}),
    "equals nothing, dropped": constrained(within=False, child={}, parent={"equals": {}}),
    "subset": constrained(within=True, child={"subset": X}, parent={"subset": X}),
    "subset, dropped": constrained(within=False, child={}, parent={"subset": X}),
    "subset, more pairs": constrained(within=True, child={"subset": XY}, parent={"subset": X}),
    "subset, fewer pairs": constrained(within=False, child={"subset": X}, parent={"subset": XY}),
    "subset, another value": constrained(within=False, child={"subset": {"app": "y"}}, parent={"subset": X}),
    "subset, the key's case": constrained(within=False, child={"subset": {"App": "x"}}, parent={"subset": X}),
    "subset to equals": constrained(within=True, child={"equals": XY}, parent={"subset": X}),
    "subset to equals without it": constrained(within=False, child={"equals": X}, parent={"subset": XY}),
    "subset to another subset and a fitting equals": constrained(
        within=True, child={"subset": {"stage": "y"}, "equals": XY}, parent={"subset": X}
    ),
    "both": constrained(within=True, child={"equals": XY, "subset": X}, parent={"equals": XY, "subset": X}),
    "both, the equals alone, which has the subset": constrained(
        within=True, child={"equals": XY}, parent={"equals": XY, "subset": X}
    ),
    "both, the equals alone, which has it not": constrained(
        within=False, child={"equals": X}, parent={"equals": X, "subset": XY}
    ),
    "both, the subset alone": constrained(within=False, child={"subset": X}, parent={"equals": X, "subset": X}),
}


@pytest.mark.parametrize("case", CHILDREN.values(), ids=CHILDREN.keys())
def test_a_child_stays_within_its_parent(case: Child) -> None:
    assert is_within(case.child, case.parent) is case.within
    assert permits(case.parent, access("CreateGrant"), case.child) is case.within


def test_a_grant_lets_create_grants_only_if_it_says_so() -> None:
    assert not permits(grant("Decrypt"), access("CreateGrant"), grant("Decrypt"))


def test_a_grant_lets_create_no_grant_that_is_not_shown() -> None:
    assert not permits(grant("CreateGrant", "Decrypt"), access("CreateGrant"))


def test_any_parent_that_fits_will_do() -> None:
    decrypt, encrypt = grant("CreateGrant", "Decrypt", grant_id="1"), grant("CreateGrant", "Encrypt", grant_id="2")
    assert permitting(access("CreateGrant"), [decrypt, encrypt], grant("Encrypt")) is encrypt
    assert permitting(access("CreateGrant"), [decrypt, encrypt], grant("Encrypt", "Decrypt")) is None


@pytest.mark.parametrize(("principal", "operations"), [(BOB, ()), (BOB, ("RetireGrant",)), (ALICE, ("RetireGrant",))])
def test_a_grant_is_retired_by_its_retiring_principal_or_by_its_grantee_if_it_says_so(
    principal: str, operations: tuple[str, ...]
) -> None:
    target = grant("Decrypt", *operations, retiring=BOB, subset=PAIRS)
    assert permits(target, access("RetireGrant", principal), target)
    assert permitting(access("RetireGrant", principal), [], target) is target


@pytest.mark.parametrize(
    ("principal", "operations"), [(ALICE, ()), (CAROL, ("RetireGrant",)), (ROOT, ("RetireGrant",))]
)
def test_a_grant_is_retired_by_nobody_else(principal: str, operations: tuple[str, ...]) -> None:
    target = grant("Decrypt", *operations, retiring=BOB, subset=PAIRS)
    assert not permits(target, access("RetireGrant", principal), target)
    assert permitting(access("RetireGrant", principal), [target], target) is None


def test_a_grant_lets_retire_no_other_grant() -> None:
    mine = grant("RetireGrant", grant_id="mine", retiring=ALICE)
    other = grant("Decrypt", grant_id="other")
    assert not permits(mine, access("RetireGrant"), other)
    assert not permits(mine, access("RetireGrant"))
    assert permitting(access("RetireGrant"), [mine], other) is None
    assert permitting(access("RetireGrant"), [mine]) is None


def test_a_grant_of_another_key_is_not_retired_through_this_one() -> None:
    other = grant("RetireGrant", key_id=OTHER_ID, retiring=BOB)
    for principal in (ALICE, BOB):
        assert permitting(access("RetireGrant", principal), [], other) is None
