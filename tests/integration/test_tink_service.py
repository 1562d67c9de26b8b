"""Tink under keys of the whole service: broker, database, two workers."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tink
from botocore.client import BaseClient
from tink import aead
from tink.proto import tink_pb2

from integration.documentation import run_as_printed
from kmsq.errors import AccessDeniedException, IncorrectKeyException, InvalidCiphertextException, NotConnected
from kmsq.integrations.boto3 import kms_client
from kmsq.integrations.tink import KmsAead, KmsClient, Timeouts, close_connections
from services.ports import HOST, free_ports
from services.stack import ACCOUNT, PrivateStack

LONG = secrets.token_bytes(1_000_003)
DEK_TEMPLATE = aead.aead_key_templates.AES256_GCM
PROCESS_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def _primitives() -> Iterator[None]:
    aead.register()
    yield
    close_connections()


@pytest.fixture(scope="module")
def kms(stack: PrivateStack) -> BaseClient:
    """Return what administers keys."""
    return kms_client(stack.administrator_url, region_name="local")


@pytest.fixture
def key_id(kms: BaseClient) -> str:
    return str(kms.create_key(Description="tink test")["KeyMetadata"]["KeyId"])


@pytest.fixture
def client(stack: PrivateStack) -> KmsClient:
    return KmsClient(stack.administrator_url)


@pytest.fixture
def remote(client: KmsClient, key_id: str) -> KmsAead:
    return client.get_aead(f"kmsq://{key_id}")


def test_the_remote_aead_goes_through_the_workers(client: KmsClient, key_id: str, kms: BaseClient) -> None:
    alias = f"alias/tink-{key_id}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    for name in (key_id, arn, alias, arn.partition(":key/")[0] + ":" + alias):
        sealed = client.get_aead(f"kmsq://{name}").encrypt(b"secret", b"\x00\xff")
        assert client.get_aead(f"kmsq://{key_id}").decrypt(sealed, b"\x00\xff") == b"secret"
        opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"associatedData": "00ff"})
        assert opened["Plaintext"] == b"secret"


def test_an_envelope_goes_from_one_process_to_another(remote: KmsAead, stack: PrivateStack, tmp_path: Path) -> None:
    envelope = aead.KmsEnvelopeAead(DEK_TEMPLATE, remote)
    (tmp_path / "sealed").write_bytes(envelope.encrypt(LONG, b"file 17"))
    (tmp_path / "plain").write_bytes(LONG)
    script = """
import sys
from pathlib import Path
from tink import aead
from kmsq.integrations.tink import KmsClient

