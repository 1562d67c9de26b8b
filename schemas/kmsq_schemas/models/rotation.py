"""Rotation of key material, and its history."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas import limits
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import ExpirationModel, ImportState, IncludeKeyMaterial, KeyMaterialState, RotationType
from kmsq_schemas.models.types import KeyId, KeyMaterialId, Limit, Marker, Timestamp

_MaterialDescription = Annotated[
    str, Field(max_length=limits.MATERIAL_DESCRIPTION_MAX_CHARS, pattern=r"^[a-zA-Z0-9:/_ \t\n\v\f\r.-]+$")
]


class RotateKeyOnDemandRequest(Request):
    """Add new key material to a key; the old stays for decryption."""

    key_id: KeyId


class RotateKeyOnDemandReply(Reply):
    key_id: KeyId


class ListKeyRotationsRequest(Request):
    """List a key's rotations, a page at a time."""

    key_id: KeyId
    include_key_material: IncludeKeyMaterial | None = None
    limit: Limit | None = None
    marker: Marker | None = None


class RotationsListEntry(Reply):
    key_id: KeyId
    key_material_id: KeyMaterialId | None = None
    key_material_description: _MaterialDescription | None = None
    import_state: ImportState | None = None
    key_material_state: KeyMaterialState | None = None
    expiration_model: ExpirationModel | None = None
    valid_to: Timestamp | None = None
    rotation_date: Timestamp | None = None
    rotation_type: RotationType | None = None


class ListKeyRotationsReply(Reply):
    rotations: list[RotationsListEntry]
    next_marker: Marker | None = None
    truncated: bool
