"""Clients of boto3 and botocore, made one by one or by an attached session: genuine, offline, without credentials."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import boto3
import botocore.exceptions
import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.session import Session

from kmsq.client import Client
from kmsq.errors import InvalidAddress
from kmsq.integrations.boto3 import BlockingClient, attach, close_connections, kms_client
from kmsq.integrations.boto3.failures import ENDPOINT_URL
from kmsq.testing import FakeKms
from kmsq_schemas.models import GenerateRandomReply, Reply, Request
from kmsq_schemas.operations import Operation

URL = "amqp://alice:hunter2@127.0.0.1:5672/"


class Recorder:
    """A transport that remembers how long it was given."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:  # noqa: ARG002
        self.timeouts.append(timeout_seconds)
        return GenerateRandomReply(plaintext=b"r")


class RecordingClient(Client):
    def __init__(self, recorder: Recorder) -> None:
        self._prepare(lambda: nullcontext(recorder), principal="alice", timeout_seconds=1)


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the URLs that botocore asked, the metadata service's included; no settings of AWS are there."""
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_DEFAULTS_MODE", "KMSQ_AMQP_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    urls: list[str] = []

    def send(_session: URLLib3Session, request: object) -> None:
        urls.append(getattr(request, "url", ""))
        raise botocore.exceptions.EndpointConnectionError(endpoint_url=urls[-1])

    monkeypatch.setattr(URLLib3Session, "send", send)
    return urls


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def blocking(kms: FakeKms) -> Iterator[BlockingClient]:
    client = BlockingClient(lambda _seconds: kms.client())
    yield client
    client.close()


@pytest.fixture
def attached(blocking: BlockingClient) -> Session:
    session = botocore.session.get_session()
    attach(session, blocking)
    return session


