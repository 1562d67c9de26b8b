"""Parquet Modular Encryption under keys of the whole service: broker, database, two workers."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.client import BaseClient
from pyarrow import dataset, parquet
from pyarrow.parquet.encryption import (
    CryptoFactory,
    DecryptionConfiguration,
    EncryptionConfiguration,
    KmsConnectionConfig,
)

from integration import evidence
from integration.documentation import run_as_printed
from kmsq.errors import AccessDeniedException, DisabledException, IncorrectKeyException, NotFoundException
from kmsq.integrations.boto3 import kms_client
from kmsq.integrations.pyarrow import CacheLimits, KmsClientFactory, close_connections, forget_keys
from services.stack import ACCOUNT, PrivateStack

ROWS = 1000
ROW_GROUP_ROWS = 100
TABLE = pa.table(
    {
        "id": list(range(ROWS)),
        "name": [f"name {number}" if number % 7 else None for number in range(ROWS)],
        "card": [f"{number:016}" for number in range(ROWS)],
    }
)
READER = f"""
import os, sys
from pyarrow import parquet
from pyarrow.parquet.encryption import CryptoFactory, KmsConnectionConfig
from kmsq.integrations.pyarrow import KmsClientFactory

path, columns = sys.argv[1], sys.argv[2].split(",")
properties = CryptoFactory(KmsClientFactory()).file_decryption_properties(KmsConnectionConfig())
table = parquet.read_table(path, columns=columns, decryption_properties=properties)
assert table.num_rows == {ROWS} and table.column_names == columns
print(sum(table.column("id").to_pylist()))
"""
PROCESS_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def _no_connection_outlives_the_broker() -> Iterator[None]:
    yield
    close_connections()


@pytest.fixture(autouse=True)
def _no_key_is_left_in_a_cache() -> None:
    forget_keys()


@dataclass(frozen=True, slots=True)
class Files:
    """Parquet files of one principal."""

    amqp_url: str = field(repr=False)
    folder: Path

    def crypto(self) -> CryptoFactory:
        """Return a factory that has cached nothing."""
        return CryptoFactory(KmsClientFactory(self.amqp_url))

    def write(self, name: str = "x.parquet", **settings: object) -> Path:
        """Write the table."""
        path = self.folder / name
        external = [path] if settings.get("internal_key_material") is False else []
        properties = self.crypto().file_encryption_properties(
            KmsConnectionConfig(), EncryptionConfiguration(**settings), *external
        )
        parquet.write_table(TABLE, path, encryption_properties=properties, row_group_size=ROW_GROUP_ROWS)
        return path

    def read(self, path: Path, *columns: str, external: bool = False) -> pa.Table:
        """Read the table, or some of its columns."""
        given = [None, path] if external else []
        properties = self.crypto().file_decryption_properties(KmsConnectionConfig(), *given)
        return parquet.read_table(path, columns=list(columns) or None, decryption_properties=properties)


@pytest.fixture
def files(stack: PrivateStack, tmp_path: Path) -> Files:
    """Return files of the account's administrator."""
    return Files(stack.administrator_url, tmp_path)


@pytest.fixture
def carols(principals: dict[str, str], tmp_path: Path) -> Files:
    """Return files of somebody whom no policy allows anything yet."""
    return Files(principals["carol"], tmp_path)


@pytest.fixture(scope="module")
def kms(stack: PrivateStack) -> BaseClient:
    """Return what administers keys."""
    return kms_client(stack.administrator_url, region_name="local")


@pytest.fixture
def new_key(kms: BaseClient) -> Callable[[], str]:
    return lambda: str(kms.create_key(Description="parquet test")["KeyMetadata"]["KeyId"])


def allow(kms: BaseClient, key_id: str, principal: str, action: str, condition: dict[str, Any] | None = None) -> None:
    policy = json.loads(kms.get_key_policy(KeyId=key_id)["Policy"])
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:kmsq:iam::{ACCOUNT}:user/{principal}"},
        "Action": action,
        "Resource": "*",
    }
    policy["Statement"].append({**statement, "Condition": condition} if condition else statement)
    kms.put_key_policy(KeyId=key_id, Policy=json.dumps(policy))


