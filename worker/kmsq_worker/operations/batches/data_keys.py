"""BatchGenerateDataKey, BatchGenerateDataKeyWithoutPlaintext."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from kmsq_schemas.models import (
    BatchGenerateDataKeyReply,
    BatchGenerateDataKeyRequest,
    BatchGenerateDataKeyWithoutPlaintextReply,
    BatchGenerateDataKeyWithoutPlaintextRequest,
)
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.batches.contexts import Contexts
from kmsq_worker.operations.batches.decisions import Decisions
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.batches.sealing import permitted, require_usable, seal_each, unlocked
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.policy.keys import ConditionKey

_VALUES: Values = {ConditionKey.ENCRYPTION_ALGORITHM: SYMMETRIC.algorithm}


class _DataKeys(NamedTuple):
    plaintexts: Sequence[bytes]
    wrapped: Results[bytes]
    key_id: str
    key_arn: str
    material_id: str


async def batch_generate_data_key(
    execution: TurnExecution, request: BatchGenerateDataKeyRequest
) -> BatchGenerateDataKeyReply:
    """Make data keys and hand them out, in plaintext and wrapped."""
    made = await _generate(execution, request, "GenerateDataKey")
    wrapped = made.wrapped.values
    return BatchGenerateDataKeyReply.model_construct(
        ciphertext_blobs=wrapped,
        # A key that could not be wrapped is of no use: nobody could have it back.
        plaintexts=[None if blob is None else key for key, blob in zip(made.plaintexts, wrapped, strict=True)],
        key_id=made.key_arn,
        key_material_id=made.material_id,
        failed=made.wrapped.settle((made.key_id,)),
    )


async def batch_generate_data_key_without_plaintext(
    execution: TurnExecution, request: BatchGenerateDataKeyWithoutPlaintextRequest
) -> BatchGenerateDataKeyWithoutPlaintextReply:
    """Make data keys and hand them out wrapped, for somebody else to have them decrypted."""
    made = await _generate(execution, request, "GenerateDataKeyWithoutPlaintext")
    return BatchGenerateDataKeyWithoutPlaintextReply.model_construct(
        ciphertext_blobs=made.wrapped.values,
        key_id=made.key_arn,
        key_material_id=made.material_id,
        failed=made.wrapped.settle((made.key_id,)),
    )


async def _generate(
    execution: TurnExecution,
    request: BatchGenerateDataKeyRequest | BatchGenerateDataKeyWithoutPlaintextRequest,
    operation: str,
) -> _DataKeys:
    results: Results[bytes] = Results(execution.touched, request.item_count)
    key = execution.locate(request.key_id)
    contexts = Contexts(request.encryption_context, request.encryption_contexts)
    await contexts.note(execution.touched)
    which = await permitted(Decisions(execution, f"kms:{operation}", _VALUES), key, contexts, results)
    require_usable(key, operation)
    sealer, material_id = unlocked(execution, key)
    length = request.data_key_bytes
    fresh = os.urandom(length * request.item_count)
    plaintexts = [fresh[start : start + length] for start in range(0, len(fresh), length)]
    await seal_each(sealer, plaintexts, which, contexts, results)
    return _DataKeys(plaintexts, results, key.key_id, key.arn, material_id)
