"""The client that pyarrow calls, over a KMS in memory: what is wrapped, what is cached, what is refused."""

import asyncio
import base64
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyarrow.parquet.encryption import CryptoFactory, EncryptionConfiguration, KmsConnectionConfig

from kmsq.client import Client
from kmsq.errors import (
    AccessDeniedException,
    DisabledException,
    IncorrectKeyException,
    InvalidAddress,
    InvalidCiphertextException,
    InvalidRequest,
    KmsqError,
    NotFoundException,
)
from kmsq.integrations.pyarrow import (
    ENCRYPTION_CONTEXT,
    BlockingClient,
    CacheLimits,
    KmsClient,
    KmsClientFactory,
    Timeouts,
    forget_keys,
)
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

URL = "amqp://alice:hunter2@127.0.0.1:5672/"
KEY = bytes(range(16))
TABLE = pa.table({"id": list(range(100)), "name": [f"name {number}" for number in range(100)]})
ROW_GROUP_ROWS = 10


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KMSQ_AMQP_URL", raising=False)


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def blocking(kms: FakeKms) -> Iterator[BlockingClient]:
    client = BlockingClient(lambda _seconds: kms.client("alice"))
    yield client
    client.close()


@pytest.fixture
def client(blocking: BlockingClient) -> KmsClient:
    return KmsClient(blocking)


def ask(kms: FakeKms, question: Callable[[Client], Awaitable[Any]]) -> Any:
    """Ask the fake by the ordinary client."""

    async def run() -> Any:
        async with kms.client("admin") as client:
            return await question(client)

    return asyncio.run(run())


def new_key(kms: FakeKms, alias: str | None = None) -> str:
    key_id: str = ask(kms, lambda client: client.create_key()).key_metadata.key_id
    if alias:
        ask(kms, lambda client: client.create_alias(alias, key_id))
    return key_id


def test_a_key_is_wrapped_by_encrypt_with_a_context_that_never_changes(kms: FakeKms, client: KmsClient) -> None:
    assert dict(ENCRYPTION_CONTEXT) == {"kmsq:purpose": "parquet"}
    blob = base64.b64decode(client.wrap_key(KEY, new_key(kms)), validate=True)
    context = {"kmsq:purpose": "parquet"}
    assert ask(kms, lambda other: other.decrypt(blob, encryption_context=context)).plaintext == KEY
    with pytest.raises(InvalidCiphertextException):
        ask(kms, lambda other: other.decrypt(blob))


@pytest.mark.parametrize("length", [16, 24, 32])
def test_what_was_wrapped_under_any_name_of_a_key_is_unwrapped(kms: FakeKms, client: KmsClient, length: int) -> None:
    key_id = new_key(kms, "alias/orders")
    prefix = "arn:kmsq:kms:local:000000000000:"
    for name in (key_id, "alias/orders", f"{prefix}key/{key_id}", f"{prefix}alias/orders"):
        key = bytes(range(length))
        assert client.unwrap_key(client.wrap_key(key, name), name) == key


def test_an_unwrapped_key_is_not_asked_for_again_until_it_is_forgotten(kms: FakeKms, client: KmsClient) -> None:
    key_id = new_key(kms)
    wrapped = client.wrap_key(KEY, key_id)
    assert [client.unwrap_key(wrapped, key_id) for _ in range(5)] == [KEY] * 5
    assert kms.calls[Operation.DECRYPT] == 1
    forget_keys()
    assert client.unwrap_key(wrapped, key_id) == KEY
    assert kms.calls[Operation.DECRYPT] == 2


def test_a_principal_that_lost_the_permission_reads_on_until_the_cache_is_empty(
    kms: FakeKms, client: KmsClient
) -> None:
    key_id = new_key(kms)
    wrapped = client.wrap_key(KEY, key_id)
    client.unwrap_key(wrapped, key_id)
    kms.deny("alice", "Decrypt")
    assert client.unwrap_key(wrapped, key_id) == KEY
    client.forget_keys()
    with pytest.raises(AccessDeniedException):
        client.unwrap_key(wrapped, key_id)


def test_without_a_cache_the_service_is_asked_each_time(kms: FakeKms, blocking: BlockingClient) -> None:
    client = KmsClient(blocking, cache=CacheLimits(seconds=0))
    key_id = new_key(kms)
    wrapped = client.wrap_key(KEY, key_id)
    assert [client.unwrap_key(wrapped, key_id) for _ in range(3)] == [KEY] * 3
    assert kms.calls[Operation.DECRYPT] == 3


