"""BatchReEncrypt: from any symmetric keys to one; the plaintexts stay here."""

from collections.abc import Sequence

from kmsq_schemas.models import BatchReEncryptReply, BatchReEncryptRequest
from kmsq_worker.arn import Account, parse_key_reference
from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.custody import Key
from kmsq_worker.envelope import Sealer
from kmsq_worker.errors import KmsError
from kmsq_worker.execution import Touched, TurnExecution, Values
from kmsq_worker.operations.batches.contexts import Contexts
from kmsq_worker.operations.batches.decisions import Decisions
from kmsq_worker.operations.batches.named import wanted
from kmsq_worker.operations.batches.opening import Named, Opening
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.batches.sealing import Unlocked, require_usable, seal, unlocked
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.view import Wanted


def wants_batch_re_encrypt(account: Account, request: BatchReEncryptRequest) -> Sequence[Wanted]:
    """Need what BatchDecrypt needs of the sources and what BatchEncrypt needs of the destination."""
    destination = Wanted(parse_key_reference(request.destination_key_id, account))
    return (*wanted(account, request.ciphertext_blobs, request.source_key_id), destination)


async def batch_re_encrypt(execution: TurnExecution, request: BatchReEncryptRequest) -> BatchReEncryptReply:
    """Open each blob and seal it under the destination's current material."""
    results: Results[bytes] = Results(execution.touched, request.item_count)
    batch = _ReEncryption(execution, request)
    await batch.note(execution.touched)
    items = await batch.permitted()
    indexes: list[int | None] = [None] * request.item_count
    # Who may re-encrypt nothing to the destination learns nothing about it: neither its state nor its id.
    key = batch.destination if any(isinstance(item, Named) for item in items) else None
    destination = None if key is None else _unlock(execution, key)
    breath = Breath(BATCH_BREATH_SECONDS)
    for index, item in enumerate(items):
        if isinstance(item, KmsError):
            results.put(index, item)
        elif destination is not None:
            result = batch.re_encrypt(index, item, destination.sealer)
            results.put(index, result)
            indexes[index] = None if isinstance(result, KmsError) else item.index
        await breath.take()
    return BatchReEncryptReply.model_construct(
        ciphertext_blobs=results.values,
        key_id=None if key is None else key.arn,
        source_encryption_algorithm=SYMMETRIC.algorithm,
        destination_encryption_algorithm=SYMMETRIC.algorithm,
        destination_key_material_id=None if destination is None else destination.material_id,
        source_key_materials=batch.opening.used,
        source_key_material_indexes=indexes,
        failed=results.settle((*batch.opening.key_ids, batch.destination.key_id)),
    )


def _unlock(execution: TurnExecution, key: Key) -> Unlocked:
    require_usable(key, "ReEncrypt")
    return unlocked(execution, key)


class _ReEncryption:
    """One batch: where its blobs come from and go to, and who may do that."""

    def __init__(self, execution: TurnExecution, request: BatchReEncryptRequest) -> None:
        self._blobs = request.ciphertext_blobs
        self.opening = Opening(execution, insisted=request.source_key_id, operation="ReEncrypt")
        self.destination = execution.locate(request.destination_key_id)
        self._sources = Contexts(request.source_encryption_context, request.source_encryption_contexts)
        self._destinations = Contexts(request.destination_encryption_context, request.destination_encryption_contexts)
        self._from = {same: Decisions(execution, "kms:ReEncryptFrom", _values(same=same)) for same in (True, False)}
        self._to = {same: Decisions(execution, "kms:ReEncryptTo", _values(same=same)) for same in (True, False)}

    async def note(self, touched: Touched) -> None:
        """Note both contexts for the audit record, the source's first."""
        await self._sources.note(touched)
        await self._destinations.note(touched)

    async def permitted(self) -> Sequence[Named | KmsError]:
        """Return of each item what opens it, if policies let it leave that key and reach the destination."""
        items, breath = [], Breath(BATCH_BREATH_SECONDS)
        for index, blob in enumerate(self._blobs):
            items.append(self._permitted(index, blob))
            await breath.take()
        return items

    def re_encrypt(self, index: int, named: Named, sealer: Sealer) -> bytes | KmsError:
        """Open and seal the item at `index`, which is permitted."""
        source = self._sources.of(index)
        if isinstance(source, KmsError):
            return source
        plaintext = self.opening.open(named, self._blobs[index], source.associated)
        return plaintext if isinstance(plaintext, KmsError) else seal(sealer, plaintext, self._destinations.of(index))

    def _permitted(self, index: int, blob: bytes) -> Named | KmsError:
        named, source, destination = self.opening.named(blob), self._sources.of(index), self._destinations.of(index)
        if isinstance(named, KmsError):
            return named
        if isinstance(source, KmsError):
            return source
        if isinstance(destination, KmsError):
            return destination
        key = named.source.key
        same = key.key_id == self.destination.key_id
        refusal = self._from[same].refusal(key, source) or self._to[same].refusal(self.destination, destination)
        return refusal or named


def _values(*, same: bool) -> Values:
    return {ConditionKey.REENCRYPT_ON_SAME_KEY: same, ConditionKey.ENCRYPTION_ALGORITHM: SYMMETRIC.algorithm}
