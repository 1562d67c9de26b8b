"""
One operation on many values, in one message of at most 10,000 values and 4 MiB each way.

`StreamOperations` cuts any number of values into such messages.
"""

from collections.abc import Mapping, Sequence

from kmsq.operations.base import Operations
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchEncryptReply,
    BatchGenerateDataKeyReply,
    BatchGenerateDataKeyWithoutPlaintextReply,
    BatchGenerateMacReply,
    BatchReEncryptReply,
    DataKeySpec,
    MacAlgorithm,
)
from kmsq_schemas.operations import Operation


class BatchOperations(Operations):
    """
    One operation on many values, in one message.

    Each value succeeds or fails by itself: a reply's lists have an entry for each value, in their order, None where it
    failed, and `failed` says why. The pairs of `encryption_context` are bound to all values; those of
    `encryption_contexts`, with an entry or None for each, are added to them, and may not repeat their keys.
    """

    async def batch_encrypt(
        self,
        key_id: str,
        plaintexts: Sequence[bytes],
        *,
        encryption_context: Mapping[str, str] | None = None,
        encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchEncryptReply:
        """Encrypt plaintexts of 1 to 4,096 bytes each under one symmetric key."""
        return await self._ask(
            Operation.BATCH_ENCRYPT,
            BatchEncryptReply,
            timeout_seconds,
            key_id=key_id,
            plaintexts=list(plaintexts),
            encryption_context=encryption_context,
            encryption_contexts=_list(encryption_contexts),
            grant_tokens=grant_tokens,
        )

    async def batch_decrypt(
        self,
        ciphertext_blobs: Sequence[bytes],
        *,
        encryption_context: Mapping[str, str] | None = None,
        encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        key_id: str | None = None,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchDecryptReply:
        """Decrypt blobs, which may be of many keys; with `key_id`, only those of that key."""
        return await self._ask(
            Operation.BATCH_DECRYPT,
            BatchDecryptReply,
            timeout_seconds,
            ciphertext_blobs=list(ciphertext_blobs),
            encryption_context=encryption_context,
            encryption_contexts=_list(encryption_contexts),
            key_id=key_id,
            grant_tokens=grant_tokens,
        )

    async def batch_re_encrypt(
        self,
        ciphertext_blobs: Sequence[bytes],
        destination_key_id: str,
        *,
        source_encryption_context: Mapping[str, str] | None = None,
        source_encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        source_key_id: str | None = None,
        destination_encryption_context: Mapping[str, str] | None = None,
        destination_encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchReEncryptReply:
        """Decrypt blobs and encrypt them again under one key; the plaintexts stay in the worker."""
        return await self._ask(
            Operation.BATCH_RE_ENCRYPT,
            BatchReEncryptReply,
            timeout_seconds,
            ciphertext_blobs=list(ciphertext_blobs),
            destination_key_id=destination_key_id,
            source_encryption_context=source_encryption_context,
            source_encryption_contexts=_list(source_encryption_contexts),
            source_key_id=source_key_id,
            destination_encryption_context=destination_encryption_context,
            destination_encryption_contexts=_list(destination_encryption_contexts),
            grant_tokens=grant_tokens,
        )

    async def batch_generate_data_key(
        self,
        key_id: str,
        number_of_keys: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        encryption_context: Mapping[str, str] | None = None,
        encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchGenerateDataKeyReply:
        """Make data keys, in plaintext and wrapped: see `generate_data_key`."""
        return await self._ask(
            Operation.BATCH_GENERATE_DATA_KEY,
            BatchGenerateDataKeyReply,
            timeout_seconds,
            key_id=key_id,
            number_of_keys=number_of_keys,
            key_spec=key_spec,
            number_of_bytes=number_of_bytes,
            encryption_context=encryption_context,
            encryption_contexts=_list(encryption_contexts),
            grant_tokens=grant_tokens,
        )

    async def batch_generate_data_key_without_plaintext(
        self,
        key_id: str,
        number_of_keys: int,
        *,
        key_spec: DataKeySpec | str | None = None,
        number_of_bytes: int | None = None,
        encryption_context: Mapping[str, str] | None = None,
        encryption_contexts: Sequence[Mapping[str, str] | None] | None = None,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchGenerateDataKeyWithoutPlaintextReply:
        """Make data keys for later: only their wrapped forms are returned."""
        return await self._ask(
            Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
            BatchGenerateDataKeyWithoutPlaintextReply,
            timeout_seconds,
            key_id=key_id,
            number_of_keys=number_of_keys,
            key_spec=key_spec,
            number_of_bytes=number_of_bytes,
            encryption_context=encryption_context,
            encryption_contexts=_list(encryption_contexts),
            grant_tokens=grant_tokens,
        )

    async def batch_generate_mac(
        self,
        key_id: str,
        messages: Sequence[bytes],
        mac_algorithm: MacAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> BatchGenerateMacReply:
        """Make the codes of messages of 1 to 4,096 bytes each."""
        return await self._ask(
            Operation.BATCH_GENERATE_MAC,
            BatchGenerateMacReply,
            timeout_seconds,
            key_id=key_id,
            messages=list(messages),
            mac_algorithm=mac_algorithm,
            grant_tokens=grant_tokens,
        )


def _list(contexts: Sequence[Mapping[str, str] | None] | None) -> list[Mapping[str, str] | None] | None:
    return None if contexts is None else [None if pairs is None else dict(pairs) for pairs in contexts]
