"""
The decision: default deny, and an explicit deny wins.

A key's own policy decides on it. The account policy can always deny, and it can allow where the key policy names the
account root; for operations without a key it decides alone. Where no policy denies and none allows, a grant may allow.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from kmsq_worker.errors import AccessDeniedException, MalformedPolicyDocumentException
from kmsq_worker.policy.access import Access
from kmsq_worker.policy.document import Policy
from kmsq_worker.policy.grants import Grant, permitting

__all__ = ["Access", "Decision", "authorize_account", "authorize_key", "check_lockout", "evaluate"]

DENIED_BY_KEY_POLICY: Final = "explicit_deny_key_policy"
DENIED_BY_ACCOUNT_POLICY: Final = "explicit_deny_account_policy"
NOT_ALLOWED: Final = "no_allow"

_LOCKOUT: Final = "The new key policy will not allow you to update the key policy in the future."
_ACCOUNT_LOCKOUT: Final = "The new account policy will not allow you to update the account policy in the future."


class Decision(Enum):
    """What one policy says about one access."""

    ALLOW = auto()
    DENY = auto()
    NEUTRAL = auto()


def evaluate(policy: Policy, access: Access) -> Decision:
    """Ask one policy."""
    action = access.action.lower()
    if _denies(policy, access, action):
        return Decision.DENY
    return Decision.ALLOW if _allows(policy, access, action) else Decision.NEUTRAL


def authorize_key(  # noqa: PLR0917  a parameter by keyword only would cost every request, though few have a target
    access: Access,
    key_policy: Policy,
    account_policy: Policy,
    root_arn: str,
    grants: Iterable[Grant] = (),
    target: Grant | None = None,
) -> Grant | None:
    """
    Authorise an operation on a key.

    `grants` are those of the caller on this key; they are looked at only when no policy decides. `target` is the grant
    that a CreateGrant would make or a RetireGrant would end. Returns the grant that allowed it, None if a policy did.

    Raises `AccessDeniedException`; its `reason`, for the audit record, tells an explicit deny from a missing allow.
    """
    action = access.action.lower()
    if _denies(key_policy, access, action):
        raise denied(access, DENIED_BY_KEY_POLICY)
    if _denies(account_policy, access, action):
        raise denied(access, DENIED_BY_ACCOUNT_POLICY)
    if _allows(key_policy, access, action):
        return None
    if _delegates(key_policy, access, action, root_arn) and _allows(account_policy, access, action):
        return None
    grant = permitting(access, grants, target)
    if grant is None:
        raise denied(access, NOT_ALLOWED)
    return grant


def authorize_account(access: Access, account_policy: Policy) -> None:
    """Authorise an operation that has no key. Raises `AccessDeniedException`."""
    match evaluate(account_policy, access):
        case Decision.DENY:
            raise denied(access, DENIED_BY_ACCOUNT_POLICY)
        case Decision.NEUTRAL:
            raise denied(access, NOT_ALLOWED)
        case Decision.ALLOW:
            return


def check_lockout(access: Access, new_policy: Policy, root_arn: str) -> None:
    """
    Check that a new key policy leaves the key manageable.

    `access` is the caller's `kms:PutKeyPolicy` on the key. The policy must let the caller do that again, or leave it
    to the account policy. Raises `MalformedPolicyDocumentException`, as AWS does.
    """
    action = access.action.lower()
    if not _denies(new_policy, access, action) and (
        _allows(new_policy, access, action) or _delegates(new_policy, access, action, root_arn)
    ):
        return
    raise MalformedPolicyDocumentException(_LOCKOUT)


def check_account_lockout(access: Access, new_policy: Policy) -> None:
    """
    Check that a new account policy lets the caller put the next one.

    `access` is the caller's `kms:PutAccountPolicy` on `*`. Raises `MalformedPolicyDocumentException`.
    """
    if evaluate(new_policy, access) is not Decision.ALLOW:
        raise MalformedPolicyDocumentException(_ACCOUNT_LOCKOUT)


def denied(access: Access, reason: str) -> AccessDeniedException:
    """Make the one answer to every refusal; only `reason` differs, and it stays in the audit record."""
    message = f"User: {access.principal} is not authorized to perform: {access.action} on resource: {access.resource}"
    return AccessDeniedException(message, reason=reason)


def _denies(policy: Policy, access: Access, action: str) -> bool:
    return bool(policy.denies) and any(statement.applies(access, action) for statement in policy.denies)


def _allows(policy: Policy, access: Access, action: str) -> bool:
    for statement in policy.allows:  # noqa: SIM110  a generator costs a quarter of the whole decision
        if statement.applies(access, action):
            return True
    return False


def _delegates(policy: Policy, access: Access, action: str, root_arn: str) -> bool:
    return any(statement.delegates(access, action, root_arn) for statement in policy.allows)
