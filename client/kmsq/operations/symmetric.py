"""Encrypt, Decrypt, ReEncrypt: under symmetric keys, and RSA keys."""

from collections.abc import Mapping

from kmsq.operations.base import Operations
from kmsq_schemas.models import (
    DecryptReply,
    DryRunModifier,
    EncryptionAlgorithm,
    EncryptReply,
    RecipientInfo,
    ReEncryptReply,
)
from kmsq_schemas.operations import Operation


class SymmetricOperations(Operations):
    """Encrypt, Decrypt, ReEncrypt: under symmetric keys, and RSA keys."""

    async def encrypt(
        self,
        key_id: str,
        plaintext: bytes,
        *,
        encryption_context: Mapping[str, str] | None = None,
        grant_tokens: list[str] | None = None,
        encryption_algorithm: EncryptionAlgorithm | str | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> EncryptReply:
        """
        Encrypt 1 to 4,096 bytes under a key, named by key id, key ARN, alias name or alias ARN.

        The `encryption_context` is not secret, appears in the audit log, and must be given again to decrypt. RSA keys
        take none, need an `encryption_algorithm`, and take fewer bytes (RSA_2048 with SHA-256: 190).
        """
        return await self._ask(
            Operation.ENCRYPT,
            EncryptReply,
            timeout_seconds,
            key_id=key_id,
            plaintext=plaintext,
            encryption_context=encryption_context,
            grant_tokens=grant_tokens,
            encryption_algorithm=encryption_algorithm,
            dry_run=dry_run,
        )

    async def decrypt(
        self,
        ciphertext_blob: bytes,
        *,
        encryption_context: Mapping[str, str] | None = None,
        grant_tokens: list[str] | None = None,
        key_id: str | None = None,
        encryption_algorithm: EncryptionAlgorithm | str | None = None,
        recipient: RecipientInfo | None = None,
        dry_run: bool | None = None,
        dry_run_modifiers: list[DryRunModifier] | None = None,
        timeout_seconds: float | None = None,
    ) -> DecryptReply:
        """
        Decrypt what Encrypt, ReEncrypt or a data key operation returned. The blob knows its own key.

        Give `key_id` to insist on one: another is `IncorrectKeyException`. All else that fails, a wrong
        `encryption_context` included, is `InvalidCiphertextException`. What an RSA key encrypted does not know its key:
        give `key_id` and `encryption_algorithm`.
        """
        return await self._ask(
            Operation.DECRYPT,
            DecryptReply,
            timeout_seconds,
            ciphertext_blob=ciphertext_blob,
            encryption_context=encryption_context,
            grant_tokens=grant_tokens,
            key_id=key_id,
            encryption_algorithm=encryption_algorithm,
            recipient=recipient,
            dry_run=dry_run,
            dry_run_modifiers=dry_run_modifiers,
        )

    async def re_encrypt(
        self,
        ciphertext_blob: bytes,
        destination_key_id: str,
        *,
        source_encryption_context: Mapping[str, str] | None = None,
        source_key_id: str | None = None,
        destination_encryption_context: Mapping[str, str] | None = None,
        source_encryption_algorithm: EncryptionAlgorithm | str | None = None,
        destination_encryption_algorithm: EncryptionAlgorithm | str | None = None,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        dry_run_modifiers: list[DryRunModifier] | None = None,
        timeout_seconds: float | None = None,
    ) -> ReEncryptReply:
        """Decrypt and encrypt again, under another key, context or key material; the plaintext stays in the worker."""
        return await self._ask(
            Operation.RE_ENCRYPT,
            ReEncryptReply,
            timeout_seconds,
            ciphertext_blob=ciphertext_blob,
            destination_key_id=destination_key_id,
            source_encryption_context=source_encryption_context,
            source_key_id=source_key_id,
            destination_encryption_context=destination_encryption_context,
            source_encryption_algorithm=source_encryption_algorithm,
            destination_encryption_algorithm=destination_encryption_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
            dry_run_modifiers=dry_run_modifiers,
        )
