"""Keys: creation, description, state."""

from collections.abc import AsyncIterator

from kmsq.operations.base import Operations, Tags, pages, tag_list
from kmsq_schemas.models import (
    CancelKeyDeletionReply,
    CreateKeyReply,
    CustomerMasterKeySpec,
    DescribeKeyReply,
    DisableKeyReply,
    EnableKeyReply,
    KeyListEntry,
    KeySpec,
    KeyUsage,
    ListKeysReply,
    Origin,
    ResourceOwner,
    ScheduleKeyDeletionReply,
    UpdateKeyDescriptionReply,
)
from kmsq_schemas.operations import Operation


class KeyOperations(Operations):
    """Keys: creation, description, state."""

    async def create_key(
        self,
        *,
        policy: str | None = None,
        description: str | None = None,
        key_usage: KeyUsage | str | None = None,
        customer_master_key_spec: CustomerMasterKeySpec | str | None = None,
        key_spec: KeySpec | str | None = None,
        origin: Origin | str | None = None,
        custom_key_store_id: str | None = None,
        bypass_policy_lockout_safety_check: bool | None = None,
        tags: Tags | None = None,
        multi_region: bool | None = None,
        xks_key_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> CreateKeyReply:
        """
        Create a key; a symmetric one for encryption unless told otherwise.

        Other specs need a `key_usage`. With the `origin` `EXTERNAL` it has no material until some is imported:
        `kmsq.importing`. Without a `policy` the creator may do everything with it, and the account's administrators may
        administer it. `tags` may be a map from tag key to value.
        """
        return await self._ask(
            Operation.CREATE_KEY,
            CreateKeyReply,
            timeout_seconds,
            policy=policy,
            description=description,
            key_usage=key_usage,
            customer_master_key_spec=customer_master_key_spec,
            key_spec=key_spec,
            origin=origin,
            custom_key_store_id=custom_key_store_id,
            bypass_policy_lockout_safety_check=bypass_policy_lockout_safety_check,
            tags=tag_list(tags),
            multi_region=multi_region,
            xks_key_id=xks_key_id,
        )

    async def describe_key(
        self, key_id: str, *, grant_tokens: list[str] | None = None, timeout_seconds: float | None = None
    ) -> DescribeKeyReply:
        """Describe a key, named by key id, key ARN, alias name or alias ARN."""
        return await self._ask(
            Operation.DESCRIBE_KEY, DescribeKeyReply, timeout_seconds, key_id=key_id, grant_tokens=grant_tokens
        )

    async def list_keys(
        self,
        *,
        limit: int | None = None,
        marker: str | None = None,
        resource_owners: list[ResourceOwner] | None = None,
        timeout_seconds: float | None = None,
    ) -> ListKeysReply:
        """List one page of keys, 100 unless `limit` says otherwise; `iter_keys` goes through all."""
        return await self._ask(
            Operation.LIST_KEYS,
            ListKeysReply,
            timeout_seconds,
            limit=limit,
            marker=marker,
            resource_owners=resource_owners,
        )

    async def iter_keys(self, *, page_size: int | None = None) -> AsyncIterator[KeyListEntry]:
        """Go through all keys, fetching pages as they are needed."""
        async for page in pages(lambda marker: self.list_keys(limit=page_size, marker=marker)):
            for key in page.keys:
                yield key

    async def enable_key(self, key_id: str, *, timeout_seconds: float | None = None) -> EnableKeyReply:
        """Let a disabled key, named by id or ARN, be used again."""
        return await self._ask(Operation.ENABLE_KEY, EnableKeyReply, timeout_seconds, key_id=key_id)

    async def disable_key(self, key_id: str, *, timeout_seconds: float | None = None) -> DisableKeyReply:
        """Stop all use of a key, named by id or ARN. Once this returns, no request sent later succeeds with it."""
        return await self._ask(Operation.DISABLE_KEY, DisableKeyReply, timeout_seconds, key_id=key_id)

    async def update_key_description(
        self, key_id: str, description: str, *, timeout_seconds: float | None = None
    ) -> UpdateKeyDescriptionReply:
        """Replace the description of a key, named by id or ARN."""
        return await self._ask(
            Operation.UPDATE_KEY_DESCRIPTION,
            UpdateKeyDescriptionReply,
            timeout_seconds,
            key_id=key_id,
            description=description,
        )

    async def schedule_key_deletion(
        self, key_id: str, *, pending_window_in_days: int | None = None, timeout_seconds: float | None = None
    ) -> ScheduleKeyDeletionReply:
        """Stop all use of a key at once and delete it after 7 to 30 days (30 unless told otherwise)."""
        return await self._ask(
            Operation.SCHEDULE_KEY_DELETION,
            ScheduleKeyDeletionReply,
            timeout_seconds,
            key_id=key_id,
            pending_window_in_days=pending_window_in_days,
        )

    async def cancel_key_deletion(self, key_id: str, *, timeout_seconds: float | None = None) -> CancelKeyDeletionReply:
        """Keep a key that waits for its deletion. It comes back disabled."""
        return await self._ask(Operation.CANCEL_KEY_DELETION, CancelKeyDeletionReply, timeout_seconds, key_id=key_id)
