"""When a key was last used."""

from kmsq.operations.base import Operations
from kmsq_schemas.models import GetKeyLastUsageReply
from kmsq_schemas.operations import Operation


class UsageOperations(Operations):
    """When a key was last used."""

    async def get_key_last_usage(self, key_id: str, *, timeout_seconds: float | None = None) -> GetKeyLastUsageReply:
        """Tell when a key was last used, and for what, since the time from which on it is known."""
        return await self._ask(Operation.GET_KEY_LAST_USAGE, GetKeyLastUsageReply, timeout_seconds, key_id=key_id)
