"""BatchGenerateMac."""

from kmsq_schemas import limits
from kmsq_schemas.models import BatchGenerateMacReply, BatchGenerateMacRequest
from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.errors import ValidationException
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.macs import unlock, usable_key
from kmsq_worker.primitives import macs


async def batch_generate_mac(execution: TurnExecution, request: BatchGenerateMacRequest) -> BatchGenerateMacReply:
    """Make the MAC of each message."""
    results: Results[bytes] = Results(execution.touched, request.item_count)
    key = usable_key(execution, request, "GenerateMac")
    secret, breath = unlock(execution, key), Breath(BATCH_BREATH_SECONDS)
    for index, message in enumerate(request.messages):
        if 1 <= len(message) <= limits.SIGNED_MESSAGE_MAX_BYTES:
            results.put(index, macs.generate_mac(secret, request.mac_algorithm, message))
        else:
            text = f"Message has {len(message)} bytes; 1 to {limits.SIGNED_MESSAGE_MAX_BYTES} are allowed."
            results.put(index, ValidationException(text))
        await breath.take()
    return BatchGenerateMacReply.model_construct(
        macs=results.values,
        mac_algorithm=request.mac_algorithm,
        key_id=key.arn,
        failed=results.settle((key.key_id,)),
    )
