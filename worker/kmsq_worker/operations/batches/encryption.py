"""BatchEncrypt and BatchDecrypt: with symmetric keys only, whose ciphertexts name them."""

from collections.abc import Sequence

from kmsq_schemas.models import BatchDecryptReply, BatchDecryptRequest, BatchEncryptReply, BatchEncryptRequest
from kmsq_worker.arn import Account
from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.errors import KmsError
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.batches.contexts import Bound, Contexts
from kmsq_worker.operations.batches.decisions import Decisions
from kmsq_worker.operations.batches.named import wanted
from kmsq_worker.operations.batches.opening import Named, Opening
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.batches.sealing import permitted, require_usable, seal_each, unlocked
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.view import Wanted

_VALUES: Values = {ConditionKey.ENCRYPTION_ALGORITHM: SYMMETRIC.algorithm}


async def batch_encrypt(execution: TurnExecution, request: BatchEncryptRequest) -> BatchEncryptReply:
    """Seal each plaintext under the key's current material."""
    results: Results[bytes] = Results(execution.touched, request.item_count)
    key = execution.locate(request.key_id)
    contexts = Contexts(request.encryption_context, request.encryption_contexts)
    await contexts.note(execution.touched)
    which = await permitted(Decisions(execution, "kms:Encrypt", _VALUES), key, contexts, results)
    require_usable(key, "Encrypt")
    sealer, material_id = unlocked(execution, key)
    await seal_each(sealer, request.plaintexts, which, contexts, results)
    return BatchEncryptReply.model_construct(
        key_id=key.arn,
        key_material_id=material_id,
        encryption_algorithm=SYMMETRIC.algorithm,
        ciphertext_blobs=results.values,
        failed=results.settle((key.key_id,)),
    )


def wants_batch_decrypt(account: Account, request: BatchDecryptRequest) -> Sequence[Wanted]:
    """Need the keys and materials that the blobs name, and the key that the request names."""
    return wanted(account, request.ciphertext_blobs, request.key_id)


async def batch_decrypt(execution: TurnExecution, request: BatchDecryptRequest) -> BatchDecryptReply:
    """Open each blob with the key and material that it names itself."""
    results: Results[bytes] = Results(execution.touched, request.item_count)
    opening = Opening(execution, insisted=request.key_id, operation="Decrypt")
    contexts = Contexts(request.encryption_context, request.encryption_contexts)
    await contexts.note(execution.touched)
    indexes: list[int | None] = [None] * request.item_count
    decisions, breath = Decisions(execution, "kms:Decrypt", _VALUES), Breath(BATCH_BREATH_SECONDS)
    for index, blob in enumerate(request.ciphertext_blobs):
        named = opening.named(blob)
        result = _open(opening, decisions, named, blob, contexts.of(index))
        results.put(index, result)
        if isinstance(named, Named) and not isinstance(result, KmsError):
            indexes[index] = named.index
        await breath.take()
    return BatchDecryptReply.model_construct(
        plaintexts=results.values,
        encryption_algorithm=SYMMETRIC.algorithm,
        key_materials=opening.used,
        key_material_indexes=indexes,
        failed=results.settle(opening.key_ids),
    )


def _open(
    opening: Opening, decisions: Decisions, named: Named | KmsError, blob: bytes, bound: Bound | KmsError
) -> bytes | KmsError:
    if isinstance(named, KmsError):
        return named
    if isinstance(bound, KmsError):
        return bound
    return decisions.refusal(named.source.key, bound) or opening.open(named, blob, bound.associated)
