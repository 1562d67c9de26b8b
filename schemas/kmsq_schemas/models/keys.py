"""Keys: creation, description, state."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kmsq_schemas import limits
from kmsq_schemas.constraints import RULE
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import (
    CustomerMasterKeySpec,
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    ExpirationModel,
    KeyAgreementAlgorithm,
    KeyManager,
    KeySpec,
    KeyState,
    KeyUsage,
    MacAlgorithm,
    MultiRegionKeyType,
    Origin,
    ResourceOwner,
    SigningAlgorithm,
)
from kmsq_schemas.models.tags import Tag
from kmsq_schemas.models.types import (
    Arn,
    CustomKeyStoreId,
    Description,
    GrantTokens,
    KeyId,
    KeyMaterialId,
    Limit,
    Marker,
    Policy,
    Timestamp,
    XksKeyId,
)

_Region = Annotated[str, Field(min_length=1, max_length=limits.REGION_MAX_CHARS, pattern=r"^([a-z]+-){2,3}[0-9]+$")]
_ClusterId = Annotated[
    str,
    Field(
        min_length=limits.CLUSTER_ID_MIN_CHARS,
        max_length=limits.CLUSTER_ID_MAX_CHARS,
        pattern="^cluster-[2-7a-zA-Z]{11,16}$",
    ),
]
_PendingWindow = Annotated[int, Field(ge=1, le=limits.PENDING_WINDOW_MAX_DAYS)]
_DeletionWindow = Annotated[int, Field(ge=limits.DELETION_WINDOW_MIN_DAYS, le=limits.DELETION_WINDOW_MAX_DAYS)]


class CreateKeyRequest(Request):
    """Create a CMK. Custom key stores and multi-Region keys are answered with `UnsupportedOperationException`."""

    policy: Policy | None = None
    description: Description | None = None
    key_usage: KeyUsage | None = None
    customer_master_key_spec: CustomerMasterKeySpec | None = None
    key_spec: KeySpec | None = None
    origin: Origin | None = None
    custom_key_store_id: CustomKeyStoreId | None = None
    bypass_policy_lockout_safety_check: bool | None = None
    tags: list[Tag] | None = None
    multi_region: bool | None = None
    xks_key_id: XksKeyId | None = None

    @property
    def spec(self) -> KeySpec:
        """The spec under whichever of its two names it came; `SYMMETRIC_DEFAULT` if under none."""
        return self.key_spec or KeySpec(self.customer_master_key_spec or KeySpec.SYMMETRIC_DEFAULT)

    @model_validator(mode="after")
    def _one_spec_with_its_usage(self) -> Self:
        if self.key_spec is not None and self.customer_master_key_spec is not None:
            raise PydanticCustomError(
                RULE,
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request."
                " CustomerMasterKeySpec is deprecated.",
            )
        if self.spec is not KeySpec.SYMMETRIC_DEFAULT and self.key_usage is None:
            raise PydanticCustomError(
                RULE,
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
            )
        return self


class MultiRegionKey(Reply):
    arn: Arn | None = None
    region: _Region | None = None


class MultiRegionConfiguration(Reply):
    multi_region_key_type: MultiRegionKeyType | None = None
    primary_key: MultiRegionKey | None = None
    replica_keys: list[MultiRegionKey] | None = None


class XksKeyConfiguration(Reply):
    id: XksKeyId | None = None


class KeyMetadata(Reply):
    aws_account_id: str
    key_id: KeyId
    arn: Arn
    creation_date: Timestamp
    enabled: bool
    description: Description
    key_usage: KeyUsage
    key_state: KeyState
    deletion_date: Timestamp | None = None
    valid_to: Timestamp | None = None
    origin: Origin
    custom_key_store_id: CustomKeyStoreId | None = None
    cloud_hsm_cluster_id: _ClusterId | None = None
    expiration_model: ExpirationModel | None = None
    key_manager: KeyManager
    customer_master_key_spec: CustomerMasterKeySpec | None = None
    key_spec: KeySpec
    encryption_algorithms: list[EncryptionAlgorithm] | None = None
    signing_algorithms: list[SigningAlgorithm] | None = None
    key_agreement_algorithms: list[KeyAgreementAlgorithm] | None = None
    encapsulation_algorithms: list[EncapsulationAlgorithm] | None = None
    multi_region: bool
    multi_region_configuration: MultiRegionConfiguration | None = None
    pending_deletion_window_in_days: _PendingWindow | None = None
    mac_algorithms: list[MacAlgorithm] | None = None
    xks_key_configuration: XksKeyConfiguration | None = None
    current_key_material_id: KeyMaterialId | None = None


class CreateKeyReply(Reply):
    key_metadata: KeyMetadata


class DescribeKeyRequest(Request):
    """Describe a key, named by id, ARN, alias or alias ARN."""

    key_id: KeyId
    grant_tokens: GrantTokens | None = None


class DescribeKeyReply(Reply):
    key_metadata: KeyMetadata


class ListKeysRequest(Request):
    """List the keys of the account, a page at a time."""

    limit: Limit | None = None
    marker: Marker | None = None
    resource_owners: Annotated[list[ResourceOwner], Field(min_length=1, max_length=2)] | None = None


class KeyListEntry(Reply):
    key_id: KeyId
    key_arn: Arn


class ListKeysReply(Reply):
    keys: list[KeyListEntry]
    next_marker: Marker | None = None
    truncated: bool


class EnableKeyRequest(Request):
    """Make a disabled key usable again."""

    key_id: KeyId


class EnableKeyReply(Reply):
    pass


class DisableKeyRequest(Request):
    """Stop a key from being used, at once and everywhere."""

    key_id: KeyId


class DisableKeyReply(Reply):
    pass


class UpdateKeyDescriptionRequest(Request):
    """Replace the description of a key."""

    key_id: KeyId
    description: Description


class UpdateKeyDescriptionReply(Reply):
    pass


class ScheduleKeyDeletionRequest(Request):
    """Let a key be deleted after 7 to 30 days (30 unless said)."""

    key_id: KeyId
    pending_window_in_days: _DeletionWindow | None = None


class ScheduleKeyDeletionReply(Reply):
    key_id: KeyId
    deletion_date: Timestamp
    key_state: KeyState
    pending_window_in_days: _PendingWindow


class CancelKeyDeletionRequest(Request):
    """Keep a key that awaits its deletion; it comes back disabled."""

    key_id: KeyId


class CancelKeyDeletionReply(Reply):
    key_id: KeyId
