"""Key pairs: public keys, signatures, key agreement, encapsulation. Encryption with RSA keys is in `symmetric`."""

from kmsq.operations.base import Operations
from kmsq_schemas.models import (
    DecapsulateReply,
    DeriveSharedSecretReply,
    EncapsulateReply,
    EncapsulationAlgorithm,
    GetPublicKeyReply,
    KeyAgreementAlgorithm,
    MessageType,
    RecipientInfo,
    SigningAlgorithm,
    SignReply,
    VerifyReply,
)
from kmsq_schemas.operations import Operation


class AsymmetricOperations(Operations):
    """Key pairs: public keys, signatures, key agreement, encapsulation."""

    async def get_public_key(
        self, key_id: str, *, grant_tokens: list[str] | None = None, timeout_seconds: float | None = None
    ) -> GetPublicKeyReply:
        """Return the public half of a key pair (DER, SubjectPublicKeyInfo), and what it is for."""
        return await self._ask(
            Operation.GET_PUBLIC_KEY, GetPublicKeyReply, timeout_seconds, key_id=key_id, grant_tokens=grant_tokens
        )

    async def sign(
        self,
        key_id: str,
        message: bytes,
        signing_algorithm: SigningAlgorithm | str,
        *,
        message_type: MessageType | str | None = None,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> SignReply:
        """
        Sign 1 to 4,096 bytes.

        For more, sign their digest, with the `message_type` `DIGEST`; Ed25519 cannot, and ML-DSA takes `EXTERNAL_MU`.
        """
        return await self._ask(
            Operation.SIGN,
            SignReply,
            timeout_seconds,
            key_id=key_id,
            message=message,
            message_type=message_type,
            grant_tokens=grant_tokens,
            signing_algorithm=signing_algorithm,
            dry_run=dry_run,
        )

    async def verify(
        self,
        key_id: str,
        message: bytes,
        signature: bytes,
        signing_algorithm: SigningAlgorithm | str,
        *,
        message_type: MessageType | str | None = None,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> VerifyReply:
        """Check a signature. It never returns false: a wrong one raises `KMSInvalidSignatureException`."""
        return await self._ask(
            Operation.VERIFY,
            VerifyReply,
            timeout_seconds,
            key_id=key_id,
            message=message,
            message_type=message_type,
            signature=signature,
            signing_algorithm=signing_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )

    async def derive_shared_secret(
        self,
        key_id: str,
        key_agreement_algorithm: KeyAgreementAlgorithm | str,
        public_key: bytes,
        *,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        recipient: RecipientInfo | None = None,
        timeout_seconds: float | None = None,
    ) -> DeriveSharedSecretReply:
        """
        Agree on a secret with the holder of `public_key` (DER, SubjectPublicKeyInfo, on the same curve).

        The secret is the bare coordinate of a point: derive keys from it, do not use it as one.
        """
        return await self._ask(
            Operation.DERIVE_SHARED_SECRET,
            DeriveSharedSecretReply,
            timeout_seconds,
            key_id=key_id,
            key_agreement_algorithm=key_agreement_algorithm,
            public_key=public_key,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
            recipient=recipient,
        )

    async def encapsulate(
        self,
        key_id: str,
        encapsulation_algorithm: EncapsulationAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> EncapsulateReply:
        """Make a secret, and its encapsulated form, which only `decapsulate` with the same key opens."""
        return await self._ask(
            Operation.ENCAPSULATE,
            EncapsulateReply,
            timeout_seconds,
            key_id=key_id,
            encapsulation_algorithm=encapsulation_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )

    async def decapsulate(
        self,
        key_id: str,
        shared_secret_ciphertext_blob: bytes,
        encapsulation_algorithm: EncapsulationAlgorithm | str,
        *,
        grant_tokens: list[str] | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> DecapsulateReply:
        """
        Open an encapsulated secret.

        One that was altered, or made for another key, gives another secret, as ML-KEM demands: no error tells.
        """
        return await self._ask(
            Operation.DECAPSULATE,
            DecapsulateReply,
            timeout_seconds,
            key_id=key_id,
            shared_secret_ciphertext_blob=shared_secret_ciphertext_blob,
            encapsulation_algorithm=encapsulation_algorithm,
            grant_tokens=grant_tokens,
            dry_run=dry_run,
        )
