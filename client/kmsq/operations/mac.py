"""Message authentication codes."""

from kmsq.operations.base import Operations
from kmsq_schemas.models import GenerateMacReply, MacAlgorithm, VerifyMacReply
from kmsq_schemas.operations import Operation


class MacOperations(Operations):
    """Message authentication codes."""

    async def generate_mac(
        self,
        key_id: str,
        message: bytes,
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateMacReply:
        """Make the code of 1 to 4,096 bytes. An `HMAC_256` key takes `HMAC_SHA_256`, and so on."""
        return await self._ask(
            Operation.GENERATE_MAC,
            GenerateMacReply,
            timeout_seconds,
            key_id=key_id,
            message=message,
            mac_algorithm=mac_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )

    async def verify_mac(
        self,
        key_id: str,
        message: bytes,
        mac: bytes,
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> VerifyMacReply:
        """Check a message's code. It never returns false: a wrong code raises `KMSInvalidMacException`."""
        return await self._ask(
            Operation.VERIFY_MAC,
            VerifyMacReply,
            timeout_seconds,
            key_id=key_id,
            message=message,
            mac=mac,
            mac_algorithm=mac_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )
