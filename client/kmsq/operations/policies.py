"""Key policies and the account policy."""

from collections.abc import AsyncIterator

from kmsq.operations.base import Operations, pages
from kmsq_schemas.models import (
    GetAccountPolicyReply,
    GetKeyPolicyReply,
    ListKeyPoliciesReply,
    PutAccountPolicyReply,
    PutKeyPolicyReply,
)
from kmsq_schemas.operations import Operation


class PolicyOperations(Operations):
    """Key policies and the account policy."""

    async def get_key_policy(
        self, key_id: str, *, policy_name: str | None = None, timeout_seconds: float | None = None
    ) -> GetKeyPolicyReply:
        """Return the policy of a key, named by id or ARN, as JSON text."""
        return await self._ask(
            Operation.GET_KEY_POLICY, GetKeyPolicyReply, timeout_seconds, key_id=key_id, policy_name=policy_name
        )

    async def put_key_policy(
        self,
        key_id: str,
        policy: str,
        *,
        policy_name: str | None = None,
        bypass_policy_lockout_safety_check: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> PutKeyPolicyReply:
        """Replace the policy of a key. One that would keep the caller from doing this again is refused."""
        return await self._ask(
            Operation.PUT_KEY_POLICY,
            PutKeyPolicyReply,
            timeout_seconds,
            key_id=key_id,
            policy=policy,
            policy_name=policy_name,
            bypass_policy_lockout_safety_check=bypass_policy_lockout_safety_check,
        )

    async def list_key_policies(
        self,
        key_id: str,
        *,
        limit: int | None = None,
        marker: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListKeyPoliciesReply:
        """List one page of the names of a key's policies: `default`, and no other."""
        return await self._ask(
            Operation.LIST_KEY_POLICIES,
            ListKeyPoliciesReply,
            timeout_seconds,
            key_id=key_id,
            limit=limit,
            marker=marker,
        )

    async def iter_key_policies(self, key_id: str, *, page_size: int | None = None) -> AsyncIterator[str]:
        """Go through the names of a key's policies."""
        async for page in pages(lambda marker: self.list_key_policies(key_id, limit=page_size, marker=marker)):
            for name in page.policy_names:
                yield name

    async def get_account_policy(self, *, timeout_seconds: float | None = None) -> GetAccountPolicyReply:
        """Return the policy that decides on what has no key, as JSON text."""
        return await self._ask(Operation.GET_ACCOUNT_POLICY, GetAccountPolicyReply, timeout_seconds)

    async def put_account_policy(
        self,
        policy: str,
        *,
        bypass_policy_lockout_safety_check: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> PutAccountPolicyReply:
        """Replace the account policy. One that would keep the caller from doing this again is refused."""
        return await self._ask(
            Operation.PUT_ACCOUNT_POLICY,
            PutAccountPolicyReply,
            timeout_seconds,
            policy=policy,
            bypass_policy_lockout_safety_check=bypass_policy_lockout_safety_check,
        )
