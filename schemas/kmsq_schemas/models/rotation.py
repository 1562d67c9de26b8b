"""Rotation of key material, and its history."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas import limits
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import ExpirationModel, ImportState, IncludeKeyMaterial, KeyMaterialState, RotationType
from kmsq_schemas.models.types import KeyId, KeyMaterialDescription, KeyMaterialId, Limit, Marker, Timestamp

_Period = Annotated[int, Field(ge=limits.ROTATION_PERIOD_MIN_DAYS, le=limits.ROTATION_PERIOD_MAX_DAYS)]


class EnableKeyRotationRequest(Request):
    """Rotate a key on a schedule: every 90 to 2,560 days (365 unless said)."""

    key_id: KeyId
    rotation_period_in_days: _Period | None = None


class EnableKeyRotationReply(Reply):
    pass


class DisableKeyRotationRequest(Request):
    """End a key's schedule of rotations; all its material stays."""

    key_id: KeyId


class DisableKeyRotationReply(Reply):
    pass


class GetKeyRotationStatusRequest(Request):
    """Tell whether a key rotates on a schedule, and when next."""

    key_id: KeyId


class GetKeyRotationStatusReply(Reply):
    key_rotation_enabled: bool
    key_id: KeyId
    rotation_period_in_days: _Period | None = None
    next_rotation_date: Timestamp | None = None
    on_demand_rotation_start_date: Timestamp | None = None


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
    key_material_description: KeyMaterialDescription | None = None
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
