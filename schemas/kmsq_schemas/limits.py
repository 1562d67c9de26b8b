"""Sizes and ranges, each with its unit and source. "Service model" is that of AWS KMS, 2014-11-01, in botocore."""

# Messages
MESSAGE_MAX_BYTES = 4 * 1024 * 1024  # body of any message, each way: DESIGN.md §5, below RabbitMQ 4's default of 16 MiB
SINGLE_BODY_MAX_BYTES = 128 * 1024  # ordinary requests: 10 grant tokens of 8,192 characters, a context and a plaintext
POLICY_BODY_MAX_BYTES = 256 * 1024  # requests that carry a policy: 32,768 bytes, each of which JSON may write as \u00xx
BATCH_ITEMS_MAX = 10_000  # of one batch: DESIGN.md §5

# Deadlines
CHANGE_DEADLINE_MAX_MS = 3_600_000  # milliseconds ahead: DESIGN.md §3; claims outlive deadlines and must end some day

# Symmetric cryptography
PLAINTEXT_MAX_BYTES = 4096  # service model, PlaintextType
CIPHERTEXT_MAX_BYTES = 6144  # service model, CiphertextType
CONTEXT_MAX_BYTES = 8192  # an encryption context in its associated-data encoding: DESIGN.md §4
CONTEXT_LENGTH_BYTES = 4  # length prefix of every string in that encoding: DESIGN.md §4
RANDOM_MAX_BYTES = 1024  # service model, NumberOfBytesType: GenerateRandom and data keys
SHARED_SECRET_MAX_BYTES = 4096  # service model, PlaintextType
ATTESTATION_MAX_BYTES = 262_144  # service model, AttestationDocumentType
KEY_MATERIAL_ID_CHARS = 64  # service model, BackingKeyIdType: 32 bytes in hexadecimal

# Asymmetric cryptography and MACs
SIGNED_MESSAGE_MAX_BYTES = 4096  # service model, PlaintextType: the message of Sign, Verify, GenerateMac and VerifyMac
EXTERNAL_MU_BYTES = 64  # the message representative μ of ML-DSA: FIPS 204 §6.2
SIGNATURE_MAX_BYTES = 6144  # service model, CiphertextType: also of a MAC and of an encapsulated secret
PUBLIC_KEY_MAX_BYTES = 8192  # service model, PublicKeyType: DER, SubjectPublicKeyInfo
PRIVATE_KEY_MAX_BYTES = 4096  # service model, PlaintextType: DER, PKCS #8

# Imported key material
IMPORT_TOKEN_MAX_BYTES = 6144  # service model, CiphertextType
WRAPPING_KEY_MAX_BYTES = 4096  # service model, PlaintextType: the public key of GetParametersForImport
WRAPPED_MATERIAL_MAX_BYTES = 6144  # service model, CiphertextType
IMPORT_TOKEN_SECONDS = 24 * 60 * 60  # life of a token and its wrapping key: API reference, GetParametersForImport
VALID_TO_MAX_DAYS = 365  # ahead of the request: API reference, ImportKeyMaterial

# Grants
GRANTS_PER_KEY = 50_000  # AWS KMS quota
GRANT_ID_MAX_CHARS = 128  # service model, GrantIdType
GRANT_NAME_MAX_CHARS = 256  # service model, GrantNameType
GRANT_CONTEXT_MAX_PAIRS = 8  # of one constraint: API reference, CreateGrant
GRANT_CONTEXT_VALUE_MAX_CHARS = 384  # of one constraint's value: API reference, CreateGrant
PRINCIPAL_ID_MAX_CHARS = 256  # service model, PrincipalIdType
SERVICE_PRINCIPAL_MAX_CHARS = 128  # service model, ServicePrincipalType
SOURCE_ARN_MAX_CHARS = 512  # service model, GrantConstraintSourceArnType

# Names and texts
KEY_ID_MAX_CHARS = 2048  # service model, KeyIdType: key id, key ARN, alias name or alias ARN
ARN_MIN_CHARS = 20  # service model, ArnType
ARN_MAX_CHARS = 2048  # service model, ArnType
ALIAS_MAX_CHARS = 256  # service model, AliasNameType
ALIASES_PER_KEY = 50  # AWS KMS quota
DESCRIPTION_MAX_CHARS = 8192  # service model, DescriptionType
MATERIAL_DESCRIPTION_MAX_CHARS = 256  # service model, KeyMaterialDescriptionType
POLICY_MAX_CHARS = 131_072  # service model, PolicyType: beyond it a request is malformed
POLICY_MAX_BYTES = 32_768  # AWS KMS quota: between it and POLICY_MAX_CHARS the answer is LimitExceededException
POLICY_NAME_MAX_CHARS = 128  # service model, PolicyNameType
GRANT_TOKENS_MAX = 10  # a request: service model, GrantTokenList
GRANT_TOKEN_MAX_CHARS = 8192  # service model, GrantTokenType
TAGS_PER_KEY = 50  # AWS KMS quota
TAG_KEY_MAX_CHARS = 128  # service model, TagKeyType
TAG_VALUE_MAX_CHARS = 256  # service model, TagValueType
CUSTOM_KEY_STORE_ID_MAX_CHARS = 64  # service model, CustomKeyStoreIdType
CLUSTER_ID_MIN_CHARS = 19  # service model, CloudHsmClusterIdType
CLUSTER_ID_MAX_CHARS = 24  # service model, CloudHsmClusterIdType
XKS_KEY_ID_MAX_CHARS = 128  # service model, XksKeyIdType
REGION_MAX_CHARS = 32  # service model, RegionType

# Pages: entries in one reply
MARKER_MAX_CHARS = 1024  # service model, MarkerType
PAGE_MAX = 1000  # service model, LimitType
KEYS_PAGE_DEFAULT = 100  # AWS KMS API reference, ListKeys
ROTATIONS_PAGE_DEFAULT = 100  # AWS KMS API reference, ListKeyRotations
ALIASES_PAGE_DEFAULT = 50  # AWS KMS API reference, ListAliases
ALIASES_PAGE_MAX = 100  # AWS KMS API reference, ListAliases
GRANTS_PAGE_DEFAULT = 50  # AWS KMS API reference, ListGrants and ListRetirableGrants
GRANTS_PAGE_MAX = 100  # AWS KMS API reference, ListGrants and ListRetirableGrants
TAGS_PAGE_DEFAULT = 50  # AWS KMS API reference, ListResourceTags
TAGS_PAGE_MAX = 50  # AWS KMS API reference, ListResourceTags
POLICIES_PAGE_DEFAULT = 100  # AWS KMS API reference, ListKeyPolicies; the maximum is PAGE_MAX

# Lifecycle
DELETION_WINDOW_MIN_DAYS = 7  # AWS KMS API reference, ScheduleKeyDeletion
DELETION_WINDOW_MAX_DAYS = 30  # AWS KMS API reference, ScheduleKeyDeletion
DELETION_WINDOW_DEFAULT_DAYS = 30  # AWS KMS API reference, ScheduleKeyDeletion
PENDING_WINDOW_MAX_DAYS = 365  # service model, PendingWindowInDaysType: what a reply may show
ON_DEMAND_ROTATIONS_PER_KEY = 25  # AWS KMS quota
ROTATION_PERIOD_MIN_DAYS = 90  # service model, RotationPeriodInDaysType
ROTATION_PERIOD_MAX_DAYS = 2560  # service model, RotationPeriodInDaysType
ROTATION_PERIOD_DEFAULT_DAYS = 365  # AWS KMS API reference, EnableKeyRotation
