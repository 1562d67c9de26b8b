"""Data keys, data key pairs and random bytes."""

from collections.abc import Mapping

from kmsq.operations.base import Operations
from kmsq_schemas.models import (
    DataKeyPairSpec,
    DataKeySpec,
    GenerateDataKeyPairReply,
    GenerateDataKeyPairWithoutPlaintextReply,
    GenerateDataKeyReply,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateRandomReply,
    RecipientInfo,
)
from kmsq_schemas.operations import Operation


class DataKeyOperations(Operations):
    """Data keys, data key pairs and random bytes."""

    async def generate_data_key(
        self,
        key_id: str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        number_of_bytes: int | None = None,
        key_spec: DataKeySpec | str | None = None,
        grant_tokens: list[str] | None = None,
        recipient: RecipientInfo | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateDataKeyReply:
        """
        Make a data key, returned in plaintext and wrapped under `key_id`, stored nowhere.

        Exactly one of `key_spec` (`AES_256`, `AES_128`) and `number_of_bytes` (1 to 1,024) is needed. Keep the wrapped
        key beside the data, forget the plaintext one, and have it back through `decrypt`.
        """
        return await self._ask(
            Operation.GENERATE_DATA_KEY,
            GenerateDataKeyReply,
            timeout_seconds,
            key_id=key_id,
            encryption_context=encryption_context,
            number_of_bytes=number_of_bytes,
            key_spec=key_spec,
            grant_tokens=grant_tokens,
            recipient=recipient,
            dry_run=dry_run,
        )

    async def generate_data_key_without_plaintext(
        self,
        key_id: str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        number_of_bytes: int | None = None,
        key_spec: DataKeySpec | str | None = None,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateDataKeyWithoutPlaintextReply:
        """Make a data key for later: only its wrapped form is returned."""
        return await self._ask(
            Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
            GenerateDataKeyWithoutPlaintextReply,
            timeout_seconds,
            key_id=key_id,
            encryption_context=encryption_context,
            number_of_bytes=number_of_bytes,
            key_spec=key_spec,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )

    async def generate_data_key_pair(
        self,
        key_id: str,
        key_pair_spec: DataKeyPairSpec | str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        grant_tokens: list[str] | None = None,
        recipient: RecipientInfo | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateDataKeyPairReply:
        """
        Make a key pair (`ECC_NIST_P256`, `RSA_3072`, …), its private key in plaintext and wrapped, stored nowhere.

        Both keys are DER: PKCS #8 and SubjectPublicKeyInfo. `decrypt` has the private key back.
        """
        return await self._ask(
            Operation.GENERATE_DATA_KEY_PAIR,
            GenerateDataKeyPairReply,
            timeout_seconds,
            key_id=key_id,
            key_pair_spec=key_pair_spec,
            encryption_context=encryption_context,
            grant_tokens=grant_tokens,
            recipient=recipient,
            dry_run=dry_run,
        )

    async def generate_data_key_pair_without_plaintext(
        self,
        key_id: str,
        key_pair_spec: DataKeyPairSpec | str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateDataKeyPairWithoutPlaintextReply:
        """Make a key pair for later: only the wrapped form of its private key is returned."""
        return await self._ask(
            Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
            GenerateDataKeyPairWithoutPlaintextReply,
            timeout_seconds,
            key_id=key_id,
            key_pair_spec=key_pair_spec,
            encryption_context=encryption_context,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )

    async def generate_random(
        self,
        number_of_bytes: int,
        *,
        custom_key_store_id: str | None = None,
        recipient: RecipientInfo | None = None,
        timeout_seconds: float | None = None,
    ) -> GenerateRandomReply:
        """Return 1 to 1,024 random bytes."""
        return await self._ask(
            Operation.GENERATE_RANDOM,
            GenerateRandomReply,
            timeout_seconds,
            number_of_bytes=number_of_bytes,
            custom_key_store_id=custom_key_store_id,
            recipient=recipient,
        )
