"""`kmsq data-key-pair`, `derive-shared-secret`, `encapsulate`, `decapsulate`: where secrets go, and where they do not."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from kmsq.cli.app import root
from kmsq.testing import FakeKms
from kmsq_schemas import models
from kmsq_schemas.models import DataKeyPairSpec, EncapsulationAlgorithm, KeyAgreementAlgorithm

Kmsq = Callable[..., Result]
PAIR = generate_private_key(SECP256R1())
PRIVATE_DER = PAIR.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PUBLIC_DER = PAIR.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
SECRET = b"s" * 32
SECRETS = ("derive-shared-secret", "encapsulate", "decapsulate")


class SecretKms(FakeKms):
    """Answers each operation with the same secret, and keeps what it was asked."""

    asked: Any = None

    def __init__(self) -> None:
        super().__init__()
        pair: dict[str, Any] = {"public_key": PUBLIC_DER, "key_id": "k", "key_pair_spec": DataKeyPairSpec.ECC_NIST_P256}
        pair["private_key_ciphertext_blob"] = b"wrapped"
        kem = EncapsulationAlgorithm.ML_KEM
        self._answer("GenerateDataKeyPair", models.GenerateDataKeyPairReply(private_key_plaintext=PRIVATE_DER, **pair))
        self._answer("GenerateDataKeyPairWithoutPlaintext", models.GenerateDataKeyPairWithoutPlaintextReply(**pair))
        self._answer(
            "DeriveSharedSecret",
            models.DeriveSharedSecretReply(
                key_id="k",
                shared_secret=SECRET,
                key_agreement_algorithm=KeyAgreementAlgorithm.ECDH,
                key_origin=models.Origin.AWS_KMS,
            ),
        )
        self._answer(
            "Encapsulate",
            models.EncapsulateReply(
                key_id="k", shared_secret=SECRET, shared_secret_ciphertext_blob=b"sealed", encapsulation_algorithm=kem
            ),
        )
        self._answer(
            "Decapsulate",
            models.DecapsulateReply(key_id="k", shared_secret=SECRET, encapsulation_algorithm=kem),
        )

    def _answer(self, operation: str, reply: models.Reply) -> None:
        def answer(request: models.Request) -> models.Reply:
            self.asked = request
            return reply

        self.answer_with(operation, answer)


@pytest.fixture
def kms() -> SecretKms:
    return SecretKms()


@pytest.fixture
def kmsq(kms: SecretKms) -> Kmsq:
    def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(root, arguments, input=stdin, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("files", "app", "parts"):
        monkeypatch.setattr(f"kmsq.cli.{module}.on_terminal", lambda: True)


@pytest.fixture
def peer(tmp_path: Path) -> str:
    path = tmp_path / "peer"
    path.write_bytes(PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(path)


def arguments_of(command: str, peer: str) -> tuple[str, ...]:
    """Return what the command needs beside the secret's fate."""
    return (command, "k", peer) if command == "derive-shared-secret" else (command, "k")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("command", SECRETS)
def test_a_secret_is_printed_to_a_pipe_or_written_for_its_owner_alone(
    kmsq: Kmsq, command: str, peer: str, tmp_path: Path
) -> None:
    arguments = arguments_of(command, peer)
    printed = json.loads(kmsq(*arguments, stdin=b"sealed").stdout)
    assert base64.b64decode(printed["SharedSecret"]) == SECRET
    target = tmp_path / "secret"
    rest = json.loads(kmsq(*arguments, "--secret-out", str(target), stdin=b"sealed").stdout)
    assert rest == {name: value for name, value in printed.items() if name != "SharedSecret"}
    assert (target.read_bytes(), mode(target)) == (SECRET, 0o600)


