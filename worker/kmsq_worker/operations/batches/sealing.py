"""Sealing the items of a batch under one key: decided on first, all of them; then unlocked and derived once."""

from collections.abc import Sequence
from typing import NamedTuple

from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.custody import Key
from kmsq_worker.envelope import BlobHeader, Sealer
from kmsq_worker.errors import AccessDeniedException, KmsError
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.batches.contexts import Bound, Contexts
from kmsq_worker.operations.batches.decisions import Decisions
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.operations.states import require_enabled, require_usage


class Unlocked(NamedTuple):
    """What seals under a key's current material, and the id of that material."""

    sealer: Sealer
    material_id: str


async def refusals(decisions: Decisions, key: Key, contexts: Contexts, count: int) -> Sequence[KmsError | None]:
    """
    Return of each item why it may not be sealed or cannot, None if it may.

    Raises `AccessDeniedException` or `ValidationException` when there is no item that may: who may do nothing with a
    key is told nothing more about it.
    """
    decided: list[KmsError | None] = []
    breath = Breath(BATCH_BREATH_SECONDS)
    for index in range(count):
        bound = contexts.of(index)
        decided.append(bound if isinstance(bound, KmsError) else decisions.refusal(key, bound))
        await breath.take()
    errors = [error for error in decided if error is not None]
    if len(errors) == count:
        raise next((error for error in errors if isinstance(error, AccessDeniedException)), errors[0])
    return decided


def unlocked(execution: TurnExecution, key: Key) -> Unlocked:
    """Unlock the current material of `key` and derive from it: only after the key passed `require_usable`."""
    material = execution.material(key, key.row.current_material)
    secret = execution.unlock(key, material)
    return Unlocked(Sealer(secret, BlobHeader(key.key_id, material.number)), material.material_id)


async def seal_each(
    sealer: Sealer,
    plaintexts: Sequence[bytes],
    contexts: Contexts,
    refused: Sequence[KmsError | None],
    results: Results[bytes],
) -> None:
    """Seal what is not refused, and note what becomes of each item."""
    breath = Breath(BATCH_BREATH_SECONDS)
    for index, (plaintext, refusal) in enumerate(zip(plaintexts, refused, strict=True)):
        results.put(index, refusal or seal(sealer, plaintext, contexts.of(index)))
        await breath.take()


def seal(sealer: Sealer, plaintext: bytes, bound: Bound | KmsError) -> bytes | KmsError:
    """Seal one plaintext, or return why it cannot be."""
    if isinstance(bound, KmsError):
        return bound
    try:
        return sealer.seal(plaintext, bound.associated)
    except KmsError as error:
        return error


def require_usable(key: Key, operation: str) -> None:
    """Raise what Encrypt would for a key that is not enabled, not for encryption or not symmetric."""
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, SYMMETRIC.algorithm)