def test_a_failure_is_not_cached(kms: FakeKms, client: KmsClient) -> None:
    key_id = new_key(kms)
    wrapped = client.wrap_key(KEY, key_id)
    kms.fail_next("Decrypt", AccessDeniedException("not yet"))
    with pytest.raises(AccessDeniedException, match="not yet"):
        client.unwrap_key(wrapped, key_id)
    assert client.unwrap_key(wrapped, key_id) == KEY


def test_another_key_than_the_file_names_is_refused(kms: FakeKms, client: KmsClient) -> None:
    wrapped, other = client.wrap_key(KEY, new_key(kms)), new_key(kms)
    for name in (other, f"arn:kmsq:kms:local:000000000000:key/{other}"):
        with pytest.raises(IncorrectKeyException):
            client.unwrap_key(wrapped, name)


@pytest.mark.parametrize("name", ["alias/orders", "arn:kmsq:kms:local:000000000000:alias/orders"])
def test_a_file_survives_that_its_alias_moves_on_or_goes(kms: FakeKms, client: KmsClient, name: str) -> None:
    new_key(kms, "alias/orders")
    wrapped = client.wrap_key(KEY, name)
    later = new_key(kms)
    ask(kms, lambda other: other.update_alias("alias/orders", later))
    assert client.unwrap_key(wrapped, name) == KEY
    client.forget_keys()
    ask(kms, lambda other: other.delete_alias("alias/orders"))
    assert client.unwrap_key(wrapped, name) == KEY


