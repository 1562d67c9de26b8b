"""
What can go wrong, on two axes: what the producer sees, and what happens to the message.

`KmsError` answers the producer: its `code` and message travel in an `Error` reply and the request is acknowledged.
`Refused` has no safe address to answer to: the worker dead-letters the request without its body.
`Unavailable` is nobody's fault in the request: it goes back to its queue and another worker, or a later try, takes it.
"""

from enum import Enum, auto
from typing import ClassVar

from kmsq_schemas.errors import RETRYABLE, ErrorCode


class Disposition(Enum):
    """What becomes of the message."""

    REPLY = auto()
    RETRY = auto()
    DEAD_LETTER = auto()


class WorkerError(Exception):
    """The root of every error that decides a message's fate."""

    disposition: ClassVar[Disposition]


class Refused(WorkerError):
    """A request nobody may be answered for; `reason` (an identifier, never content) goes to audit and dead letter."""

    disposition = Disposition.DEAD_LETTER

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(WorkerError):
    """The database or the broker is away."""

    disposition = Disposition.RETRY


class KmsError(WorkerError):
    """
    An answer that is an error.

    `message` is what the producer reads. `reason` is for the audit record alone: it may tell apart what the
    producer must not be able to.
    """

    disposition = Disposition.REPLY
    code: ClassVar[ErrorCode]

    def __init__(self, message: str = "", *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed if sent again."""
        return self.code in RETRYABLE


class AccessDeniedException(KmsError):
    """The principal may not do this."""

    code = ErrorCode.ACCESS_DENIED


class AlreadyExistsException(KmsError):
    """The alias exists."""

    code = ErrorCode.ALREADY_EXISTS


class DisabledException(KmsError):
    """The key is disabled."""

    code = ErrorCode.DISABLED


class DryRunOperationException(KmsError):
    """The request would have succeeded, but DryRun was set."""

    code = ErrorCode.DRY_RUN_OPERATION


class ExpiredException(KmsError):
    """The request's deadline has passed."""

    code = ErrorCode.EXPIRED


class ExpiredImportTokenException(KmsError):
    """The import token is older than 24 hours."""

    code = ErrorCode.EXPIRED_IMPORT_TOKEN


class IdempotencyMismatchException(KmsError):
    """This message_id was used for another request."""

    code = ErrorCode.IDEMPOTENCY_MISMATCH


class IncorrectKeyException(KmsError):
    """The given key is not the one that the ciphertext names."""

    code = ErrorCode.INCORRECT_KEY


class IncorrectKeyMaterialException(KmsError):
    """The key material is not what this key takes: other bytes than before, or of another kind."""

    code = ErrorCode.INCORRECT_KEY_MATERIAL


class InvalidAliasNameException(KmsError):
    """The alias name is not allowed."""

    code = ErrorCode.INVALID_ALIAS_NAME


class InvalidArnException(KmsError):
    """The ARN is malformed or belongs to another region or account."""

    code = ErrorCode.INVALID_ARN


class InvalidCiphertextException(KmsError):
    """Decryption failed. The message stays empty: every failure looks the same."""

    code = ErrorCode.INVALID_CIPHERTEXT


class InvalidGrantIdException(KmsError):
    """The grant id is malformed."""

    code = ErrorCode.INVALID_GRANT_ID


class InvalidGrantTokenException(KmsError):
    """The grant token was not made by this service."""

    code = ErrorCode.INVALID_GRANT_TOKEN


class InvalidImportTokenException(KmsError):
    """The import token was not made for this key, or its wrapping key is another one."""

    code = ErrorCode.INVALID_IMPORT_TOKEN


class InvalidKeyUsageException(KmsError):
    """The key's usage does not allow this."""

    code = ErrorCode.INVALID_KEY_USAGE


class InvalidMarkerException(KmsError):
    """The pagination marker was not made by this service for this request."""

    code = ErrorCode.INVALID_MARKER


class KeyUnavailableException(KmsError):
    """The key cannot be used right now."""

    code = ErrorCode.KEY_UNAVAILABLE


class KMSInternalException(KmsError):
    """Something failed inside; the request can be sent again."""

    code = ErrorCode.KMS_INTERNAL


class KMSInvalidMacException(KmsError):
    """The MAC does not fit the message, key and algorithm."""

    code = ErrorCode.KMS_INVALID_MAC


class KMSInvalidSignatureException(KmsError):
    """The signature does not fit the message, key and algorithm."""

    code = ErrorCode.KMS_INVALID_SIGNATURE


class KMSInvalidStateException(KmsError):
    """The key's state does not allow this."""

    code = ErrorCode.KMS_INVALID_STATE


class LimitExceededException(KmsError):
    """A quota would be exceeded."""

    code = ErrorCode.LIMIT_EXCEEDED


class MalformedPolicyDocumentException(KmsError):
    """The policy does not parse."""

    code = ErrorCode.MALFORMED_POLICY_DOCUMENT


class NotFoundException(KmsError):
    """No such key, alias or policy."""

    code = ErrorCode.NOT_FOUND


class TagException(KmsError):
    """A tag is not allowed."""

    code = ErrorCode.TAG


class ThrottlingException(KmsError):
    """This principal has too many requests waiting."""

    code = ErrorCode.THROTTLING


class UnsupportedOperationException(KmsError):
    """kmsq does not do this (yet)."""

    code = ErrorCode.UNSUPPORTED_OPERATION


class UnsupportedVersionException(KmsError):
    """The request's `kmsq-version` is unknown."""

    code = ErrorCode.UNSUPPORTED_VERSION


class ValidationException(KmsError):
    """The request is malformed, or a value breaks its limits."""

    code = ErrorCode.VALIDATION
