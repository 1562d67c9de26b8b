"""
kmsq: a key management service whose front door is a message queue. The producer side.

    from kmsq import Client

    async with Client("amqp://alice:…@broker/") as client:
        sealed = await client.encrypt("alias/orders", b"…")
        opened = await client.decrypt(sealed.ciphertext_blob)

`kmsq.models` holds the messages and their structures (`models.GrantConstraints`), `kmsq.errors` what can be raised.
"""

from kmsq import errors
from kmsq.client import Client
from kmsq.envelope import CellKey, DataKeyCache, Envelope, EnvelopeHeader
from kmsq.errors import KmsqError, ServiceError
from kmsq.operations.jobs import GeneratedDataKey
from kmsq.operations.outcomes import ItemFailure
from kmsq.retry import RetryPolicy
from kmsq_schemas import models
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import (
    AliasListEntry,
    CreateKeyReply,
    DecryptReply,
    DescribeKeyReply,
    EncryptReply,
    GenerateDataKeyReply,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateRandomReply,
    KeyListEntry,
    KeyMetadata,
    ListAliasesReply,
    ListKeyRotationsReply,
    ListKeysReply,
    ReEncryptReply,
    RotationsListEntry,
    ScheduleKeyDeletionReply,
    Tag,
)
from kmsq_schemas.operations import Operation

__all__ = [
    "AliasListEntry",
    "CellKey",
    "Client",
    "ContentType",
    "CreateKeyReply",
    "DataKeyCache",
    "DecryptReply",
    "DescribeKeyReply",
    "EncryptReply",
    "Envelope",
    "EnvelopeHeader",
    "GenerateDataKeyReply",
    "GenerateDataKeyWithoutPlaintextReply",
    "GenerateRandomReply",
    "GeneratedDataKey",
    "ItemFailure",
    "KeyListEntry",
    "KeyMetadata",
    "KmsqError",
    "ListAliasesReply",
    "ListKeyRotationsReply",
    "ListKeysReply",
    "Operation",
    "ReEncryptReply",
    "RetryPolicy",
    "RotationsListEntry",
    "ScheduleKeyDeletionReply",
    "ServiceError",
    "Tag",
    "errors",
    "models",
]