@pytest.mark.parametrize("wrapped", ["no base64", "AAA", "\N{KEY}", ""])
def test_what_kmsq_did_not_wrap_is_refused_and_not_shown(kms: FakeKms, client: KmsClient, wrapped: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.unwrap_key(wrapped, new_key(kms))
    assert kms.calls[Operation.DECRYPT] == 0
    assert not wrapped or wrapped not in str(caught.value)


def test_damaged_key_material_is_an_invalid_ciphertext(kms: FakeKms, client: KmsClient) -> None:
    key_id = new_key(kms)
    blob = base64.b64decode(client.wrap_key(KEY, key_id))
    damaged = base64.b64encode(blob[:-1] + bytes([blob[-1] ^ 1])).decode()
    with pytest.raises(InvalidCiphertextException):
        client.unwrap_key(damaged, key_id)


def write(crypto: CryptoFactory, path: Path, config: KmsConnectionConfig | None = None, **settings: object) -> None:
    properties = crypto.file_encryption_properties(config or KmsConnectionConfig(), EncryptionConfiguration(**settings))
    parquet.write_table(TABLE, path, encryption_properties=properties, row_group_size=ROW_GROUP_ROWS)


def read(crypto: CryptoFactory, path: Path, config: KmsConnectionConfig | None = None) -> pa.Table:
    properties = crypto.file_decryption_properties(config or KmsConnectionConfig())
    return parquet.read_table(path, decryption_properties=properties)


def test_a_single_wrapped_file_of_ten_row_groups_costs_one_unwrap_a_column(
    kms: FakeKms, blocking: BlockingClient, tmp_path: Path
) -> None:
    crypto = CryptoFactory(KmsClientFactory(blocking))
    path = tmp_path / "orders.parquet"
    columns = {new_key(kms): ["id"], new_key(kms): ["name"]}
    write(crypto, path, footer_key=new_key(kms), column_keys=columns, double_wrapping=False)
    for _ in range(3):
        assert read(CryptoFactory(KmsClientFactory(blocking)), path).equals(TABLE)
    assert kms.calls[Operation.DECRYPT] == 3
    assert (
        parquet.ParquetFile(
            path, decryption_properties=crypto.file_decryption_properties(KmsConnectionConfig())
        ).num_row_groups
        == 10
    )


@pytest.mark.parametrize("error", [AccessDeniedException("not you"), DisabledException("asleep"), NotFoundException()])
def test_the_error_of_the_service_comes_through_pyarrow_itself(
    kms: FakeKms, blocking: BlockingClient, tmp_path: Path, error: KmsqError
) -> None:
    path = tmp_path / "orders.parquet"
    settings = {"footer_key": new_key(kms), "uniform_encryption": True}
    kms.fail_next("Encrypt", error)
    with pytest.raises(type(error)) as caught:
        write(CryptoFactory(KmsClientFactory(blocking)), path, **settings)
    assert caught.value is error
    assert not path.exists()
    write(CryptoFactory(KmsClientFactory(blocking)), path, **settings)
    kms.fail_next("Decrypt", error)
    with pytest.raises(type(error)) as caught:
        read(CryptoFactory(KmsClientFactory(blocking, cache=CacheLimits(seconds=0))), path)
    assert caught.value is error


def test_an_arn_does_not_name_a_columns_key(kms: FakeKms, blocking: BlockingClient, tmp_path: Path) -> None:
    arn = f"arn:kmsq:kms:local:000000000000:key/{new_key(kms)}"
    with pytest.raises(OSError, match="Incorrect key to columns mapping"):
        write(
            CryptoFactory(KmsClientFactory(blocking)),
            tmp_path / "x.parquet",
            footer_key=arn,
            column_keys={arn: ["name"]},
        )


@pytest.mark.parametrize(
    "misplaced", [{"kms_instance_url": URL}, {"custom_kms_conf": {"amqp_url": URL}}, {"key_access_token": "hunter2"}]
)
def test_a_url_in_the_wrong_place_is_refused_before_a_file_shows_it(
    kms: FakeKms, blocking: BlockingClient, tmp_path: Path, misplaced: dict[str, Any]
) -> None:
    config = KmsConnectionConfig(**misplaced)
    with pytest.raises(InvalidAddress) as caught:
        write(
            CryptoFactory(KmsClientFactory(blocking)),
            tmp_path / "x.parquet",
            config,
            footer_key=new_key(kms),
            uniform_encryption=True,
        )
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert kms.calls[Operation.ENCRYPT] == 0


def test_the_token_says_who_asks_and_no_key_goes_from_one_to_another(
    kms: FakeKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make_client(url: str, **_more: object) -> Client:
        principal = url.removeprefix("amqp://").partition(":")[0]
        made.append(principal)
        return kms.client(principal)

    monkeypatch.setattr("kmsq.integrations.blocking.Client", make_client)
    monkeypatch.setenv("KMSQ_AMQP_URL", "amqp://ann:pw@token.example/")
    bob = KmsConnectionConfig(key_access_token="amqp://bob:pw@token.example/")
    kms.deny("bob", "Decrypt")
    crypto = CryptoFactory(KmsClientFactory())
    path = tmp_path / "x.parquet"
    write(crypto, path, footer_key=new_key(kms), uniform_encryption=True)
    assert read(crypto, path).equals(TABLE)
    with pytest.raises(AccessDeniedException, match="user/bob"):
        read(crypto, path, bob)
    assert set(made) == {"ann", "bob"}


def test_a_factory_gives_the_same_client_for_the_same_url_and_limits(blocking: BlockingClient) -> None:
    config = KmsConnectionConfig()
    first = KmsClientFactory(blocking)(config)
    assert KmsClientFactory(blocking)(config) is first
    assert KmsClientFactory(blocking, cache=CacheLimits(seconds=1))(config) is not first
    assert KmsClientFactory(blocking, timeouts=Timeouts(call_seconds=1))(config) is not first
    by_url = KmsClientFactory(URL)(config)
    assert KmsClientFactory()(KmsConnectionConfig(key_access_token=URL)) is by_url
    assert by_url is not first


def test_a_url_that_cannot_be_used_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidAddress, match="KMSQ_AMQP_URL"):
        KmsClient()
    with pytest.raises(InvalidAddress) as caught:
        KmsClient("amqp://Alice:hunter2@127.0.0.1/")
    assert "hunter2" not in str(caught.value)


def test_neither_client_nor_factory_shows_or_pickles_what_it_holds(kms: FakeKms, client: KmsClient) -> None:
    key_id = new_key(kms)
    client.unwrap_key(client.wrap_key(KEY, key_id), key_id)
    factory = KmsClientFactory(URL)
    assert "hunter2" not in repr(factory)
    assert repr(KEY) not in repr(client)
    with pytest.raises(TypeError, match="may hold a password"):
        pickle.dumps(factory)
    with pytest.raises(TypeError):
        pickle.dumps(client)


def test_timeouts_reach_the_client_and_the_call() -> None:
    made: list[float] = []
    kms = FakeKms()

    def make_client(connect_timeout_seconds: float) -> Client:
        made.append(connect_timeout_seconds)
        return kms.client()

    blocking = BlockingClient(make_client)
    KmsClient(blocking, timeouts=Timeouts(connect_seconds=7)).wrap_key(KEY, new_key(kms))
    blocking.close()
    assert made == [7]


def test_without_the_extra_the_import_says_what_to_install() -> None:
    script = """
import sys

class NothingOfPyarrow:
    def find_spec(self, name, path=None, target=None):
        if name == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name=name)

sys.meta_path.insert(0, NothingOfPyarrow())
import kmsq.integrations.pyarrow
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "ImportError: kmsq.integrations.pyarrow needs more packages: pip install kmsq[parquet]\n"
    )


def test_another_module_that_is_missing_is_named() -> None:
    script = "import sys; sys.modules['kmsq.integrations.line'] = None; import kmsq.integrations.pyarrow"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "kmsq.integrations.line" in done.stderr
    assert "pip install" not in done.stderr
