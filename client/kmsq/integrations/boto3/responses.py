"""Replies and errors, as the HTTP responses of AWS KMS (AWS JSON 1.1)."""

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from types import MappingProxyType

from botocore.awsrequest import AWSResponse

from kmsq.errors import ServiceError
from kmsq_schemas import codec
from kmsq_schemas.content import ContentType
from kmsq_schemas.errors import ErrorCode
from kmsq_schemas.models import Reply

OK = 200
BAD_REQUEST = 400
STATUS: Mapping[str, int] = MappingProxyType(
    {  # AWS KMS API reference; every other error is a 400 there
        ErrorCode.DEPENDENCY_TIMEOUT: 503,
        ErrorCode.KEY_UNAVAILABLE: 500,
        ErrorCode.KMS_INTERNAL: 500,
    }
)


class _Body(BytesIO):
    """As much of urllib3's response as botocore wants."""

    def stream(self, **_sizes: object) -> Iterator[bytes]:
        yield self.getvalue()


def success(reply: Reply, *, url: str, request_id: str) -> AWSResponse:
    """Return the response that carries `reply`: the JSON is the same."""
    return _response(OK, codec.encode(reply, ContentType.JSON), url, {"x-amzn-RequestId": request_id})


def failure(error: ServiceError, *, url: str, request_id: str) -> AWSResponse:
    """
    Return the response from which botocore makes a `ClientError` with the code and message of `error`.

    The request id is the message id, if there is one, by which an operator finds the request in the audit log.
    """
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    headers = {"x-amzn-RequestId": error.message_id or request_id, "x-amzn-ErrorType": str(error.code)}
    return _response(STATUS.get(error.code, BAD_REQUEST), body, url, headers)


def _response(status: int, body: bytes, url: str, headers: Mapping[str, str]) -> AWSResponse:
    common = {"Content-Type": "application/x-amz-json-1.1", "Content-Length": str(len(body))}
    return AWSResponse(url, status, {**common, **headers}, _Body(body))
