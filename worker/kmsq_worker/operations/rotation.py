"""RotateKeyOnDemand, ListKeyRotations."""

from dataclasses import replace

from kmsq_schemas import limits
from kmsq_schemas.models import (
    ListKeyRotationsReply,
    ListKeyRotationsRequest,
    RotateKeyOnDemandReply,
    RotateKeyOnDemandRequest,
    RotationsListEntry,
)
from kmsq_schemas.models.enums import IncludeKeyMaterial, KeyMaterialState, RotationType
from kmsq_worker import envelope
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key
from kmsq_worker.errors import LimitExceededException
from kmsq_worker.execution import TurnExecution, require_enabled
from kmsq_worker.operations.lifecycle import FIRST_MATERIAL, new_material
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import MaterialRow


async def rotate_key_on_demand(
    execution: ChangeExecution, request: RotateKeyOnDemandRequest, _: None
) -> RotateKeyOnDemandReply:
    """Give a key new material for what is encrypted from now on; what was encrypted stays readable."""
    key = await execution.locate(request.key_id)
    execution.authorize("kms:RotateKeyOnDemand", key)
    require_enabled(key)
    rotations = await execution.transaction.count_rotations(key.key_id, RotationType.ON_DEMAND)
    if rotations >= limits.ON_DEMAND_ROTATIONS_PER_KEY:
        message = f"{key.arn} was rotated on demand {rotations} times, the most a key can be."
        raise LimitExceededException(message)
    number = key.row.current_material + 1
    # Made inside the transaction, against the rule for changes: the number, which the wrapping binds, is known only
    # under the lock, and both steps together take about 10 µs.
    secret = Secret.random(envelope.MATERIAL_BYTES)
    material = new_material(execution, key.row, number, secret, rotation_type=RotationType.ON_DEMAND)
    await execution.transaction.insert_material(material)
    await execution.save_key(replace(key.row, current_material=number))
    execution.touched.materials.append(number)
    return RotateKeyOnDemandReply(key_id=key.arn)


async def list_key_rotations(execution: TurnExecution, request: ListKeyRotationsRequest) -> ListKeyRotationsReply:
    """List a key's rotations, oldest first; with ALL_KEY_MATERIAL its first material, too."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:ListKeyRotations", key)
    everything = request.include_key_material is IncludeKeyMaterial.ALL_KEY_MATERIAL
    scope = f"ListKeyRotations {key.key_id} {everything}"
    limit = request.limit or limits.ROTATIONS_PAGE_DEFAULT
    after = position_of(execution.custody, scope, request.marker) or str(0 if everything else FIRST_MATERIAL)
    rows = await execution.reader.list_materials(key.key_id, int(after), limit + 1)
    found = page(execution.custody, scope, rows, limit, lambda row: str(row.material_number))
    return ListKeyRotationsReply(
        rotations=[_entry(key, row) for row in found.entries],
        next_marker=found.next_marker,
        truncated=found.truncated,
    )


def _entry(key: Key, row: MaterialRow) -> RotationsListEntry:
    is_current = row.material_number == key.row.current_material
    return RotationsListEntry(
        key_id=key.arn,
        key_material_id=row.material_id,
        key_material_state=KeyMaterialState.CURRENT if is_current else KeyMaterialState.NON_CURRENT,
        rotation_date=row.created_at if row.rotation_type else None,
        rotation_type=RotationType(row.rotation_type) if row.rotation_type else None,
    )
