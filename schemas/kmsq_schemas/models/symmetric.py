"""Encrypt, Decrypt, ReEncrypt."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.models.enums import DryRunModifier, EncryptionAlgorithm, KeyEncryptionMechanism
from kmsq_schemas.models.types import (
    AttestationDocument,
    Ciphertext,
    EncryptionContext,
    GrantTokens,
    KeyId,
    KeyMaterialId,
    Plaintext,
)


class RecipientInfo(Request):
    """A Nitro enclave that alone shall be able to read the reply."""

    key_encryption_algorithm: KeyEncryptionMechanism | None = None
    attestation_document: AttestationDocument | None = None


class EncryptRequest(Unpicklable, Request):
    """Encrypt up to 4,096 bytes."""

    key_id: KeyId
    plaintext: Annotated[Plaintext, Field(repr=False)]
    encryption_context: EncryptionContext | None = None
    grant_tokens: GrantTokens | None = None
    encryption_algorithm: EncryptionAlgorithm | None = None
    dry_run: bool | None = None


class EncryptReply(Reply):
    ciphertext_blob: Ciphertext
    key_id: KeyId
    encryption_algorithm: EncryptionAlgorithm


class DecryptRequest(Request):
    """Decrypt a ciphertext blob, which names its own key."""

    ciphertext_blob: Ciphertext
    encryption_context: EncryptionContext | None = None
    grant_tokens: GrantTokens | None = None
    key_id: KeyId | None = None
    encryption_algorithm: EncryptionAlgorithm | None = None
    recipient: RecipientInfo | None = None
    dry_run: bool | None = None
    dry_run_modifiers: list[DryRunModifier] | None = None


class DecryptReply(Unpicklable, Reply):
    key_id: KeyId
    plaintext: Annotated[Plaintext, Field(repr=False)]
    encryption_algorithm: EncryptionAlgorithm
    ciphertext_for_recipient: Ciphertext | None = None
    key_material_id: KeyMaterialId | None = None


class ReEncryptRequest(Request):
    """Decrypt a ciphertext blob and encrypt its plaintext under another key, inside the worker."""

    ciphertext_blob: Ciphertext
    source_encryption_context: EncryptionContext | None = None
    source_key_id: KeyId | None = None
    destination_key_id: KeyId
    destination_encryption_context: EncryptionContext | None = None
    source_encryption_algorithm: EncryptionAlgorithm | None = None
    destination_encryption_algorithm: EncryptionAlgorithm | None = None
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None
    dry_run_modifiers: list[DryRunModifier] | None = None


class ReEncryptReply(Reply):
    ciphertext_blob: Ciphertext
    source_key_id: KeyId
    key_id: KeyId
    source_encryption_algorithm: EncryptionAlgorithm
    destination_encryption_algorithm: EncryptionAlgorithm
    source_key_material_id: KeyMaterialId | None = None
    destination_key_material_id: KeyMaterialId | None = None
