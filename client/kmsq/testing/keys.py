"""The fake's keys: creation, description, state."""

import json
from datetime import timedelta

from kmsq.errors import KMSInvalidStateException, UnsupportedOperationException
from kmsq.testing.tags import merged
from kmsq.testing.world import ACCOUNT, FakeKey, World, page
from kmsq_schemas import limits, models
from kmsq_schemas.models import KeySpec, KeyState, KeyUsage, Origin


def create_key(world: World, request: models.CreateKeyRequest) -> models.CreateKeyReply:
    """Create a symmetric key: the fake has no other kind."""
    if request.spec is not KeySpec.SYMMETRIC_DEFAULT or request.key_usage not in (None, KeyUsage.ENCRYPT_DECRYPT):
        raise UnsupportedOperationException("kmsq.testing has symmetric keys for encryption only")
    if request.origin not in (None, Origin.AWS_KMS) or request.multi_region:
        raise UnsupportedOperationException("kmsq.testing has neither imported nor multi-Region keys")
    policy = request.policy or json.dumps({"Version": "2012-10-17", "Statement": []})
    tags = merged({}, request.tags or ())
    key = world.new_key(policy, request.description or "")
    key.tags = tags
    return models.CreateKeyReply(key_metadata=_metadata(key))


def describe_key(world: World, request: models.DescribeKeyRequest) -> models.DescribeKeyReply:
    """Describe a key."""
    return models.DescribeKeyReply(key_metadata=_metadata(world.locate(request.key_id)))


def list_keys(world: World, request: models.ListKeysRequest) -> models.ListKeysReply:
    """List one page of keys."""
    everything = sorted(world.keys.values(), key=lambda key: key.key_id)
    keys, next_marker = page(everything, request.marker, request.limit or limits.KEYS_PAGE_DEFAULT)
    return models.ListKeysReply(
        keys=[models.KeyListEntry(key_id=key.key_id, key_arn=key.arn) for key in keys],
        next_marker=next_marker,
        truncated=next_marker is not None,
    )


def enable_key(world: World, request: models.EnableKeyRequest) -> models.EnableKeyReply:
    """Enable a key."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    key.state = KeyState.ENABLED
    return models.EnableKeyReply()


def disable_key(world: World, request: models.DisableKeyRequest) -> models.DisableKeyReply:
    """Disable a key."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    key.state = KeyState.DISABLED
    return models.DisableKeyReply()


def update_key_description(
    world: World, request: models.UpdateKeyDescriptionRequest
) -> models.UpdateKeyDescriptionReply:
    """Replace a key's description."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    key.description = request.description
    return models.UpdateKeyDescriptionReply()


def schedule_key_deletion(world: World, request: models.ScheduleKeyDeletionRequest) -> models.ScheduleKeyDeletionReply:
    """Let a key wait for its deletion, which never comes: the fake does not watch the clock."""
    key = world.locate_by_id(request.key_id)
    key.require_kept()
    days = request.pending_window_in_days or limits.DELETION_WINDOW_DEFAULT_DAYS
    key.state = KeyState.PENDING_DELETION
    key.deletion_at = world.now() + timedelta(days=days)
    return models.ScheduleKeyDeletionReply(
        key_id=key.arn, deletion_date=key.deletion_at, key_state=key.state, pending_window_in_days=days
    )


def cancel_key_deletion(world: World, request: models.CancelKeyDeletionRequest) -> models.CancelKeyDeletionReply:
    """Keep a key; it comes back disabled."""
    key = world.locate_by_id(request.key_id)
    if key.state is not KeyState.PENDING_DELETION:
        message = f"{key.arn} is not pending deletion."
        raise KMSInvalidStateException(message)
    key.state, key.deletion_at = KeyState.DISABLED, None
    return models.CancelKeyDeletionReply(key_id=key.arn)


def _metadata(key: FakeKey) -> models.KeyMetadata:
    return models.KeyMetadata(
        aws_account_id=ACCOUNT,
        key_id=key.key_id,
        arn=key.arn,
        creation_date=key.created_at,
        enabled=key.state is KeyState.ENABLED,
        description=key.description,
        key_usage=KeyUsage.ENCRYPT_DECRYPT,
        key_state=key.state,
        deletion_date=key.deletion_at,
        origin=Origin.AWS_KMS,
        key_manager=models.KeyManager.CUSTOMER,
        customer_master_key_spec=models.CustomerMasterKeySpec.SYMMETRIC_DEFAULT,
        key_spec=KeySpec.SYMMETRIC_DEFAULT,
        encryption_algorithms=[models.EncryptionAlgorithm.SYMMETRIC_DEFAULT],
        multi_region=False,
        current_key_material_id=key.material_id,
    )
