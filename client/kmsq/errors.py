"""
What a call may raise. `ServiceError` and its subclasses were answered by the service; all others arose on this side.

No error holds a plaintext, a body or a password.
"""

from kmsq_schemas.errors import RETRYABLE, ErrorCode


class KmsqError(Exception):
    """The root of everything that kmsq raises."""


class NotConnected(KmsqError):
    """There is no connection to the broker."""


class ClientClosed(NotConnected):
    """The client was closed, or never entered, while a call wanted to use it."""


class TopologyMissing(KmsqError):
    """The broker has no exchange or queue for the request."""


class DeadlineExceeded(KmsqError):
    """No reply came in time."""


class RequestRefused(KmsqError):
    """The broker refused the request before any worker saw it: a permission is missing."""


class InvalidReply(KmsqError):
    """A worker's reply does not follow the message contract."""


class InvalidRequest(KmsqError, ValueError):
    """The arguments of a call do not make a request; nothing was sent."""


class InvalidAddress(KmsqError, ValueError):
    """The AMQP URL cannot be used. Its text never holds the URL, which contains a password."""


class InvalidEnvelope(KmsqError):
    """The data is not an envelope or cell that kmsq made, or was altered; or the context or key is another."""

    def __init__(self, message: str = "the data is not what was sealed with this key and context") -> None:
        super().__init__(message)


class EnvelopeLimitExceeded(KmsqError):
    """One key may not seal more than it has."""


class ServiceError(KmsqError):
    """
    The service answered with an error.

    An error whose code this version does not know is raised as a plain `ServiceError`.
    """

    code: str = ""
    """The name of the error, as in the AWS KMS API."""
    index: int | None = None
    """Which value of a stream (`encrypt_many`) failed, counted from 0. None for every other error."""

    def __init__(self, message: str = "", *, code: str | None = None, message_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        """What the service says; may be empty."""
        self.message_id = message_id
        """Of the request: what an operator finds in the audit log."""
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed if sent again. The client has done so until the deadline."""
        return self.code in RETRYABLE


class AccessDeniedException(ServiceError):
    """No policy allows the request, or one denies it."""

    code: str = ErrorCode.ACCESS_DENIED


class AlreadyExistsException(ServiceError):
    """The alias exists."""

    code: str = ErrorCode.ALREADY_EXISTS


class DependencyTimeoutException(ServiceError):
    """Something that the service needs did not answer in time."""

    code: str = ErrorCode.DEPENDENCY_TIMEOUT


class DisabledException(ServiceError):
    """The key is disabled."""

    code: str = ErrorCode.DISABLED


class DryRunOperationException(ServiceError):
    """The request would have succeeded, but was a dry run."""

    code: str = ErrorCode.DRY_RUN_OPERATION


class ExpiredException(ServiceError):
    """The request reached a worker after its deadline and was not executed."""

    code: str = ErrorCode.EXPIRED


class ExpiredImportTokenException(ServiceError):
    """The import token is older than 24 hours: fetch new import parameters."""

    code: str = ErrorCode.EXPIRED_IMPORT_TOKEN


class IdempotencyMismatchException(ServiceError):
    """Another request was sent with the same message id."""

    code: str = ErrorCode.IDEMPOTENCY_MISMATCH


class IncorrectKeyException(ServiceError):
    """The ciphertext belongs to another key than the one named."""

    code: str = ErrorCode.INCORRECT_KEY


class IncorrectKeyMaterialException(ServiceError):
    """The key material is not what this key takes: other bytes than before, or of another kind."""

    code: str = ErrorCode.INCORRECT_KEY_MATERIAL


class InvalidAliasNameException(ServiceError):
    """The alias name is not allowed."""

    code: str = ErrorCode.INVALID_ALIAS_NAME


class InvalidArnException(ServiceError):
    """The ARN is malformed, or belongs to another region or account."""

    code: str = ErrorCode.INVALID_ARN


class InvalidCiphertextException(ServiceError):
    """The ciphertext does not open: it is damaged, or the encryption context is another."""

    code: str = ErrorCode.INVALID_CIPHERTEXT


class InvalidGrantIdException(ServiceError):
    """The grant id is malformed."""

    code: str = ErrorCode.INVALID_GRANT_ID


class InvalidGrantTokenException(ServiceError):
    """The grant token is not one that the service gave."""

    code: str = ErrorCode.INVALID_GRANT_TOKEN


class InvalidImportTokenException(ServiceError):
    """The import token is not one that the service gave for this key."""

    code: str = ErrorCode.INVALID_IMPORT_TOKEN


class InvalidKeyUsageException(ServiceError):
    """The key was not made for this operation."""

    code: str = ErrorCode.INVALID_KEY_USAGE


class InvalidMarkerException(ServiceError):
    """The marker is not one that the service gave."""

    code: str = ErrorCode.INVALID_MARKER


class KeyUnavailableException(ServiceError):
    """The key cannot be used at the moment."""

    code: str = ErrorCode.KEY_UNAVAILABLE


class KMSInternalException(ServiceError):
    """Something failed inside the service."""

    code: str = ErrorCode.KMS_INTERNAL


class KMSInvalidMacException(ServiceError):
    """The MAC does not fit the message, key and algorithm."""

    code: str = ErrorCode.KMS_INVALID_MAC


class KMSInvalidSignatureException(ServiceError):
    """The signature does not fit the message, key and algorithm."""

    code: str = ErrorCode.KMS_INVALID_SIGNATURE


class KMSInvalidStateException(ServiceError):
    """The state of the key does not allow the operation."""

    code: str = ErrorCode.KMS_INVALID_STATE


class LimitExceededException(ServiceError):
    """A quota is used up."""

    code: str = ErrorCode.LIMIT_EXCEEDED


class MalformedPolicyDocumentException(ServiceError):
    """The policy is not a valid policy document."""

    code: str = ErrorCode.MALFORMED_POLICY_DOCUMENT


class NotFoundException(ServiceError):
    """There is no such key or alias."""

    code: str = ErrorCode.NOT_FOUND


class TagException(ServiceError):
    """A tag is not allowed."""

    code: str = ErrorCode.TAG


class ThrottlingException(ServiceError):
    """Too many requests of this principal wait at a worker."""

    code: str = ErrorCode.THROTTLING


class UnsupportedOperationException(ServiceError):
    """The service does not support this operation with this key or these parameters."""

    code: str = ErrorCode.UNSUPPORTED_OPERATION


class UnsupportedVersionException(ServiceError):
    """The service does not speak this client's version of the message contract."""

    code: str = ErrorCode.UNSUPPORTED_VERSION


class ValidationException(ServiceError):
    """The service found the request malformed."""

    code: str = ErrorCode.VALIDATION


_BY_CODE = {cls.code: cls for cls in ServiceError.__subclasses__()}


def service_error(code: str, message: str, *, message_id: str | None = None) -> ServiceError:
    """Make the exception for an error reply."""
    known = _BY_CODE.get(code)
    if known is None:
        return ServiceError(message, code=code, message_id=message_id)
    return known(message, message_id=message_id)
