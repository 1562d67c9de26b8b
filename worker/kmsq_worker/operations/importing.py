"""
GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial; imported material that expires.

The first material that a key is given is its own for good: destroyed, it comes back as the same bytes only. Further
material of a symmetric key waits for a rotation, one at a time, and until then other bytes may take its place once it
is destroyed. A key that lacks any of its own material is pending import.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kmsq_schemas import limits
from kmsq_schemas.models import (
    DeleteImportedKeyMaterialReply,
    DeleteImportedKeyMaterialRequest,
    GetParametersForImportReply,
    GetParametersForImportRequest,
    ImportKeyMaterialReply,
    ImportKeyMaterialRequest,
)
from kmsq_schemas.models.enums import (
    AlgorithmSpec,
    ExpirationModel,
    ImportState,
    ImportType,
    KeySpec,
    KeyState,
    Origin,
    WrappingKeySpec,
)
from kmsq_worker import envelope
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import USABLE_STATES, Key
from kmsq_worker.errors import (
    IncorrectKeyMaterialException,
    KMSInvalidStateException,
    NotFoundException,
    ValidationException,
)
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.import_token import ImportToken
from kmsq_worker.operations.materials import FIRST_MATERIAL, is_complete, is_present, new_material, with_expiry
from kmsq_worker.operations.received import Received
from kmsq_worker.operations.states import refuse_pending_deletion, require_origin
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.primitives import import_wrapping
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import ImportedRow, KeyRow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RSA: Final = frozenset({KeySpec.RSA_2048, KeySpec.RSA_3072, KeySpec.RSA_4096})
_DIRECT: Final = frozenset({AlgorithmSpec.RSAES_OAEP_SHA_1, AlgorithmSpec.RSAES_OAEP_SHA_256})


async def get_parameters_for_import(
    execution: TurnExecution, request: GetParametersForImportRequest
) -> GetParametersForImportReply:
    """Make a key pair that wraps material for one key, and a token that has its private half."""
    key = execution.locate_by_id(request.key_id)
    conditions: Values = {
        ConditionKey.WRAPPING_ALGORITHM: request.wrapping_algorithm,
        ConditionKey.WRAPPING_KEY_SPEC: request.wrapping_key_spec,
    }
    execution.authorize("kms:GetParametersForImport", key, values=conditions)
    require_origin(key, Origin.EXTERNAL)
    refuse_pending_deletion(key)
    spec = KeySpec(key.row.key_spec)
    _require_fitting(spec, request.wrapping_algorithm, request.wrapping_key_spec)
    pair = await asyncio.to_thread(import_wrapping.generate_wrapping_key, request.wrapping_key_spec)
    expires_at = execution.now + limits.IMPORT_TOKEN_SECONDS * 1000
    token = ImportToken(key.key_id, spec, request.wrapping_algorithm, expires_at, pair.private_key)
    return GetParametersForImportReply(
        key_id=key.arn,
        import_token=token.seal(execution.custody.current),
        public_key=pair.public_key,
        parameters_valid_to=_EPOCH + timedelta(milliseconds=expires_at),
    )


async def import_key_material(
    execution: ChangeExecution, request: ImportKeyMaterialRequest, received: Received
) -> ImportKeyMaterialReply:
    """Give a key its first material, the same material again, or further material that waits for its rotation."""
    key = await execution.locate(request.key_id)
    execution.authorize("kms:ImportKeyMaterial", key, values=_conditions(request))
    require_origin(key, Origin.EXTERNAL)
    refuse_pending_deletion(key)
    _check_end(execution, request)
    material = received.material(execution.now)
    rows = {row.material_number: row for row in await execution.imported(key)}
    material_id = envelope.material_id(material, key.key_id)
    number = _place(execution, key, request, list(rows.values()), material_id)
    known = rows.get(number)
    described = known.description if known is not None and known.material_id == material_id else ""
    rows[number] = ImportedRow(
        key_id=key.key_id,
        material_number=number,
        material_id=material_id,
        import_state=ImportState.IMPORTED,
        expiration_model=_expiration_model(request),
        valid_to=request.valid_to,
        description=described if request.key_material_description is None else request.key_material_description,
        revision=execution.epoch,
    )
    await _store(execution, key.row, number, material)
    await (execution.save_imported(rows[number]) if known else execution.create_imported(rows[number]))
    await execution.save_key(_with_material(key.row, list(rows.values())))
    execution.touched.materials.append(number)
    return ImportKeyMaterialReply(key_id=key.arn, key_material_id=material_id)


async def delete_imported_key_material(
    execution: ChangeExecution, request: DeleteImportedKeyMaterialRequest, _: None
) -> DeleteImportedKeyMaterialReply:
    """Destroy imported material, the current one unless another is named; where there is none, do nothing."""
    key = await execution.locate(request.key_id)
    execution.authorize("kms:DeleteImportedKeyMaterial", key)
    require_origin(key, Origin.EXTERNAL)
    rows = await execution.imported(key)
    row = _named(key, rows, request.key_material_id)
    if row is not None and row.import_state == ImportState.IMPORTED:
        await _destroy(execution, key, rows, {row.material_number})
    return DeleteImportedKeyMaterialReply(key_id=key.arn, key_material_id=None if row is None else row.material_id)


async def expire_when_due(execution: ChangeExecution, key: Key, now: datetime) -> bool:
    """Destroy the imported material of a key that has expired; tell whether any had."""
    rows = await execution.imported(key)
    due = {row.material_number for row in rows if row.import_state == ImportState.IMPORTED and not is_present(row, now)}
    if due:
        await _destroy(execution, key, rows, due)
    return bool(due)


def _require_fitting(spec: KeySpec, algorithm: AlgorithmSpec, wrapping_key: WrappingKeySpec) -> None:
    """Refuse a way of wrapping that is not served, and one that cannot hold the key's material."""
    import_wrapping.require_wrapping(algorithm)
    is_too_long = spec in _RSA or (spec is KeySpec.ECC_NIST_P521 and wrapping_key is WrappingKeySpec.RSA_2048)
    if is_too_long and algorithm in _DIRECT:
        message = f"{algorithm} with {wrapping_key} cannot wrap a private key of {spec}: use {AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256}."
        raise ValidationException(message)


