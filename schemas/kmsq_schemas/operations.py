"""The table of operations: everything that depends on which operations exist is derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from kmsq_schemas import limits, models
from kmsq_schemas.models.base import Reply, Request


class Queue(StrEnum):
    """The queues workers read. Each has at least one operation."""

    CRYPTO = "kmsq.crypto"
    SLOW = "kmsq.slow"
    """Operations with private keys and new key pairs: milliseconds to seconds each, so nobody else shall wait behind."""
    BATCH = "kmsq.batch"
    """Operations on up to ten thousand values at once."""
    READ = "kmsq.read"
    ADMIN = "kmsq.admin"


class Operation(StrEnum):
    """`type` of a request, and the second part of its routing key."""

    CREATE_KEY = "CreateKey"
    DESCRIBE_KEY = "DescribeKey"
    LIST_KEYS = "ListKeys"
    ENABLE_KEY = "EnableKey"
    DISABLE_KEY = "DisableKey"
    UPDATE_KEY_DESCRIPTION = "UpdateKeyDescription"
    SCHEDULE_KEY_DELETION = "ScheduleKeyDeletion"
    CANCEL_KEY_DELETION = "CancelKeyDeletion"
    GET_KEY_LAST_USAGE = "GetKeyLastUsage"
    TAG_RESOURCE = "TagResource"
    UNTAG_RESOURCE = "UntagResource"
    LIST_RESOURCE_TAGS = "ListResourceTags"
    CREATE_ALIAS = "CreateAlias"
    UPDATE_ALIAS = "UpdateAlias"
    DELETE_ALIAS = "DeleteAlias"
    LIST_ALIASES = "ListAliases"
    GET_KEY_POLICY = "GetKeyPolicy"
    PUT_KEY_POLICY = "PutKeyPolicy"
    LIST_KEY_POLICIES = "ListKeyPolicies"
    GET_ACCOUNT_POLICY = "GetAccountPolicy"
    PUT_ACCOUNT_POLICY = "PutAccountPolicy"
    CREATE_GRANT = "CreateGrant"
    LIST_GRANTS = "ListGrants"
    LIST_RETIRABLE_GRANTS = "ListRetirableGrants"
    RETIRE_GRANT = "RetireGrant"
    REVOKE_GRANT = "RevokeGrant"
    ENCRYPT = "Encrypt"
    DECRYPT = "Decrypt"
    RE_ENCRYPT = "ReEncrypt"
    GENERATE_DATA_KEY = "GenerateDataKey"
    GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "GenerateDataKeyWithoutPlaintext"
    GENERATE_DATA_KEY_PAIR = "GenerateDataKeyPair"
    GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT = "GenerateDataKeyPairWithoutPlaintext"
    GENERATE_RANDOM = "GenerateRandom"
    GET_PUBLIC_KEY = "GetPublicKey"
    SIGN = "Sign"
    VERIFY = "Verify"
    DERIVE_SHARED_SECRET = "DeriveSharedSecret"  # noqa: S105  the name of an operation
    ENCAPSULATE = "Encapsulate"
    DECAPSULATE = "Decapsulate"
    GENERATE_MAC = "GenerateMac"
    VERIFY_MAC = "VerifyMac"
    ENABLE_KEY_ROTATION = "EnableKeyRotation"
    DISABLE_KEY_ROTATION = "DisableKeyRotation"
    GET_KEY_ROTATION_STATUS = "GetKeyRotationStatus"
    ROTATE_KEY_ON_DEMAND = "RotateKeyOnDemand"
    LIST_KEY_ROTATIONS = "ListKeyRotations"
    GET_PARAMETERS_FOR_IMPORT = "GetParametersForImport"
    IMPORT_KEY_MATERIAL = "ImportKeyMaterial"
    DELETE_IMPORTED_KEY_MATERIAL = "DeleteImportedKeyMaterial"
    BATCH_ENCRYPT = "BatchEncrypt"
    BATCH_DECRYPT = "BatchDecrypt"
    BATCH_RE_ENCRYPT = "BatchReEncrypt"
    BATCH_GENERATE_DATA_KEY = "BatchGenerateDataKey"
    BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "BatchGenerateDataKeyWithoutPlaintext"
    BATCH_GENERATE_MAC = "BatchGenerateMac"

    @property
    def of_one(self) -> str:
        """The operation that each item of a batch is, and that policies know; of all others, itself."""
        return self.value.removeprefix("Batch")


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """What the contract says of one operation."""

    operation: Operation
    request: type[Request]
    reply: type[Reply]
    queue: Queue
    max_body_bytes: int = limits.SINGLE_BODY_MAX_BYTES

    @property
    def is_change(self) -> bool:
        """Whether it alters a key or what belongs to one, and so is idempotent by `message_id`."""
        return self.queue is Queue.ADMIN


_TABLE: Mapping[Queue, tuple[tuple[type[Request], type[Reply]], ...]] = {
    Queue.CRYPTO: (
        (models.EncryptRequest, models.EncryptReply),
        (models.DecryptRequest, models.DecryptReply),
        (models.ReEncryptRequest, models.ReEncryptReply),
        (models.GenerateDataKeyRequest, models.GenerateDataKeyReply),
        (models.GenerateDataKeyWithoutPlaintextRequest, models.GenerateDataKeyWithoutPlaintextReply),
        (models.GenerateRandomRequest, models.GenerateRandomReply),
        (models.VerifyRequest, models.VerifyReply),
        (models.EncapsulateRequest, models.EncapsulateReply),
        (models.GenerateMacRequest, models.GenerateMacReply),
        (models.VerifyMacRequest, models.VerifyMacReply),
    ),
    Queue.SLOW: (
        (models.GenerateDataKeyPairRequest, models.GenerateDataKeyPairReply),
        (models.GenerateDataKeyPairWithoutPlaintextRequest, models.GenerateDataKeyPairWithoutPlaintextReply),
        (models.SignRequest, models.SignReply),
        (models.DeriveSharedSecretRequest, models.DeriveSharedSecretReply),
        (models.DecapsulateRequest, models.DecapsulateReply),
        (models.GetParametersForImportRequest, models.GetParametersForImportReply),
    ),
    Queue.BATCH: (
        (models.BatchEncryptRequest, models.BatchEncryptReply),
        (models.BatchDecryptRequest, models.BatchDecryptReply),
        (models.BatchReEncryptRequest, models.BatchReEncryptReply),
        (models.BatchGenerateDataKeyRequest, models.BatchGenerateDataKeyReply),
        (models.BatchGenerateDataKeyWithoutPlaintextRequest, models.BatchGenerateDataKeyWithoutPlaintextReply),
        (models.BatchGenerateMacRequest, models.BatchGenerateMacReply),
    ),
    Queue.READ: (
        (models.DescribeKeyRequest, models.DescribeKeyReply),
        (models.ListKeysRequest, models.ListKeysReply),
        (models.GetKeyLastUsageRequest, models.GetKeyLastUsageReply),
        (models.ListResourceTagsRequest, models.ListResourceTagsReply),
        (models.ListAliasesRequest, models.ListAliasesReply),
        (models.GetKeyPolicyRequest, models.GetKeyPolicyReply),
        (models.ListKeyPoliciesRequest, models.ListKeyPoliciesReply),
        (models.GetAccountPolicyRequest, models.GetAccountPolicyReply),
        (models.ListGrantsRequest, models.ListGrantsReply),
        (models.ListRetirableGrantsRequest, models.ListRetirableGrantsReply),
        (models.GetPublicKeyRequest, models.GetPublicKeyReply),
        (models.GetKeyRotationStatusRequest, models.GetKeyRotationStatusReply),
        (models.ListKeyRotationsRequest, models.ListKeyRotationsReply),
    ),
    Queue.ADMIN: (
        (models.CreateKeyRequest, models.CreateKeyReply),
        (models.EnableKeyRequest, models.EnableKeyReply),
        (models.DisableKeyRequest, models.DisableKeyReply),
        (models.UpdateKeyDescriptionRequest, models.UpdateKeyDescriptionReply),
        (models.ScheduleKeyDeletionRequest, models.ScheduleKeyDeletionReply),
        (models.CancelKeyDeletionRequest, models.CancelKeyDeletionReply),
        (models.TagResourceRequest, models.TagResourceReply),
        (models.UntagResourceRequest, models.UntagResourceReply),
        (models.CreateAliasRequest, models.CreateAliasReply),
        (models.UpdateAliasRequest, models.UpdateAliasReply),
        (models.DeleteAliasRequest, models.DeleteAliasReply),
        (models.PutKeyPolicyRequest, models.PutKeyPolicyReply),
        (models.PutAccountPolicyRequest, models.PutAccountPolicyReply),
        (models.CreateGrantRequest, models.CreateGrantReply),
        (models.RetireGrantRequest, models.RetireGrantReply),
        (models.RevokeGrantRequest, models.RevokeGrantReply),
        (models.EnableKeyRotationRequest, models.EnableKeyRotationReply),
        (models.DisableKeyRotationRequest, models.DisableKeyRotationReply),
        (models.RotateKeyOnDemandRequest, models.RotateKeyOnDemandReply),
        (models.ImportKeyMaterialRequest, models.ImportKeyMaterialReply),
        (models.DeleteImportedKeyMaterialRequest, models.DeleteImportedKeyMaterialReply),
    ),
}
_MAX_BODY_BYTES = {
    Operation.CREATE_KEY: limits.POLICY_BODY_MAX_BYTES,
    Operation.PUT_KEY_POLICY: limits.POLICY_BODY_MAX_BYTES,
    Operation.PUT_ACCOUNT_POLICY: limits.POLICY_BODY_MAX_BYTES,
}


def _spec(request: type[Request], reply: type[Reply], queue: Queue) -> OperationSpec:
    operation = Operation(request.__name__.removesuffix("Request"))
    most = limits.MESSAGE_MAX_BYTES if queue is Queue.BATCH else limits.SINGLE_BODY_MAX_BYTES
    return OperationSpec(operation, request, reply, queue, _MAX_BODY_BYTES.get(operation, most))


_SPECS = {spec.operation: spec for queue, pairs in _TABLE.items() for spec in (_spec(*pair, queue) for pair in pairs)}

SPECS: Mapping[Operation, OperationSpec] = MappingProxyType({operation: _SPECS[operation] for operation in Operation})
"""What the contract says of each operation, in the order of `Operation`."""
