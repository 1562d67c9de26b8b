"""GenerateMac: many calls as one batch."""

from collections.abc import Hashable, Sequence

from kmsq.coalescing.contexts import STRING_FRAME_BYTES
from kmsq_schemas.models import BatchGenerateMacReply, BatchGenerateMacRequest, GenerateMacReply, GenerateMacRequest
from kmsq_schemas.operations import Operation


class Macs:
    """GenerateMac, under one key and with one algorithm."""

    operation = Operation.GENERATE_MAC
    batch = Operation.BATCH_GENERATE_MAC

    def group(self, request: GenerateMacRequest) -> Hashable | None:
        """See `Kind`."""
        if request.grant_tokens or request.dry_run:
            return None
        return Operation.GENERATE_MAC, request.key_id, request.mac_algorithm

    def item_max_bytes(self, request: GenerateMacRequest) -> int:
        """See `Kind`."""
        return STRING_FRAME_BYTES + len(request.message)

    def join(self, requests: Sequence[GenerateMacRequest]) -> BatchGenerateMacRequest:
        """See `Kind`."""
        return BatchGenerateMacRequest(
            messages=[request.message for request in requests],
            key_id=requests[0].key_id,
            mac_algorithm=requests[0].mac_algorithm,
        )

    def split(self, reply: BatchGenerateMacReply) -> list[GenerateMacReply | None]:
        """See `Kind`."""
        return [
            None if mac is None else GenerateMacReply(mac=mac, mac_algorithm=reply.mac_algorithm, key_id=reply.key_id)
            for mac in reply.macs
        ]
