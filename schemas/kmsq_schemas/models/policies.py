"""Key policies, and the account policy (kmsq's own, named in the same style)."""

from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.types import KeyId, Policy, PolicyName


class GetKeyPolicyRequest(Request):
    key_id: KeyId
    policy_name: PolicyName | None = None


class GetKeyPolicyReply(Reply):
    policy: Policy
    policy_name: PolicyName


class PutKeyPolicyRequest(Request):
    key_id: KeyId
    policy_name: PolicyName | None = None
    policy: Policy
    bypass_policy_lockout_safety_check: bool | None = None


class PutKeyPolicyReply(Reply):
    pass


class GetAccountPolicyRequest(Request):
    pass


class GetAccountPolicyReply(Reply):
    policy: Policy


class PutAccountPolicyRequest(Request):
    policy: Policy
    bypass_policy_lockout_safety_check: bool | None = None


class PutAccountPolicyReply(Reply):
    pass
