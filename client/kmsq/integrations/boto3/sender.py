"""What happens to a request that botocore is about to send."""

import uuid

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from kmsq.errors import (
    AccessDeniedException,
    KmsqError,
    RequestRefused,
    ServiceError,
    UnsupportedOperationException,
    ValidationException,
)
from kmsq.integrations.blocking import BlockingClient
from kmsq.integrations.boto3.failures import as_botocore_error
from kmsq.integrations.boto3.responses import failure, success
from kmsq_schemas import codec
from kmsq_schemas.content import ContentType, MalformedBody
from kmsq_schemas.models import Reply
from kmsq_schemas.operations import SPECS, Operation
from kmsq_schemas.unsupported import UNSUPPORTED_OPERATIONS


class Sender:
    """
    The handler of `before-send.kms`, whose response botocore takes instead of asking the network.

    The body has the same JSON shapes as ours, so that it is read by the codec, and the reply written by it.
    """

    def __init__(self, client: BlockingClient, *, connect_timeout_seconds: float, timeout_seconds: float) -> None:
        self._client = client
        self._connect_timeout_seconds = connect_timeout_seconds
        self._timeout_seconds = timeout_seconds

    def __call__(self, request: AWSPreparedRequest, event_name: str, **_more: object) -> AWSResponse:
        """
        Return what the service answers: a result, or an error.

        `event_name` is `before-send.kms.<Operation>`. Raises a botocore exception when there is no answer.
        """
        # Of botocore's making, the same for all attempts of a call; its debug log shows it.
        request_id = _text(request.headers.get("amz-sdk-invocation-id") or str(uuid.uuid4()))
        try:
            reply = self._ask(event_name.rpartition(".")[2], request.body or b"")
        except ServiceError as error:
            return failure(error, url=request.url, request_id=request_id)
        except KmsqError as error:
            raise as_botocore_error(error) from error
        return success(reply, url=request.url, request_id=request_id)

    def _ask(self, operation_name: str, body: bytes) -> Reply:
        try:
            operation = Operation(operation_name)
        except ValueError:
            reason = UNSUPPORTED_OPERATIONS.get(operation_name, "this version does not know it")
            message = f"kmsq has no {operation_name}: {reason}."
            raise UnsupportedOperationException(message) from None
        try:
            request = codec.decode(SPECS[operation].request, body, ContentType.JSON)
        except MalformedBody as error:
            raise ValidationException(str(error)) from None
        try:
            return self._client.call(
                operation,
                request,
                connect_timeout_seconds=self._connect_timeout_seconds,
                timeout_seconds=self._timeout_seconds,
            )
        except RequestRefused as error:  # by the broker, as a policy of AWS would
            raise AccessDeniedException(str(error)) from error


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header
