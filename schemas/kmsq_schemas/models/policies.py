"""Key policies, and the account policy (kmsq's own, named in the same style)."""

from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.types import KeyId, Limit, Marker, Policy, PolicyName


class GetKeyPolicyRequest(Request):
    """Read the policy of a key."""

    key_id: KeyId
    policy_name: PolicyName | None = None


class GetKeyPolicyReply(Reply):
    policy: Policy
    policy_name: PolicyName


class PutKeyPolicyRequest(Request):
    """Replace the policy of a key."""

    key_id: KeyId
    policy_name: PolicyName | None = None
    policy: Policy
    bypass_policy_lockout_safety_check: bool | None = None


class PutKeyPolicyReply(Reply):
    pass


class ListKeyPoliciesRequest(Request):
    """List the names of a key's policies: there is `default` alone."""

    key_id: KeyId
    limit: Limit | None = None
    marker: Marker | None = None


class ListKeyPoliciesReply(Reply):
    policy_names: list[PolicyName]
    next_marker: Marker | None = None
    truncated: bool


class GetAccountPolicyRequest(Request):
    """Read the account policy."""


class GetAccountPolicyReply(Reply):
    policy: Policy


class PutAccountPolicyRequest(Request):
    """Replace the account policy, which decides on what has no key."""

    policy: Policy
    bypass_policy_lockout_safety_check: bool | None = None


class PutAccountPolicyReply(Reply):
    pass
