"""
GetPublicKey, Sign, Verify, DeriveSharedSecret, Encapsulate, Decapsulate. Encryption with RSA keys is in `encryption`.

Operations of the slow queue leave the event loop for their work; what comes before, authorisation above all, stays on
it. A dry run ends as soon as nothing can fail any more.
"""

import asyncio

from kmsq_schemas.models import (
    DecapsulateReply,
    DecapsulateRequest,
    DeriveSharedSecretReply,
    DeriveSharedSecretRequest,
    EncapsulateReply,
    EncapsulateRequest,
    GetPublicKeyReply,
    GetPublicKeyRequest,
    SignReply,
    SignRequest,
    VerifyReply,
    VerifyRequest,
)
from kmsq_schemas.models.enums import KeySpec, KeyUsage, MessageType, Origin
from kmsq_worker import keyspecs
from kmsq_worker.custody import Key
from kmsq_worker.errors import UnsupportedOperationException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.metadata import old_spec
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.operations.unsupported import refuse_recipient
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.primitives import agreement, kem, key_pairs, signatures


def get_public_key(execution: TurnExecution, request: GetPublicKeyRequest) -> GetPublicKeyReply:
    """Return the public half of a key pair. It is stored nowhere: the private key, which is authentic, has it."""
    key = execution.locate(request.key_id)
    execution.authorize("kms:GetPublicKey", key)
    require_enabled(key)
    spec, usage = KeySpec(key.row.key_spec), KeyUsage(key.row.key_usage)
    if not keyspecs.is_asymmetric(spec):
        message = f"{key.arn} key spec is {spec}, which has no public key."
        raise UnsupportedOperationException(message)
    algorithms = keyspecs.algorithms(spec, usage)
    return GetPublicKeyReply.model_construct(
        key_id=key.arn,
        public_key=key_pairs.public_key(execution.unlock_private_key(key)),
        customer_master_key_spec=old_spec(spec),
        key_spec=spec,
        key_usage=usage,
        encryption_algorithms=list(algorithms.encryption) or None,
        signing_algorithms=list(algorithms.signing) or None,
        key_agreement_algorithms=list(algorithms.key_agreement) or None,
        encapsulation_algorithms=list(algorithms.encapsulation) or None,
    )


async def sign(execution: TurnExecution, request: SignRequest) -> SignReply:
    """Sign up to 4,096 bytes, or a digest."""
    key = _signing_key(execution, request, "Sign")
    stop_if_dry(request.dry_run)
    signature = await asyncio.to_thread(
        signatures.sign,
        execution.unlock_private_key(key),
        request.signing_algorithm,
        _message_type(request),
        request.message,
    )
    return SignReply.model_construct(key_id=key.arn, signature=signature, signing_algorithm=request.signing_algorithm)


def verify(execution: TurnExecution, request: VerifyRequest) -> VerifyReply:
    """Check a signature, in a dry run, too. Raises `KMSInvalidSignatureException`."""
    key = _signing_key(execution, request, "Verify")
    signatures.verify(
        execution.unlock_private_key(key),
        request.signing_algorithm,
        _message_type(request),
        request.message,
        request.signature,
    )
    stop_if_dry(request.dry_run)
    return VerifyReply.model_construct(
        key_id=key.arn, signature_valid=True, signing_algorithm=request.signing_algorithm
    )


async def derive_shared_secret(execution: TurnExecution, request: DeriveSharedSecretRequest) -> DeriveSharedSecretReply:
    """Agree on a secret with the holder of another key on the same curve; a dry run looks at that key, too."""
    refuse_recipient(request.recipient)
    algorithm = request.key_agreement_algorithm
    key = execution.locate(request.key_id)
    execution.authorize("kms:DeriveSharedSecret", key, values={ConditionKey.KEY_AGREEMENT_ALGORITHM: algorithm})
    require_enabled(key)
    require_usage(key, KeyUsage.KEY_AGREEMENT, "DeriveSharedSecret")
    require_algorithm(key, algorithm)
    private_key = execution.unlock_private_key(key)
    shared_secret = await asyncio.to_thread(agreement.derive_shared_secret, private_key, request.public_key)
    stop_if_dry(request.dry_run)
    return DeriveSharedSecretReply.model_construct(
        key_id=key.arn,
        shared_secret=shared_secret,
        key_agreement_algorithm=algorithm,
        key_origin=Origin(key.row.origin),
    )


def encapsulate(execution: TurnExecution, request: EncapsulateRequest) -> EncapsulateReply:
    """Make a secret and encapsulate it for whoever may decapsulate it."""
    key = _encapsulating_key(execution, request, "Encapsulate")
    stop_if_dry(request.dry_run)
    made = kem.encapsulate(execution.unlock_private_key(key))
    return EncapsulateReply.model_construct(
        key_id=key.arn,
        shared_secret=made.shared_secret,
        shared_secret_ciphertext_blob=made.ciphertext,
        encapsulation_algorithm=request.encapsulation_algorithm,
    )


async def decapsulate(execution: TurnExecution, request: DecapsulateRequest) -> DecapsulateReply:
    """Open an encapsulated secret; a dry run looks at its length, too. Raises `InvalidCiphertextException`."""
    key = _encapsulating_key(execution, request, "Decapsulate")
    private_key = execution.unlock_private_key(key)
    shared_secret = await asyncio.to_thread(kem.decapsulate, private_key, request.shared_secret_ciphertext_blob)
    stop_if_dry(request.dry_run)
    return DecapsulateReply.model_construct(
        key_id=key.arn, shared_secret=shared_secret, encapsulation_algorithm=request.encapsulation_algorithm
    )


def _signing_key(execution: TurnExecution, request: SignRequest | VerifyRequest, operation: str) -> Key:
    values: Values = {
        ConditionKey.SIGNING_ALGORITHM: request.signing_algorithm,
        ConditionKey.MESSAGE_TYPE: _message_type(request),
    }
    key = execution.locate(request.key_id)
    execution.authorize(f"kms:{operation}", key, values=values)
    require_enabled(key)
    require_usage(key, KeyUsage.SIGN_VERIFY, operation)
    signatures.require_supported(
        request.signing_algorithm
    )  # what nothing here supports is "not supported" with all keys
    require_algorithm(key, request.signing_algorithm)
    signatures.require_message(request.signing_algorithm, _message_type(request), request.message)
    return key


def _encapsulating_key(
    execution: TurnExecution, request: EncapsulateRequest | DecapsulateRequest, operation: str
) -> Key:
    key = execution.locate(request.key_id)
    execution.authorize(f"kms:{operation}", key)
    require_enabled(key)
    require_usage(key, KeyUsage.ENCAPSULATE_DECAPSULATE, operation)
    require_algorithm(key, request.encapsulation_algorithm)
    return key


def _message_type(request: SignRequest | VerifyRequest) -> MessageType:
    return request.message_type or MessageType.RAW
