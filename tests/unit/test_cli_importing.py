"""`kmsq import`: what a file may hold, and what becomes of it."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kmsq.cli.app import root
from kmsq.testing import FakeKms
from kmsq_schemas.models import (
    DeleteImportedKeyMaterialReply,
    DeleteImportedKeyMaterialRequest,
    GetParametersForImportReply,
    GetParametersForImportRequest,
    ImportKeyMaterialReply,
    ImportKeyMaterialRequest,
    ImportType,
    WrappingKeySpec,
)

Kmsq = Callable[..., Result]
KEY = "11111111-1111-1111-1111-111111111111"
ID = "0a" * 32
MATERIAL = bytes(range(32))
PAIR = ec.generate_private_key(ec.SECP256R1())
PKCS8 = PAIR.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
WRAPPING_KEY = rsa.generate_private_key(65537, 2048)
HEX = MATERIAL.hex().encode()
BASE64 = base64.encodebytes(MATERIAL)


class ImportingKms(FakeKms):
    """Unwraps what it gets, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.material = b""
        self.answer_with("GetParametersForImport", self._give)
        self.answer_with("ImportKeyMaterial", self._take)
        self.answer_with("DeleteImportedKeyMaterial", self._delete)

    def _give(self, request: GetParametersForImportRequest) -> GetParametersForImportReply:
        self.asked = request
        public = WRAPPING_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return GetParametersForImportReply(
            key_id=KEY, import_token=b"token", public_key=public, parameters_valid_to=datetime.now(UTC)
        )

    def _take(self, request: ImportKeyMaterialRequest) -> ImportKeyMaterialReply:
        self.imported = request
        oaep = OAEP(MGF1(SHA256()), SHA256(), None)
        self.material = WRAPPING_KEY.decrypt(request.encrypted_key_material, oaep)
        return ImportKeyMaterialReply(key_id=KEY, key_material_id=ID)

    def _delete(self, request: DeleteImportedKeyMaterialRequest) -> DeleteImportedKeyMaterialReply:
        self.deleted = request
        return DeleteImportedKeyMaterialReply(key_id=KEY, key_material_id=ID)


@pytest.fixture
def kms() -> ImportingKms:
    return ImportingKms()


@pytest.fixture
def kmsq(kms: ImportingKms) -> Kmsq:
    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(root, arguments, input=stdin, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    return run


def pem(form: PrivateFormat) -> bytes:
    return PAIR.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.mark.parametrize(
    ("content", "options", "material"),
    [
        (MATERIAL, (), MATERIAL),
        (b"x" * 32, ("--format", "raw"), b"x" * 32),
        (HEX, ("--format", "hex"), MATERIAL),
        (HEX[:32].upper() + b"\r\n" + HEX[32:] + b"\n", ("--format", "hex"), MATERIAL),
        (BASE64, ("--format", "base64"), MATERIAL),
        (PKCS8, (), PKCS8),
        (PKCS8, ("--format", "der"), PKCS8),
        (pem(PrivateFormat.PKCS8), (), PKCS8),
        (pem(PrivateFormat.TraditionalOpenSSL), (), PKCS8),
        (b"Bag Attributes\n" + pem(PrivateFormat.PKCS8), (), PKCS8),
        (pem(PrivateFormat.TraditionalOpenSSL), ("--format", "pem"), PKCS8),
    ],
    ids=[
        "raw",
        "text-as-raw",
        "hex",
        "hex-in-lines",
        "base64",
        "der-as-raw",
        "der",
        "pem",
        "sec1",
        "pem-with-a-preface",
        "sec1-as-pem",
    ],
)
def test_key_material_is_imported_as_what_it_is(
    kms: ImportingKms, kmsq: Kmsq, content: bytes, options: tuple[str, ...], material: bytes
) -> None:
    done = kmsq("import", KEY, "-", *options, "--wrapping-key-spec", "RSA_2048", stdin=content)
    assert json.loads(done.stdout) == {"KeyId": KEY, "KeyMaterialId": ID}
    assert kms.material == material


@pytest.mark.parametrize(
    ("content", "options", "error"),
    [
        (b"", (), "there is no key material"),
        (HEX, (), "is text"),
        (BASE64, (), "is text"),
        (b"canary\n", ("--format", "hex"), "not hexadecimal"),
        (b"\xff", ("--format", "hex"), "not hexadecimal"),
        (b"canary!", ("--format", "base64"), "not base64"),
        (b"canary", ("--format", "der"), "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\ncanary", (), "not a private key"),
        (
            PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"canary")),
            (),
            "the private key is encrypted",
        ),
    ],
)
def test_a_file_that_is_something_else_is_refused_without_being_quoted(
    kms: ImportingKms, kmsq: Kmsq, content: bytes, options: tuple[str, ...], error: str
) -> None:
    failed = kmsq("import", KEY, "-", *options, stdin=content)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert error in failed.stderr
    assert "canary" not in failed.stderr
    assert not kms.calls


def test_an_import_is_made_as_told(kms: ImportingKms, kmsq: Kmsq) -> None:
    assert kmsq("import", KEY, "-", stdin=MATERIAL).exit_code == 0
    assert kms.asked.wrapping_key_spec is WrappingKeySpec.RSA_4096
    assert (kms.imported.expires, kms.imported.import_type) == (False, None)
    options = ("--valid-to", "2027-01-31T12:00+01:00", "--description", "from the vault", "--new-material")
    assert kmsq("import", KEY, "-", *options, stdin=MATERIAL).exit_code == 0
    assert kms.imported.valid_to == datetime(2027, 1, 31, 11, tzinfo=UTC)
    assert kms.imported.key_material_description == "from the vault"
    assert kms.imported.import_type is ImportType.NEW_KEY_MATERIAL
    assert kmsq("import", KEY, "-", "--valid-to", "2027-01-31", stdin=MATERIAL).exit_code == 0
    assert kms.imported.valid_to == datetime(2027, 1, 31, tzinfo=UTC)
    wrong = kmsq("import", KEY, "-", "--valid-to", "tomorrow", stdin=MATERIAL)
    assert (wrong.exit_code, "2027-01-31" in wrong.stderr) == (1, True)


def test_a_file_is_read_where_it_is(kms: ImportingKms, kmsq: Kmsq, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(MATERIAL)
    assert kmsq("import", KEY, str(tmp_path / "key")).exit_code == 0
    assert kms.material == MATERIAL
    missing = kmsq("import", KEY, str(tmp_path / "none"))
    assert (missing.exit_code, "cannot read" in missing.stderr) == (1, True)


def test_material_is_deleted(kms: ImportingKms, kmsq: Kmsq) -> None:
    assert json.loads(kmsq("key", "delete-material", KEY).stdout)["KeyMaterialId"] == ID
    assert kms.deleted.key_material_id is None
    assert kmsq("key", "delete-material", KEY, "--material", ID).exit_code == 0
    assert kms.deleted.key_material_id == ID