def test_a_client_is_a_genuine_kms_client_of_botocore(blocking: BlockingClient, sent: list[str]) -> None:
    client = kms_client(blocking)
    assert isinstance(client, BaseClient)
    assert client.meta.service_model.service_name == "kms"
    key = client.create_key(Description="orders")["KeyMetadata"]
    context = {"Straße": "\N{KEY}"}
    sealed = client.encrypt(KeyId=key["Arn"], Plaintext=b"\x00secret\xff", EncryptionContext=context)
    assert client.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"] == (
        b"\x00secret\xff"
    )
    assert client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CreationDate"].utcoffset() is not None
    metadata = client.enable_key(KeyId=key["KeyId"])["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], metadata["RetryAttempts"], len(metadata["RequestId"])) == (200, 0, 36)
    assert sent == []


def test_paginators_work_and_the_api_has_no_waiters(blocking: BlockingClient) -> None:
    client = kms_client(blocking)
    created = {client.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)}
    pages = list(client.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Keys"]) for page in pages] == [3, 3, 1]
    assert {key["KeyId"] for page in pages for key in page["Keys"]} == created
    assert client.waiter_names == []


@pytest.mark.parametrize("mode", ["legacy", "standard", "auto"])
def test_neither_credentials_nor_metadata_service_are_asked_for(
    attached: Session, sent: list[str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULTS_MODE", mode)
    by_config = attached.create_client("kms", config=Config(defaults_mode=mode))
    for client in (attached.create_client("kms"), boto3.Session(botocore_session=attached).client("kms"), by_config):
        client.generate_random(NumberOfBytes=1)
    assert sent == []


def test_without_us_the_metadata_service_would_be_asked(sent: list[str]) -> None:
    botocore.session.get_session().create_client("kms", region_name="local")
    assert sent
    assert all(url.startswith("http://169.254.169.254/") for url in sent)


def test_the_default_session_of_boto3_can_be_an_attached_one(
    attached: Session, kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session(botocore_session=attached)
    boto3.client("kms").generate_random(NumberOfBytes=1)
    assert kms.calls.total() == 1


def test_explicit_credentials_are_not_used(attached: Session) -> None:
    seen: list[object] = []
    client = boto3.Session(botocore_session=attached).client(
        "kms", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="key"
    )
    client.meta.events.register("before-send", lambda request, **_: seen.append(request.headers.get("Authorization")))
    client.generate_random(NumberOfBytes=1)
    assert seen == [None]


def test_clients_of_other_services_stay_what_they_are(attached: Session, sent: list[str]) -> None:
    client = attached.create_client("sts", "eu-west-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="key")
    assert client.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    assert client.meta.config.signature_version == "v4"
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        client.get_caller_identity()
    assert set(sent) == {"https://sts.eu-west-1.amazonaws.com/"}


def test_an_attached_session_hooks_only_later_kms_clients(blocking: BlockingClient, sent: list[str]) -> None:
    session = botocore.session.get_session()
    earlier = session.create_client("kms", "eu-west-1", aws_access_key_id="A", aws_secret_access_key="k")
    attach(session, blocking)
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        earlier.generate_random(NumberOfBytes=1)
    assert set(sent) == {"https://kms.eu-west-1.amazonaws.com/"}


def test_a_session_attached_twice_sends_once_and_to_the_later_service(attached: Session, kms: FakeKms) -> None:
    other = FakeKms()
    later = BlockingClient(lambda _seconds: other.client())
    before = attached.create_client("kms")
    attach(attached, later)
    attached.create_client("kms").generate_random(NumberOfBytes=1)
    assert (kms.calls.total(), other.calls.total()) == (0, 1)
    before.generate_random(NumberOfBytes=1)
    assert (kms.calls.total(), other.calls.total()) == (1, 1)
    later.close()


def test_the_region_is_local_unless_something_names_one(
    attached: Session, blocking: BlockingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(region_name="eu-3")
    assert attached.create_client("kms").meta.region_name == "local"
    assert attached.create_client("kms", config=config).meta.region_name == "eu-3"
    assert attached.create_client("kms", "eu-1").meta.region_name == "eu-1"
    assert kms_client(blocking, region_name="eu-1", config=config).meta.region_name == "eu-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-2")
    assert kms_client(blocking).meta.region_name == "eu-2"


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "0a-a0", "fips-moon"])
def test_no_region_and_no_setting_of_endpoints_stands_in_the_way(
    blocking: BlockingClient, monkeypatch: pytest.MonkeyPatch, variable: str, region: str
) -> None:
    monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:4566")
    client = kms_client(blocking, region_name=region)
    assert client.meta.endpoint_url == ENDPOINT_URL
    client.generate_random(NumberOfBytes=1)


@pytest.mark.parametrize(
    ("config", "connecting", "reply"),
    [
        (None, 60, 60),
        (Config(connect_timeout=2, read_timeout=7.5), 2, 7.5),
        (Config(connect_timeout=None, read_timeout=None), 3600, 3600),
    ],
)
def test_timeouts_are_those_of_the_clients_config(config: Config | None, connecting: float, reply: float) -> None:
    recorder = Recorder()
    made: list[float] = []

    def make_client(connect_timeout_seconds: float) -> Client:
        made.append(connect_timeout_seconds)
        return RecordingClient(recorder)

    blocking = BlockingClient(make_client)
    kms_client(blocking, config=config).generate_random(NumberOfBytes=1)
    blocking.close()
    assert (made, recorder.timeouts) == ([connecting], [reply])


def test_the_default_config_of_a_session_counts(blocking: BlockingClient) -> None:
    session = botocore.session.get_session()
    session.set_default_client_config(Config(read_timeout=11, connect_timeout=12))
    attach(session, blocking)
    config = session.create_client("kms", config=Config(connect_timeout=13)).meta.config
    assert (config.read_timeout, config.connect_timeout) == (11, 13)


def test_clients_of_one_url_share_a_connection_that_nothing_opens_before_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder()
    made: list[tuple[str, str]] = []

    def make_client(url: str, *, worker_user: str, connect_timeout_seconds: float) -> Client:
        assert connect_timeout_seconds in (0, 60)
        if connect_timeout_seconds:
            made.append((url, worker_user))
        return RecordingClient(recorder)

    monkeypatch.setattr("kmsq.integrations.blocking.Client", make_client)
    monkeypatch.setenv("KMSQ_AMQP_URL", URL)
    other_url = "amqp://bob:hunter2@127.0.0.1:5672/"
    clients = [kms_client(), kms_client(URL), kms_client(other_url)]
    monkeypatch.setenv("KMSQ_WORKER_USER", "workers")
    clients.append(kms_client(URL))
    assert made == []
    for _ in range(2):
        for client in clients:
            client.generate_random(NumberOfBytes=1)
    assert made == [(URL, "kmsq-worker"), (other_url, "kmsq-worker"), (URL, "workers")]
    close_connections()
    clients[1].generate_random(NumberOfBytes=1)
    assert made[3:] == [(URL, "kmsq-worker")]
    close_connections()


def test_a_url_that_cannot_be_used_is_refused_at_once_and_not_shown() -> None:
    with pytest.raises(InvalidAddress, match="KMSQ_AMQP_URL"):
        kms_client()
    with pytest.raises(InvalidAddress) as caught:
        attach(botocore.session.get_session(), "amqp://Alice:hunter2@127.0.0.1/")
    assert "hunter2" not in str(caught.value)


def test_a_request_whose_hook_is_missing_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the library that sends is the real one
    client = botocore.session.get_session().create_client(
        "kms",
        "local",
        endpoint_url=ENDPOINT_URL,
        config=Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(botocore.exceptions.HTTPClientError, match="Not supported URL scheme amqp"):
        client.encrypt(KeyId="x", Plaintext=b"secret")


def test_without_the_extra_the_import_says_what_to_install() -> None:
    script = "import sys; sys.modules['botocore'] = None; import kmsq.integrations.boto3"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: kmsq.integrations.boto3 needs more packages: pip install kmsq[boto3]\n")


def test_another_module_that_is_missing_is_named() -> None:
    script = "import sys; sys.modules['kmsq.integrations.line'] = None; import kmsq.integrations.boto3"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "kmsq.integrations.line" in done.stderr
    assert "pip install" not in done.stderr


def test_kmsq_itself_does_not_import_botocore() -> None:
    script = "import sys, kmsq, kmsq.cli, kmsq.testing, kmsq.integrations.blocking; sys.exit('botocore' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
