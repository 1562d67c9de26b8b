"""Key material as operations make it and ask about it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from kmsq_schemas.models.enums import ExpirationModel, ImportState, KeySpec
from kmsq_worker import envelope, keyspecs
from kmsq_worker.change_execution import ChangeExecution, first_end
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import ImportedRow, KeyRow, MaterialRow

FIRST_MATERIAL: Final = 1


async def generate(spec: KeySpec) -> Secret:
    """Make material for a key of `spec`. An RSA key pair takes up to seconds, so it is made beside the loop."""
    if keyspecs.is_asymmetric(spec):
        return await asyncio.to_thread(key_pairs.generate, spec)
    return Secret.random(keyspecs.SYMMETRIC_MATERIAL_BYTES[spec])


def new_material(
    execution: ChangeExecution, row: KeyRow, number: int, material: Secret, *, rotation_type: str | None = None
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


def is_present(imported: ImportedRow, moment: datetime) -> bool:
    """Tell whether imported material is there, and has not expired before the scheduler looked."""
    expired = imported.valid_to is not None and imported.valid_to <= moment
    return imported.import_state == ImportState.IMPORTED and not expired


def is_complete(imported: Sequence[ImportedRow], current: int) -> bool:
    """Tell whether a key of origin EXTERNAL has all its material up to the `current` one."""
    present = {row.material_number for row in imported if row.import_state == ImportState.IMPORTED}
    return current > 0 and present >= set(range(FIRST_MATERIAL, current + 1))


def with_expiry(row: KeyRow, imported: Sequence[ImportedRow]) -> KeyRow:
    """Return the row with the end of the first material that it needs; what waits for its rotation may end sooner."""
    needed = (one for one in imported if one.material_number <= row.current_material)
    if not any(one.import_state == ImportState.IMPORTED for one in needed):
        return replace(row, expiration_model=None, valid_to=None)
    valid_to = first_end(imported, row.current_material)
    model = ExpirationModel.KEY_MATERIAL_EXPIRES if valid_to else ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE
    return replace(row, expiration_model=model, valid_to=valid_to)
