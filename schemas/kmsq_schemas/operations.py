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
    CREATE_ALIAS = "CreateAlias"
    UPDATE_ALIAS = "UpdateAlias"
    DELETE_ALIAS = "DeleteAlias"
    LIST_ALIASES = "ListAliases"
    GET_KEY_POLICY = "GetKeyPolicy"
    PUT_KEY_POLICY = "PutKeyPolicy"
    GET_ACCOUNT_POLICY = "GetAccountPolicy"
    PUT_ACCOUNT_POLICY = "PutAccountPolicy"
    ENCRYPT = "Encrypt"
    DECRYPT = "Decrypt"
    RE_ENCRYPT = "ReEncrypt"
    GENERATE_DATA_KEY = "GenerateDataKey"
    GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "GenerateDataKeyWithoutPlaintext"
    GENERATE_RANDOM = "GenerateRandom"
    ROTATE_KEY_ON_DEMAND = "RotateKeyOnDemand"
    LIST_KEY_ROTATIONS = "ListKeyRotations"


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
        """Whether it alters a key, alias or policy, and so is idempotent by `message_id`."""
        return self.queue is Queue.ADMIN


_POLICY = limits.POLICY_BODY_MAX_BYTES

_TABLE = (
    OperationSpec(Operation.CREATE_KEY, models.CreateKeyRequest, models.CreateKeyReply, Queue.ADMIN, _POLICY),
    OperationSpec(Operation.DESCRIBE_KEY, models.DescribeKeyRequest, models.DescribeKeyReply, Queue.READ),
    OperationSpec(Operation.LIST_KEYS, models.ListKeysRequest, models.ListKeysReply, Queue.READ),
    OperationSpec(Operation.ENABLE_KEY, models.EnableKeyRequest, models.EnableKeyReply, Queue.ADMIN),
    OperationSpec(Operation.DISABLE_KEY, models.DisableKeyRequest, models.DisableKeyReply, Queue.ADMIN),
    OperationSpec(
        Operation.UPDATE_KEY_DESCRIPTION,
        models.UpdateKeyDescriptionRequest,
        models.UpdateKeyDescriptionReply,
        Queue.ADMIN,
    ),
    OperationSpec(
        Operation.SCHEDULE_KEY_DELETION,
        models.ScheduleKeyDeletionRequest,
        models.ScheduleKeyDeletionReply,
        Queue.ADMIN,
    ),
    OperationSpec(
        Operation.CANCEL_KEY_DELETION, models.CancelKeyDeletionRequest, models.CancelKeyDeletionReply, Queue.ADMIN
    ),
    OperationSpec(Operation.CREATE_ALIAS, models.CreateAliasRequest, models.CreateAliasReply, Queue.ADMIN),
    OperationSpec(Operation.UPDATE_ALIAS, models.UpdateAliasRequest, models.UpdateAliasReply, Queue.ADMIN),
    OperationSpec(Operation.DELETE_ALIAS, models.DeleteAliasRequest, models.DeleteAliasReply, Queue.ADMIN),
    OperationSpec(Operation.LIST_ALIASES, models.ListAliasesRequest, models.ListAliasesReply, Queue.READ),
    OperationSpec(Operation.GET_KEY_POLICY, models.GetKeyPolicyRequest, models.GetKeyPolicyReply, Queue.READ),
    OperationSpec(Operation.PUT_KEY_POLICY, models.PutKeyPolicyRequest, models.PutKeyPolicyReply, Queue.ADMIN, _POLICY),
    OperationSpec(
        Operation.GET_ACCOUNT_POLICY, models.GetAccountPolicyRequest, models.GetAccountPolicyReply, Queue.READ
    ),
    OperationSpec(
        Operation.PUT_ACCOUNT_POLICY,
        models.PutAccountPolicyRequest,
        models.PutAccountPolicyReply,
        Queue.ADMIN,
        _POLICY,
    ),
    OperationSpec(Operation.ENCRYPT, models.EncryptRequest, models.EncryptReply, Queue.CRYPTO),
    OperationSpec(Operation.DECRYPT, models.DecryptRequest, models.DecryptReply, Queue.CRYPTO),
    OperationSpec(Operation.RE_ENCRYPT, models.ReEncryptRequest, models.ReEncryptReply, Queue.CRYPTO),
    OperationSpec(
        Operation.GENERATE_DATA_KEY, models.GenerateDataKeyRequest, models.GenerateDataKeyReply, Queue.CRYPTO
    ),
    OperationSpec(
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        models.GenerateDataKeyWithoutPlaintextRequest,
        models.GenerateDataKeyWithoutPlaintextReply,
        Queue.CRYPTO,
    ),
    OperationSpec(Operation.GENERATE_RANDOM, models.GenerateRandomRequest, models.GenerateRandomReply, Queue.CRYPTO),
    OperationSpec(
        Operation.ROTATE_KEY_ON_DEMAND, models.RotateKeyOnDemandRequest, models.RotateKeyOnDemandReply, Queue.ADMIN
    ),
    OperationSpec(
        Operation.LIST_KEY_ROTATIONS, models.ListKeyRotationsRequest, models.ListKeyRotationsReply, Queue.READ
    ),
)

SPECS: Mapping[Operation, OperationSpec] = MappingProxyType({spec.operation: spec for spec in _TABLE})
