"""RotateKeyOnDemand, Enable- and DisableKeyRotation, GetKeyRotationStatus, ListKeyRotations; rotation that is due."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from kmsq_schemas import limits
from kmsq_schemas.models import (
    DisableKeyRotationReply,
    DisableKeyRotationRequest,
    EnableKeyRotationReply,
    EnableKeyRotationRequest,
    GetKeyRotationStatusReply,
    GetKeyRotationStatusRequest,
    ListKeyRotationsReply,
    ListKeyRotationsRequest,
    RotateKeyOnDemandReply,
    RotateKeyOnDemandRequest,
    RotationsListEntry,
)
from kmsq_schemas.models.enums import (
    ExpirationModel,
    ImportState,
    IncludeKeyMaterial,
    KeyMaterialState,
    KeySpec,
    KeyState,
    Origin,
    RotationType,
)
from kmsq_worker import envelope
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key, imported_subject
from kmsq_worker.errors import KMSInvalidStateException, LimitExceededException, UnsupportedOperationException
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.materials import is_present, new_material, with_expiry
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.states import require_enabled, require_origin
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import ImportedRow, MaterialRow


async def enable_key_rotation(
    execution: ChangeExecution, request: EnableKeyRotationRequest, _: None
) -> EnableKeyRotationReply:
    """Let a key be rotated every 90 … 2,560 days (default 365), for the first time that long from now."""
    days = request.rotation_period_in_days or limits.ROTATION_PERIOD_DEFAULT_DAYS
    key = await execution.locate(request.key_id)
    execution.authorize("kms:EnableKeyRotation", key, values={ConditionKey.ROTATION_PERIOD_IN_DAYS: days})
    _require_schedule_can_change(key)
    await execution.save_key(
        replace(key.row, rotation_period_days=days, next_rotation_date=execution.moment + timedelta(days=days))
    )
    return EnableKeyRotationReply()


async def disable_key_rotation(
    execution: ChangeExecution, request: DisableKeyRotationRequest, _: None
) -> DisableKeyRotationReply:
    """End a key's automatic rotation."""
    key = await execution.locate(request.key_id)
    execution.authorize("kms:DisableKeyRotation", key)
    _require_schedule_can_change(key)
    await execution.save_key(replace(key.row, rotation_period_days=None, next_rotation_date=None))
    return DisableKeyRotationReply()


