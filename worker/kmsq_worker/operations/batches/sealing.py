"""Sealing the items of a batch under one key: decided on first, all of them; then unlocked and derived once."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.custody import Key
from kmsq_worker.envelope import BlobHeader, Sealer, check_plaintext
from kmsq_worker.errors import AccessDeniedException, KmsError, ValidationException
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.batches.contexts import Contexts
from kmsq_worker.operations.batches.decisions import Decisions
from kmsq_worker.operations.batches.results import Results
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.operations.states import require_enabled, require_usage

AT_ONCE: Final = 64  # items between two looks at the clock: half a millisecond of work with the longest of them


class Unlocked(NamedTuple):
    """What seals under a key's current material, and the id of that material."""

    sealer: Sealer
    material_id: str


async def permitted(decisions: Decisions, key: Key, contexts: Contexts, results: Results[bytes]) -> Sequence[int]:
    """
    Return which items may be sealed; of the others, note why they may not or cannot.

    Raises `AccessDeniedException` or `ValidationException` when there is no item that may: who may do nothing with a
    key is told nothing more about it.
    """
    if not contexts.differ:
        refusal = decisions.refusal(key, contexts.common)
        if refusal is not None:
            raise refusal
        return range(results.count)
    found, errors, breath = [], [], Breath(BATCH_BREATH_SECONDS)
    for index in range(results.count):
        bound = contexts.of(index)
        error = bound if isinstance(bound, KmsError) else decisions.refusal(key, bound)
        if error is None:
            found.append(index)
        else:
            errors.append(error)
            results.put(index, error)
        await breath.take()
    if not found:
        raise next((error for error in errors if isinstance(error, AccessDeniedException)), errors[0])
    return found


def unlocked(execution: TurnExecution, key: Key) -> Unlocked:
    """Unlock the current material of `key` and derive from it: only after the key passed `require_usable`."""
    material = execution.material(key, key.row.current_material)
    secret = execution.unlock(key, material)
    return Unlocked(Sealer(secret, BlobHeader(key.key_id, material.number)), material.material_id)


async def seal_each(
    sealer: Sealer, plaintexts: Sequence[bytes], which: Sequence[int], contexts: Contexts, results: Results[bytes]
) -> None:
    """Seal those at the indices `which`, whose contexts are valid, and note what becomes of each."""
    breath = Breath(BATCH_BREATH_SECONDS)
    for start in range(0, len(which), AT_ONCE):
        some = which[start : start + AT_ONCE]
        seal_some(sealer, some, [plaintexts[index] for index in some], contexts, results)
        await breath.take()


def seal_some(
    sealer: Sealer, which: Sequence[int], plaintexts: Sequence[bytes], contexts: Contexts, results: Results[bytes]
) -> None:
    """Seal the plaintexts of the items at `which`, whose contexts are valid, and note what becomes of each."""
    try:
        sealed = sealer.seal(plaintexts, contexts.associated(which))
    except ValidationException:  # of one; the others are not to blame
        which, plaintexts = _without_wrong_lengths(which, plaintexts, results)
        sealed = sealer.seal(plaintexts, contexts.associated(which))
    for index, blob in zip(which, sealed, strict=True):
        results.values[index] = blob


def _without_wrong_lengths(
    which: Sequence[int], plaintexts: Sequence[bytes], results: Results[bytes]
) -> tuple[Sequence[int], Sequence[bytes]]:
    good = dict(zip(which, plaintexts, strict=True))
    for index in which:
        try:
            check_plaintext(good[index])
        except ValidationException as error:
            results.put(index, error)
            del good[index]
    return list(good), list(good.values())


def require_usable(key: Key, operation: str) -> None:
    """Raise what Encrypt would for a key that is not enabled, not for encryption or not symmetric."""
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, SYMMETRIC.algorithm)
