"""Rotation of key material, and its history."""

from collections.abc import AsyncIterator

from kmsq.operations.base import Operations, pages
from kmsq_schemas.models import (
    DisableKeyRotationReply,
    EnableKeyRotationReply,
    GetKeyRotationStatusReply,
    IncludeKeyMaterial,
    ListKeyRotationsReply,
    RotateKeyOnDemandReply,
    RotationsListEntry,
)
from kmsq_schemas.operations import Operation


class RotationOperations(Operations):
    """Rotation of key material, and its history."""

    async def enable_key_rotation(
        self, key_id: str, *, rotation_period_in_days: int | None = None, timeout_seconds: float | None = None
    ) -> EnableKeyRotationReply:
        """Give a symmetric key, named by id or ARN, new material every 90 to 2,560 days (365 unless told otherwise)."""
        return await self._ask(
            Operation.ENABLE_KEY_ROTATION,
            EnableKeyRotationReply,
            timeout_seconds,
            key_id=key_id,
            rotation_period_in_days=rotation_period_in_days,
        )

    async def disable_key_rotation(
        self, key_id: str, *, timeout_seconds: float | None = None
    ) -> DisableKeyRotationReply:
        """End a key's schedule of rotations; all its material stays."""
        return await self._ask(Operation.DISABLE_KEY_ROTATION, DisableKeyRotationReply, timeout_seconds, key_id=key_id)

    async def get_key_rotation_status(
        self, key_id: str, *, timeout_seconds: float | None = None
    ) -> GetKeyRotationStatusReply:
        """Tell whether a key rotates on a schedule, and when next."""
        return await self._ask(
            Operation.GET_KEY_ROTATION_STATUS, GetKeyRotationStatusReply, timeout_seconds, key_id=key_id
        )

    async def rotate_key_on_demand(
        self, key_id: str, *, timeout_seconds: float | None = None
    ) -> RotateKeyOnDemandReply:
        """
        Give a symmetric key new material, at once. What was encrypted under the old one still opens.

        A key whose material is imported takes what was imported for it as new material.
        """
        return await self._ask(Operation.ROTATE_KEY_ON_DEMAND, RotateKeyOnDemandReply, timeout_seconds, key_id=key_id)

    async def list_key_rotations(
        self,
        key_id: str,
        *,
        include_key_material: IncludeKeyMaterial | str | None = None,
        limit: int | None = None,
        marker: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListKeyRotationsReply:
        """List one page of a key's rotations; `iter_key_rotations` goes through all."""
        return await self._ask(
            Operation.LIST_KEY_ROTATIONS,
            ListKeyRotationsReply,
            timeout_seconds,
            key_id=key_id,
            include_key_material=include_key_material,
            limit=limit,
            marker=marker,
        )

    async def iter_key_rotations(
        self,
        key_id: str,
        *,
        include_key_material: IncludeKeyMaterial | str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[RotationsListEntry]:
        """Go through all rotations of a key, fetching pages as they are needed."""
        async for page in pages(
            lambda marker: self.list_key_rotations(
                key_id, include_key_material=include_key_material, limit=page_size, marker=marker
            )
        ):
            for rotation in page.rotations:
                yield rotation
