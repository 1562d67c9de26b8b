"""The AWS Encryption SDK under keys of kmsq: what docs/boto3.md says of it."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_encryption_sdk
import botocore.session
import pytest
from aws_encryption_sdk.exceptions import (
    DecryptKeyError,
    MasterKeyProviderError,
    UnknownRegionError,
)
from aws_encryption_sdk.key_providers.kms import DiscoveryFilter
from botocore.session import Session

from kmsq.integrations.boto3 import attach, close_connections
from services.stack import ACCOUNT, REGION, ROOT, PrivateStack

FILE_BYTES = 5 * 1024 * 1024 + 17
CONTEXT = {"file": "2024.csv"}


@pytest.fixture(scope="module", autouse=True)
def _no_connection_outlives_the_broker() -> Iterator[None]:
    yield
    close_connections()


@pytest.fixture(autouse=True)
def _no_settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def session(stack: PrivateStack) -> Session:
    session = botocore.session.get_session()
    attach(session, stack.administrator_url)
    return session


@pytest.fixture
def arn(session: Session) -> str:
    return str(session.create_client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def sdk() -> Any:
    return aws_encryption_sdk.EncryptionSDKClient()


def strict(session: Session, *key_ids: str, **more: object) -> Any:
    return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(botocore_session=session, key_ids=key_ids, **more)


def test_a_file_is_encrypted_and_decrypted(session: Session, sdk: Any, arn: str, tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(secrets.token_bytes(FILE_BYTES))
    provider = strict(session, arn)
    with (
        plain.open("rb") as source,
        sealed.open("wb") as target,
        sdk.stream(mode="e", source=source, key_provider=provider, encryption_context=CONTEXT) as encryptor,
    ):
        for chunk in encryptor:
            target.write(chunk)
    with (
        sealed.open("rb") as source,
        opened.open("wb") as target,
        sdk.stream(mode="d", source=source, key_provider=provider) as decryptor,
    ):
        assert CONTEXT.items() <= decryptor.header.encryption_context.items()
        (data_key,) = decryptor.header.encrypted_data_keys
        assert data_key.key_provider.key_info == arn.encode()
        for chunk in decryptor:
            target.write(chunk)
    assert sealed.stat().st_size > FILE_BYTES
    assert opened.read_bytes() == plain.read_bytes()


def test_any_of_several_keys_opens_a_file(session: Session, sdk: Any, arn: str) -> None:
    second = session.create_client("kms").create_key()["KeyMetadata"]["Arn"]
    sealed, _header = sdk.encrypt(source=b"secret", key_provider=strict(session, arn, second))
    for key_arn in (arn, second):
        assert sdk.decrypt(source=sealed, key_provider=strict(session, key_arn))[0] == b"secret"


def test_an_alias_encrypts_if_a_region_is_named_and_the_arn_decrypts(session: Session, sdk: Any, arn: str) -> None:
    alias = f"alias/sdk-{arn.rpartition('/')[2]}"
    session.create_client("kms").create_alias(AliasName=alias, TargetKeyId=arn)
    with pytest.raises(UnknownRegionError):
        strict(session, alias)
    by_alias = strict(session, alias, region_names=[REGION])
    sealed, _header = sdk.encrypt(source=b"secret", key_provider=by_alias)
    with pytest.raises(DecryptKeyError):
        sdk.decrypt(source=sealed, key_provider=by_alias)
    assert sdk.decrypt(source=sealed, key_provider=strict(session, arn))[0] == b"secret"
    alias_arn = arn.partition(":key/")[0] + ":" + alias
    sealed, _header = sdk.encrypt(source=b"secret", key_provider=strict(session, alias_arn))
    assert sdk.decrypt(source=sealed, key_provider=strict(session, arn))[0] == b"secret"


def test_discovery_is_filtered_by_our_partition_and_account(session: Session, sdk: Any, arn: str) -> None:
    sealed, _header = sdk.encrypt(source=b"secret", key_provider=strict(session, arn))

    def discover(partition: str) -> Any:
        return aws_encryption_sdk.DiscoveryAwsKmsMasterKeyProvider(
            botocore_session=session, discovery_filter=DiscoveryFilter(account_ids=[ACCOUNT], partition=partition)
        )

    assert sdk.decrypt(source=sealed, key_provider=discover("kmsq"))[0] == b"secret"
    with pytest.raises(MasterKeyProviderError):
        sdk.decrypt(source=sealed, key_provider=discover("aws"))


def test_cached_data_keys_spare_calls(session: Session, sdk: Any, arn: str) -> None:
    asked: list[str] = []
    session.register("before-send.kms", lambda event_name, **_: asked.append(event_name.rpartition(".")[2]))
    manager = aws_encryption_sdk.CachingCryptoMaterialsManager(
        master_key_provider=strict(session, arn),
        cache=aws_encryption_sdk.LocalCryptoMaterialsCache(capacity=10),
        max_age=60.0,
    )
    sealed = [sdk.encrypt(source=f"{number}".encode(), materials_manager=manager)[0] for number in range(20)]
    assert [sdk.decrypt(source=blob, materials_manager=manager)[0] for blob in sealed] == [
        f"{number}".encode() for number in range(20)
    ]
    assert asked == ["GenerateDataKey", "Decrypt"]


def test_who_may_only_encrypt_cannot_decrypt(session: Session, sdk: Any, arn: str, principals: dict[str, str]) -> None:
    kms = session.create_client("kms")
    policy = json.loads(kms.get_key_policy(KeyId=arn)["Policy"])
    user = f"arn:kmsq:iam::{ACCOUNT}:user/enc"
    policy["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:GenerateDataKey", "Resource": "*"}
    )
    kms.put_key_policy(KeyId=arn, Policy=json.dumps(policy))
    writer = botocore.session.get_session()
    attach(writer, principals["enc"])
    sealed, _header = sdk.encrypt(source=b"secret", key_provider=strict(writer, arn))
    with pytest.raises(DecryptKeyError):
        sdk.decrypt(source=sealed, key_provider=strict(writer, arn))
    assert sdk.decrypt(source=sealed, key_provider=strict(session, arn))[0] == b"secret"


def test_the_code_in_the_documentation_works_as_it_is_printed(stack: PrivateStack, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "boto3.md").read_text(), re.DOTALL)
    (tmp_path / "report.pdf").write_bytes(secrets.token_bytes(FILE_BYTES))
    checks = 'assert content == open("report.pdf", "rb").read()\nprint("all of it")'
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*blocks, checks])],
        cwd=tmp_path,
        env={"KMSQ_AMQP_URL": stack.administrator_url, "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("all of it\n")
    assert (tmp_path / "report.sealed").stat().st_size > FILE_BYTES
