"""GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial; expiry of imported material."""

from datetime import datetime

from kmsq_schemas.models.enums import ImportState
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Key


async def expire_when_due(execution: ChangeExecution, key: Key, now: datetime) -> bool:
    """Destroy the imported material of a key that has expired; tell whether any had."""
    imported = await execution.imported(key)
    due = [row for row in imported if row.import_state == ImportState.IMPORTED and row.valid_to and row.valid_to <= now]
    return bool(due)