def get_key_rotation_status(
    execution: TurnExecution, request: GetKeyRotationStatusRequest
) -> GetKeyRotationStatusReply:
    """Tell whether a key is rotated automatically, and when next. While it is pending deletion, it is not."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:GetKeyRotationStatus", key)
    _require_schedule(key)
    is_pending = key.row.key_state == KeyState.PENDING_DELETION
    enabled = key.row.rotation_period_days is not None and not is_pending
    return GetKeyRotationStatusReply(
        key_id=key.key_id,
        key_rotation_enabled=enabled,
        rotation_period_in_days=key.row.rotation_period_days if enabled else None,
        next_rotation_date=key.row.next_rotation_date if enabled else None,
    )


async def rotate_key_on_demand(
    execution: ChangeExecution, request: RotateKeyOnDemandRequest, _: None
) -> RotateKeyOnDemandReply:
    """Give a key new material for what is encrypted from now on; what was encrypted stays readable."""
    key = await execution.locate(request.key_id)
    execution.authorize("kms:RotateKeyOnDemand", key)
    require_enabled(key)
    _require_symmetric(key)
    rotations = await execution.transaction.count_rotations(key.key_id, RotationType.ON_DEMAND)
    if rotations >= execution.rules.on_demand_rotations:
        message = (
            "The on-demand rotations limit has been reached for the given keyId."
            f" No more on-demand rotations can be performed for this key: {key.arn}"
        )
        raise LimitExceededException(message)
    if key.row.origin == Origin.EXTERNAL:
        await _promote(execution, key)
    else:
        await _renew(execution, key, RotationType.ON_DEMAND)
    return RotateKeyOnDemandReply(key_id=key.key_id)


async def rotate_when_due(execution: ChangeExecution, key: Key, now: datetime) -> bool:
    """Rotate a key whose time has come; tell whether it had."""
    row = key.row
    if row.key_state != KeyState.ENABLED or row.rotation_period_days is None or row.next_rotation_date is None:
        return False
    if row.next_rotation_date > now:
        return False
    following = now + timedelta(days=row.rotation_period_days)
    await _renew(execution, replace(key, row=replace(row, next_rotation_date=following)), RotationType.AUTOMATIC)
    return True


async def list_key_rotations(execution: TurnExecution, request: ListKeyRotationsRequest) -> ListKeyRotationsReply:
    """List a key's rotations, oldest first; with ALL_KEY_MATERIAL the material that no rotation made, too."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:ListKeyRotations", key)
    _require_symmetric(key)
    everything = request.include_key_material is IncludeKeyMaterial.ALL_KEY_MATERIAL
    scope = f"ListKeyRotations {key.key_id} {everything}"
    limit = request.limit or limits.ROTATIONS_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker) or "0"
    rows = await execution.reader.list_materials(key.key_id, int(after), limit + 1, rotations_only=not everything)
    found = page(execution.custody, scope, rows, limit, lambda row: str(row.material_number))
    imported = await _imported(execution, key)
    return ListKeyRotationsReply(
        rotations=[_entry(key, row, imported.get(row.material_number)) for row in found.entries],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


async def _renew(execution: ChangeExecution, key: Key, rotation_type: RotationType) -> None:
    number = key.row.current_material + 1
    # Made inside the transaction, against the rule for changes: the number, which the wrapping binds, is known only
    # under the lock, and both steps together take about 10 µs.
    secret = Secret.random(envelope.MATERIAL_BYTES)
    material = new_material(execution, key.row, number, secret, rotation_type=rotation_type)
    await execution.transaction.insert_material(material)
    await execution.save_key(replace(key.row, current_material=number))
    execution.touched.materials.append(number)


async def _promote(execution: ChangeExecution, key: Key) -> None:
    """Make the imported material that waits for it the current one."""
    number = key.row.current_material + 1
    imported = await execution.imported(key)
    if not any(row.material_number == number and is_present(row, execution.moment) for row in imported):
        message = f"{key.arn} has no imported key material that is pending rotation."
        raise KMSInvalidStateException(message)
    (material,) = (row for row in await execution.transaction.materials(key.key_id) if row.material_number == number)
    await execution.transaction.update_material(
        replace(material, rotation_type=RotationType.ON_DEMAND, created_at=execution.moment)
    )
    await execution.save_key(with_expiry(replace(key.row, current_material=number), imported))
    execution.touched.materials.append(number)


async def _imported(execution: TurnExecution, key: Key) -> Mapping[int, ImportedRow]:
    if key.row.origin != Origin.EXTERNAL:
        return {}
    rows = await execution.believed(await execution.reader.imported(key.key_id), imported_subject)
    return {row.material_number: row for row in rows}


def _entry(key: Key, row: MaterialRow, imported: ImportedRow | None) -> RotationsListEntry:
    return RotationsListEntry(
        key_id=key.key_id,
        key_material_id=row.material_id,
        key_material_description=(imported.description or None) if imported else None,
        import_state=ImportState(imported.import_state) if imported else None,
        key_material_state=_material_state(key, row.material_number),
        expiration_model=ExpirationModel(imported.expiration_model) if imported else None,
        valid_to=imported.valid_to if imported else None,
        rotation_date=row.created_at if row.rotation_type else None,
        rotation_type=RotationType(row.rotation_type) if row.rotation_type else None,
    )


def _material_state(key: Key, number: int) -> KeyMaterialState:
    if number == key.row.current_material:
        return KeyMaterialState.CURRENT
    is_older = number < key.row.current_material
    return KeyMaterialState.NON_CURRENT if is_older else KeyMaterialState.PENDING_ROTATION


def _require_symmetric(key: Key) -> None:
    if key.row.key_spec != KeySpec.SYMMETRIC_DEFAULT:
        message = f"{key.arn} has key spec {key.row.key_spec}: only symmetric encryption keys rotate."
        raise UnsupportedOperationException(message)


def _require_schedule_can_change(key: Key) -> None:
    """Refuse what `_require_schedule` does, and a key that is not enabled, whose state is told first."""
    if key.row.key_state != KeyState.PENDING_IMPORT:  # such a key never rotates by itself, with its material neither
        require_enabled(key)
    _require_schedule(key)


def _require_schedule(key: Key) -> None:
    """Raise `UnsupportedOperationException` unless the key can rotate by itself."""
    _require_symmetric(key)
    require_origin(key, Origin.AWS_KMS)
