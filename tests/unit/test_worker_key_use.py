"""No use of a key without permission, state and usage; nothing is unwrapped before. Symmetric uses: `cryptography`."""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from fakes.asking import code, locked_refusal
from fakes.database import ACCOUNT, MOMENT, Database
from fakes.uses import USES
from kmsq_schemas.models import Request
from kmsq_schemas.models.enums import KeyState, KeyUsage, MessageType
from kmsq_worker.primitives import agreement, kem, key_pairs, macs, rsa_encryption, signatures


@pytest.fixture
def database() -> Database:
    return Database()


def policy(action: str, key: str, value: str) -> str:
    """Write a policy that allows alice `action` if the condition key has `value`, and everything else."""
    allow = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT.user_arn("alice")}, "Resource": "*"}
    conditional = {**allow, "Action": f"kms:{action}", "Condition": {"StringEquals": {key: value}}}
    statements = [{**allow, "NotAction": f"kms:{action}"}, conditional]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def dry(asked: Request) -> Request:
    return asked.model_copy(update={"dry_run": True})


@pytest.mark.parametrize("use", USES)
async def test_a_key_is_used_by_those_who_may_and_a_dry_run_says_so(database: Database, use: str) -> None:
    key_id = USES[use].add_key(database)
    asked = await USES[use].asking(database, key_id)
    assert await code(database, asked) == f"{type(asked).__name__.removesuffix('Request')}Reply"
    assert (await locked_refusal(database, asked, principal="bob"))[0] == "AccessDenied"
    if use != "get public key":  # which has no DryRun
        assert await code(database, dry(asked)) == "DryRunOperation"
        assert (await locked_refusal(database, dry(asked), principal="bob"))[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("state", "expected", "words"),
    [
        (KeyState.DISABLED, "Disabled", "disabled"),
        (KeyState.PENDING_DELETION, "KMSInvalidState", "pending deletion"),
        (KeyState.PENDING_IMPORT, "KMSInvalidState", "pending import"),
    ],
)
@pytest.mark.parametrize("use", USES)
async def test_a_key_is_used_while_it_is_enabled_and_the_state_is_told_to_those_who_may(
    database: Database, use: str, state: KeyState, expected: str, words: str
) -> None:
    key_id = USES[use].add_key(database)
    asked = await USES[use].asking(database, key_id)
    database.change_key(key_id, key_state=state)
    assert await locked_refusal(database, asked) == (expected, f"{ACCOUNT.key_arn(key_id)} is {words}.")
    assert (await locked_refusal(database, asked, principal="bob"))[0] == "AccessDenied"
    if use != "get public key":
        assert (await locked_refusal(database, dry(asked)))[0] == expected


@pytest.mark.parametrize("use", USES)
async def test_expired_material_serves_nobody(database: Database, use: str) -> None:
    key_id = USES[use].add_key(database)
    asked = await USES[use].asking(database, key_id)
    database.change_key(key_id, valid_to=MOMENT - timedelta(seconds=1))
    assert (await locked_refusal(database, asked))[0] == "KMSInvalidState"


@pytest.mark.parametrize("use", [use for use in USES if use != "get public key"])
async def test_a_key_serves_its_usage_alone(database: Database, use: str) -> None:
    key_id = USES[use].add_key(database)
    asked = await USES[use].asking(database, key_id)
    operation = type(asked).__name__.removesuffix("Request")
    for usage in KeyUsage:
        if usage is USES[use].usage:
            continue
        database.change_key(key_id, key_usage=usage)
        why = f"{ACCOUNT.key_arn(key_id)} key usage is {usage} which is not valid for {operation}."
        assert await locked_refusal(database, asked) == ("InvalidKeyUsage", why)
        assert await locked_refusal(database, dry(asked)) == ("InvalidKeyUsage", why)
        assert (await locked_refusal(database, asked, principal="bob"))[0] == "AccessDenied"


