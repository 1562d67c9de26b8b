"""Every operation has a command that sends it, with what it was told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kmsq.cli.app import root
from kmsq.errors import service_error
from kmsq.testing import FakeKms
from kmsq_schemas import models
from kmsq_schemas.models import Reply
from kmsq_schemas.operations import Operation

Kmsq = Callable[..., Result]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOB = "arn:kmsq:iam::000000000000:user/bob"
GRANT = "0c" * 32


class Answers:
    """A KMS that keeps the requests which it does not do itself, and answers them somehow."""

    def __init__(self) -> None:
        self.kms = FakeKms()
        self.requests: dict[Operation, Any] = {}

    def set(self, operation: Operation, reply: Reply) -> None:
        """Answer `operation` always with `reply`."""

        def answer(request: Any) -> Reply:
            self.requests[operation] = request
            return reply

        self.kms.answer_with(operation, answer)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def kmsq(answers: Answers) -> Kmsq:
    def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(
            root, arguments, input=stdin, obj=lambda _: answers.kms.client("alice"), prog_name="kmsq"
        )

    return run


@pytest.fixture
def key_id(kmsq: Kmsq) -> str:
    return str(json.loads(kmsq("key", "create", "--tag", "team=billing").stdout)["KeyId"])


def test_tags_go_on_and_off(kmsq: Kmsq, key_id: str) -> None:
    def tags() -> dict[str, str]:
        return {tag["TagKey"]: tag["TagValue"] for tag in json.loads(kmsq("tag", "list", key_id).stdout)["Tags"]}

    assert tags() == {"team": "billing"}
    assert kmsq("tag", "add", key_id, "stage=a=b", "team=").exit_code == 0
    assert tags() == {"team": "", "stage": "a=b"}
    assert kmsq("--output", "table", "tag", "remove", key_id, "team", "stage").stdout == "removed\n"
    assert kmsq("--output", "table", "tag", "list", key_id).stderr == "The key has no tags.\n"
    for wrong in (("add", key_id), ("add", key_id, "team"), ("remove", key_id)):
        assert kmsq("tag", *wrong).exit_code == 1, wrong


def test_rotation_has_a_schedule_and_a_history(kmsq: Kmsq, key_id: str) -> None:
    def status() -> Any:
        return json.loads(kmsq("rotation", "status", key_id).stdout)

    assert status()["KeyRotationEnabled"] is False
    assert kmsq("rotation", "enable", key_id).exit_code == 0
    assert status()["RotationPeriodInDays"] == 365
    assert kmsq("rotation", "enable", key_id, "--days", "90").exit_code == 0
    assert status()["RotationPeriodInDays"] == 90
    assert "NextRotationDate" in kmsq("--output", "table", "rotation", "status", key_id).stdout
    assert kmsq("rotation", "disable", key_id).exit_code == 0
    assert status()["KeyRotationEnabled"] is False
    assert kmsq("rotation", "now", key_id).exit_code == 0
    (rotated,) = json.loads(kmsq("rotation", "list", key_id).stdout)["Rotations"]
    assert rotated["RotationType"] == "ON_DEMAND"
    assert kmsq("rotation", "list", key_id, "--all-material").stdout == (
        kmsq("key", "rotations", key_id, "--all-material").stdout
    )
    assert kmsq("rotation", "enable", key_id, "--days", "89").exit_code == 1


def test_the_names_of_policies_are_listed(kmsq: Kmsq, key_id: str) -> None:
    assert json.loads(kmsq("policy", "list", key_id).stdout) == {"PolicyNames": ["default"]}
    assert kmsq("--output", "table", "policy", "list", key_id).stdout.split() == ["POLICY", "default"]


def test_the_last_use_is_told(kmsq: Kmsq, answers: Answers) -> None:
    used = models.KeyLastUsageData(operation=models.KeyLastUsageTrackingOperation.ENCRYPT, timestamp=NOW)
    reply = models.GetKeyLastUsageReply(key_id="k", key_last_usage=used, tracking_start_date=NOW, key_creation_date=NOW)
    answers.set(Operation.GET_KEY_LAST_USAGE, reply)
    assert json.loads(kmsq("key", "last-used", "k").stdout)["KeyLastUsage"]["Operation"] == "Encrypt"
    assert "Operation: Encrypt, Timestamp: 20" in kmsq("--output", "table", "key", "last-used", "k").stdout


def test_a_grant_names_principals_by_name_or_arn(kmsq: Kmsq, answers: Answers, key_id: str) -> None:
    answers.set(Operation.CREATE_GRANT, models.CreateGrantReply(grant_token="token", grant_id=GRANT))
    made = kmsq("grant", "create", key_id, "--to", "bob", "--operation", "Decrypt", "--operation", "Encrypt")
    assert json.loads(made.stdout) == {"GrantToken": "token", "GrantId": GRANT}
    request = answers.requests[Operation.CREATE_GRANT]
    assert (request.grantee_principal, request.operations) == (BOB, ["Decrypt", "Encrypt"])
    assert (request.constraints, request.retiring_principal, request.name) == (None, None, None)

    options = ("--retiring", "carol", "--name", "n", "--context", "a=1", "--context", "b=2", "--context-equals", "c=3")
    assert kmsq("grant", "create", "k", "--to", BOB, "--operation", "Sign", "--retiring", BOB).exit_code == 0
    assert kmsq("grant", "create", key_id, "--to", BOB, "--operation", "Sign", *options).exit_code == 0
    request = answers.requests[Operation.CREATE_GRANT]
    assert request.retiring_principal == BOB.replace("bob", "carol")
    assert request.name == "n"
    assert request.constraints.encryption_context_subset == {"a": "1", "b": "2"}
    assert request.constraints.encryption_context_equals == {"c": "3"}


def test_a_grant_that_makes_no_request_is_an_error_of_this_side(kmsq: Kmsq, key_id: str) -> None:
    long = ("--to", BOB, "--operation", "Decrypt", "--context", f"canary={'x' * 385}")
    failed = kmsq("grant", "create", key_id, *long)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.startswith("kmsq: InvalidRequest: CreateGrant: ")
    for wrong in (("create", key_id, "--to", BOB), ("create", key_id, "--to", BOB, "--operation", "Fly")):
        assert kmsq("grant", *wrong).exit_code == 1, wrong


def test_grants_are_listed(kmsq: Kmsq, answers: Answers, key_id: str) -> None:
    entry = models.GrantListEntry(
        key_id="k",
        grant_id=GRANT,
        creation_date=NOW,
        grantee_principal=BOB,
        issuing_account="arn:kmsq:iam::000000000000:root",
        operations=[models.GrantOperation.ENCRYPT, models.GrantOperation.DECRYPT],
    )
    answers.set(Operation.LIST_GRANTS, models.ListGrantsReply(grants=[entry], truncated=False))
    answers.set(Operation.LIST_RETIRABLE_GRANTS, models.ListRetirableGrantsReply(grants=[entry], truncated=False))
    assert json.loads(kmsq("grant", "list", key_id, "--to", "bob").stdout)["Grants"][0]["GrantId"] == GRANT
    assert answers.requests[Operation.LIST_GRANTS].grantee_principal == BOB
    table = kmsq("--output", "table", "grant", "list", key_id).stdout
    assert answers.requests[Operation.LIST_GRANTS].grantee_principal is None
    assert "Encrypt, Decrypt" in " ".join(table.split())
    assert json.loads(kmsq("grant", "list-retirable", BOB).stdout)["Grants"][0]["KeyId"] == "k"
    assert answers.requests[Operation.LIST_RETIRABLE_GRANTS].retiring_principal == BOB
    named = kmsq("grant", "list-retirable", "bob")
    assert (named.exit_code, "arn:kmsq:iam::ACCOUNT:user/bob" in named.stderr) == (1, True)


def test_grants_end(kmsq: Kmsq, answers: Answers) -> None:
    answers.set(Operation.RETIRE_GRANT, models.RetireGrantReply())
    answers.set(Operation.REVOKE_GRANT, models.RevokeGrantReply())
    assert kmsq("--output", "table", "grant", "retire", "k", GRANT).stdout == "retired\n"
    assert answers.requests[Operation.RETIRE_GRANT].grant_id == GRANT
    assert kmsq("grant", "retire", "--token", "token").exit_code == 0
    assert answers.requests[Operation.RETIRE_GRANT].grant_token == "token"
    assert kmsq("grant", "revoke", "k", GRANT).exit_code == 0
    assert answers.requests[Operation.REVOKE_GRANT].grant_id == GRANT
    for wrong in ((), ("k",), ("k", GRANT, "--token", "token"), ("k", "--token", "token")):
        assert kmsq("grant", "retire", *wrong).exit_code == 1, wrong


@pytest.mark.parametrize(
    ("options", "usage"),
    [
        (("--spec", "HMAC_256"), "GENERATE_VERIFY_MAC"),
        (("--spec", "ML_KEM_768"), "ENCAPSULATE_DECAPSULATE"),
        (("--spec", "ECC_NIST_EDWARDS25519"), "SIGN_VERIFY"),
        (("--spec", "RSA_2048", "--usage", "ENCRYPT_DECRYPT"), "ENCRYPT_DECRYPT"),
        (("--spec", "SYMMETRIC_DEFAULT", "--origin", "EXTERNAL"), None),
    ],
)
def test_a_spec_with_one_usage_needs_none(
    kmsq: Kmsq, answers: Answers, options: tuple[str, ...], usage: str | None
) -> None:
    asked = []

    def answer(request: models.CreateKeyRequest) -> Reply:
        asked.append(request)
        raise service_error("UnsupportedOperationException", "")

    answers.kms.answer_with(Operation.CREATE_KEY, answer)
    assert kmsq("key", "create", *options).exit_code == 2
    assert [request.key_usage for request in asked] == [usage]
    assert asked[0].origin == ("EXTERNAL" if "--origin" in options else None)


@pytest.mark.parametrize(("spec", "other"), [("RSA_3072", "ENCRYPT_DECRYPT"), ("ECC_NIST_P521", "KEY_AGREEMENT")])
def test_a_spec_with_two_usages_asks_which(kmsq: Kmsq, spec: str, other: str) -> None:
    failed = kmsq("key", "create", "--spec", spec)
    assert failed.exit_code == 1
    assert f"--usage SIGN_VERIFY or --usage {other}" in failed.stderr


def test_rsa_keys_encrypt_with_an_algorithm(kmsq: Kmsq, answers: Answers, tmp_path: Path) -> None:
    oaep = models.EncryptionAlgorithm.RSAES_OAEP_SHA_256
    answers.set(Operation.ENCRYPT, models.EncryptReply(ciphertext_blob=b"c", key_id="k", encryption_algorithm=oaep))
    answers.set(Operation.DECRYPT, models.DecryptReply(plaintext=b"p", key_id="k", encryption_algorithm=oaep))
    moved = models.ReEncryptReply(
        ciphertext_blob=b"d",
        source_key_id="k",
        key_id="l",
        source_encryption_algorithm=oaep,
        destination_encryption_algorithm=oaep,
    )
    answers.set(Operation.RE_ENCRYPT, moved)
    assert kmsq("encrypt", "k", "--algorithm", oaep, stdin=b"p").stdout_bytes == b"c"
    assert answers.requests[Operation.ENCRYPT].encryption_algorithm is oaep
    assert kmsq("decrypt", "--key", "k", "--algorithm", oaep, stdin=b"c").stdout_bytes == b"p"
    assert answers.requests[Operation.DECRYPT].encryption_algorithm is oaep
    source = ("--from-key", "k", "--from-algorithm", oaep)
    target = tmp_path / "moved"
    assert kmsq("reencrypt", "l", *source, "--algorithm", oaep, "--out", str(target), stdin=b"c").exit_code == 0
    request = answers.requests[Operation.RE_ENCRYPT]
    assert (request.source_key_id, request.source_encryption_algorithm) == ("k", oaep)
    assert request.destination_encryption_algorithm is oaep
    assert target.read_bytes() == b"d"
