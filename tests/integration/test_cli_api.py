"""The commands for signatures, secrets, imports, grants, tags and schedules, against real workers."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PSS
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_public_key,
)

from integration.test_cli_service import EVERY_BYTE, LOCAL_ERROR, SERVICE_ERROR, Command, environment_of
from services.stack import PrivateStack

LONG = EVERY_BYTE * 20  # beyond the 4,096 bytes that travel
BOTH = pytest.mark.parametrize("message", [EVERY_BYTE, LONG], ids=["short", "long"])


@pytest.fixture
def kmsq(stack: PrivateStack, tmp_path: Path) -> Command:
    """Return the command of the account's administrator."""
    return Command(environment_of(stack.administrator_url), tmp_path)


@pytest.fixture
def kmsq_of_carol(principals: Mapping[str, str], tmp_path: Path) -> Command:
    """Return the command of somebody whom no policy allows anything."""
    return Command(environment_of(principals["carol"]), tmp_path)


async def signed(kmsq: Command, folder: Path, key: str, message: bytes) -> bytes:
    """Sign a file, check the signature and one that is wrong, and return it."""
    (folder / "message").write_bytes(message)
    assert (await kmsq.do("sign", key, "message", "--out", "signature")).out == b""
    verify = ("verify", key, "--signature", "signature")
    assert (await kmsq.do(*verify, "message")).json["SignatureValid"] is True
    refused = await kmsq.fails(SERVICE_ERROR, *verify, stdin=message[::-1])
    assert refused.startswith("kmsq: KMSInvalidSignatureException\n")
    return (folder / "signature").read_bytes()


@BOTH
async def test_an_ecdsa_signature_is_valid_without_kmsq(kmsq: Command, tmp_path: Path, message: bytes) -> None:
    key = await kmsq.new_key("--spec", "ECC_NIST_P256", "--usage", "SIGN_VERIFY")
    signature = await signed(kmsq, tmp_path, key, message)
    public = load_pem_public_key((await kmsq.do("public-key", key)).out)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, message, ec.ECDSA(SHA256()))


@BOTH
async def test_an_rsa_signature_is_pss_and_valid_without_kmsq(kmsq: Command, tmp_path: Path, message: bytes) -> None:
    key = await kmsq.new_key("--spec", "RSA_2048", "--usage", "SIGN_VERIFY")
    signature = await signed(kmsq, tmp_path, key, message)
    public = load_pem_public_key((await kmsq.do("public-key", key)).out)
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, message, PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256())


@BOTH
async def test_an_ml_dsa_signature_is_valid_without_kmsq(kmsq: Command, tmp_path: Path, message: bytes) -> None:
    key = await kmsq.new_key("--spec", "ML_DSA_44")
    signature = await signed(kmsq, tmp_path, key, message)
    public = load_pem_public_key((await kmsq.do("public-key", key)).out)
    assert isinstance(public, MLDSA44PublicKey)
    public.verify(signature, message)