def _conditions(request: ImportKeyMaterialRequest) -> Values:
    model: Values = {ConditionKey.EXPIRATION_MODEL: _expiration_model(request)}
    if request.valid_to is None:
        return model
    return {**model, ConditionKey.VALID_TO: (request.valid_to - _EPOCH) // timedelta(seconds=1)}


def _expiration_model(request: ImportKeyMaterialRequest) -> ExpirationModel:
    if request.expires:
        return ExpirationModel.KEY_MATERIAL_EXPIRES
    return ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE


def _check_end(execution: ChangeExecution, request: ImportKeyMaterialRequest) -> None:
    if request.valid_to is None:
        return
    last = execution.moment + timedelta(days=limits.VALID_TO_MAX_DAYS)
    if not execution.moment < request.valid_to <= last:
        message = f"ValidTo must be in the future and at most {limits.VALID_TO_MAX_DAYS} days ahead."
        raise ValidationException(message)


def _place(
    execution: ChangeExecution,
    key: Key,
    request: ImportKeyMaterialRequest,
    rows: Sequence[ImportedRow],
    material_id: str,
) -> int:
    """
    Return which of the key's materials this one is, by its number.

    Raises `IncorrectKeyMaterialException`, and `KMSInvalidStateException` while other material waits for a rotation.
    """
    if request.key_material_id not in (None, material_id):
        raise IncorrectKeyMaterialException("The key material is not the one that KeyMaterialId names.")
    current, is_new = key.row.current_material, request.import_type is ImportType.NEW_KEY_MATERIAL
    known = next((row for row in rows if row.material_id == material_id), None)
    waiting = [row for row in rows if row.material_number > current and is_present(row, execution.moment)]
    if known is not None:
        if is_new and (known in waiting or known.material_number <= current):
            raise IncorrectKeyMaterialException("The key has this key material already.")
        return known.material_number
    is_said_to_be_known = request.key_material_id is not None or request.import_type is ImportType.EXISTING_KEY_MATERIAL
    if current == 0 and not is_said_to_be_known:
        return FIRST_MATERIAL
    if not is_new or key.row.key_spec != KeySpec.SYMMETRIC_DEFAULT:
        raise IncorrectKeyMaterialException("The key material is not one that was imported before.")
    if waiting:
        message = f"{key.arn} has key material that is pending rotation already."
        raise KMSInvalidStateException(message)
    return current + 1


async def _store(execution: ChangeExecution, row: KeyRow, number: int, secret: Secret) -> None:
    """Write the material itself; what was destroyed is there again."""
    made = new_material(execution, row, number, secret)
    for old in await execution.transaction.materials(row.key_id):
        if old.material_number == number:
            kept = replace(made, rotation_type=old.rotation_type, created_at=old.created_at)
            await execution.transaction.update_material(kept)
            return
    await execution.transaction.insert_material(made)


def _with_material(row: KeyRow, imported: Sequence[ImportedRow]) -> KeyRow:
    """Return the row of a key that was given material; with all of its own, a key that waited for it is enabled."""
    current = max(row.current_material, FIRST_MATERIAL)
    state = row.key_state
    if state == KeyState.PENDING_IMPORT and is_complete(imported, current):
        state = KeyState.ENABLED
    return with_expiry(replace(row, current_material=current, key_state=state), imported)


def _named(key: Key, rows: Sequence[ImportedRow], material_id: str | None) -> ImportedRow | None:
    """Return what is said of the current material or the named one. Raises `NotFoundException` for an unknown name."""
    if material_id is None:
        return next((row for row in rows if row.material_number == key.row.current_material), None)
    for row in rows:
        if row.material_id == material_id:
            return row
    message = f"{key.arn} has no key material {material_id}."
    raise NotFoundException(message)


async def _destroy(execution: ChangeExecution, key: Key, rows: Sequence[ImportedRow], numbers: Collection[int]) -> None:
    """Destroy material. Without any of its own the key is pending import; what only waited for a rotation is not."""
    for material in await execution.transaction.materials(key.key_id):
        if material.material_number in numbers:
            await execution.transaction.update_material(replace(material, wrapped=None))
    left = [
        replace(row, import_state=ImportState.PENDING_IMPORT) if row.material_number in numbers else row for row in rows
    ]
    for row in left:
        if row.material_number in numbers:
            await execution.save_imported(row)
    state = key.row.key_state
    if state in USABLE_STATES and min(numbers) <= key.row.current_material:
        state = KeyState.PENDING_IMPORT
    await execution.save_key(with_expiry(replace(key.row, key_state=state), left))
    execution.touched.materials += sorted(numbers)
