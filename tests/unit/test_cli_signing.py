"""`kmsq sign`, `verify`, `mac`, `public-key`: what is signed, and who can check it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from kmsq.cli.app import root
from kmsq.errors import service_error
from kmsq.testing import FakeKms
from kmsq_schemas import models
from kmsq_schemas.models import KeySpec, KeyUsage, MacAlgorithm, MessageType, SigningAlgorithm
from kmsq_schemas.operations import Operation

Kmsq = Callable[..., Result]
KEY = "alias/releases"
LONG = bytes(range(256)) * 17


class SigningKms(FakeKms):
    """Has one key of any kind, and keeps what it is sent."""

    sent: Any = None

    def describe(self, spec: KeySpec, usage: KeyUsage, **algorithms: Any) -> None:
        """Say what the key is."""
        metadata = models.KeyMetadata(
            aws_account_id="000000000000",
            key_id="1",
            arn="arn:kmsq:kms:local:000000000000:key/1",
            creation_date=datetime.now(UTC),
            enabled=True,
            description="",
            key_usage=usage,
            key_state=models.KeyState.ENABLED,
            origin=models.Origin.AWS_KMS,
            key_manager=models.KeyManager.CUSTOMER,
            key_spec=spec,
            multi_region=False,
            **algorithms,
        )
        self.answer_with("DescribeKey", lambda _: models.DescribeKeyReply(key_metadata=metadata))

    def hold(self, key: EllipticCurvePrivateKey | MLDSA65PrivateKey) -> None:
        """Sign with this key, and give out its public half."""
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        is_curve = isinstance(key, EllipticCurvePrivateKey)
        spec = KeySpec.ECC_NIST_P384 if is_curve else KeySpec.ML_DSA_65
        algorithm = SigningAlgorithm.ECDSA_SHA_384 if is_curve else SigningAlgorithm.ML_DSA_SHAKE_256
        self.describe(spec, KeyUsage.SIGN_VERIFY, signing_algorithms=[algorithm])

        def sign(request: models.SignRequest) -> models.SignReply:
            self.sent = request
            signature = signature_by(key, request.message, request.message_type)
            return models.SignReply(key_id="k", signature=signature, signing_algorithm=request.signing_algorithm)

        reply = models.GetPublicKeyReply(
            key_id="k", public_key=public, key_spec=spec, key_usage=KeyUsage.SIGN_VERIFY, signing_algorithms=[algorithm]
        )
        self.answer_with("Sign", sign)
        self.answer_with("GetPublicKey", lambda _: reply)


def signature_by(key: EllipticCurvePrivateKey | MLDSA65PrivateKey, message: bytes, kind: MessageType | None) -> bytes:
    """Sign as the API reference describes it."""
    if isinstance(key, EllipticCurvePrivateKey):
        assert kind in (MessageType.RAW, MessageType.DIGEST)
        hashed = SHA384() if kind is MessageType.RAW else Prehashed(SHA384())
        return key.sign(message, ECDSA(hashed))
    return key.sign(message) if kind is MessageType.RAW else key.sign_mu(message)


@pytest.fixture
def kms() -> SigningKms:
    return SigningKms()


@pytest.fixture
def kmsq(kms: SigningKms) -> Kmsq:
    def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(root, arguments, input=stdin, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    return run


@pytest.mark.parametrize(
    ("message", "kind"), [(b"x", MessageType.RAW), (LONG[:4096], MessageType.RAW), (LONG, MessageType.DIGEST)]
)
def test_a_signature_is_of_the_whole_message_whatever_was_sent(
    kms: SigningKms, kmsq: Kmsq, message: bytes, kind: MessageType
) -> None:
    key = generate_private_key(SECP384R1())
    kms.hold(key)
    signature = kmsq("sign", KEY, stdin=message).stdout_bytes
    assert kms.sent.message_type is kind
    assert kms.sent.signing_algorithm is SigningAlgorithm.ECDSA_SHA_384
    public = load_pem_public_key(kmsq("public-key", KEY).stdout_bytes)
    assert public == key.public_key()
    key.public_key().verify(signature, message, ECDSA(SHA384()))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, message + b"x", ECDSA(SHA384()))


@pytest.mark.parametrize(("message", "kind"), [(b"x", MessageType.RAW), (LONG, MessageType.EXTERNAL_MU)])
def test_ml_dsa_signs_long_messages_by_their_representative(
    kms: SigningKms, kmsq: Kmsq, message: bytes, kind: MessageType
) -> None:
    key = MLDSA65PrivateKey.generate()
    kms.hold(key)
    signature = kmsq("sign", KEY, stdin=message).stdout_bytes
    assert kms.sent.message_type is kind
    key.public_key().verify(signature, message)


def test_ml_dsa_needs_an_ml_dsa_key(kms: SigningKms, kmsq: Kmsq) -> None:
    kms.hold(generate_private_key(SECP384R1()))
    failed = kmsq("sign", KEY, "--algorithm", "ML_DSA_SHAKE_256", stdin=LONG)
    assert (failed.exit_code, failed.stdout, "not an ML-DSA key" in failed.stderr) == (1, "", True)
    public = models.GetPublicKeyReply(
        key_id="k", public_key=b"junk", key_spec=KeySpec.ML_DSA_65, key_usage=KeyUsage.SIGN_VERIFY
    )
    kms.answer_with("GetPublicKey", lambda _: public)
    assert kmsq("sign", KEY, "--algorithm", "ML_DSA_SHAKE_256", stdin=LONG).exit_code == 1


def test_ed25519_signs_nothing_long_and_says_what_to_do(kms: SigningKms, kmsq: Kmsq) -> None:
    algorithms = [SigningAlgorithm.ED25519_SHA_512, SigningAlgorithm.ED25519_PH_SHA_512]
    kms.describe(KeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY, signing_algorithms=algorithms)
    failed = kmsq("sign", KEY, stdin=LONG)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "ED25519_SHA_512 signs whole messages of up to 4,096 bytes, and there are 4,352" in failed.stderr
    assert "openssl dgst" in failed.stderr


def test_an_rsa_key_signs_with_pss_unless_told_otherwise(kms: SigningKms, kmsq: Kmsq) -> None:
    algorithms = [algorithm for algorithm in SigningAlgorithm if algorithm.value.startswith("RSA")]
    kms.describe(KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, signing_algorithms=[*reversed(algorithms)])
    asked = []

    def sign(request: models.SignRequest) -> models.SignReply:
        asked.append(request.signing_algorithm)
        return models.SignReply(key_id="k", signature=b"s", signing_algorithm=request.signing_algorithm)

    kms.answer_with("Sign", sign)
    assert kmsq("sign", KEY, stdin=b"x").exit_code == 0
    assert kmsq("sign", KEY, "--algorithm", "RSASSA_PKCS1_V1_5_SHA_512", stdin=b"x").exit_code == 0
    assert asked == [SigningAlgorithm.RSASSA_PSS_SHA_256, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_512]
    assert kms.calls[Operation.DESCRIBE_KEY] == 1


def test_a_digest_may_be_given_instead_of_the_message(kms: SigningKms, kmsq: Kmsq) -> None:
    kms.hold(generate_private_key(SECP384R1()))
    assert kmsq("sign", KEY, "--message-type", "DIGEST", stdin=b"d" * 48).exit_code == 0
    assert (kms.sent.message, kms.sent.message_type) == (b"d" * 48, MessageType.DIGEST)
    assert kmsq("sign", KEY, "--message-type", "RAW", stdin=LONG).exit_code == 1


def test_a_wrong_signature_exits_with_2_and_says_so(kms: SigningKms, kmsq: Kmsq, tmp_path: Path) -> None:
    kms.hold(generate_private_key(SECP384R1()))
    (tmp_path / "signature").write_bytes(b"right")

    def verify(request: models.VerifyRequest) -> models.VerifyReply:
        kms.sent = request
        if request.signature != b"right":
            raise service_error("KMSInvalidSignatureException", "")
        return models.VerifyReply(key_id="k", signature_valid=True, signing_algorithm=request.signing_algorithm)

    kms.answer_with("Verify", verify)
    command = ("verify", KEY, "--signature", str(tmp_path / "signature"))
    assert json.loads(kmsq(*command, stdin=LONG).stdout)["SignatureValid"] is True
    assert kms.sent.message_type is MessageType.DIGEST
    assert kmsq("--output", "table", *command, stdin=b"x").stdout == "the signature is valid\n"
    (tmp_path / "signature").write_bytes(b"wrong")
    failed = kmsq(*command, stdin=b"x")
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr.startswith("kmsq: KMSInvalidSignatureException\n")
    assert "not the signature of this message" in failed.stderr
    assert kmsq("verify", KEY, "--signature", "-", stdin=b"x").exit_code == 1


def test_a_key_for_something_else_is_told_apart(kms: SigningKms, kmsq: Kmsq) -> None:
    kms.describe(KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT)
    for command, purpose in ((("sign", KEY), "signing"), (("mac", "generate", KEY), "message authentication codes")):
        failed = kmsq(*command, stdin=b"x")
        assert (failed.exit_code, failed.stdout) == (1, "")
        assert f"is a key for ENCRYPT_DECRYPT, not for {purpose}" in failed.stderr


def test_an_empty_message_is_refused(kms: SigningKms, kmsq: Kmsq) -> None:
    kms.hold(generate_private_key(SECP384R1()))
    for command in (("sign", KEY), ("sign", KEY, "--message-type", "DIGEST"), ("mac", "generate", KEY)):
        failed = kmsq(*command, stdin=b"")
        assert (failed.exit_code, "the message is empty" in failed.stderr) == (1, True), command


def test_a_code_is_made_and_checked(kms: SigningKms, kmsq: Kmsq, tmp_path: Path) -> None:
    algorithm = MacAlgorithm.HMAC_SHA_384
    kms.describe(KeySpec.HMAC_384, KeyUsage.GENERATE_VERIFY_MAC, mac_algorithms=[algorithm])

    def verify(request: models.VerifyMacRequest) -> models.VerifyMacReply:
        if request.mac != request.message[::-1]:
            raise service_error("KMSInvalidMacException", "")
        return models.VerifyMacReply(key_id="k", mac_valid=True, mac_algorithm=request.mac_algorithm)

    kms.answer_with(
        "GenerateMac",
        lambda request: models.GenerateMacReply(
            mac=request.message[::-1], mac_algorithm=request.mac_algorithm, key_id="k"
        ),
    )
    kms.answer_with("VerifyMac", verify)
    code, message = tmp_path / "code", tmp_path / "message"
    message.write_bytes(b"abc")
    assert kmsq("mac", "generate", KEY, str(message), "--out", str(code)).exit_code == 0
    assert code.read_bytes() == b"cba"
    command = ("mac", "verify", KEY, "--mac", str(code))
    assert json.loads(kmsq(*command, stdin=b"abc").stdout)["MacAlgorithm"] == algorithm
    assert kmsq("--output", "table", *command, stdin=b"abc").stdout == "the code is valid\n"
    failed = kmsq(*command, "--algorithm", algorithm, stdin=b"abd")
    assert (failed.exit_code, "not the code of this message" in failed.stderr) == (2, True)
    assert kmsq("mac", "verify", KEY, "--mac", "-", stdin=b"x").exit_code == 1


def test_a_code_is_not_made_of_more_than_4096_bytes(kmsq: Kmsq) -> None:
    failed = kmsq("mac", "generate", KEY, stdin=LONG)
    assert (failed.exit_code, failed.stdout, "openssl dgst" in failed.stderr) == (1, "", True)


def test_signatures_and_codes_do_not_go_to_a_terminal(
    kms: SigningKms, kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch
) -> None:
    kms.hold(generate_private_key(SECP384R1()))
    monkeypatch.setattr("kmsq.cli.files.on_terminal", lambda: True)
    for command in (("sign", KEY), ("mac", "generate", KEY), ("public-key", KEY, "--format", "der")):
        failed = kmsq(*command, stdin=b"x")
        assert (failed.exit_code, failed.stdout, "--out" in failed.stderr) == (1, "", True), command
    assert kmsq("public-key", KEY).stdout.startswith("-----BEGIN PUBLIC KEY-----\n")
