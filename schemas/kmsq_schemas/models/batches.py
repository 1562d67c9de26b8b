"""
Batches: one operation on many values, in one message, with one audit record.

Each item succeeds or fails by itself. A reply has lists with one entry for each item, in their order, null where the
item failed, and `Failed`, which says why. An item of the wrong length fails alone, so the lists do not limit it.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kmsq_schemas import limits
from kmsq_schemas.constraints import RULE
from kmsq_schemas.content import ContentType
from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.models.data_keys import DataKeyLength
from kmsq_schemas.models.enums import EncryptionAlgorithm, MacAlgorithm
from kmsq_schemas.models.types import (
    Blobs,
    BlobsOrNulls,
    EncryptionContext,
    EncryptionContexts,
    GrantTokens,
    ItemCount,
    KeyId,
    KeyMaterialId,
)

BLOB_OVERHEAD_BYTES: Final = 98  # of a ciphertext blob, version 1, over its plaintext: DESIGN.md §4
MAC_MAX_BYTES: Final = 64  # HMAC-SHA-512
FAILURE_MESSAGE_MAX_CHARS: Final = 280  # ASCII without control characters; beyond it a message is cut
FAILURE_MAX_BYTES: Final = 400  # of an entry of `Failed`, in either encoding
REPLY_FRAME_BYTES: Final = 4096  # of a reply without its items: names, an ARN, ids, algorithms; far less in fact
RESULT_FRAME_BYTES: Final = 24  # of an item's results: lengths, quotes, commas of two byte strings and an index
MATERIAL_MAX_BYTES: Final = 320  # of an entry of `KeyMaterials`: an ARN, 64 digits and the names
_MATERIAL_IN_BLOB: Final = slice(2, 22)  # where a blob names key and material: DESIGN.md §4


class FailedItem(Reply):
    """Why the item at `index`, counted from 0, has no result."""

    index: int
    code: str
    message: str


class UsedMaterial(Reply):
    """A key, and which of its materials: what items of one reply have in common is said once."""

    key_id: KeyId
    key_material_id: KeyMaterialId


FailedItems = Annotated[list[FailedItem], Field(max_length=limits.BATCH_ITEMS_MAX)]
UsedMaterials = Annotated[list[UsedMaterial], Field(max_length=limits.BATCH_ITEMS_MAX)]
MaterialIndexes = Annotated[list[int | None], Field(max_length=limits.BATCH_ITEMS_MAX)]


class BatchRequest(Request):
    """What all batches have in common."""

    grant_tokens: GrantTokens | None = None

    @property
    def item_count(self) -> int:
        """How many items there are."""
        raise NotImplementedError

    def reply_max_bytes(self, content_type: ContentType) -> int:
        """
        Return how long the reply's body can become, whichever items fail.

        A request whose reply could be longer than `limits.MESSAGE_MAX_BYTES` is refused before anything is done.
        """
        sizes = self._result_bytes()
        frame = REPLY_FRAME_BYTES + MATERIAL_MAX_BYTES * self._materials_max()
        rough = frame + _encoded_bytes(sum(sizes), content_type) + len(sizes) * (FAILURE_MAX_BYTES + RESULT_FRAME_BYTES)
        if rough <= limits.MESSAGE_MAX_BYTES:  # the usual case needs no second look at every item
            return rough
        encoded = (_encoded_bytes(size, content_type) + RESULT_FRAME_BYTES for size in sizes)
        return frame + sum(max(size, FAILURE_MAX_BYTES) for size in encoded)

    def _result_bytes(self) -> Sequence[int]:
        """Return how many bytes each item's results have if it succeeds, before they are encoded."""
        raise NotImplementedError

    def _materials_max(self) -> int:
        """Return how many entries `KeyMaterials` can have."""
        return 0

    def _require_one_each(self, *lists: Sequence[object] | None) -> None:
        if any(contexts is not None and len(contexts) != self.item_count for contexts in lists):
            raise PydanticCustomError(RULE, "A list of encryption contexts must have one entry for each item.")


