"""Tink's client and AEAD over a KMS in memory: key URIs, associated data, limits, errors."""

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import tink
from hypothesis import given
from hypothesis import strategies as st
from tink import aead
from tink._kms_clients import reset_kms_clients

from kmsq.client import Client
from kmsq.errors import (
    AccessDeniedException,
    IncorrectKeyException,
    InvalidAddress,
    InvalidCiphertextException,
    InvalidRequest,
    NotConnected,
    NotFoundException,
)
from kmsq.integrations.tink import BlockingClient, KmsAead, KmsClient, Timeouts
from kmsq.integrations.tink.kms_client import _context
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

URL = "amqp://alice:hunter2@127.0.0.1:5672/"
KEY_ID = "00112233-4455-6677-8899-aabbccddeeff"
DEK_TEMPLATE = aead.aead_key_templates.AES256_GCM
ASSOCIATED_DATA_MAX_BYTES = 4085


@pytest.fixture(autouse=True, scope="module")
def _primitives() -> None:
    aead.register()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("KMSQ_AMQP_URL", raising=False)
    yield
    reset_kms_clients()


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


@pytest.fixture
def remote(kms: FakeKms, client: KmsClient) -> KmsAead:
    """Return the AEAD of a key, by its alias."""
    new_key(kms, "alias/orders")
    return client.get_aead("kmsq://alias/orders")


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


def test_a_key_is_named_by_any_of_its_names_in_the_uri(kms: FakeKms, client: KmsClient) -> None:
    key_id = new_key(kms, "alias/orders")
    prefix = "arn:kmsq:kms:local:000000000000:"
    for name in (key_id, "alias/orders", f"{prefix}key/{key_id}", f"{prefix}alias/orders"):
        assert client.does_support(f"kmsq://{name}")
        sealed = client.get_aead(f"kmsq://{name}").encrypt(b"secret", b"file 17")
        assert client.get_aead(f"kmsq://{key_id}").decrypt(sealed, b"file 17") == b"secret"


@pytest.mark.parametrize("uri", ["", "kmsq://", "kmsq:alias/x", "KMSQ://alias/x", "aws-kms://arn:aws:kms:x", "alias/x"])
def test_other_uris_are_not_supported(client: KmsClient, blocking: BlockingClient, uri: str) -> None:
    assert not client.does_support(uri)
    with pytest.raises(tink.TinkError, match="does not support"):
        client.get_aead(uri)
    with pytest.raises(tink.TinkError, match="is no key URI of kmsq"):
        KmsClient(blocking, key_uri=uri)


def test_a_client_of_one_key_supports_no_other(blocking: BlockingClient) -> None:
    client = KmsClient(blocking, key_uri="kmsq://alias/orders")
    assert client.does_support("kmsq://alias/orders")
    assert not client.does_support("kmsq://alias/other")
    with pytest.raises(tink.TinkError, match="it is for kmsq://alias/orders"):
        client.get_aead("kmsq://alias/other")


def test_associated_data_is_the_encryption_context_in_hexadecimal(kms: FakeKms, remote: KmsAead) -> None:
    sealed = remote.encrypt(b"secret", b"\x00file\xff")
    context = {"associatedData": "0066696c65ff"}
    assert ask(kms, lambda client: client.decrypt(sealed, encryption_context=context)).plaintext == b"secret"


def test_no_associated_data_is_no_context(kms: FakeKms, remote: KmsAead) -> None:
    sealed = remote.encrypt(b"secret", b"")
    assert ask(kms, lambda client: client.decrypt(sealed)).plaintext == b"secret"
    assert remote.decrypt(sealed, b"") == b"secret"


@given(st.binary(), st.binary())
def test_no_two_associated_data_give_the_same_context(one: bytes, other: bytes) -> None:
    assert (_context(one) == _context(other)) is (one == other)
    assert bytes.fromhex(_context(one).get("associatedData", "")) == one


@pytest.mark.parametrize("other", [b"", b"file 18", b"file 17\x00"])
def test_other_associated_data_opens_nothing(remote: KmsAead, other: bytes) -> None:
    sealed = remote.encrypt(b"secret", b"file 17")
    with pytest.raises(tink.TinkError, match="InvalidCiphertextException") as caught:
        remote.decrypt(sealed, other)
    assert isinstance(caught.value.__cause__, InvalidCiphertextException)


def test_the_ciphertext_of_another_key_is_refused(kms: FakeKms, client: KmsClient, remote: KmsAead) -> None:
    sealed = client.get_aead(f"kmsq://{new_key(kms)}").encrypt(b"secret", b"")
    with pytest.raises(tink.TinkError, match="IncorrectKeyException") as caught:
        remote.decrypt(sealed, b"")
    assert isinstance(caught.value.__cause__, IncorrectKeyException)


@pytest.mark.parametrize("length", [1, 4096])
def test_up_to_4096_bytes_are_encrypted(remote: KmsAead, length: int) -> None:
    assert remote.decrypt(remote.encrypt(bytes(length), b""), b"") == bytes(length)


@pytest.mark.parametrize("length", [0, 4097])
def test_other_lengths_are_refused_with_what_to_use(kms: FakeKms, remote: KmsAead, length: int) -> None:
    with pytest.raises(tink.TinkError, match=rf"1 to 4096 bytes, not {length}: use tink\.aead\.KmsEnvelopeAead"):
        remote.encrypt(bytes(length), b"")
    assert kms.calls[Operation.ENCRYPT] == 0


