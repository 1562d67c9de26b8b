"""Encrypt, Decrypt, ReEncrypt: many calls as one batch."""

from collections.abc import Hashable, Sequence

from kmsq.coalescing.contexts import STRING_FRAME_BYTES, context_max_bytes, shared_or_own
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchDecryptRequest,
    BatchEncryptReply,
    BatchEncryptRequest,
    BatchReEncryptReply,
    BatchReEncryptRequest,
    DecryptReply,
    DecryptRequest,
    EncryptionAlgorithm,
    EncryptReply,
    EncryptRequest,
    ReEncryptReply,
    ReEncryptRequest,
)
from kmsq_schemas.models.batches import UsedMaterial
from kmsq_schemas.operations import Operation

_SYMMETRIC = (None, EncryptionAlgorithm.SYMMETRIC_DEFAULT)


class Encrypting:
    """Encrypt."""

    operation = Operation.ENCRYPT
    batch = Operation.BATCH_ENCRYPT

    def group(self, request: EncryptRequest) -> Hashable | None:
        """See `Kind`."""
        if request.grant_tokens or request.dry_run or request.encryption_algorithm not in _SYMMETRIC:
            return None
        return Operation.ENCRYPT, request.key_id

    def item_max_bytes(self, request: EncryptRequest) -> int:
        """See `Kind`."""
        return STRING_FRAME_BYTES + len(request.plaintext) + context_max_bytes(request.encryption_context)

    def join(self, requests: Sequence[EncryptRequest]) -> BatchEncryptRequest:
        """See `Kind`."""
        shared, own = shared_or_own([request.encryption_context for request in requests])
        return BatchEncryptRequest(
            key_id=requests[0].key_id,
            plaintexts=[request.plaintext for request in requests],
            encryption_context=shared,
            encryption_contexts=own,
        )

    def split(self, reply: BatchEncryptReply) -> list[EncryptReply | None]:
        """See `Kind`."""
        key_id, algorithm = reply.key_id, reply.encryption_algorithm
        return [
            None if blob is None else EncryptReply(ciphertext_blob=blob, key_id=key_id, encryption_algorithm=algorithm)
            for blob in reply.ciphertext_blobs
        ]


class Decrypting:
    """Decrypt: the blobs may be of many keys."""

    operation = Operation.DECRYPT
    batch = Operation.BATCH_DECRYPT

    def group(self, request: DecryptRequest) -> Hashable | None:
        """See `Kind`."""
        if (
            request.grant_tokens
            or request.dry_run
            or request.dry_run_modifiers
            or request.recipient is not None
            or request.encryption_algorithm not in _SYMMETRIC
        ):
            return None
        return Operation.DECRYPT, request.key_id

    def item_max_bytes(self, request: DecryptRequest) -> int:
        """See `Kind`."""
        return STRING_FRAME_BYTES + len(request.ciphertext_blob) + context_max_bytes(request.encryption_context)

    def join(self, requests: Sequence[DecryptRequest]) -> BatchDecryptRequest:
        """See `Kind`."""
        shared, own = shared_or_own([request.encryption_context for request in requests])
        return BatchDecryptRequest(
            ciphertext_blobs=[request.ciphertext_blob for request in requests],
            encryption_context=shared,
            encryption_contexts=own,
            key_id=requests[0].key_id,
        )

    def split(self, reply: BatchDecryptReply) -> list[DecryptReply | None]:
        """See `Kind`."""
        opened = _with_materials(reply.plaintexts, reply.key_materials, reply.key_material_indexes)
        return [
            None
            if one is None
            else DecryptReply(
                key_id=one[1].key_id,
                plaintext=one[0],
                encryption_algorithm=reply.encryption_algorithm,
                key_material_id=one[1].key_material_id,
            )
            for one in opened
        ]


class ReEncrypting:
    """ReEncrypt, from any keys to one."""

    operation = Operation.RE_ENCRYPT
    batch = Operation.BATCH_RE_ENCRYPT

    def group(self, request: ReEncryptRequest) -> Hashable | None:
        """See `Kind`."""
        if (
            request.grant_tokens
            or request.dry_run
            or request.dry_run_modifiers
            or request.source_encryption_algorithm not in _SYMMETRIC
            or request.destination_encryption_algorithm not in _SYMMETRIC
        ):
            return None
        return Operation.RE_ENCRYPT, request.source_key_id, request.destination_key_id

    def item_max_bytes(self, request: ReEncryptRequest) -> int:
        """See `Kind`."""
        contexts = (request.source_encryption_context, request.destination_encryption_context)
        return STRING_FRAME_BYTES + len(request.ciphertext_blob) + sum(map(context_max_bytes, contexts))

    def join(self, requests: Sequence[ReEncryptRequest]) -> BatchReEncryptRequest:
        """See `Kind`."""
        sources = shared_or_own([request.source_encryption_context for request in requests])
        destinations = shared_or_own([request.destination_encryption_context for request in requests])
        return BatchReEncryptRequest(
            ciphertext_blobs=[request.ciphertext_blob for request in requests],
            source_encryption_context=sources[0],
            source_encryption_contexts=sources[1],
            source_key_id=requests[0].source_key_id,
            destination_key_id=requests[0].destination_key_id,
            destination_encryption_context=destinations[0],
            destination_encryption_contexts=destinations[1],
        )

    def split(self, reply: BatchReEncryptReply) -> list[ReEncryptReply | None]:
        """See `Kind`."""
        moved = _with_materials(reply.ciphertext_blobs, reply.source_key_materials, reply.source_key_material_indexes)
        if reply.key_id is None:  # said only if there is an item that the caller may re-encrypt
            if any(moved):
                raise ValueError("a result names no destination")
            return [None] * len(moved)
        return [
            None
            if one is None
            else ReEncryptReply(
                ciphertext_blob=one[0],
                source_key_id=one[1].key_id,
                key_id=reply.key_id,
                source_encryption_algorithm=reply.source_encryption_algorithm,
                destination_encryption_algorithm=reply.destination_encryption_algorithm,
                source_key_material_id=one[1].key_material_id,
                destination_key_material_id=reply.destination_key_material_id,
            )
            for one in moved
        ]


def _with_materials(
    results: Sequence[bytes | None], materials: Sequence[UsedMaterial], indexes: Sequence[int | None]
) -> list[tuple[bytes, UsedMaterial] | None]:
    """Pair each result with the material that opened it. Raises `ValueError` where the reply names none."""
    paired: list[tuple[bytes, UsedMaterial] | None] = []
    for result, index in zip(results, indexes, strict=True):
        if result is None:
            paired.append(None)
        elif index is not None and 0 <= index < len(materials):
            paired.append((result, materials[index]))
        else:
            raise ValueError("a result names no key material")
    return paired
