"""DescribeKey, ListKeys, EnableKey, DisableKey, UpdateKeyDescription, Schedule- and CancelKeyDeletion."""

from dataclasses import replace
from datetime import datetime, timedelta

from kmsq_schemas import limits
from kmsq_schemas.models import (
    CancelKeyDeletionReply,
    CancelKeyDeletionRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    DisableKeyReply,
    DisableKeyRequest,
    EnableKeyReply,
    EnableKeyRequest,
    KeyListEntry,
    ListKeysReply,
    ListKeysRequest,
    ScheduleKeyDeletionReply,
    ScheduleKeyDeletionRequest,
    UpdateKeyDescriptionReply,
    UpdateKeyDescriptionRequest,
)
from kmsq_schemas.models.enums import KeyState, Origin, ResourceOwner
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key
from kmsq_worker.errors import KMSInvalidStateException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.materials import is_complete
from kmsq_worker.operations.metadata import metadata
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.states import refuse_pending_deletion, refuse_state
from kmsq_worker.policy.keys import ConditionKey


def describe_key(execution: TurnExecution, request: DescribeKeyRequest) -> DescribeKeyReply:
    """Show everything about a key but its policy."""
    key = execution.locate(request.key_id)
    execution.authorize("kms:DescribeKey", key)
    current = key.row.current_material
    material_id = execution.material(key, current).material_id if current else None
    return DescribeKeyReply(key_metadata=metadata(execution.account, key.row, material_id))


async def list_keys(execution: TurnExecution, request: ListKeysRequest) -> ListKeysReply:
    """List all keys of the account, in the order of their ids. Other accounts, whose keys could be shared, are none."""
    execution.authorize_account("kms:ListKeys")
    owners = request.resource_owners or [ResourceOwner.SELF]
    scope = f"ListKeys {' '.join(sorted(set(owners)))}"
    limit = request.limit or limits.KEYS_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker)
    key_ids = await execution.reader.list_keys(after, limit + 1) if ResourceOwner.SELF in owners else ()
    found = page(execution.custody, scope, key_ids, limit, str)
    entries = [KeyListEntry(key_id=key_id, key_arn=execution.account.key_arn(key_id)) for key_id in found.entries]
    return ListKeysReply(keys=entries, next_marker=found.next_marker, truncated=found.truncated)


async def enable_key(execution: ChangeExecution, request: EnableKeyRequest, _: None) -> EnableKeyReply:
    """Let a key be used again."""
    key = await _administer(execution, request.key_id, "kms:EnableKey")
    await _switch(execution, key, KeyState.ENABLED)
    return EnableKeyReply()


async def disable_key(execution: ChangeExecution, request: DisableKeyRequest, _: None) -> DisableKeyReply:
    """Stop all use of a key."""
    key = await _administer(execution, request.key_id, "kms:DisableKey")
    await _switch(execution, key, KeyState.DISABLED)
    return DisableKeyReply()


async def update_key_description(
    execution: ChangeExecution, request: UpdateKeyDescriptionRequest, _: None
) -> UpdateKeyDescriptionReply:
    """Replace a key's description."""
    key = await _administer(execution, request.key_id, "kms:UpdateKeyDescription")
    refuse_pending_deletion(key)
    await execution.save_key(replace(key.row, description=request.description))
    return UpdateKeyDescriptionReply()


async def schedule_key_deletion(
    execution: ChangeExecution, request: ScheduleKeyDeletionRequest, _: None
) -> ScheduleKeyDeletionReply:
    """Start the waiting period of 7 … 30 days (default 30) after which a key is deleted."""
    days = request.pending_window_in_days or limits.DELETION_WINDOW_DEFAULT_DAYS
    key = await execution.locate(request.key_id)
    values: Values = {ConditionKey.SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS: days}
    execution.authorize("kms:ScheduleKeyDeletion", key, values=values)
    refuse_pending_deletion(key)
    deletion_date = execution.moment + timedelta(days=days)
    await execution.save_key(
        replace(
            key.row,
            key_state=KeyState.PENDING_DELETION,
            deletion_date=deletion_date,
            pending_window_days=days,
        ),
    )
    return ScheduleKeyDeletionReply(
        key_id=key.arn,
        deletion_date=deletion_date,
        key_state=KeyState.PENDING_DELETION,
        pending_window_in_days=days,
    )


async def cancel_key_deletion(
    execution: ChangeExecution, request: CancelKeyDeletionRequest, _: None
) -> CancelKeyDeletionReply:
    """End the waiting period; the key comes back disabled, or pending import if it lacks material."""
    key = await _administer(execution, request.key_id, "kms:CancelKeyDeletion")
    if key.row.key_state != KeyState.PENDING_DELETION:
        message = f"{key.arn} is not pending deletion."
        raise KMSInvalidStateException(message)
    state = KeyState.DISABLED
    if key.row.origin == Origin.EXTERNAL and not is_complete(await execution.imported(key), key.row.current_material):
        state = KeyState.PENDING_IMPORT
    await execution.save_key(replace(key.row, key_state=state, deletion_date=None, pending_window_days=None))
    return CancelKeyDeletionReply(key_id=key.arn)


async def delete_when_due(execution: ChangeExecution, key: Key, now: datetime) -> bool:
    """Delete a key whose waiting period is over; tell whether it was. What is left of it is in the audit log."""
    if key.row.key_state != KeyState.PENDING_DELETION or key.row.deletion_date is None or key.row.deletion_date > now:
        return False
    await execution.delete_key(key)
    return True


async def _administer(execution: ChangeExecution, key_id: str, action: str) -> Key:
    key = await execution.locate(key_id)
    execution.authorize(action, key)
    return key


async def _switch(execution: ChangeExecution, key: Key, state: KeyState) -> None:
    if key.row.key_state not in (KeyState.ENABLED, KeyState.DISABLED):
        refuse_state(key)
    await execution.save_key(replace(key.row, key_state=state))
