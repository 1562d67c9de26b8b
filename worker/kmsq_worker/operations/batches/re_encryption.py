"""BatchReEncrypt: from any symmetric keys to one; the plaintexts stay here."""

from collections.abc import Mapping, Sequence

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
from kmsq_worker.operations.batches.sealing import AT_ONCE, Unlocked, require_usable, seal_some, unlocked
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
    batch = _ReEncryption(execution, request, results)
    await batch.note(execution.touched)
    permitted = await batch.permitted()
    # Who may re-encrypt nothing to the destination learns nothing about it: neither its state nor its id.
    key = batch.destination if permitted else None
    destination = None if key is None else _unlock(execution, key)
    if destination is not None:
        await batch.re_encrypt(permitted, destination.sealer)
    return BatchReEncryptReply.model_construct(
        ciphertext_blobs=results.values,
        key_id=None if key is None else key.arn,
        source_encryption_algorithm=SYMMETRIC.algorithm,
        destination_encryption_algorithm=SYMMETRIC.algorithm,
        destination_key_material_id=None if destination is None else destination.material_id,
        source_key_materials=batch.opening.used,
        source_key_material_indexes=batch.source_indexes,
        failed=results.settle((*batch.opening.key_ids, batch.destination.key_id)),
    )


def _unlock(execution: TurnExecution, key: Key) -> Unlocked:
    require_usable(key, "ReEncrypt")
    return unlocked(execution, key)


class _ReEncryption:
    """One batch: where its blobs come from and go to, and who may do that."""

    def __init__(self, execution: TurnExecution, request: BatchReEncryptRequest, results: Results[bytes]) -> None:
        self._blobs = request.ciphertext_blobs
        self._results = results
        self.source_indexes: list[int | None] = [None] * results.count
        """Of each item, where in `opening.used` what opened it is."""
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

    async def permitted(self) -> dict[int, Named]:
        """Return, by index, what opens an item, if policies let it leave that key and reach the destination."""
        found, breath = dict[int, Named](), Breath(BATCH_BREATH_SECONDS)
        for index, blob in enumerate(self._blobs):
            named = self._permitted(index, blob)
            if isinstance(named, KmsError):
                self._results.put(index, named)
            else:
                found[index] = named
            await breath.take()
        return found

    async def re_encrypt(self, permitted: Mapping[int, Named], sealer: Sealer) -> None:
        """Open and seal the items that are permitted, and note what becomes of each."""
        indices, breath = list(permitted), Breath(BATCH_BREATH_SECONDS)
        for start in range(0, len(indices), AT_ONCE):
            opened = self._opened({index: permitted[index] for index in indices[start : start + AT_ONCE]})
            seal_some(sealer, list(opened), list(opened.values()), self._destinations, self._results)
            for index in opened:
                if self._results.values[index] is not None:
                    self.source_indexes[index] = permitted[index].index
            await breath.take()

    def _opened(self, permitted: Mapping[int, Named]) -> dict[int, bytes]:
        opened: dict[int, bytes] = {}
        for (index, named), context in zip(permitted.items(), self._sources.associated(permitted), strict=True):
            plaintext = self.opening.open(named, self._blobs[index], context)
            if isinstance(plaintext, KmsError):
                self._results.put(index, plaintext)
            else:
                opened[index] = plaintext
        return opened

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