def test_associated_data_has_a_limit_that_is_told(remote: KmsAead) -> None:
    longest = bytes(ASSOCIATED_DATA_MAX_BYTES)
    assert remote.decrypt(remote.encrypt(b"secret", longest), longest) == b"secret"
    with pytest.raises(tink.TinkError, match=r"encryptionContext.*8192 bytes") as caught:
        remote.encrypt(b"secret", longest + b"\x00")
    assert isinstance(caught.value.__cause__, InvalidRequest)


@pytest.mark.parametrize("ciphertext", [b"", b"junk", bytes(6145)])
def test_what_kmsq_did_not_encrypt_is_refused(remote: KmsAead, ciphertext: bytes) -> None:
    with pytest.raises(tink.TinkError):
        remote.decrypt(ciphertext, b"")


@pytest.mark.parametrize("error", [AccessDeniedException("not you"), NotFoundException(), NotConnected("no broker")])
@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt"])
def test_every_error_is_tinks_with_the_text_and_the_error_of_kmsq(
    kms: FakeKms, remote: KmsAead, operation: str, error: Exception
) -> None:
    sealed = remote.encrypt(b"hunter2 and more", b"")
    kms.fail_next(operation, error)  # type: ignore[arg-type]  # parametrised
    with pytest.raises(tink.TinkError) as caught:
        _ = remote.encrypt(b"hunter2 and more", b"") if operation == "Encrypt" else remote.decrypt(sealed, b"")
    assert str(caught.value) == str(error) != ""
    assert caught.value.__cause__ is error
    assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))


def test_an_envelope_takes_any_length_and_asks_once_for_each(kms: FakeKms, remote: KmsAead) -> None:
    envelope = aead.KmsEnvelopeAead(DEK_TEMPLATE, remote)
    for length in (0, 1, 5000, 1_000_000):
        sealed = envelope.encrypt(bytes(length), b"file 17")
        assert envelope.decrypt(sealed, b"file 17") == bytes(length)
        with pytest.raises(tink.TinkError):
            envelope.decrypt(sealed, b"file 18")
    assert kms.calls[Operation.ENCRYPT] == 4


def test_a_registered_client_serves_the_templates_of_tink(kms: FakeKms, blocking: BlockingClient) -> None:
    key_id = new_key(kms, "alias/orders")
    tink.register_kms_client(KmsClient(blocking, key_uri="kmsq://alias/orders"))
    tink.register_kms_client(KmsClient(blocking, key_uri=f"kmsq://{key_id}"))
    templates = aead.aead_key_templates
    for template in (
        templates.create_kms_aead_key_template(f"kmsq://{key_id}"),
        templates.create_kms_envelope_aead_key_template("kmsq://alias/orders", DEK_TEMPLATE),
    ):
        primitive = tink.new_keyset_handle(template).primitive(aead.Aead)
        assert primitive.decrypt(primitive.encrypt(b"secret", b"ad"), b"ad") == b"secret"
    with pytest.raises(tink.TinkError, match="No KMS client does support"):
        tink.kms_client_from_uri("kmsq://alias/other")


def test_keysets_are_written_encrypted(remote: KmsAead) -> None:
    handle = tink.new_keyset_handle(DEK_TEMPLATE)
    text = tink.json_proto_keyset_format.serialize_encrypted(handle, remote, b"keyset of orders")
    again = tink.json_proto_keyset_format.parse_encrypted(text, remote, b"keyset of orders")
    assert again.primitive(aead.Aead).decrypt(handle.primitive(aead.Aead).encrypt(b"secret", b""), b"") == b"secret"
    with pytest.raises(tink.TinkError):
        tink.json_proto_keyset_format.parse_encrypted(text, remote, b"another keyset")


def test_timeouts_reach_the_client() -> None:
    made: list[float] = []
    kms = FakeKms()

    def make_client(connect_timeout_seconds: float) -> Client:
        made.append(connect_timeout_seconds)
        return kms.client()

    blocking = BlockingClient(make_client)
    client = KmsClient(blocking, timeouts=Timeouts(connect_seconds=7))
    client.get_aead(f"kmsq://{new_key(kms)}").encrypt(b"x", b"")
    blocking.close()
    assert made == [7]


def test_clients_of_one_url_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMSQ_AMQP_URL", URL)
    one, other = KmsClient(), KmsClient(URL)
    assert one._cipher._client is other._cipher._client


def test_a_url_that_cannot_be_used_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidAddress, match="KMSQ_AMQP_URL"):
        KmsClient()
    with pytest.raises(InvalidAddress) as caught:
        KmsClient("amqp://Alice:hunter2@127.0.0.1/")
    assert "hunter2" not in str(caught.value)


def test_an_aead_shows_its_key_and_nothing_else() -> None:
    assert repr(KmsClient(URL).get_aead(f"kmsq://{KEY_ID}")) == f"<KmsAead of kmsq://{KEY_ID}>"
    assert "hunter2" not in repr(KmsClient(URL))


def test_without_the_extra_the_import_says_what_to_install() -> None:
    script = "import sys; sys.modules['tink'] = None; import kmsq.integrations.tink"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: kmsq.integrations.tink needs more packages: pip install kmsq[tink]\n")


def test_another_module_that_is_missing_is_named() -> None:
    script = "import sys; sys.modules['kmsq.integrations.line'] = None; import kmsq.integrations.tink"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "kmsq.integrations.line" in done.stderr
    assert "pip install" not in done.stderr


def test_kmsq_itself_imports_neither_tink_nor_pyarrow() -> None:
    script = (
        "import sys, kmsq, kmsq.testing, kmsq.integrations.cipher; sys.exit(bool({'tink', 'pyarrow'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
