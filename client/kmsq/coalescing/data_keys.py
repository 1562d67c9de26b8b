"""GenerateDataKey and its sister: many calls as one batch."""

from collections.abc import Hashable, Sequence

from kmsq.coalescing.contexts import context_max_bytes, shared_or_own
from kmsq_schemas.models import (
    BatchGenerateDataKeyReply,
    BatchGenerateDataKeyRequest,
    BatchGenerateDataKeyWithoutPlaintextReply,
    BatchGenerateDataKeyWithoutPlaintextRequest,
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateDataKeyWithoutPlaintextRequest,
)
from kmsq_schemas.operations import Operation


class DataKeys:
    """GenerateDataKey: data keys of one length, under one key."""

    operation = Operation.GENERATE_DATA_KEY
    batch = Operation.BATCH_GENERATE_DATA_KEY

    def group(self, request: GenerateDataKeyRequest) -> Hashable | None:
        """See `Kind`."""
        if request.grant_tokens or request.dry_run or request.recipient is not None:
            return None
        return Operation.GENERATE_DATA_KEY, request.key_id, request.key_spec, request.number_of_bytes

    def item_max_bytes(self, request: GenerateDataKeyRequest) -> int:
        """See `Kind`."""
        return context_max_bytes(request.encryption_context)

    def join(self, requests: Sequence[GenerateDataKeyRequest]) -> BatchGenerateDataKeyRequest:
        """See `Kind`."""
        shared, own = shared_or_own([request.encryption_context for request in requests])
        return BatchGenerateDataKeyRequest(
            key_id=requests[0].key_id,
            number_of_keys=len(requests),
            number_of_bytes=requests[0].number_of_bytes,
            key_spec=requests[0].key_spec,
            encryption_context=shared,
            encryption_contexts=own,
        )

    def split(self, reply: BatchGenerateDataKeyReply) -> list[GenerateDataKeyReply | None]:
        """See `Kind`."""
        return [
            None
            if blob is None or plaintext is None
            else GenerateDataKeyReply(
                ciphertext_blob=blob, plaintext=plaintext, key_id=reply.key_id, key_material_id=reply.key_material_id
            )
            for blob, plaintext in zip(reply.ciphertext_blobs, reply.plaintexts, strict=True)
        ]


class WrappedDataKeys:
    """GenerateDataKeyWithoutPlaintext: data keys of one length, under one key."""

    operation = Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT
    batch = Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT

    def group(self, request: GenerateDataKeyWithoutPlaintextRequest) -> Hashable | None:
        """See `Kind`."""
        if request.grant_tokens or request.dry_run:
            return None
        operation = Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT
        return operation, request.key_id, request.key_spec, request.number_of_bytes

    def item_max_bytes(self, request: GenerateDataKeyWithoutPlaintextRequest) -> int:
        """See `Kind`."""
        return context_max_bytes(request.encryption_context)

    def join(
        self, requests: Sequence[GenerateDataKeyWithoutPlaintextRequest]
    ) -> BatchGenerateDataKeyWithoutPlaintextRequest:
        """See `Kind`."""
        shared, own = shared_or_own([request.encryption_context for request in requests])
        return BatchGenerateDataKeyWithoutPlaintextRequest(
            key_id=requests[0].key_id,
            number_of_keys=len(requests),
            number_of_bytes=requests[0].number_of_bytes,
            key_spec=requests[0].key_spec,
            encryption_context=shared,
            encryption_contexts=own,
        )

    def split(
        self, reply: BatchGenerateDataKeyWithoutPlaintextReply
    ) -> list[GenerateDataKeyWithoutPlaintextReply | None]:
        """See `Kind`."""
        return [
            None
            if blob is None
            else GenerateDataKeyWithoutPlaintextReply(
                ciphertext_blob=blob, key_id=reply.key_id, key_material_id=reply.key_material_id
            )
            for blob in reply.ciphertext_blobs
        ]
