"""The error codes a reply may carry: the names of the AWS KMS API (service model 2014-11-01) and kmsq's own."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """`Code` of an error reply. Its value is what travels."""

    ACCESS_DENIED = "AccessDeniedException"
    ALREADY_EXISTS = "AlreadyExistsException"
    DEPENDENCY_TIMEOUT = "DependencyTimeoutException"
    DISABLED = "DisabledException"
    DRY_RUN_OPERATION = "DryRunOperationException"
    EXPIRED = "ExpiredException"
    EXPIRED_IMPORT_TOKEN = "ExpiredImportTokenException"  # noqa: S105  the name of an error
    IDEMPOTENCY_MISMATCH = "IdempotencyMismatchException"
    INCORRECT_KEY = "IncorrectKeyException"
    INCORRECT_KEY_MATERIAL = "IncorrectKeyMaterialException"
    INVALID_ALIAS_NAME = "InvalidAliasNameException"
    INVALID_ARN = "InvalidArnException"
    INVALID_CIPHERTEXT = "InvalidCiphertextException"
    INVALID_GRANT_ID = "InvalidGrantIdException"
    INVALID_GRANT_TOKEN = "InvalidGrantTokenException"  # noqa: S105  the name of an error
    INVALID_IMPORT_TOKEN = "InvalidImportTokenException"  # noqa: S105  the name of an error
    INVALID_KEY_USAGE = "InvalidKeyUsageException"
    INVALID_MARKER = "InvalidMarkerException"
    KEY_UNAVAILABLE = "KeyUnavailableException"
    KMS_INTERNAL = "KMSInternalException"
    KMS_INVALID_MAC = "KMSInvalidMacException"
    KMS_INVALID_SIGNATURE = "KMSInvalidSignatureException"
    KMS_INVALID_STATE = "KMSInvalidStateException"
    LIMIT_EXCEEDED = "LimitExceededException"
    MALFORMED_POLICY_DOCUMENT = "MalformedPolicyDocumentException"
    NOT_FOUND = "NotFoundException"
    TAG = "TagException"
    THROTTLING = "ThrottlingException"
    UNSUPPORTED_OPERATION = "UnsupportedOperationException"
    UNSUPPORTED_VERSION = "UnsupportedVersionException"
    VALIDATION = "ValidationException"


RETRYABLE = frozenset(
    {
        ErrorCode.DEPENDENCY_TIMEOUT,
        ErrorCode.KEY_UNAVAILABLE,
        ErrorCode.KMS_INTERNAL,
        ErrorCode.THROTTLING,
    },
)
"""Codes after which the same request may succeed if sent again; their outcome is never stored (DESIGN.md §3)."""