def run_reader(url: str, path: Path, *columns: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", READER, str(path), ",".join(columns)],
        env={**os.environ, "KMSQ_AMQP_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=PROCESS_SECONDS,
    )


MODES = {
    "double wrapping": {},
    "single wrapping": {"double_wrapping": False},
    "external key material": {"internal_key_material": False},
    "external, single wrapping": {"internal_key_material": False, "double_wrapping": False},
    "plaintext footer": {"plaintext_footer": True},
    "longest data keys": {"data_key_length_bits": 256},
    "counter mode": {"encryption_algorithm": "AES_GCM_CTR_V1"},
}


@pytest.mark.parametrize("settings", MODES.values(), ids=MODES)
def test_a_file_under_several_keys_is_read_back(
    files: Files, new_key: Callable[[], str], settings: dict[str, Any]
) -> None:
    columns = {new_key(): ["name"], new_key(): ["card"]}
    path = files.write(footer_key=new_key(), column_keys=columns, **settings)
    external = settings.get("internal_key_material") is False
    assert files.read(path, external=external).equals(TABLE)
    assert b"name 500" not in path.read_bytes()
    material = path.parent / f"_KEY_MATERIAL_FOR_{path.name}.json"
    assert material.exists() is external
    if external:
        keys = [json.loads(key) for key in json.loads(material.read_text()).values()]
        assert {key["doubleWrapping"] for key in keys} == {settings.get("double_wrapping", True)}
        assert len(keys) == 3


def test_one_key_may_encrypt_everything(files: Files, new_key: Callable[[], str], kms: BaseClient) -> None:
    arn = kms.describe_key(KeyId=new_key())["KeyMetadata"]["Arn"]
    path = files.write(footer_key=arn, uniform_encryption=True)
    assert files.read(path).equals(TABLE)
    with pytest.raises(OSError, match="Could not read encrypted metadata"):
        parquet.read_table(path)


def test_a_plaintext_footer_needs_no_key_for_what_is_not_encrypted(files: Files, new_key: Callable[[], str]) -> None:
    path = files.write(footer_key=new_key(), column_keys={new_key(): ["card"]}, plaintext_footer=True)
    assert parquet.read_table(path, columns=["id"]).equals(TABLE.select(["id"]))
    with pytest.raises(OSError, match="decrypt"):
        parquet.read_table(path, columns=["card"])


def test_another_process_reads_the_columns_that_its_principal_may(
    files: Files, principals: dict[str, str], new_key: Callable[[], str], kms: BaseClient
) -> None:
    footer, open_key, closed = new_key(), new_key(), new_key()
    path = files.write(footer_key=footer, column_keys={open_key: ["id", "name"], closed: ["card"]})
    for key_id in (footer, open_key):
        allow(kms, key_id, "carol", "kms:Decrypt")
    done = run_reader(principals["carol"], path, "id", "name")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == sum(range(ROWS))
    refused = run_reader(principals["carol"], path, "id", "card")
    assert refused.returncode == 1
    assert "kmsq.errors.AccessDeniedException: AccessDeniedException: User: arn:kmsq:iam::" in refused.stderr
    assert "user/carol is not authorized to perform: kms:Decrypt" in refused.stderr
    assert principals["carol"].partition("@")[0] not in refused.stderr


@pytest.mark.parametrize("double_wrapping", [True, False])
def test_a_column_whose_key_is_denied_leaves_the_others_readable(
    files: Files, carols: Files, new_key: Callable[[], str], kms: BaseClient, *, double_wrapping: bool
) -> None:
    footer, closed = new_key(), new_key()
    path = files.write(
        footer_key=footer, column_keys={footer: ["id"], closed: ["card"]}, double_wrapping=double_wrapping
    )
    with pytest.raises(AccessDeniedException, match="user/carol is not authorized"):
        carols.read(path, "name")  # the footer, too, is closed
    allow(kms, footer, "carol", "kms:Decrypt")
    assert carols.read(path, "name", "id").equals(TABLE.select(["name", "id"]))
    for columns in (["card"], []):
        with pytest.raises(AccessDeniedException, match="is not authorized to perform: kms:Decrypt") as denied:
            carols.read(path, *columns)
        assert denied.value.message_id


def test_writing_needs_encrypt_only_and_a_policy_may_demand_the_context(
    carols: Files, files: Files, new_key: Callable[[], str], kms: BaseClient
) -> None:
    key_id = new_key()
    with pytest.raises(AccessDeniedException, match="kms:Encrypt"):
        carols.write(footer_key=key_id, uniform_encryption=True)
    allow(kms, key_id, "carol", "kms:Encrypt", {"StringEquals": {"kms:EncryptionContext:kmsq:purpose": "parquet"}})
    path = carols.write(footer_key=key_id, uniform_encryption=True)
    with pytest.raises(AccessDeniedException, match="kms:Decrypt"):
        carols.read(path)
    assert files.read(path).equals(TABLE)


def test_the_error_for_a_wrong_key_is_the_services_own(
    files: Files, new_key: Callable[[], str], kms: BaseClient
) -> None:
    with pytest.raises(NotFoundException, match=r"alias/nobody-has-this is not found"):
        files.write(footer_key="alias/nobody-has-this", uniform_encryption=True)
    key_id, other = new_key(), new_key()
    path = files.write(footer_key=key_id, uniform_encryption=True, internal_key_material=False)
    kms.disable_key(KeyId=key_id)
    with pytest.raises(DisabledException, match="is disabled"):
        files.read(path, external=True)
    kms.enable_key(KeyId=key_id)
    material = path.parent / f"_KEY_MATERIAL_FOR_{path.name}.json"
    material.write_text(material.read_text().replace(key_id, other))
    with pytest.raises(IncorrectKeyException):
        files.read(path, external=True)


def test_files_outlive_that_their_alias_points_elsewhere_and_that_their_key_rotates(
    files: Files, new_key: Callable[[], str], kms: BaseClient
) -> None:
    first, second = new_key(), new_key()
    alias = f"alias/parquet-{first}"
    kms.create_alias(AliasName=alias, TargetKeyId=first)
    settings = {"footer_key": alias, "column_keys": {alias: ["card"]}}
    before = files.write("before.parquet", **settings)
    kms.rotate_key_on_demand(KeyId=first)
    kms.update_alias(AliasName=alias, TargetKeyId=second)
    after = files.write("after.parquet", **settings)
    kms.disable_key(KeyId=second)
    assert files.read(before).equals(TABLE)
    with pytest.raises(DisabledException):
        files.read(after)


async def test_a_single_wrapped_file_of_ten_row_groups_costs_one_decrypt_a_key(
    files: Files, stack: PrivateStack, new_key: Callable[[], str]
) -> None:
    keys = [await asyncio.to_thread(new_key) for _ in range(3)]
    footer, *others = keys
    columns = dict(zip(others, (["id"], ["card"]), strict=True))
    path = await asyncio.to_thread(files.write, footer_key=footer, column_keys=columns, double_wrapping=False)
    since = await evidence.database_now(stack)
    for _ in range(2):
        assert (await asyncio.to_thread(files.read, path)).equals(TABLE)
    assert await decrypted_keys(stack, since) == sorted(keys)
    forget_keys()
    assert (await asyncio.to_thread(files.read, path)).equals(TABLE)
    assert await decrypted_keys(stack, since) == sorted(keys * 2)


async def decrypted_keys(stack: PrivateStack, since: Any) -> list[str]:
    records = [record.facts for record in await evidence.audit_records(stack, since=since)]
    return sorted(str(facts["keys"][0]) for facts in records if facts.get("operation") == "Decrypt")


def test_a_dataset_of_many_files_is_read_by_pyarrows_threads(files: Files, new_key: Callable[[], str]) -> None:
    keys = [new_key(), new_key()]
    paths = [
        files.write(
            f"{number}.parquet", footer_key=keys[0], column_keys={keys[1]: ["card"]}, double_wrapping=bool(number % 2)
        )
        for number in range(8)
    ]
    crypto = CryptoFactory(KmsClientFactory(files.amqp_url, cache=CacheLimits(entries=2)))
    options = dataset.ParquetFragmentScanOptions(
        decryption_config=dataset.ParquetDecryptionConfig(crypto, KmsConnectionConfig(), DecryptionConfiguration())
    )
    file_format = dataset.ParquetFileFormat(default_fragment_scan_options=options)
    everything = dataset.dataset([str(path) for path in paths], format=file_format)
    assert everything.to_table().sort_by([("id", "ascending")]).num_rows == 8 * ROWS
    assert everything.count_rows(filter=dataset.field("card") == "0000000000000500") == 8


def test_callers_threads_share_a_factory(files: Files, new_key: Callable[[], str]) -> None:
    path = files.write(footer_key=new_key(), column_keys={new_key(): ["card"]}, double_wrapping=False)
    crypto = files.crypto()

    def read(_number: int) -> bool:
        properties = crypto.file_decryption_properties(KmsConnectionConfig())
        return bool(parquet.read_table(path, decryption_properties=properties).equals(TABLE))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(24)))


def test_master_keys_are_rotated_without_touching_the_data(
    files: Files, new_key: Callable[[], str], kms: BaseClient
) -> None:
    first, second = new_key(), new_key()
    alias = f"alias/parquet-rotated-{first}"
    kms.create_alias(AliasName=alias, TargetKeyId=first)
    path = files.write(footer_key=alias, uniform_encryption=True, internal_key_material=False)
    data = path.read_bytes()
    kms.update_alias(AliasName=alias, TargetKeyId=second)
    files.crypto().rotate_master_keys(KmsConnectionConfig(), path)
    kms.disable_key(KeyId=first)
    forget_keys()
    assert files.read(path, external=True).equals(TABLE)
    assert path.read_bytes() == data


def test_the_code_in_the_documentation_works_as_it_is_printed(
    stack: PrivateStack, kms: BaseClient, tmp_path: Path
) -> None:
    run_as_printed("parquet-encryption.md", stack, kms, tmp_path)
    assert (tmp_path / "orders.parquet").exists()
