"""The fake's rotations: on demand, and the schedule, which never comes due."""

from datetime import timedelta

from kmsq.testing.world import FakeMaterial, World, page
from kmsq_schemas import limits, models


def enable_key_rotation(world: World, request: models.EnableKeyRotationRequest) -> models.EnableKeyRotationReply:
    """Note a schedule: the fake does not watch the clock."""
    key = world.locate_by_id(request.key_id)
    key.require_enabled()
    key.rotation_period_days = request.rotation_period_in_days or limits.ROTATION_PERIOD_DEFAULT_DAYS
    key.rotation_enabled_at = world.now()
    return models.EnableKeyRotationReply()


def disable_key_rotation(world: World, request: models.DisableKeyRotationRequest) -> models.DisableKeyRotationReply:
    """Forget a schedule."""
    key = world.locate_by_id(request.key_id)
    key.require_enabled()
    key.rotation_period_days = key.rotation_enabled_at = None
    return models.DisableKeyRotationReply()


def get_key_rotation_status(
    world: World, request: models.GetKeyRotationStatusRequest
) -> models.GetKeyRotationStatusReply:
    """Tell a key's schedule."""
    key = world.locate_by_id(request.key_id)
    next_date = None
    if key.rotation_period_days is not None and key.rotation_enabled_at is not None:
        next_date = key.rotation_enabled_at + timedelta(days=key.rotation_period_days)
    return models.GetKeyRotationStatusReply(
        key_rotation_enabled=next_date is not None,
        key_id=key.key_id,
        rotation_period_in_days=key.rotation_period_days,
        next_rotation_date=next_date,
    )


def rotate_key_on_demand(world: World, request: models.RotateKeyOnDemandRequest) -> models.RotateKeyOnDemandReply:
    """Give a key new material."""
    key = world.locate_by_id(request.key_id)
    key.require_enabled()
    key.materials.append(FakeMaterial(world.now(), models.RotationType.ON_DEMAND))
    return models.RotateKeyOnDemandReply(key_id=key.key_id)


def list_key_rotations(world: World, request: models.ListKeyRotationsRequest) -> models.ListKeyRotationsReply:
    """List one page of a key's rotations, and its first material if all material is asked for."""
    key = world.locate_by_id(request.key_id)
    everything = [
        models.RotationsListEntry(
            key_id=key.key_id,
            key_material_id=material.material_id,
            key_material_state=(
                models.KeyMaterialState.CURRENT
                if material is key.materials[-1]
                else models.KeyMaterialState.NON_CURRENT
            ),
            rotation_date=material.created_at if material.rotation else None,
            rotation_type=material.rotation,
        )
        for material in key.materials
        if material.rotation or request.include_key_material is models.IncludeKeyMaterial.ALL_KEY_MATERIAL
    ]
    rotations, next_marker = page(everything, request.marker, request.limit or limits.ROTATIONS_PAGE_DEFAULT)
    return models.ListKeyRotationsReply(
        rotations=list(rotations), next_marker=next_marker, truncated=next_marker is not None
    )