aead.register()
remote = KmsClient().get_aead(sys.argv[1])
envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)
assert envelope.decrypt(Path("sealed").read_bytes(), b"file 17") == Path("plain").read_bytes()
"""
    uri = f"kmsq://{remote._key_id}"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, uri],
        cwd=tmp_path,
        env={**os.environ, "KMSQ_AMQP_URL": stack.administrator_url},
        check=True,
        timeout=PROCESS_SECONDS,
    )
    with pytest.raises(tink.TinkError):
        envelope.decrypt((tmp_path / "sealed").read_bytes(), b"file 18")


def test_a_keyset_is_kept_encrypted(remote: KmsAead) -> None:
    handle = tink.new_keyset_handle(DEK_TEMPLATE)
    text = tink.json_proto_keyset_format.serialize_encrypted(handle, remote, b"keyset")
    again = tink.json_proto_keyset_format.parse_encrypted(text, remote, b"keyset")
    sealed = handle.primitive(aead.Aead).encrypt(LONG, b"")
    assert again.primitive(aead.Aead).decrypt(sealed, b"") == LONG
    with pytest.raises(tink.TinkError, match="InvalidCiphertextException"):
        tink.json_proto_keyset_format.parse_encrypted(text, remote, b"another")


def test_a_keyset_that_is_too_long_for_one_call_is_kept_under_the_envelope(remote: KmsAead) -> None:
    keys = [tink.new_keyset_handle(DEK_TEMPLATE)._keyset.key[0] for _ in range(60)]
    handle = tink.KeysetHandle._create(tink_pb2.Keyset(key=keys, primary_key_id=keys[0].key_id))
    with pytest.raises(tink.TinkError, match="1 to 4096 bytes"):
        tink.proto_keyset_format.serialize_encrypted(handle, remote, b"")
    envelope = aead.KmsEnvelopeAead(DEK_TEMPLATE, remote)
    again = tink.proto_keyset_format.parse_encrypted(
        tink.proto_keyset_format.serialize_encrypted(handle, envelope, b""), envelope, b""
    )
    assert again.primitive(aead.Aead).decrypt(handle.primitive(aead.Aead).encrypt(LONG, b""), b"") == LONG


def test_another_keys_ciphertext_is_refused_also_after_an_alias_moved(
    client: KmsClient, remote: KmsAead, key_id: str, kms: BaseClient
) -> None:
    alias = f"alias/tink-moved-{key_id}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    sealed = client.get_aead(f"kmsq://{alias}").encrypt(b"secret", b"")
    kms.update_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    with pytest.raises(tink.TinkError, match="IncorrectKeyException") as caught:
        client.get_aead(f"kmsq://{alias}").decrypt(sealed, b"")
    assert isinstance(caught.value.__cause__, IncorrectKeyException)
    kms.rotate_key_on_demand(KeyId=key_id)
    assert remote.decrypt(sealed, b"") == b"secret"


def test_a_damaged_ciphertext_is_refused(remote: KmsAead) -> None:
    sealed = remote.encrypt(b"secret", b"")
    with pytest.raises(tink.TinkError) as caught:
        remote.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"")
    assert isinstance(caught.value.__cause__, InvalidCiphertextException)


def test_encrypting_and_decrypting_are_two_permissions(
    principals: dict[str, str], remote: KmsAead, key_id: str, kms: BaseClient
) -> None:
    carols = KmsClient(principals["carol"]).get_aead(f"kmsq://{key_id}")
    with pytest.raises(tink.TinkError, match=r"user/carol is not authorized to perform: kms:Encrypt"):
        carols.encrypt(b"secret", b"")
    policy = json.loads(kms.get_key_policy(KeyId=key_id)["Policy"])
    user = f"arn:kmsq:iam::{ACCOUNT}:user/carol"
    policy["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:Encrypt", "Resource": "*"}
    )
    kms.put_key_policy(KeyId=key_id, Policy=json.dumps(policy))
    sealed = aead.KmsEnvelopeAead(DEK_TEMPLATE, carols).encrypt(LONG, b"")
    with pytest.raises(tink.TinkError, match="AccessDeniedException") as denied:
        aead.KmsEnvelopeAead(DEK_TEMPLATE, carols).decrypt(sealed, b"")
    assert isinstance(denied.value.__cause__, AccessDeniedException)
    assert aead.KmsEnvelopeAead(DEK_TEMPLATE, remote).decrypt(sealed, b"") == LONG


def test_what_the_broker_forbids_is_a_tink_error(principals: dict[str, str], key_id: str) -> None:
    with pytest.raises(tink.TinkError, match="the broker does not let enc send Decrypt"):
        KmsClient(principals["enc"]).get_aead(f"kmsq://{key_id}").decrypt(b"x", b"")


def test_a_broker_that_is_not_there_is_a_tink_error_without_the_password() -> None:
    client = KmsClient(f"amqp://alice:hunter2@{HOST}:{free_ports(1)[0]}/", timeouts=Timeouts(connect_seconds=0.5))
    with pytest.raises(tink.TinkError, match="is RabbitMQ there") as caught:
        client.get_aead("kmsq://alias/any").encrypt(b"x", b"")
    assert isinstance(caught.value.__cause__, NotConnected)
    assert "hunter2" not in str(caught.value)


def test_threads_share_an_aead(remote: KmsAead) -> None:
    envelope = aead.KmsEnvelopeAead(DEK_TEMPLATE, remote)

    def round_trip(number: int) -> bytes:
        opened: bytes = envelope.decrypt(envelope.encrypt(b"%d" % number, b"ad"), b"ad")
        return opened

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(round_trip, range(200))) == [b"%d" % number for number in range(200)]


def test_the_code_in_the_documentation_works_as_it_is_printed(
    stack: PrivateStack, kms: BaseClient, tmp_path: Path
) -> None:
    run_as_printed("tink.md", stack, kms, tmp_path)
