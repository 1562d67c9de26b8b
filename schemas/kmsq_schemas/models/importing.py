"""Key material that comes from outside."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kmsq_schemas import limits
from kmsq_schemas.constraints import RULE
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import AlgorithmSpec, ExpirationModel, ImportType, WrappingKeySpec
from kmsq_schemas.models.types import BlobField, KeyId, KeyMaterialDescription, KeyMaterialId, Timestamp

_ImportToken = Annotated[bytes, BlobField(limits.IMPORT_TOKEN_MAX_BYTES), Field(repr=False)]
_WrappingKey = Annotated[bytes, BlobField(limits.WRAPPING_KEY_MAX_BYTES)]
_WrappedMaterial = Annotated[bytes, BlobField(limits.WRAPPED_MATERIAL_MAX_BYTES)]
# BackingKeyIdResponseType: the service model names no least length here.
_DeletedMaterialId = Annotated[str, Field(max_length=limits.KEY_MATERIAL_ID_CHARS, pattern="^[a-f0-9]+$")]


class GetParametersForImportRequest(Request):
    """Make a key pair that wraps material for one key, and a token for its import; both live for 24 hours."""

    key_id: KeyId
    wrapping_algorithm: AlgorithmSpec
    wrapping_key_spec: WrappingKeySpec


class GetParametersForImportReply(Reply):
    key_id: KeyId
    import_token: _ImportToken
    public_key: _WrappingKey
    parameters_valid_to: Timestamp


class ImportKeyMaterialRequest(Request):
    """Give a key its material, wrapped."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {
                "required": ["ExpirationModel"],
                "properties": {"ExpirationModel": {"const": ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE.value}},
            },
            "then": {"not": {"required": ["ValidTo"]}},
            "else": {"required": ["ValidTo"]},
            "not": {
                "required": ["ImportType", "KeyMaterialId"],
                "properties": {"ImportType": {"const": ImportType.NEW_KEY_MATERIAL.value}},
            },
        }
    )

    key_id: KeyId
    import_token: _ImportToken
    encrypted_key_material: _WrappedMaterial
    valid_to: Timestamp | None = None
    expiration_model: ExpirationModel | None = None
    import_type: ImportType | None = None
    key_material_description: KeyMaterialDescription | None = None
    key_material_id: KeyMaterialId | None = None

    @property
    def expires(self) -> bool:
        """Whether the material ends at `valid_to`: the default."""
        return self.expiration_model is not ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE

    @model_validator(mode="after")
    def _an_end_if_it_expires(self) -> Self:
        if self.expires and self.valid_to is None:
            raise PydanticCustomError(RULE, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        if not self.expires and self.valid_to is not None:
            raise PydanticCustomError(
                RULE, "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
            )
        return self

    @model_validator(mode="after")
    def _no_id_for_new_material(self) -> Self:
        if self.import_type is ImportType.NEW_KEY_MATERIAL and self.key_material_id is not None:
            raise PydanticCustomError(RULE, "KeyMaterialId must not be set if the ImportType is NEW_KEY_MATERIAL")
        return self


class ImportKeyMaterialReply(Reply):
    key_id: KeyId
    key_material_id: KeyMaterialId | None = None


class DeleteImportedKeyMaterialRequest(Request):
    """Delete imported material at once; the key works again after the same material was imported again."""

    key_id: KeyId
    key_material_id: KeyMaterialId | None = None


class DeleteImportedKeyMaterialReply(Reply):
    key_id: KeyId
    key_material_id: _DeletedMaterialId | None = None