@pytest.mark.parametrize("command", SECRETS)
def test_a_secret_never_overwrites_a_file(kms: SecretKms, kmsq: Kmsq, command: str, peer: str, tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_bytes(b"older")
    failed = kmsq(*arguments_of(command, peer), "--secret-out", str(target), stdin=b"sealed")
    assert (failed.exit_code, target.read_bytes(), kms.asked) == (1, b"older", None)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("command", SECRETS)
def test_a_secret_goes_to_a_terminal_only_when_asked(kms: SecretKms, kmsq: Kmsq, command: str, peer: str) -> None:
    arguments = arguments_of(command, peer)
    refused = kmsq(*arguments, stdin=b"sealed")
    assert (refused.exit_code, refused.stdout, kms.asked) == (1, "", None)
    assert "--secret-out" in refused.stderr
    assert "SharedSecret" in kmsq(*arguments, "--show-secret", stdin=b"sealed").stdout


def test_an_encapsulated_secret_goes_to_a_file_of_its_own(kms: SecretKms, kmsq: Kmsq, tmp_path: Path) -> None:
    secret, sealed = tmp_path / "secret", tmp_path / "sealed"
    command = ("encapsulate", "k", "--secret-out", str(secret), "--ciphertext-out", str(sealed))
    assert set(json.loads(kmsq(*command).stdout)) == {"KeyId", "EncapsulationAlgorithm"}
    assert (sealed.read_bytes(), secret.read_bytes()) == (b"sealed", SECRET)
    secret.unlink()
    assert kmsq(*command).exit_code == 1
    assert not secret.exists()
    assert kmsq("decapsulate", "k", "--in", str(sealed)).exit_code == 0
    assert kms.asked.shared_secret_ciphertext_blob == b"sealed"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_peers_public_key_may_be_pem_or_der(kms: SecretKms, kmsq: Kmsq, tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "peer"
    path.write_bytes(PAIR.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))
    assert kmsq("derive-shared-secret", "k", str(path)).exit_code == 0
    assert kms.asked.public_key == PUBLIC_DER


def test_what_is_no_public_key_is_not_sent(kms: SecretKms, kmsq: Kmsq, tmp_path: Path) -> None:
    for junk in (b"", b"junk", b"-----BEGIN PUBLIC KEY-----\njunk\n-----END PUBLIC KEY-----\n", PRIVATE_DER):
        (tmp_path / "junk").write_bytes(junk)
        failed = kmsq("derive-shared-secret", "k", str(tmp_path / "junk"))
        assert (failed.exit_code, "not a public key" in failed.stderr) == (1, True)
    assert kms.asked is None


@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_key_pair_goes_to_new_private_files(kmsq: Kmsq, tmp_path: Path, form: str) -> None:
    names = ("private", "public", "wrapped")
    private, public, wrapped = (tmp_path / name for name in names)
    files = ("--private-key-out", str(private), "--public-key-out", str(public), "--ciphertext-out", str(wrapped))
    command = ("data-key-pair", "k", "--spec", "ECC_NIST_P256", "--format", form, *files)
    assert json.loads(kmsq(*command).stdout) == {"KeyId": "k", "KeyPairSpec": "ECC_NIST_P256"}
    assert [mode(tmp_path / name) for name in names] == [0o600] * 3
    assert wrapped.read_bytes() == b"wrapped"
    if form == "der":
        assert (private.read_bytes(), public.read_bytes()) == (PRIVATE_DER, PUBLIC_DER)
    else:
        assert load_pem_public_key(public.read_bytes()) == PAIR.public_key()
        loaded = load_pem_private_key(private.read_bytes(), None)
        assert loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == PRIVATE_DER
    private.unlink()
    assert kmsq(*command).exit_code == 1
    assert not private.exists()


def test_a_key_pair_is_printed_as_json_with_what_it_was_asked_for(kms: SecretKms, kmsq: Kmsq) -> None:
    printed = json.loads(kmsq("data-key-pair", "k", "--spec", "RSA_2048", "--context", "a=1").stdout)
    assert base64.b64decode(printed["PrivateKeyPlaintext"]) == PRIVATE_DER
    assert base64.b64decode(printed["PublicKey"]) == PUBLIC_DER
    assert (kms.asked.key_pair_spec, kms.asked.encryption_context) == ("RSA_2048", {"a": "1"})
    bare = json.loads(kmsq("data-key-pair", "k", "--spec", "RSA_2048", "--without-plaintext").stdout)
    assert printed.keys() - bare.keys() == {"PrivateKeyPlaintext"}
    for wrong in (("--show-plaintext",), ("--private-key-out", "file")):
        assert kmsq("data-key-pair", "k", "--spec", "RSA_2048", "--without-plaintext", *wrong).exit_code == 1
    assert kmsq("data-key-pair", "k").exit_code == 1


@pytest.mark.usefixtures("terminal")
def test_a_private_key_goes_to_a_terminal_only_when_asked(kms: SecretKms, kmsq: Kmsq) -> None:
    command = ("data-key-pair", "k", "--spec", "RSA_2048")
    refused = kmsq(*command)
    assert (refused.exit_code, refused.stdout, kms.asked) == (1, "", None)
    assert "--private-key-out" in refused.stderr
    assert "PrivateKeyPlaintext" in kmsq(*command, "--show-plaintext").stdout
    assert kmsq(*command, "--without-plaintext").exit_code == 0