async def test_ed25519_signs_what_travels_whole(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key("--spec", "ECC_NIST_EDWARDS25519")
    assert len(await signed(kmsq, tmp_path, key, EVERY_BYTE)) == 64
    assert "openssl dgst" in await kmsq.fails(LOCAL_ERROR, "sign", key, stdin=LONG)


async def test_a_code_is_made_and_checked(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key("--spec", "HMAC_256")
    code = (await kmsq.do("mac", "generate", key, stdin=EVERY_BYTE)).out
    assert len(code) == 32
    (tmp_path / "code").write_bytes(code)
    assert (await kmsq.do("mac", "verify", key, "--mac", "code", stdin=EVERY_BYTE)).json["MacValid"] is True
    refused = await kmsq.fails(SERVICE_ERROR, "mac", "verify", key, "--mac", "code", stdin=b"x")
    assert refused.startswith("kmsq: KMSInvalidMacException\n")


async def test_an_rsa_key_opens_what_its_public_half_encrypted(kmsq: Command) -> None:
    key = await kmsq.new_key("--spec", "RSA_2048", "--usage", "ENCRYPT_DECRYPT")
    rsa_options = ("--algorithm", "RSAES_OAEP_SHA_256")
    public = load_pem_public_key((await kmsq.do("public-key", key)).out)
    assert isinstance(public, rsa.RSAPublicKey)
    elsewhere = public.encrypt(b"secret", OAEP(MGF1(SHA256()), SHA256(), None))
    here = (await kmsq.do("encrypt", key, *rsa_options, stdin=b"secret")).out
    for sealed in (elsewhere, here):
        assert (await kmsq.do("decrypt", "--key", key, *rsa_options, stdin=sealed)).out == b"secret"


async def test_both_sides_derive_the_same_secret(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key("--spec", "ECC_NIST_P384", "--usage", "KEY_AGREEMENT")
    mine = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "peer").write_bytes(mine.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    theirs = load_pem_public_key((await kmsq.do("public-key", key)).out)
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    await kmsq.do("derive-shared-secret", key, "peer", "--secret-out", "secret")
    assert (tmp_path / "secret").read_bytes() == mine.exchange(ec.ECDH(), theirs)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


async def test_an_encapsulated_secret_comes_out_again(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key("--spec", "ML_KEM_768")
    await kmsq.do("encapsulate", key, "--secret-out", "secret", "--ciphertext-out", "sealed")
    opened = (await kmsq.do("decapsulate", key, "--in", "sealed")).json
    assert base64.b64decode(opened["SharedSecret"]) == (tmp_path / "secret").read_bytes()


async def test_a_data_key_pair_fits_and_its_private_key_can_be_had_back(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key()
    files = ("--public-key-out", "public", "--private-key-out", "private", "--ciphertext-out", "wrapped")
    pair = ("data-key-pair", key, "--spec", "ECC_NIST_P256", "--context", "device=17")
    assert not {"PrivateKeyPlaintext", "PublicKey"} & (await kmsq.do(*pair, *files)).json.keys()
    again = load_der_private_key((await kmsq.do("decrypt", "--context", "device=17", "--in", "wrapped")).out, None)
    assert again.public_key() == load_pem_public_key((tmp_path / "public").read_bytes())
    bare = (await kmsq.do(*pair, "--without-plaintext")).json
    assert "PrivateKeyPlaintext" not in bare
    wrapped = base64.b64decode(bare["PrivateKeyCiphertextBlob"])
    opened = load_der_private_key((await kmsq.do("decrypt", "--context", "device=17", stdin=wrapped)).out, None)
    public = opened.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == base64.b64decode(bare["PublicKey"])


async def test_imported_material_is_used_deleted_and_brought_back(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key("--origin", "EXTERNAL")
    assert (await kmsq.do("key", "show", key)).json["KeyState"] == "PendingImport"
    (tmp_path / "mine").write_bytes(EVERY_BYTE[:32])
    options = ("--wrapping-key-spec", "RSA_2048")
    first = (await kmsq.do("import", key, "mine", *options)).json["KeyMaterialId"]
    sealed = (await kmsq.do("encrypt", key, stdin=b"secret")).out

    await kmsq.do("key", "delete-material", key)
    refused = await kmsq.fails(SERVICE_ERROR, "decrypt", stdin=sealed)
    assert refused.startswith("kmsq: KMSInvalidStateException")
    assert "kmsq import" in refused
    other = await kmsq.fails(SERVICE_ERROR, "import", key, "-", *options, stdin=EVERY_BYTE[128:160])
    assert other.startswith("kmsq: IncorrectKeyMaterialException")
    until = datetime.now(UTC) + timedelta(days=30)
    hexadecimal = EVERY_BYTE[:32].hex().encode() + b"\n"
    again = ("import", key, "-", "--format", "hex", "--valid-to", until.isoformat(), *options)
    assert (await kmsq.do(*again, stdin=hexadecimal)).json["KeyMaterialId"] == first
    assert (await kmsq.do("decrypt", stdin=sealed)).out == b"secret"
    assert (await kmsq.do("key", "show", key)).json["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"


async def test_new_material_waits_for_the_next_rotation(kmsq: Command) -> None:
    key = await kmsq.new_key("--origin", "EXTERNAL")
    options = ("--wrapping-key-spec", "RSA_2048", "--description", "from the vault")
    first = (await kmsq.do("import", key, "-", *options, stdin=EVERY_BYTE[:32])).json["KeyMaterialId"]
    sealed = (await kmsq.do("encrypt", key, stdin=b"secret")).out
    new = ("import", key, "-", "--new-material", *options)
    second = (await kmsq.do(*new, stdin=EVERY_BYTE[128:160])).json["KeyMaterialId"]
    assert (await kmsq.do("key", "show", key)).json["CurrentKeyMaterialId"] == first
    await kmsq.do("rotation", "now", key)
    assert (await kmsq.do("key", "show", key)).json["CurrentKeyMaterialId"] == second
    materials = (await kmsq.do("rotation", "list", "--all-material", key)).json["Rotations"]
    assert [material["KeyMaterialDescription"] for material in materials] == ["from the vault"] * 2
    assert (await kmsq.do("decrypt", stdin=sealed)).out == b"secret"


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256"])
async def test_a_private_key_in_pem_is_imported_and_signs(kmsq: Command, tmp_path: Path, spec: str) -> None:
    mine = rsa.generate_private_key(65537, 2048) if spec == "RSA_2048" else ec.generate_private_key(ec.SECP256R1())
    key = await kmsq.new_key("--spec", spec, "--usage", "SIGN_VERIFY", "--origin", "EXTERNAL")
    (tmp_path / "mine").write_bytes(mine.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    await kmsq.do("import", key, "mine", "--wrapping-key-spec", "RSA_2048")
    assert load_pem_public_key((await kmsq.do("public-key", key)).out) == mine.public_key()
    await signed(kmsq, tmp_path, key, LONG)


async def test_a_grant_counts_from_its_creation_to_its_end(kmsq: Command, kmsq_of_carol: Command) -> None:
    key = await kmsq.new_key()
    await kmsq_of_carol.fails(SERVICE_ERROR, "encrypt", key, stdin=b"x")
    create = ("grant", "create", key, "--to", "carol", "--operation", "Encrypt", "--context", "team=billing")
    grant = (await kmsq.do(*create, "--retiring", "carol", "--name", "billing")).json["GrantId"]
    assert (await kmsq.do(*create, "--retiring", "carol", "--name", "billing")).json["GrantId"] == grant
    await kmsq_of_carol.do("encrypt", key, "--context", "team=billing", stdin=b"x")
    refused = await kmsq_of_carol.fails(SERVICE_ERROR, "encrypt", key, "--context", "team=other", stdin=b"x")
    assert refused.startswith("kmsq: AccessDeniedException")

    (listed,) = (await kmsq.do("grant", "list", key, "--to", "carol")).json["Grants"]
    assert (listed["GrantId"], listed["Operations"], listed["Name"]) == (grant, ["Encrypt"], "billing")
    assert listed["Constraints"] == {"EncryptionContextSubset": {"team": "billing"}}
    assert (await kmsq.do("grant", "list", key, "--to", "admin")).json == {"Grants": []}
    retirable = (await kmsq.do("grant", "list-retirable", listed["RetiringPrincipal"])).json["Grants"]
    assert grant in {each["GrantId"] for each in retirable}

    await kmsq_of_carol.do("grant", "retire", key, grant)
    await kmsq_of_carol.fails(SERVICE_ERROR, "encrypt", key, "--context", "team=billing", stdin=b"x")
    token = (await kmsq.do(*create, "--retiring", "carol")).json["GrantToken"]
    await kmsq_of_carol.do("grant", "retire", "--token", token)
    last = (await kmsq.do(*create)).json["GrantId"]
    await kmsq.do("grant", "revoke", key, last)
    assert (await kmsq.do("grant", "list", key)).json == {"Grants": []}


async def test_tags_are_there_from_creation_until_they_are_removed(kmsq: Command) -> None:
    key = await kmsq.new_key("--tag", "team=billing", "--tag", "stage=test")
    await kmsq.do("tag", "add", key, "stage=live", "note=")
    tags = (await kmsq.do("tag", "list", key)).json["Tags"]
    assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == {"team": "billing", "stage": "live", "note": ""}
    await kmsq.do("tag", "remove", key, "team", "note", "none")
    assert (await kmsq.do("tag", "list", key)).json == {"Tags": [{"TagKey": "stage", "TagValue": "live"}]}
    refused = await kmsq.fails(SERVICE_ERROR, "tag", "add", key, "aws:x=y")
    assert refused.startswith("kmsq: TagException")


async def test_a_schedule_is_enabled_told_and_disabled(kmsq: Command) -> None:
    key = await kmsq.new_key()
    assert (await kmsq.do("rotation", "status", key)).json["KeyRotationEnabled"] is False
    await kmsq.do("rotation", "enable", key, "--days", "90")
    status = (await kmsq.do("rotation", "status", key)).json
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    days = datetime.fromtimestamp(status["NextRotationDate"], UTC) - datetime.now(UTC)
    assert timedelta(days=89) < days <= timedelta(days=90)
    await kmsq.do("rotation", "disable", key)
    assert (await kmsq.do("rotation", "status", key)).json["KeyRotationEnabled"] is False


async def test_a_key_that_was_never_used_says_so_and_has_one_policy(kmsq: Command) -> None:
    key = await kmsq.new_key()
    assert (await kmsq.do("key", "last-used", key)).json["KeyLastUsage"] == {}
    assert (await kmsq.do("policy", "list", key)).json == {"PolicyNames": ["default"]}
