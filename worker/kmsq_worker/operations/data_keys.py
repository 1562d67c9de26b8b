"""GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom."""

import os
from typing import NamedTuple

from kmsq_schemas.models import (
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateRandomReply,
    GenerateRandomRequest,
)
from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.errors import UnsupportedOperationException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.operations.unsupported import refuse_recipient
from kmsq_worker.policy.keys import ConditionKey

_DataKeyRequest = GenerateDataKeyRequest | GenerateDataKeyWithoutPlaintextRequest


class _DataKey(NamedTuple):
    plaintext: bytes
    blob: bytes
    key_arn: str
    material_id: str | None


def generate_data_key(execution: TurnExecution, request: GenerateDataKeyRequest) -> GenerateDataKeyReply:
    """Make a data key and hand it out, in plaintext and wrapped."""
    refuse_recipient(request.recipient)
    made = _generate(execution, request, "GenerateDataKey")
    return GenerateDataKeyReply.model_construct(
        ciphertext_blob=made.blob, plaintext=made.plaintext, key_id=made.key_arn, key_material_id=made.material_id
    )


def generate_data_key_without_plaintext(
    execution: TurnExecution, request: GenerateDataKeyWithoutPlaintextRequest
) -> GenerateDataKeyWithoutPlaintextReply:
    """Make a data key and hand it out wrapped, for somebody else to have it decrypted."""
    made = _generate(execution, request, "GenerateDataKeyWithoutPlaintext")
    return GenerateDataKeyWithoutPlaintextReply.model_construct(
        ciphertext_blob=made.blob, key_id=made.key_arn, key_material_id=made.material_id
    )


def generate_random(execution: TurnExecution, request: GenerateRandomRequest) -> GenerateRandomReply:
    """Return 1 … 1,024 bytes of the operating system's randomness."""
    execution.authorize_account("kms:GenerateRandom")
    refuse_recipient(request.recipient)
    if request.custom_key_store_id is not None:
        message = "CustomKeyStoreId is not supported."
        raise UnsupportedOperationException(message)
    return GenerateRandomReply.model_construct(plaintext=os.urandom(request.number_of_bytes))


def _generate(execution: TurnExecution, request: _DataKeyRequest, operation: str) -> _DataKey:
    context = request.encryption_context or {}
    values: Values = {ConditionKey.ENCRYPTION_ALGORITHM: SYMMETRIC.algorithm}
    key = execution.locate(request.key_id)
    execution.authorize(f"kms:{operation}", key, context=context, values=values)
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, SYMMETRIC.algorithm)
    stop_if_dry(request.dry_run)
    plaintext = os.urandom(request.data_key_bytes)
    sealed = SYMMETRIC.seal(execution, key, plaintext, context)
    return _DataKey(plaintext, sealed.blob, key.arn, sealed.material_id)