CONDITIONS = [
    ("sign", "Sign", "kms:SigningAlgorithm", ("ECDSA_SHA_256", "ECDSA_SHA_384")),
    ("sign", "Sign", "kms:MessageType", ("RAW", "DIGEST")),
    ("verify", "Verify", "kms:SigningAlgorithm", ("ECDSA_SHA_256", "ECDSA_SHA_384")),
    ("verify", "Verify", "kms:MessageType", ("RAW", "DIGEST")),
    ("derive", "DeriveSharedSecret", "kms:KeyAgreementAlgorithm", ("ECDH", "DH")),
    ("generate mac", "GenerateMac", "kms:MacAlgorithm", ("HMAC_SHA_256", "HMAC_SHA_512")),
    ("verify mac", "VerifyMac", "kms:MacAlgorithm", ("HMAC_SHA_256", "HMAC_SHA_512")),
    ("generate pair", "GenerateDataKeyPair", "kms:DataKeyPairSpec", ("ECC_NIST_P256", "RSA_2048")),
    ("generate pair", "GenerateDataKeyPair", "kms:EncryptionAlgorithm", ("SYMMETRIC_DEFAULT", "SM2PKE")),
    (
        "generate wrapped pair",
        "GenerateDataKeyPairWithoutPlaintext",
        "kms:DataKeyPairSpec",
        ("ECC_NIST_P256", "RSA_2048"),
    ),
    ("encrypt with RSA", "Encrypt", "kms:EncryptionAlgorithm", ("RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1")),
    ("decrypt with RSA", "Decrypt", "kms:EncryptionAlgorithm", ("RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1")),
    ("re-encrypt from RSA", "ReEncryptFrom", "kms:EncryptionAlgorithm", ("RSAES_OAEP_SHA_256", "SYMMETRIC_DEFAULT")),
    ("re-encrypt to RSA", "ReEncryptTo", "kms:EncryptionAlgorithm", ("RSAES_OAEP_SHA_256", "SYMMETRIC_DEFAULT")),
    ("get public key", "GetPublicKey", "kms:KeySpec", ("ECC_NIST_P256", "RSA_2048")),
    ("encapsulate", "Encapsulate", "kms:KeyUsage", ("ENCAPSULATE_DECAPSULATE", "SIGN_VERIFY")),
    ("decapsulate", "Decapsulate", "kms:KeyUsage", ("ENCAPSULATE_DECAPSULATE", "SIGN_VERIFY")),
]
"""Each with the value that the request has, and another."""


@pytest.mark.parametrize(("use", "action", "key", "values"), CONDITIONS)
async def test_a_policy_may_ask_how_the_key_is_used(
    database: Database, use: str, action: str, key: str, values: tuple[str, str]
) -> None:
    key_id = USES[use].add_key(database)
    asked = await USES[use].asking(database, key_id)
    right, wrong = values
    database.change_key(key_id, policy=policy(action, key, right))
    assert (await code(database, asked)).endswith("Reply")
    database.change_key(key_id, policy=policy(action, key, wrong))
    assert (await locked_refusal(database, asked))[0] == "AccessDenied"


def test_every_use_is_asked_about() -> None:
    assert {row[0] for row in CONDITIONS} == set(USES)


@pytest.mark.parametrize("message_type", MessageType)
async def test_a_policy_is_told_the_message_type_that_was_asked_for(
    database: Database, message_type: MessageType
) -> None:
    key_id = USES["sign"].add_key(database)
    database.change_key(key_id, policy=policy("Sign", "kms:MessageType", message_type))
    asked = await USES["sign"].asking(database, key_id)
    for asked_for in MessageType:
        found = await code(database, asked.model_copy(update={"message_type": asked_for, "message": bytes(32)}))
        assert (found != "AccessDenied") is (asked_for is message_type)


WORK: Mapping[str, tuple[ModuleType, str, bool]] = {
    "sign": (signatures, "sign", True),
    "derive": (agreement, "derive_shared_secret", True),
    "decapsulate": (kem, "decapsulate", True),
    "generate pair": (key_pairs, "generate", True),
    "generate wrapped pair": (key_pairs, "generate", True),
    "verify": (signatures, "verify", False),
    "encapsulate": (kem, "encapsulate", False),
    "generate mac": (macs, "generate_mac", False),
    "verify mac": (macs, "verify_mac", False),
    "encrypt with RSA": (rsa_encryption, "encrypt", False),
    "decrypt with RSA": (rsa_encryption, "decrypt", False),
    "get public key": (key_pairs, "public_key", False),
}


@pytest.mark.parametrize("use", WORK)
async def test_slow_work_leaves_the_event_loop_and_quick_work_does_not(
    database: Database, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, is_slow = WORK[use]
    asked = await USES[use].asking(database, USES[use].add_key(database))
    real: Callable[..., Any] = getattr(module, name)
    threads: list[threading.Thread] = []

    def noting(*arguments: object) -> Any:
        threads.append(threading.current_thread())
        return real(*arguments)

    monkeypatch.setattr(module, name, noting)
    assert (await code(database, asked)).endswith("Reply")
    assert [thread is not threading.main_thread() for thread in threads] == [is_slow]
