"""Encrypt, Decrypt, ReEncrypt."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    EncryptionAlgorithm,
    EncryptReply,
    EncryptRequest,
    ReEncryptReply,
    ReEncryptRequest,
)
from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker import envelope
from kmsq_worker.arn import Account, KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import Key
from kmsq_worker.envelope import BlobHeader
from kmsq_worker.errors import (
    IncorrectKeyException,
    InvalidCiphertextException,
    InvalidKeyUsageException,
    NotFoundException,
    UnsupportedOperationException,
)
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.view import Wanted

_SYMMETRIC = EncryptionAlgorithm.SYMMETRIC_DEFAULT


def encrypt(execution: TurnExecution, request: EncryptRequest) -> EncryptReply:
    """Seal 1 … 4,096 bytes under a key's current material."""
    context = request.encryption_context or {}
    key = execution.locate(request.key_id)
    execution.authorize("kms:Encrypt", key, context=context, values=_algorithm_value(request.encryption_algorithm))
    _require_usable(key, "Encrypt", request.encryption_algorithm)
    stop_if_dry(request.dry_run)
    blob = seal_current(execution, key, request.plaintext, context).blob
    return EncryptReply.model_construct(ciphertext_blob=blob, key_id=key.arn, encryption_algorithm=_SYMMETRIC)


def wants_decrypt(account: Account, request: DecryptRequest) -> Sequence[Wanted]:
    """Need the key and the material that the blob names, and the key that the request names."""
    return _wants_blob(account, request.ciphertext_blob, request.key_id)


def decrypt(execution: TurnExecution, request: DecryptRequest) -> DecryptReply:
    """Open a blob with the key and material that it names itself."""
    _refuse_unsupported(request)
    context = request.encryption_context or {}
    key, header = _locate_blob(execution, request.ciphertext_blob, request.key_id)
    execution.authorize("kms:Decrypt", key, context=context, values=_algorithm_value(request.encryption_algorithm))
    _require_usable(key, "Decrypt", request.encryption_algorithm)
    material = execution.material(key, header.material_number)
    plaintext = envelope.open_blob(execution.unlock(key, material), request.ciphertext_blob, context)
    stop_if_dry(request.dry_run)
    return DecryptReply.model_construct(
        key_id=key.arn, plaintext=plaintext, encryption_algorithm=_SYMMETRIC, key_material_id=material.material_id
    )


def wants_re_encrypt(account: Account, request: ReEncryptRequest) -> Sequence[Wanted]:
    """Need what Decrypt needs of the source and what Encrypt needs of the destination."""
    source = _wants_blob(account, request.ciphertext_blob, request.source_key_id)
    return (*source, Wanted(parse_key_reference(request.destination_key_id, account)))


def re_encrypt(execution: TurnExecution, request: ReEncryptRequest) -> ReEncryptReply:
    """Open a blob under one key and context and seal it under others; the plaintext stays here."""
    _refuse_unsupported(request)
    source_context = request.source_encryption_context or {}
    destination_context = request.destination_encryption_context or {}
    source, header = _locate_blob(execution, request.ciphertext_blob, request.source_key_id)
    destination = execution.locate(request.destination_key_id)
    same: Values = {ConditionKey.REENCRYPT_ON_SAME_KEY: source.key_id == destination.key_id}
    from_values: Values = {**same, **_algorithm_value(request.source_encryption_algorithm)}
    to_values: Values = {**same, **_algorithm_value(request.destination_encryption_algorithm)}
    execution.authorize("kms:ReEncryptFrom", source, context=source_context, values=from_values)
    execution.authorize("kms:ReEncryptTo", destination, context=destination_context, values=to_values)
    _require_usable(source, "ReEncrypt", request.source_encryption_algorithm)
    _require_usable(destination, "ReEncrypt", request.destination_encryption_algorithm)
    material = execution.material(source, header.material_number)
    plaintext = envelope.open_blob(execution.unlock(source, material), request.ciphertext_blob, source_context)
    stop_if_dry(request.dry_run)
    sealed = seal_current(execution, destination, plaintext, destination_context)
    return ReEncryptReply.model_construct(
        ciphertext_blob=sealed.blob,
        source_key_id=source.arn,
        key_id=destination.arn,
        source_encryption_algorithm=_SYMMETRIC,
        destination_encryption_algorithm=_SYMMETRIC,
        source_key_material_id=material.material_id,
        destination_key_material_id=sealed.material_id,
    )


class Sealed(NamedTuple):
    """A blob, and the id of the material that it names."""

    blob: bytes
    material_id: str


def seal_current(execution: TurnExecution, key: Key, plaintext: bytes, context: Mapping[str, str]) -> Sealed:
    """Unlock a key's current material and seal `plaintext` under it."""
    material = execution.material(key, key.row.current_material)
    secret = execution.unlock(key, material)
    blob = envelope.seal(secret, BlobHeader(key.key_id, material.number), plaintext, context)
    return Sealed(blob, material.material_id)


def _wants_blob(account: Account, blob: bytes, key_id: str | None) -> Sequence[Wanted]:
    header = envelope.parse_header(blob)
    named = Wanted(KeyReference(KeyReferenceKind.KEY_ID, header.key_id), header.material_number)
    return (named,) if key_id is None else (named, Wanted(parse_key_reference(key_id, account)))


def _locate_blob(execution: TurnExecution, blob: bytes, key_id: str | None) -> tuple[Key, BlobHeader]:
    """Locate the key that a blob names, and hold it against the key that the request names."""
    header = envelope.parse_header(blob)
    expected = None if key_id is None else execution.locate(key_id)
    if expected is not None and expected.key_id != header.key_id:
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        raise IncorrectKeyException(message)
    try:
        key = execution.locate_reference(KeyReference(KeyReferenceKind.KEY_ID, header.key_id), header.key_id)
    except NotFoundException as error:
        # As invalid as any other blob. (A forged blob that names a key which exists is denied, as in AWS.)
        raise InvalidCiphertextException(reason="unknown-key") from error
    return key, header


def _require_usable(key: Key, operation: str, algorithm: EncryptionAlgorithm | None) -> None:
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    if algorithm is not None and algorithm is not _SYMMETRIC:
        message = f"Algorithm {algorithm} is incompatible with key spec {key.row.key_spec}."
        raise InvalidKeyUsageException(message)


def _algorithm_value(algorithm: EncryptionAlgorithm | None) -> Values:
    return {ConditionKey.ENCRYPTION_ALGORITHM: algorithm or _SYMMETRIC}


def _refuse_unsupported(request: DecryptRequest | ReEncryptRequest) -> None:
    if isinstance(request, DecryptRequest) and request.recipient is not None:
        message = "Recipient is not supported."
        raise UnsupportedOperationException(message)
    if request.dry_run_modifiers:
        message = "DryRunModifiers is not supported."
        raise UnsupportedOperationException(message)
