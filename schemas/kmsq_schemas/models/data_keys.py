"""Data keys, data key pairs and random bytes."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kmsq_schemas.constraints import RULE
from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.models.enums import DataKeyPairSpec, DataKeySpec
from kmsq_schemas.models.symmetric import RecipientInfo
from kmsq_schemas.models.types import (
    Ciphertext,
    CustomKeyStoreId,
    EncryptionContext,
    GrantTokens,
    KeyId,
    KeyMaterialId,
    NumberOfBytes,
    Plaintext,
    PrivateKey,
    PublicKey,
)

_SPEC_BYTES = {DataKeySpec.AES_256: 32, DataKeySpec.AES_128: 16}


class DataKeyLength(Request):
    """How long a data key shall be, said in one of two ways."""

    number_of_bytes: NumberOfBytes | None = None
    key_spec: DataKeySpec | None = None

    @property
    def data_key_bytes(self) -> int:
        """The length of the data key, however it was named."""
        return self.number_of_bytes or _SPEC_BYTES[self.key_spec or DataKeySpec.AES_256]

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.number_of_bytes is None) == (self.key_spec is None):
            raise PydanticCustomError(RULE, "Please specify either number of bytes or key spec.")
        return self


class _DataKeyRequest(DataKeyLength):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["NumberOfBytes"]}, {"required": ["KeySpec"]}]})

    key_id: KeyId
    encryption_context: EncryptionContext | None = None
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GenerateDataKeyRequest(_DataKeyRequest):
    """Generate a data key and return it in plaintext and wrapped."""

    recipient: RecipientInfo | None = None


class GenerateDataKeyReply(Unpicklable, Reply):
    ciphertext_blob: Ciphertext
    plaintext: Annotated[Plaintext, Field(repr=False)]
    key_id: KeyId
    ciphertext_for_recipient: Ciphertext | None = None
    key_material_id: KeyMaterialId | None = None


class GenerateDataKeyWithoutPlaintextRequest(_DataKeyRequest):
    """Generate a data key and return it wrapped only."""


class GenerateDataKeyWithoutPlaintextReply(Reply):
    ciphertext_blob: Ciphertext
    key_id: KeyId
    key_material_id: KeyMaterialId | None = None


class _DataKeyPairRequest(Request):
    encryption_context: EncryptionContext | None = None
    key_id: KeyId
    key_pair_spec: DataKeyPairSpec
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GenerateDataKeyPairRequest(_DataKeyPairRequest):
    """Generate a key pair and return its private key in plaintext and wrapped."""

    recipient: RecipientInfo | None = None


class GenerateDataKeyPairReply(Unpicklable, Reply):
    private_key_ciphertext_blob: Ciphertext
    private_key_plaintext: Annotated[PrivateKey, Field(repr=False)]
    public_key: PublicKey
    key_id: KeyId
    key_pair_spec: DataKeyPairSpec
    ciphertext_for_recipient: Ciphertext | None = None
    key_material_id: KeyMaterialId | None = None


class GenerateDataKeyPairWithoutPlaintextRequest(_DataKeyPairRequest):
    """Generate a key pair and return its private key wrapped only."""


class GenerateDataKeyPairWithoutPlaintextReply(Reply):
    private_key_ciphertext_blob: Ciphertext
    public_key: PublicKey
    key_id: KeyId
    key_pair_spec: DataKeyPairSpec
    key_material_id: KeyMaterialId | None = None


class GenerateRandomRequest(Request):
    """Return random bytes."""

    number_of_bytes: NumberOfBytes
    custom_key_store_id: CustomKeyStoreId | None = None
    recipient: RecipientInfo | None = None


class GenerateRandomReply(Unpicklable, Reply):
    plaintext: Annotated[Plaintext, Field(repr=False)]
    ciphertext_for_recipient: Ciphertext | None = None
