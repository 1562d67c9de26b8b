"""
Encrypt, Decrypt, ReEncrypt, with symmetric and with RSA keys.

A dry run does all of it and gives nothing out: whether a plaintext fits or a ciphertext opens is not known sooner.
"""

from collections.abc import Sequence

from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    ReEncryptReply,
    ReEncryptRequest,
)
from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.arn import Account, parse_key_reference
from kmsq_worker.custody import Key
from kmsq_worker.errors import ValidationException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.ciphers import SYMMETRIC, Cipher, Context, cipher_of
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.operations.unsupported import refuse_modifiers, refuse_recipient
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.view import Wanted


def encrypt(execution: TurnExecution, request: EncryptRequest) -> EncryptReply:
    """Seal 1 … 4,096 bytes under a key's current material, or what fits into an RSA key's modulus."""
    cipher = cipher_of(request.encryption_algorithm)
    context = request.encryption_context or {}
    key = execution.locate(request.key_id)
    execution.authorize("kms:Encrypt", key, context=context, values=_algorithm_value(cipher))
    _require_usable(key, "Encrypt", cipher, context)
    blob = cipher.seal(execution, key, request.plaintext, context).blob
    stop_if_dry(request.dry_run)
    return EncryptReply.model_construct(ciphertext_blob=blob, key_id=key.arn, encryption_algorithm=cipher.algorithm)


def wants_decrypt(account: Account, request: DecryptRequest) -> Sequence[Wanted]:
    """Need the key and the material that a symmetric blob names, and the key that the request names."""
    return cipher_of(request.encryption_algorithm).wants(account, request.ciphertext_blob, request.key_id)


def decrypt(execution: TurnExecution, request: DecryptRequest) -> DecryptReply:
    """Open a blob with the key and material that it names itself, or an RSA ciphertext with the key that is named."""
    refuse_recipient(request.recipient)
    refuse_modifiers(request.dry_run_modifiers)
    cipher = cipher_of(request.encryption_algorithm)
    context = request.encryption_context or {}
    source = cipher.locate(execution, request.ciphertext_blob, request.key_id)
    execution.authorize("kms:Decrypt", source.key, context=context, values=_algorithm_value(cipher))
    _require_usable(source.key, "Decrypt", cipher, context)
    opened = cipher.open(execution, source, request.ciphertext_blob, context)
    stop_if_dry(request.dry_run)
    return DecryptReply.model_construct(
        key_id=source.key.arn,
        plaintext=opened.plaintext,
        encryption_algorithm=cipher.algorithm,
        key_material_id=opened.material_id,
    )


def wants_re_encrypt(account: Account, request: ReEncryptRequest) -> Sequence[Wanted]:
    """Need what Decrypt needs of the source and what Encrypt needs of the destination."""
    opening = cipher_of(request.source_encryption_algorithm)
    source = opening.wants(account, request.ciphertext_blob, request.source_key_id)
    return (*source, Wanted(parse_key_reference(request.destination_key_id, account)))


def re_encrypt(execution: TurnExecution, request: ReEncryptRequest) -> ReEncryptReply:
    """Open a blob under one key and context and seal it under others; the plaintext stays here."""
    refuse_modifiers(request.dry_run_modifiers)
    opening = cipher_of(request.source_encryption_algorithm)
    sealing = cipher_of(request.destination_encryption_algorithm)
    source_context = request.source_encryption_context or {}
    destination_context = request.destination_encryption_context or {}
    source = opening.locate(execution, request.ciphertext_blob, request.source_key_id)
    destination = execution.locate(request.destination_key_id)
    same: Values = {ConditionKey.REENCRYPT_ON_SAME_KEY: source.key.key_id == destination.key_id}
    from_values: Values = {**same, **_algorithm_value(opening)}
    to_values: Values = {**same, **_algorithm_value(sealing)}
    execution.authorize("kms:ReEncryptFrom", source.key, context=source_context, values=from_values)
    execution.authorize("kms:ReEncryptTo", destination, context=destination_context, values=to_values)
    _require_usable(source.key, "ReEncrypt", opening, source_context)
    _require_usable(destination, "ReEncrypt", sealing, destination_context)
    opened = opening.open(execution, source, request.ciphertext_blob, source_context)
    sealed = sealing.seal(execution, destination, opened.plaintext, destination_context)
    stop_if_dry(request.dry_run)
    return ReEncryptReply.model_construct(
        ciphertext_blob=sealed.blob,
        source_key_id=source.key.arn,
        key_id=destination.arn,
        source_encryption_algorithm=opening.algorithm,
        destination_encryption_algorithm=sealing.algorithm,
        source_key_material_id=opened.material_id,
        destination_key_material_id=sealed.material_id,
    )


def _require_usable(key: Key, operation: str, cipher: Cipher, context: Context) -> None:
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, cipher.algorithm)
    if context and cipher is not SYMMETRIC:
        message = f"An encryption context is not valid with algorithm {cipher.algorithm}, which cannot bind it."
        raise ValidationException(message)


def _algorithm_value(cipher: Cipher) -> Values:
    return {ConditionKey.ENCRYPTION_ALGORITHM: cipher.algorithm}
