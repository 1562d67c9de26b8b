"""CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, UpdateKeyDescription, Schedule- and CancelKeyDeletion."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from kmsq_schemas import limits
from kmsq_schemas.models import (
    CancelKeyDeletionReply,
    CancelKeyDeletionRequest,
    CreateKeyReply,
    CreateKeyRequest,
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
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage, Origin
from kmsq_worker import envelope
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key
from kmsq_worker.errors import InvalidKeyUsageException, UnsupportedOperationException
from kmsq_worker.execution import TurnExecution, Values, refuse_state
from kmsq_worker.operations.metadata import metadata
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.policies import checked_key_policy
from kmsq_worker.policy.defaults import default_key_policy
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import KeyRow, MaterialRow

FIRST_MATERIAL = 1


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key id and its material, generated before the transaction begins."""

    key_id: str
    material: Secret


def prepare_key(request: CreateKeyRequest) -> NewKey:
    """Generate what CreateKey inserts. Raises `UnsupportedOperationException`, `InvalidKeyUsageException`."""
    _refuse_unsupported(request)
    if request.key_usage not in (None, KeyUsage.ENCRYPT_DECRYPT):
        message = f"KeyUsage {request.key_usage} is not compatible with KeySpec {request.spec}."
        raise InvalidKeyUsageException(message)
    return NewKey(str(uuid4()), Secret.random(envelope.MATERIAL_BYTES))


async def create_key(execution: ChangeExecution, request: CreateKeyRequest, new: NewKey) -> CreateKeyReply:
    """Create a key with fresh material."""
    bypass = bool(request.bypass_policy_lockout_safety_check)
    key_arn = execution.account.key_arn(new.key_id)
    conditions: Values = {
        ConditionKey.KEY_SPEC: request.spec,
        ConditionKey.KEY_USAGE: KeyUsage.ENCRYPT_DECRYPT,
        ConditionKey.KEY_ORIGIN: Origin.AWS_KMS,
        ConditionKey.MULTI_REGION: False,
        ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: bypass,
    }
    execution.authorize_account("kms:CreateKey", conditions)
    if request.policy is None:
        policy = default_key_policy(execution.arn, execution.administrators)
    else:
        policy = checked_key_policy(execution, key_arn, request.policy, conditions)
    row = KeyRow(
        key_id=new.key_id,
        key_spec=request.spec,
        key_usage=KeyUsage.ENCRYPT_DECRYPT,
        origin=Origin.AWS_KMS,
        key_state=KeyState.ENABLED,
        description=request.description or "",
        policy=policy,
        creation_date=execution.moment,
        current_material=FIRST_MATERIAL,
        revision=execution.epoch - 1,  # CreateKey makes no epoch: the account's is the newest that it may have seen
    )
    material = new_material(execution, row, FIRST_MATERIAL, new.material, rotation_type=None)
    await execution.create_key(row, material)
    execution.touched.keys.append(new.key_id)
    execution.touched.materials.append(FIRST_MATERIAL)
    return CreateKeyReply(key_metadata=metadata(execution.account, row, material.material_id))


def new_material(
    execution: ChangeExecution, row: KeyRow, number: int, material: Secret, *, rotation_type: str | None
) -> MaterialRow:
    """Wrap material `number` of a key."""
    return MaterialRow(
        key_id=row.key_id,
        material_number=number,
        material_id=envelope.material_id(material, row.key_id),
        wrapped=execution.custody.wrap(material, row, number),
        rotation_type=rotation_type,
        created_at=execution.moment,
    )


def describe_key(execution: TurnExecution, request: DescribeKeyRequest) -> DescribeKeyReply:
    """Show everything about a key but its policy."""
    key = execution.locate(request.key_id)
    execution.authorize("kms:DescribeKey", key)
    material_id = execution.material(key, key.row.current_material).material_id
    return DescribeKeyReply(key_metadata=metadata(execution.account, key.row, material_id))


async def list_keys(execution: TurnExecution, request: ListKeysRequest) -> ListKeysReply:
    """List all keys of the account, in the order of their ids."""
    execution.authorize_account("kms:ListKeys")
    limit = request.limit or limits.KEYS_PAGE_DEFAULT
    after = position_of(execution.custody, "ListKeys", request.marker)
    key_ids = await execution.reader.list_keys(after, limit + 1)
    found = page(execution.custody, "ListKeys", key_ids, limit, str)
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
    """End the waiting period; the key comes back disabled."""
    key = await _administer(execution, request.key_id, "kms:CancelKeyDeletion")
    if key.row.key_state != KeyState.PENDING_DELETION:
        refuse_state(key)
    await execution.save_key(
        replace(key.row, key_state=KeyState.DISABLED, deletion_date=None, pending_window_days=None),
    )
    return CancelKeyDeletionReply(key_id=key.arn)


def refuse_pending_deletion(key: Key) -> None:
    """Raise `KMSInvalidStateException` if the key is pending deletion."""
    if key.row.key_state == KeyState.PENDING_DELETION:
        refuse_state(key)


async def _administer(execution: ChangeExecution, key_id: str, action: str) -> Key:
    key = await execution.locate(key_id)
    execution.authorize(action, key)
    return key


async def _switch(execution: ChangeExecution, key: Key, state: KeyState) -> None:
    if key.row.key_state not in (KeyState.ENABLED, KeyState.DISABLED):
        refuse_state(key)
    await execution.save_key(replace(key.row, key_state=state))


def _refuse_unsupported(request: CreateKeyRequest) -> None:
    refused = {
        f"KeySpec {request.spec}": request.spec is not KeySpec.SYMMETRIC_DEFAULT,
        f"Origin {request.origin}": request.origin not in (None, Origin.AWS_KMS),
        "MultiRegion": bool(request.multi_region),
        "CustomKeyStoreId": request.custom_key_store_id is not None,
        "XksKeyId": request.xks_key_id is not None,
        "Tags": bool(request.tags),
    }
    for what, asked in refused.items():
        if asked:
            message = f"{what} is not supported."
            raise UnsupportedOperationException(message)
