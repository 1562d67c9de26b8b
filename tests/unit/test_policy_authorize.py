"""Two policies together, the policies that things begin with, and the check against locking oneself out."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from botocore.loaders import Loader

from kmsq_worker.arn import Account
from kmsq_worker.errors import AccessDeniedException, MalformedPolicyDocumentException
from kmsq_worker.policy.defaults import (
    ACCOUNT_OPERATIONS,
    KEY_ADMINISTRATION,
    default_key_policy,
    initial_account_policy,
)
from kmsq_worker.policy.document import Policy, parse
from kmsq_worker.policy.evaluate import (
    DENIED_BY_ACCOUNT_POLICY,
    DENIED_BY_KEY_POLICY,
    NOT_ALLOWED,
    Access,
    authorize_account,
    authorize_key,
    check_account_lockout,
    check_lockout,
)

ACCOUNT = Account("eu-central-1", "111122223333")
ALICE, BOB, ADMIN = (ACCOUNT.user_arn(name) for name in ("alice", "bob", "admin"))
ROOT = ACCOUNT.root_arn
KEY = ACCOUNT.key_arn("1234abcd-12ab-34cd-56ef-1234567890ab")
USE = (
    "kms:Decapsulate",
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:Encapsulate",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:Sign",
    "kms:Verify",
    "kms:VerifyMac",
)
LEARN_OR_HAND_OUT = ("kms:GetParametersForImport", "kms:ImportKeyMaterial", "kms:CreateGrant")
LEFT_TO_GRANTS = ("kms:RetireGrant",)  # each names who may; administrators may revoke
NOT_HERE = {"ReplicateKey", "UpdatePrimaryRegion"}  # multi-Region keys, as custom key stores


def allow(principal: str, action: str | Iterable[str] = "kms:*", **more: Any) -> dict[str, Any]:
    actions = action if isinstance(action, str) else list(action)
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*", **more}


def deny(principal: str, action: str = "kms:*") -> dict[str, Any]:
    return {**allow(principal, action), "Effect": "Deny"}


def policy(*statements: dict[str, Any]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def encrypt(principal: str = ALICE, action: str = "kms:Encrypt") -> Access:
    return Access(principal=principal, action=action, resource=KEY)


def put_policy(principal: str = ALICE) -> Access:
    return encrypt(principal, "kms:PutKeyPolicy")


def allowed(access: Access, key_policy: Policy, account_policy: Policy) -> bool:
    try:
        authorize_key(access, key_policy, account_policy, ROOT)
    except AccessDeniedException:
        return False
    return True


NOBODY = policy(allow(BOB, "kms:ListKeys"))

DECISIONS = {
    "the key policy allows": (policy(allow(ALICE)), NOBODY, None),
    "nobody allows": (policy(allow(BOB)), NOBODY, NOT_ALLOWED),
    "the account policy alone": (policy(allow(BOB)), policy(allow(ALICE)), NOT_ALLOWED),
    "the root alone": (policy(allow(ROOT)), NOBODY, NOT_ALLOWED),
    "the root and the account policy": (policy(allow(ROOT)), policy(allow(ALICE)), None),
    "the root by its account id": (policy(allow("111122223333")), policy(allow(ALICE)), None),
    "the root for another action": (policy(allow(ROOT, "kms:Decrypt")), policy(allow(ALICE)), NOT_ALLOWED),
    "the root, and the account policy for another action": (
        policy(allow(ROOT)),
        policy(allow(ALICE, "kms:Decrypt")),
        NOT_ALLOWED,
    ),
    "the root of another account": (
        policy(allow("arn:kmsq:iam::444455556666:root")),
        policy(allow(ALICE)),
        NOT_ALLOWED,
    ),
    "everyone is not the root": (policy(allow("*", "kms:Decrypt")), policy(allow(ALICE)), NOT_ALLOWED),
    "the root on a condition that holds": (
        policy(allow(ROOT, Condition={"StringEquals": {"aws:username": "alice"}})),
        policy(allow(ALICE)),
        None,
    ),
    "the root on a condition that does not hold": (
        policy(allow(ROOT, Condition={"StringEquals": {"aws:username": "bob"}})),
        policy(allow(ALICE)),
        NOT_ALLOWED,
    ),
    "the account's root in the account policy is nobody": (policy(allow(ROOT)), policy(allow(ROOT)), NOT_ALLOWED),
    "the key policy denies": (policy(allow(ALICE), deny(ALICE)), NOBODY, DENIED_BY_KEY_POLICY),
    "the key policy denies what the account policy allows": (
        policy(allow(ROOT), deny(ALICE)),
        policy(allow(ALICE)),
        DENIED_BY_KEY_POLICY,
    ),
    "the account policy denies": (policy(allow(ALICE)), policy(deny(ALICE)), DENIED_BY_ACCOUNT_POLICY),
    "the account policy denies what it allows": (
        policy(allow(ROOT)),
        policy(allow(ALICE), deny("*", "kms:Enc*")),
        DENIED_BY_ACCOUNT_POLICY,
    ),
    "denying the root denies its users": (policy(allow(ALICE), deny(ROOT)), NOBODY, DENIED_BY_KEY_POLICY),
}


@pytest.mark.parametrize(("key_policy", "account_policy", "reason"), DECISIONS.values(), ids=DECISIONS.keys())
def test_a_key_is_decided_by_both_policies(key_policy: Policy, account_policy: Policy, reason: str | None) -> None:
    if reason is None:
        authorize_key(encrypt(), key_policy, account_policy, ROOT)
        return
    with pytest.raises(AccessDeniedException) as caught:
        authorize_key(encrypt(), key_policy, account_policy, ROOT)
    assert caught.value.reason == reason


@pytest.mark.parametrize("account_policy", [NOBODY, policy(deny(ALICE))])
def test_all_refusals_read_the_same(account_policy: Policy) -> None:
    with pytest.raises(AccessDeniedException) as caught:
        authorize_key(encrypt(), policy(allow(BOB)), account_policy, ROOT)
    assert caught.value.message == f"User: {ALICE} is not authorized to perform: kms:Encrypt on resource: {KEY}"


@pytest.mark.parametrize(
    ("account_policy", "reason"),
    [
        (policy(allow(BOB)), NOT_ALLOWED),
        (policy(allow(ALICE), deny(ALICE, "kms:CreateKey")), DENIED_BY_ACCOUNT_POLICY),
        (policy(allow(ALICE, Resource=KEY)), NOT_ALLOWED),
        (policy(allow(ROOT)), NOT_ALLOWED),
    ],
)
def test_without_a_key_the_account_policy_decides(account_policy: Policy, reason: str) -> None:
    access = Access(principal=ALICE, action="kms:CreateKey", resource="*", values={"kms:KeySpec": "RSA_2048"})
    authorize_account(access, policy(allow(ALICE, Condition={"StringLike": {"kms:KeySpec": "RSA_*"}})))
    with pytest.raises(AccessDeniedException, match=r"kms:CreateKey on resource: \*") as caught:
        authorize_account(access, account_policy)
    assert caught.value.reason == reason


@pytest.mark.parametrize("action", [*USE, *LEARN_OR_HAND_OUT, *KEY_ADMINISTRATION])
def test_the_creator_may_do_everything(action: str) -> None:
    default = parse(default_key_policy(ALICE, [ADMIN]))
    assert allowed(encrypt(ALICE, action), default, NOBODY)
    assert not allowed(encrypt(BOB, action), default, NOBODY)


def test_administrators_may_administer_a_key_but_not_use_it() -> None:
    default = parse(default_key_policy(ALICE, [ADMIN]))
    account = parse(initial_account_policy([ADMIN]))
    assert all(allowed(encrypt(ADMIN, action), default, account) for action in KEY_ADMINISTRATION)
    assert not any(allowed(encrypt(ADMIN, action), default, account) for action in (*USE, *LEARN_OR_HAND_OUT))


def test_every_operation_has_its_place_among_the_permissions() -> None:
    service = Loader().load_service_model("kms", "service-2", "2014-11-01")
    operations = {name for name in service["operations"] if "CustomKeyStore" not in name} - NOT_HERE - {"ReEncrypt"}
    actions = {f"kms:{name}" for name in (*operations, "ReEncryptFrom", "ReEncryptTo")}
    placed = [*USE, *LEARN_OR_HAND_OUT, *LEFT_TO_GRANTS, *KEY_ADMINISTRATION, *ACCOUNT_OPERATIONS]
    assert sorted(placed) == sorted(actions | {"kms:GetAccountPolicy", "kms:PutAccountPolicy"})


def test_administrators_do_not_retire_what_names_somebody_else() -> None:
    default, account = parse(default_key_policy(ALICE, [ADMIN])), parse(initial_account_policy([ADMIN]))
    assert not any(allowed(encrypt(ADMIN, action), default, account) for action in LEFT_TO_GRANTS)


def test_an_administrator_who_creates_a_key_may_use_it() -> None:
    assert allowed(encrypt(ADMIN), parse(default_key_policy(ADMIN, [ADMIN])), NOBODY)


def test_the_default_policy_needs_no_administrators() -> None:
    assert len(parse(default_key_policy(ALICE, [])).allows) == 1


def test_administrators_may_do_what_has_no_key() -> None:
    account = parse(initial_account_policy([ADMIN]))
    for action in ACCOUNT_OPERATIONS:
        authorize_account(Access(ADMIN, action, "*"), account)
        with pytest.raises(AccessDeniedException):
            authorize_account(Access(ALICE, action, "*"), account)


def test_an_account_without_administrators_cannot_begin() -> None:
    with pytest.raises(ValueError, match="administrator"):
        initial_account_policy([])


def test_the_default_policies_are_the_same_for_the_same_people() -> None:
    assert default_key_policy(ALICE, [ADMIN, BOB]) == default_key_policy(ALICE, (BOB, ADMIN, BOB))
    assert initial_account_policy([ADMIN, BOB]) == initial_account_policy([BOB, ADMIN])


@pytest.mark.parametrize(
    "new",
    [
        policy(allow(ALICE)),
        policy(allow(ALICE, "kms:Put*")),
        policy(allow("*")),
        policy(allow(ROOT)),
        policy(allow(ALICE), deny(BOB)),
        policy(allow(ALICE), deny(ALICE, "kms:Decrypt")),
        parse(default_key_policy(BOB, [ALICE])),
    ],
)
def test_a_policy_that_can_be_replaced_is_accepted(new: Policy) -> None:
    check_lockout(put_policy(), new, ROOT)


@pytest.mark.parametrize(
    "new",
    [
        policy(allow(BOB)),
        policy(allow(ALICE, "kms:GetKeyPolicy")),
        policy(allow(ROOT, "kms:Encrypt")),
        policy(allow(ALICE), deny(ALICE, "kms:PutKeyPolicy")),
        policy(allow(ROOT), deny(ROOT)),
        policy(allow(ALICE, Resource=KEY[:-1] + "f")),
    ],
)
def test_a_policy_that_locks_the_caller_out_is_refused(new: Policy) -> None:
    with pytest.raises(MalformedPolicyDocumentException, match="will not allow you to update the key policy"):
        check_lockout(put_policy(), new, ROOT)


def test_an_account_policy_must_leave_its_author_a_way_back() -> None:
    access = Access(ADMIN, "kms:PutAccountPolicy", "*")
    check_account_lockout(access, parse(initial_account_policy([ADMIN])))
    for new in (policy(allow(BOB)), policy(allow(ADMIN), deny("*", "kms:PutA*")), policy(allow(ROOT))):
        with pytest.raises(MalformedPolicyDocumentException, match="will not allow you to update the account policy"):
            check_account_lockout(access, new)


def test_administrators_may_administer_but_not_use_a_key_that_leaves_it_to_the_account() -> None:
    aws_default, account = policy(allow(ROOT)), parse(initial_account_policy([ADMIN]))
    assert all(allowed(encrypt(ADMIN, action), aws_default, account) for action in KEY_ADMINISTRATION)
    assert not any(allowed(encrypt(ADMIN, action), aws_default, account) for action in (*USE, *LEARN_OR_HAND_OUT))
    assert not any(allowed(encrypt(ALICE, action), aws_default, account) for action in KEY_ADMINISTRATION)
