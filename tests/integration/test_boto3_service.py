"""boto3 and botocore against the whole service: broker, database, two workers."""

import asyncio
import json
import multiprocessing
import os
import time
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from integration import evidence
from kmsq.integrations.boto3 import attach, close_connections, kms_client
from kmsq_schemas.operations import Operation
from services.ports import HOST, free_ports
from services.stack import PrivateStack

FORK_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def _no_connection_outlives_the_broker() -> Iterator[None]:
    yield
    close_connections()


@pytest.fixture(autouse=True)
def _no_settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def kms(stack: PrivateStack, monkeypatch: pytest.MonkeyPatch) -> BaseClient:
    """Return a client of the account's administrator."""
    monkeypatch.setenv("KMSQ_AMQP_URL", stack.administrator_url)
    return kms_client()


@pytest.fixture
def key(kms: BaseClient) -> dict[str, Any]:
    metadata: dict[str, Any] = kms.create_key(Description="boto3 test")["KeyMetadata"]
    return metadata


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_data_goes_through_the_workers_and_back(kms: BaseClient, key: dict[str, Any]) -> None:
    alias = f"alias/boto3-{key['KeyId']}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    context = {"order": "17", "Straße": "\N{KEY}"}
    sealed = kms.encrypt(KeyId=alias, Plaintext=bytes(range(256)), EncryptionContext=context)
    assert sealed["KeyId"] == key["Arn"]
    blob = sealed["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == bytes(range(256))
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=blob)
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=alias)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == bytes(range(256))
    made = kms.generate_data_key(KeyId=alias, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=alias)["Plaintext"] == made["Plaintext"]
    hidden = kms.generate_data_key_without_plaintext(KeyId=alias, NumberOfBytes=16)
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 16
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    with pytest.raises(kms.exceptions.DryRunOperationException):
        kms.encrypt(KeyId=alias, Plaintext=b"x", DryRun=True)


def test_a_key_lives_and_dies(kms: BaseClient, key: dict[str, Any]) -> None:
    key_id = key["KeyId"]
    assert abs(key["CreationDate"].timestamp() - time.time()) < 60
    kms.update_key_description(KeyId=key_id, Description="new")
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["Description"] == "new"
    kms.disable_key(KeyId=key_id)
    with pytest.raises(kms.exceptions.DisabledException, match="is disabled"):
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
    kms.enable_key(KeyId=key_id)
    assert kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)["KeyState"] == "PendingDeletion"
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is pending deletion"):
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
    kms.cancel_key_deletion(KeyId=key_id)
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId=str(uuid.uuid4()))


def test_paginators_go_through_all_pages(kms: BaseClient, key: dict[str, Any]) -> None:
    names = [f"alias/boto3-page-{number}-{key['KeyId']}" for number in range(5)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    small = {"PageSize": 2}
    aliases = kms.get_paginator("list_aliases").paginate(KeyId=key["KeyId"], PaginationConfig=small)
    assert [alias["AliasName"] for page in aliases for alias in page["Aliases"]] == names
    rotations = kms.get_paginator("list_key_rotations").paginate(KeyId=key["KeyId"], PaginationConfig=small)
    assert [len(page["Rotations"]) for page in rotations] == [2, 2, 1]
    keys = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}).search("Keys[].KeyArn")
    assert key["Arn"] in list(keys)


def test_policies_are_read_and_written(kms: BaseClient, key: dict[str, Any], principals: dict[str, str]) -> None:
    carol = kms_client(principals["carol"])
    with pytest.raises(ClientError) as denied:
        carol.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert code(denied) == "AccessDeniedException"
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    user = key["Arn"].partition(":key/")[0].replace(":kms:local:", ":iam::") + ":user/carol"
    policy["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:Encrypt", "Resource": "*"}
    )
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(policy))
    carol.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    with pytest.raises(kms.exceptions.MalformedPolicyDocumentException):
        kms.put_key_policy(KeyId=key["KeyId"], Policy="{}")


async def test_the_request_id_of_an_error_is_in_the_audit_log(
    stack: PrivateStack, key: dict[str, Any], principals: dict[str, str]
) -> None:
    carol = await asyncio.to_thread(kms_client, principals["carol"])
    with pytest.raises(ClientError) as denied:
        await asyncio.to_thread(carol.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
    request_id = denied.value.response["ResponseMetadata"]["RequestId"]
    (record,) = await evidence.audit_records(stack, message_id=request_id)
    assert (record.facts["operation"], record.facts["principal"]) == ("Encrypt", "carol")


def test_what_the_broker_forbids_is_access_denied(principals: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="the broker does not let enc send Decrypt") as refused:
        kms_client(principals["enc"]).decrypt(CiphertextBlob=b"x")
    assert code(refused) == "AccessDeniedException"


def test_threads_share_a_client_and_a_connection(kms: BaseClient, key: dict[str, Any]) -> None:
    def round_trip(number: int) -> bytes:
        text = f"line {number}".encode()
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=text)["CiphertextBlob"]
        opened: bytes = kms.decrypt(CiphertextBlob=blob)["Plaintext"]
        return opened

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(round_trip, range(300))) == [f"line {number}".encode() for number in range(300)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # of Python 3.12 on: it is what we test
def test_a_forked_process_and_its_parent_both_go_on(kms: BaseClient, key: dict[str, Any]) -> None:
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"before the fork")["CiphertextBlob"]
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def child() -> None:
        for _ in range(3):
            send.send((os.getpid(), kms.decrypt(CiphertextBlob=blob)["Plaintext"]))
        close_connections()

    process = context.Process(target=child, daemon=True)
    process.start()
    for _ in range(3):
        assert receive.poll(FORK_SECONDS)
        assert receive.recv() == (process.pid, b"before the fork")
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"before the fork"
    process.join(FORK_SECONDS)
    assert process.exitcode == 0
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"before the fork"


def test_a_closed_connection_is_opened_again(kms: BaseClient, key: dict[str, Any]) -> None:
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    close_connections()
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_clients_of_an_attached_session_reach_the_workers(stack: PrivateStack) -> None:
    session = botocore.session.get_session()
    attach(session, stack.administrator_url)
    for client in (
        session.create_client("kms"),
        boto3.Session(botocore_session=session, region_name="eu-west-1").client("kms"),
    ):
        assert client.list_keys(Limit=1)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_broker_that_is_not_there_is_an_endpoint_without_connection() -> None:
    config = Config(connect_timeout=1, retries={"mode": "standard", "total_max_attempts": 5})
    client = kms_client(f"amqp://alice:hunter2@{HOST}:{free_ports(1)[0]}/", config=config)
    started = time.monotonic()
    with pytest.raises(EndpointConnectionError, match="is RabbitMQ there") as caught:
        client.list_keys()
    assert time.monotonic() - started < 4
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_password_is_not_waited_for(stack: PrivateStack) -> None:
    client = kms_client(f"amqp://admin:hunter2@{HOST}:{stack.broker.port}/")
    started = time.monotonic()
    with pytest.raises(EndpointConnectionError, match="refuses the password"):
        client.list_keys()
    assert time.monotonic() - started < 20  # not the minute that connecting may take


async def test_without_workers_a_call_ends_at_its_read_timeout(lone: PrivateStack) -> None:
    await asyncio.to_thread(lone.add_producer, "boto3", list(Operation))
    client = await asyncio.to_thread(kms_client, lone.broker.url("boto3"), config=Config(read_timeout=1))
    started = time.monotonic()
    with pytest.raises(ReadTimeoutError, match="are workers running"):
        await asyncio.to_thread(client.create_key)
    assert time.monotonic() - started < 10
    close_connections()
