"""GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext."""

import asyncio
from typing import NamedTuple

from kmsq_schemas.models import (
    GenerateDataKeyPairReply,
    GenerateDataKeyPairRequest,
    GenerateDataKeyPairWithoutPlaintextReply,
    GenerateDataKeyPairWithoutPlaintextRequest,
)
from kmsq_schemas.models.enums import DataKeyPairSpec, KeySpec, KeyUsage
from kmsq_worker import keyspecs
from kmsq_worker.errors import UnsupportedOperationException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.ciphers import SYMMETRIC
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.operations.unsupported import refuse_recipient
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret

_DataKeyPairRequest = GenerateDataKeyPairRequest | GenerateDataKeyPairWithoutPlaintextRequest


class _DataKeyPair(NamedTuple):
    """The private key is PKCS#8 DER, in the blob, too; the public key a DER SubjectPublicKeyInfo."""

    private_key: Secret
    blob: bytes
    public_key: bytes
    key_arn: str
    material_id: str | None


async def generate_data_key_pair(
    execution: TurnExecution, request: GenerateDataKeyPairRequest
) -> GenerateDataKeyPairReply:
    """Make a key pair and hand out its private key, in plaintext and wrapped."""
    refuse_recipient(request.recipient)
    made = await _generate(execution, request, "GenerateDataKeyPair")
    return GenerateDataKeyPairReply.model_construct(
        private_key_ciphertext_blob=made.blob,
        private_key_plaintext=made.private_key.reveal(),
        public_key=made.public_key,
        key_id=made.key_arn,
        key_pair_spec=request.key_pair_spec,
        key_material_id=made.material_id,
    )


async def generate_data_key_pair_without_plaintext(
    execution: TurnExecution, request: GenerateDataKeyPairWithoutPlaintextRequest
) -> GenerateDataKeyPairWithoutPlaintextReply:
    """Make a key pair and hand out its private key wrapped, for somebody else to have it decrypted."""
    made = await _generate(execution, request, "GenerateDataKeyPairWithoutPlaintext")
    return GenerateDataKeyPairWithoutPlaintextReply.model_construct(
        private_key_ciphertext_blob=made.blob,
        public_key=made.public_key,
        key_id=made.key_arn,
        key_pair_spec=request.key_pair_spec,
        key_material_id=made.material_id,
    )


async def _generate(execution: TurnExecution, request: _DataKeyPairRequest, operation: str) -> _DataKeyPair:
    _require_supported(request.key_pair_spec)
    context = request.encryption_context or {}
    values: Values = {
        ConditionKey.DATA_KEY_PAIR_SPEC: request.key_pair_spec,
        ConditionKey.ENCRYPTION_ALGORITHM: SYMMETRIC.algorithm,
    }
    key = execution.locate(request.key_id)
    execution.authorize(f"kms:{operation}", key, context=context, values=values)
    require_enabled(key)
    require_usage(key, KeyUsage.ENCRYPT_DECRYPT, operation)
    require_algorithm(key, SYMMETRIC.algorithm)
    stop_if_dry(request.dry_run)
    private_key = await asyncio.to_thread(key_pairs.generate, request.key_pair_spec)
    public_key = key_pairs.public_key(key_pairs.load(private_key))
    sealed = SYMMETRIC.seal(execution, key, private_key.reveal(), context)
    return _DataKeyPair(private_key, sealed.blob, public_key, key.arn, sealed.material_id)


def _require_supported(spec: DataKeyPairSpec) -> None:
    if not keyspecs.is_supported(KeySpec(spec.value)):
        message = f"KeyPairSpec {spec} is not supported."
        raise UnsupportedOperationException(message)
