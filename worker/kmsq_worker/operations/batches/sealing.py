"""Sealing the items of a batch under one key: decided on first, all of them; then unlocked and derived once."""

from collections.abc import Sequence
from typing import NamedTuple

from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.breath import Breath
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


def permitted(decisions: Decisions, key: Key, contexts: Contexts, count: int) -> Sequence[Bound | KmsError]:
    """
    Return what each item is bound to, or why it may not be or cannot.

    Raises `AccessDeniedException` or `ValidationException` when there is no item that may: who may do nothing with a
    key is told nothing more about it.
    """
    decided = [_decided(decisions, key, contexts.of(index)) for index in range(count)]
    errors = [one for one in decided if isinstance(one, KmsError)]
    if len(errors) == count:
        raise next((error for error in errors if isinstance(error, AccessDeniedException)), errors[0])
    return decided


def _decided(decisions: Decisions, key: Key, bound: Bound | KmsError) -> Bound | KmsError:
    if isinstance(bound, KmsError):
        return bound
    return decisions.refusal(key, bound) or bound


def unlocked(execution: TurnExecution, key: Key) -> Unlocked:
    """Unlock the current material of `key` and derive from it: only after the key passed `require_usable`."""
    material = execution.material(key, key.row.current_material)
    secret = execution.unlock(key, material)
    return Unlocked(Sealer(secret, BlobHeader(key.key_id, material.number)), material.material_id)


async def seal_each(
    sealer: Sealer, plaintexts: Sequence[bytes], bounds: Sequence[Bound | KmsError], results: Results[bytes]
) -> None:
    """Seal what is permitted, and note what becomes of each item."""
    breath = Breath()
    for index, (plaintext, bound) in enumerate(zip(plaintexts, bounds, strict=True)):
        results.put(index, bound if isinstance(bound, KmsError) else seal(sealer, plaintext, bound))
        await breath.take()


def seal(sealer: Sealer, plaintext: bytes, bound: Bound) -> bytes | KmsError:
    """Seal one plaintext, or return why it cannot be."""
    try:
        return sealer.seal(plaintext, bound.associated)
    except KmsError as error:
        return error


def require_usable(key: Key, operation: str) -> None:
    """Raise what Encrypt would for a key that is not enabled, not for encryption or not symmetric."""
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, SYMMETRIC.algorithm)
