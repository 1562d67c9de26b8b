"""
The policies that a key and an account begin with.

Creating, administering and using a key are separate permissions: administrators can do everything to a key except use
it, learn its material (import) or hand out its use (grants). They may replace its policy, which is audited.
"""

import json
from collections.abc import Iterable
from typing import Final

KEY_ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)

ACCOUNT_OPERATIONS: Final = (
    "kms:CreateKey",
    "kms:GenerateRandom",
    "kms:GetAccountPolicy",
    "kms:ListAliases",
    "kms:ListKeys",
    "kms:ListRetirableGrants",
    "kms:PutAccountPolicy",
)


def default_key_policy(creator_arn: str, administrator_arns: Iterable[str]) -> str:
    """Write the policy of a key that was created without one."""
    administrators = sorted(set(administrator_arns))
    statements = [_allow("The creator may do everything", [creator_arn], ["kms:*"])]
    if administrators:
        statements.append(_allow("Administrators may administer", administrators, KEY_ADMINISTRATION))
    return _policy("kmsq-default-key-policy", statements)


def initial_account_policy(administrator_arns: Iterable[str]) -> str:
    """Write the policy that an account begins with. Without an administrator nobody could ever do anything."""
    administrators = sorted(set(administrator_arns))
    if not administrators:
        message = "an account needs at least one administrator"
        raise ValueError(message)
    return _policy(
        "kmsq-initial-account-policy",
        [
            _allow("Administrators may manage the account", administrators, ACCOUNT_OPERATIONS),
            # For keys whose policy names nobody but the account's root, which is what AWS gives keys by default.
            _allow(
                "Administrators may administer keys that leave it to the account", administrators, KEY_ADMINISTRATION
            ),
        ],
    )


def _allow(sid: str, principals: Iterable[str], actions: Iterable[str]) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": list(actions),
        "Resource": "*",
    }


def _policy(policy_id: str, statements: list[dict[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": policy_id, "Statement": statements}, indent=2)
