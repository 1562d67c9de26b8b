"""What envelopes need of the service. `kmsq.Client` has all of it."""

from collections.abc import Mapping
from typing import Protocol

from kmsq.errors import InvalidEnvelope
from kmsq_schemas.limits import CIPHERTEXT_MAX_BYTES
from kmsq_schemas.models import DataKeySpec, DecryptReply, GenerateDataKeyReply, ReEncryptReply


class DataKeys(Protocol):
    """Makes data keys, and unwraps them again."""

    async def generate_data_key(
        self,
        key_id: str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        key_spec: DataKeySpec | str | None = None,
    ) -> GenerateDataKeyReply:
        """Make a data key, returned in plaintext and wrapped under `key_id`. Raises `KmsqError`."""

    async def decrypt(
        self,
        ciphertext_blob: bytes,
        *,
        encryption_context: Mapping[str, str] | None = None,
        key_id: str | None = None,
    ) -> DecryptReply:
        """Unwrap a data key; if `key_id` is given, only one that is wrapped under it. Raises `KmsqError`."""


class Rewrapping(Protocol):
    """Moves a wrapped data key to another key without showing it."""

    async def re_encrypt(
        self,
        ciphertext_blob: bytes,
        destination_key_id: str,
        *,
        source_encryption_context: Mapping[str, str] | None = None,
        destination_encryption_context: Mapping[str, str] | None = None,
    ) -> ReEncryptReply:
        """Wrap what `ciphertext_blob` holds under `destination_key_id`. Raises `KmsqError`."""


def check_wrapped(wrapped: bytes) -> bytes:
    """Return a wrapped data key of 1 … 6,144 bytes, what Decrypt takes. Raises `InvalidEnvelope` for another length."""
    if not 1 <= len(wrapped) <= CIPHERTEXT_MAX_BYTES:
        raise InvalidEnvelope
    return wrapped


async def rewrap_key(kms: Rewrapping, wrapped: bytes, context: Mapping[str, str], destination_key_id: str) -> bytes:
    """Return a wrapped data key as it is under `destination_key_id`, in the same `context`. Raises `KmsqError`."""
    given = context or None
    reply = await kms.re_encrypt(
        wrapped, destination_key_id, source_encryption_context=given, destination_encryption_context=given
    )
    return check_wrapped(reply.ciphertext_blob)
