"""Key pairs: signatures, key agreement, encapsulation. Encryption with RSA keys is in `symmetric`."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.models.enums import (
    CustomerMasterKeySpec,
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MessageType,
    Origin,
    SigningAlgorithm,
)
from kmsq_schemas.models.symmetric import RecipientInfo
from kmsq_schemas.models.types import (
    Ciphertext,
    GrantTokens,
    KeyId,
    Message,
    PublicKey,
    SharedSecret,
    Signature,
)


class GetPublicKeyRequest(Request):
    """Return the public half of a key pair, and what it is for."""

    key_id: KeyId
    grant_tokens: GrantTokens | None = None


class GetPublicKeyReply(Reply):
    key_id: KeyId
    public_key: PublicKey
    customer_master_key_spec: CustomerMasterKeySpec | None = None
    key_spec: KeySpec
    key_usage: KeyUsage
    encryption_algorithms: list[EncryptionAlgorithm] | None = None
    signing_algorithms: list[SigningAlgorithm] | None = None
    key_agreement_algorithms: list[KeyAgreementAlgorithm] | None = None
    encapsulation_algorithms: list[EncapsulationAlgorithm] | None = None


class SignRequest(Unpicklable, Request):
    """Sign a message of up to 4,096 bytes, or the digest of any."""

    key_id: KeyId
    message: Annotated[Message, Field(repr=False)]
    message_type: MessageType | None = None
    grant_tokens: GrantTokens | None = None
    signing_algorithm: SigningAlgorithm
    dry_run: bool | None = None


class SignReply(Reply):
    key_id: KeyId
    signature: Signature
    signing_algorithm: SigningAlgorithm


class VerifyRequest(Unpicklable, Request):
    """Check a signature. One that is wrong is answered with `KMSInvalidSignatureException`, never with false."""

    key_id: KeyId
    message: Annotated[Message, Field(repr=False)]
    message_type: MessageType | None = None
    signature: Signature
    signing_algorithm: SigningAlgorithm
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class VerifyReply(Reply):
    key_id: KeyId
    signature_valid: bool
    signing_algorithm: SigningAlgorithm


class DeriveSharedSecretRequest(Request):
    """Agree on a secret with the holder of another key pair on the same curve."""

    key_id: KeyId
    key_agreement_algorithm: KeyAgreementAlgorithm
    public_key: PublicKey
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None
    recipient: RecipientInfo | None = None


class DeriveSharedSecretReply(Unpicklable, Reply):
    key_id: KeyId
    shared_secret: Annotated[SharedSecret, Field(repr=False)]
    ciphertext_for_recipient: Ciphertext | None = None
    key_agreement_algorithm: KeyAgreementAlgorithm
    key_origin: Origin


class EncapsulateRequest(Request):
    """Make a secret and encapsulate it for the holder of a key."""

    key_id: KeyId
    encapsulation_algorithm: EncapsulationAlgorithm
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class EncapsulateReply(Unpicklable, Reply):
    key_id: KeyId
    shared_secret: Annotated[SharedSecret, Field(repr=False)]
    shared_secret_ciphertext_blob: Ciphertext
    encapsulation_algorithm: EncapsulationAlgorithm


class DecapsulateRequest(Request):
    """Open an encapsulated secret."""

    key_id: KeyId
    shared_secret_ciphertext_blob: Ciphertext
    encapsulation_algorithm: EncapsulationAlgorithm
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class DecapsulateReply(Unpicklable, Reply):
    key_id: KeyId
    shared_secret: Annotated[SharedSecret, Field(repr=False)]
    encapsulation_algorithm: EncapsulationAlgorithm