def _encoded_bytes(length: int, content_type: ContentType) -> int:
    return 4 * ((length + 4) // 3) if content_type is ContentType.JSON else length


class BatchEncryptRequest(Unpicklable, BatchRequest):
    """
    Encrypt each of up to 10,000 plaintexts, of 1 to 4,096 bytes each, under one symmetric key.

    The pairs of `encryption_context` are bound to all of them; those of `encryption_contexts`, one entry for each item
    or null, are added to them. An item whose own pairs repeat a key of the shared ones fails.
    """

    key_id: KeyId
    plaintexts: Annotated[Blobs, Field(repr=False)]
    encryption_context: EncryptionContext | None = None
    encryption_contexts: EncryptionContexts | None = None

    @property
    def item_count(self) -> int:
        """See `BatchRequest`."""
        return len(self.plaintexts)

    def _result_bytes(self) -> Sequence[int]:
        return [len(plaintext) + BLOB_OVERHEAD_BYTES for plaintext in self.plaintexts]

    @model_validator(mode="after")
    def _one_context_each(self) -> Self:
        self._require_one_each(self.encryption_contexts)
        return self


class BatchEncryptReply(Reply):
    """`encryption_algorithm`, `key_id` and `key_material_id` are those of all items."""

    key_id: KeyId
    key_material_id: KeyMaterialId
    encryption_algorithm: EncryptionAlgorithm
    ciphertext_blobs: BlobsOrNulls
    failed: FailedItems


class BatchDecryptRequest(BatchRequest):
    """Decrypt each of up to 10,000 blobs, which may be of many keys; with `key_id`, only those of that key."""

    ciphertext_blobs: Blobs
    encryption_context: EncryptionContext | None = None
    encryption_contexts: EncryptionContexts | None = None
    key_id: KeyId | None = None

    @property
    def item_count(self) -> int:
        """See `BatchRequest`."""
        return len(self.ciphertext_blobs)

    def _result_bytes(self) -> Sequence[int]:
        return [len(blob) for blob in self.ciphertext_blobs]

    def _materials_max(self) -> int:
        return _distinct_materials(self.ciphertext_blobs)

    @model_validator(mode="after")
    def _one_context_each(self) -> Self:
        self._require_one_each(self.encryption_contexts)
        return self


class BatchDecryptReply(Unpicklable, Reply):
    """`key_material_indexes` tells for each item which entry of `key_materials` opened it."""

    plaintexts: Annotated[BlobsOrNulls, Field(repr=False)]
    encryption_algorithm: EncryptionAlgorithm
    key_materials: UsedMaterials
    key_material_indexes: MaterialIndexes
    failed: FailedItems


class BatchReEncryptRequest(BatchRequest):
    """Decrypt each of up to 10,000 blobs and encrypt its plaintext under another key, inside the worker."""

    ciphertext_blobs: Blobs
    source_encryption_context: EncryptionContext | None = None
    source_encryption_contexts: EncryptionContexts | None = None
    source_key_id: KeyId | None = None
    destination_key_id: KeyId
    destination_encryption_context: EncryptionContext | None = None
    destination_encryption_contexts: EncryptionContexts | None = None

    @property
    def item_count(self) -> int:
        """See `BatchRequest`."""
        return len(self.ciphertext_blobs)

    def _result_bytes(self) -> Sequence[int]:
        return [len(blob) for blob in self.ciphertext_blobs]

    def _materials_max(self) -> int:
        return _distinct_materials(self.ciphertext_blobs)

    @model_validator(mode="after")
    def _one_context_each(self) -> Self:
        self._require_one_each(self.source_encryption_contexts, self.destination_encryption_contexts)
        return self


class BatchReEncryptReply(Reply):
    """
    `key_id` is the destination; the sources are told as in `BatchDecryptReply`.

    Of the destination nothing is said if there is no item that the caller may re-encrypt to it.
    """

    ciphertext_blobs: BlobsOrNulls
    key_id: KeyId | None = None
    source_encryption_algorithm: EncryptionAlgorithm
    destination_encryption_algorithm: EncryptionAlgorithm
    destination_key_material_id: KeyMaterialId | None = None
    source_key_materials: UsedMaterials
    source_key_material_indexes: MaterialIndexes
    failed: FailedItems


class _BatchDataKeyRequest(DataKeyLength, BatchRequest):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["NumberOfBytes"]}, {"required": ["KeySpec"]}]})

    key_id: KeyId
    number_of_keys: ItemCount
    encryption_context: EncryptionContext | None = None
    encryption_contexts: EncryptionContexts | None = None

    @property
    def item_count(self) -> int:
        """See `BatchRequest`."""
        return self.number_of_keys

    @model_validator(mode="after")
    def _one_context_each(self) -> Self:
        self._require_one_each(self.encryption_contexts)
        return self


class BatchGenerateDataKeyRequest(_BatchDataKeyRequest):
    """Generate up to 10,000 data keys and return them in plaintext and wrapped."""

    def _result_bytes(self) -> Sequence[int]:
        return [2 * self.data_key_bytes + BLOB_OVERHEAD_BYTES] * self.number_of_keys


class BatchGenerateDataKeyReply(Unpicklable, Reply):
    ciphertext_blobs: BlobsOrNulls
    plaintexts: Annotated[BlobsOrNulls, Field(repr=False)]
    key_id: KeyId
    key_material_id: KeyMaterialId
    failed: FailedItems


class BatchGenerateDataKeyWithoutPlaintextRequest(_BatchDataKeyRequest):
    """Generate up to 10,000 data keys and return them wrapped only."""

    def _result_bytes(self) -> Sequence[int]:
        return [self.data_key_bytes + BLOB_OVERHEAD_BYTES] * self.number_of_keys


class BatchGenerateDataKeyWithoutPlaintextReply(Reply):
    ciphertext_blobs: BlobsOrNulls
    key_id: KeyId
    key_material_id: KeyMaterialId
    failed: FailedItems


class BatchGenerateMacRequest(Unpicklable, BatchRequest):
    """Make the code of each of up to 10,000 messages, of 1 to 4,096 bytes each."""

    messages: Annotated[Blobs, Field(repr=False)]
    key_id: KeyId
    mac_algorithm: MacAlgorithm

    @property
    def item_count(self) -> int:
        """See `BatchRequest`."""
        return len(self.messages)

    def _result_bytes(self) -> Sequence[int]:
        return [MAC_MAX_BYTES] * len(self.messages)


class BatchGenerateMacReply(Reply):
    macs: BlobsOrNulls
    mac_algorithm: MacAlgorithm
    key_id: KeyId
    failed: FailedItems


def _distinct_materials(blobs: Sequence[bytes]) -> int:
    return len({blob[_MATERIAL_IN_BLOB] for blob in blobs})
