"""Errors reach users of boto3 as those of AWS KMS do, once, and without another attempt by botocore."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kmsq.errors import (
    ClientClosed,
    DeadlineExceeded,
    InvalidReply,
    KmsqError,
    NotConnected,
    RequestRefused,
    TopologyMissing,
    service_error,
)
from kmsq.integrations.boto3 import BlockingClient, kms_client
from kmsq.testing import FakeKms
from kmsq_schemas.errors import RETRYABLE, ErrorCode
from kmsq_schemas.operations import Operation
from kmsq_schemas.unsupported import UNSUPPORTED_OPERATIONS

MODES: tuple[str, ...] = ("legacy", "standard", "adaptive")
# What botocore's service model leaves out because it may come from every service of AWS, and what is kmsq's own.
NOT_OF_THE_MODEL = {
    ErrorCode.ACCESS_DENIED,
    ErrorCode.EXPIRED,
    ErrorCode.IDEMPOTENCY_MISMATCH,
    ErrorCode.THROTTLING,
    ErrorCode.UNSUPPORTED_VERSION,
    ErrorCode.VALIDATION,
}


@pytest.fixture(autouse=True)
def _no_settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def blocking(kms: FakeKms) -> Iterator[BlockingClient]:
    client = BlockingClient(lambda _seconds: kms.client())
    yield client
    client.close()


@pytest.fixture
def client(blocking: BlockingClient) -> BaseClient:
    return kms_client(blocking)


def refused(client: BaseClient, method: str, **arguments: object) -> Any:
    with pytest.raises(ClientError) as caught:
        getattr(client, method)(**arguments)
    return caught.value


@pytest.mark.parametrize("code", list(ErrorCode))
def test_each_error_of_the_service_is_a_client_error_of_its_code(
    kms: FakeKms, client: BaseClient, code: ErrorCode
) -> None:
    kms.fail_next("GenerateRandom", service_error(code, "because: it is so", message_id="message-17"))
    error = refused(client, "generate_random", NumberOfBytes=1)
    assert error.response["Error"] == {"Code": code.value, "Message": "because: it is so"}
    assert type(error.response["Error"]["Code"]) is str
    assert error.operation_name == "GenerateRandom"
    metadata = error.response["ResponseMetadata"]
    assert metadata["RequestId"] == "message-17"
    assert {type(value) for value in metadata["HTTPHeaders"].values()} == {str}
    if code not in NOT_OF_THE_MODEL:
        assert type(error) is getattr(client.exceptions, code.value)


def test_status_codes_are_those_of_aws(kms: FakeKms, client: BaseClient) -> None:
    found = {}
    for code in ErrorCode:
        kms.fail_next("GenerateRandom", service_error(code, ""))
        error = refused(client, "generate_random", NumberOfBytes=1)
        found[code] = error.response["ResponseMetadata"]["HTTPStatusCode"]
    assert {code: status for code, status in found.items() if status != 400} == {
        ErrorCode.DEPENDENCY_TIMEOUT: 503,
        ErrorCode.KEY_UNAVAILABLE: 500,
        ErrorCode.KMS_INTERNAL: 500,
    }


def test_an_error_of_a_newer_service_keeps_its_code(kms: FakeKms, client: BaseClient) -> None:
    kms.fail_next("GenerateRandom", service_error("NewerException", "why"))
    assert refused(client, "generate_random", NumberOfBytes=1).response["Error"]["Code"] == "NewerException"


def test_what_the_broker_forbids_is_access_denied(kms: FakeKms, client: BaseClient) -> None:
    kms.fail_next("GenerateRandom", RequestRefused("the broker does not let alice send GenerateRandom"))
    error = refused(client, "generate_random", NumberOfBytes=1)
    assert error.response["Error"]["Code"] == "AccessDeniedException"
    assert "the broker does not let alice" in error.response["Error"]["Message"]
    assert len(error.response["ResponseMetadata"]["RequestId"]) == 36


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotConnected("is RabbitMQ there?"), botocore.exceptions.EndpointConnectionError),
        (TopologyMissing("no exchange"), botocore.exceptions.EndpointConnectionError),
        (DeadlineExceeded("are workers running?"), botocore.exceptions.ReadTimeoutError),
        (ClientClosed("closed"), botocore.exceptions.ConnectionClosedError),
        (InvalidReply("not a reply"), botocore.exceptions.HTTPClientError),
    ],
)
def test_what_is_no_answer_is_an_error_of_botocores_that_says_why(
    kms: FakeKms, client: BaseClient, error: KmsqError, expected: type[BotoCoreError]
) -> None:
    kms.fail_next("GenerateRandom", error)
    with pytest.raises(expected) as caught:
        client.generate_random(NumberOfBytes=1)
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error
    # As botocore's own do, ours travel between processes.
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  our own bytes


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "error",
    [*(service_error(code, "") for code in sorted(RETRYABLE)), NotConnected("gone"), DeadlineExceeded("late")],
    ids=lambda error: type(error).__name__,
)
def test_botocore_makes_no_attempt_of_its_own(
    kms: FakeKms, blocking: BlockingClient, mode: str, error: KmsqError
) -> None:
    client = kms_client(blocking, config=Config(retries={"mode": mode, "total_max_attempts": 4}))
    for _ in range(4):
        kms.fail_next("CreateKey", error)
    with pytest.raises((ClientError, BotoCoreError)) as caught:
        client.create_key()
    assert kms.calls[Operation.CREATE_KEY] == 1  # a second one would be a second key
    if isinstance(caught.value, ClientError):
        assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize(
    ("method", "arguments", "place"),
    [
        ("create_key", {"Description": "\ud800canary"}, "lone surrogate"),
        ("generate_random", {}, "Value at 'numberOfBytes'"),
        ("encrypt", {"KeyId": "alias/x", "Plaintext": b"canary" * 1000}, "Value at 'plaintext'"),
        ("create_alias", {"AliasName": "canary", "TargetKeyId": "x"}, 'Alias must start with the prefix "alias/"'),
    ],
)
def test_what_makes_no_request_is_a_validation_error_without_its_values(
    kms: FakeKms, client: BaseClient, method: str, arguments: dict[str, object], place: str
) -> None:
    error = refused(client, method, **arguments)
    assert error.response["Error"]["Code"] == "ValidationException"
    assert place in error.response["Error"]["Message"]
    assert "canary" not in str(error)
    assert kms.calls.total() == 0


def test_a_member_that_kmsq_does_not_know_is_refused_and_not_ignored(kms: FakeKms, client: BaseClient) -> None:
    def add(params: dict[str, Any], **_others: object) -> None:
        params["body"] = b'{"NumberOfBytes": 1, "Newer": true}'

    client.meta.events.register("before-call.kms", add)
    error = refused(client, "generate_random", NumberOfBytes=1)
    assert error.response["Error"]["Code"] == "ValidationException"
    assert "'Newer'" in error.response["Error"]["Message"]
    assert kms.calls.total() == 0


ARGUMENTS: dict[str, dict[str, object]] = {
    "connect_custom_key_store": {"CustomKeyStoreId": "x"},
    "create_custom_key_store": {"CustomKeyStoreName": "x"},
    "delete_custom_key_store": {"CustomKeyStoreId": "x"},
    "describe_custom_key_stores": {},
    "disconnect_custom_key_store": {"CustomKeyStoreId": "x"},
    "replicate_key": {"KeyId": "x", "ReplicaRegion": "eu-west-1"},
    "update_custom_key_store": {"CustomKeyStoreId": "x"},
    "update_primary_region": {"KeyId": "x", "PrimaryRegion": "eu-west-1"},
}


def test_what_kmsq_does_not_serve_is_unsupported_with_the_reason(kms: FakeKms, client: BaseClient) -> None:
    operations = client.meta.method_to_api_mapping
    assert {operations[method] for method in ARGUMENTS} == set(UNSUPPORTED_OPERATIONS)
    for method, arguments in ARGUMENTS.items():
        error = refused(client, method, **arguments)
        assert type(error) is client.exceptions.UnsupportedOperationException
        assert UNSUPPORTED_OPERATIONS[operations[method]] in error.response["Error"]["Message"]
    assert kms.calls.total() == 0
