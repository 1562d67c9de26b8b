"""Key material that comes from outside, one step at a time. `kmsq.importing` does all of them."""

from datetime import datetime

from kmsq.operations.base import Operations
from kmsq_schemas.models import (
    AlgorithmSpec,
    DeleteImportedKeyMaterialReply,
    ExpirationModel,
    GetParametersForImportReply,
    ImportKeyMaterialReply,
    ImportType,
    WrappingKeySpec,
)
from kmsq_schemas.operations import Operation


class ImportOperations(Operations):
    """Key material that comes from outside, one step at a time. `kmsq.importing` does all of them."""

    async def get_parameters_for_import(
        self,
        key_id: str,
        wrapping_algorithm: AlgorithmSpec | str,
        wrapping_key_spec: WrappingKeySpec | str,
        *,
        timeout_seconds: float | None = None,
    ) -> GetParametersForImportReply:
        """
        Return a public key (DER) that wraps material for one key, and a token for its import, both for 24 hours.

        The key is named by id or ARN, and its origin is `EXTERNAL`.
        """
        return await self._ask(
            Operation.GET_PARAMETERS_FOR_IMPORT,
            GetParametersForImportReply,
            timeout_seconds,
            key_id=key_id,
            wrapping_algorithm=wrapping_algorithm,
            wrapping_key_spec=wrapping_key_spec,
        )

    async def import_key_material(
        self,
        key_id: str,
        import_token: bytes,
        encrypted_key_material: bytes,
        *,
        valid_to: datetime | None = None,
        expiration_model: ExpirationModel | str | None = None,
        import_type: ImportType | str | None = None,
        key_material_description: str | None = None,
        key_material_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ImportKeyMaterialReply:
        """
        Give a key material that was wrapped for it.

        As in the API it expires, and needs `valid_to`, unless `expiration_model` is `KEY_MATERIAL_DOES_NOT_EXPIRE`.
        """
        return await self._ask(
            Operation.IMPORT_KEY_MATERIAL,
            ImportKeyMaterialReply,
            timeout_seconds,
            key_id=key_id,
            import_token=import_token,
            encrypted_key_material=encrypted_key_material,
            valid_to=valid_to,
            expiration_model=expiration_model,
            import_type=import_type,
            key_material_description=key_material_description,
            key_material_id=key_material_id,
        )

    async def delete_imported_key_material(
        self, key_id: str, *, key_material_id: str | None = None, timeout_seconds: float | None = None
    ) -> DeleteImportedKeyMaterialReply:
        """Delete imported material at once. The key works again after the same bytes were imported again."""
        return await self._ask(
            Operation.DELETE_IMPORTED_KEY_MATERIAL,
            DeleteImportedKeyMaterialReply,
            timeout_seconds,
            key_id=key_id,
            key_material_id=key_material_id,
        )
