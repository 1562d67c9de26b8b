"""The command `kmsq`, against a KMS in memory."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kmsq.cli.app import root
from kmsq.errors import DeadlineExceeded
from kmsq.testing import FakeKms

Kmsq = Callable[..., Result]


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def kmsq(kms: FakeKms) -> Kmsq:
    def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(root, arguments, input=stdin, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    return run


@pytest.fixture
def key_id(kmsq: Kmsq) -> str:
    made = kmsq("key", "create", "--alias", "alias/orders")
    return str(json.loads(made.stdout)["KeyId"])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("files", "app", "parts"):
        monkeypatch.setattr(f"kmsq.cli.{module}.on_terminal", lambda: True)


def test_what_encrypt_prints_decrypt_reads(kmsq: Kmsq, key_id: str) -> None:
    plaintext = bytes(range(256))
    sealed = kmsq("encrypt", key_id, "--context", "a=1=2", "--context", "b=", stdin=plaintext)
    assert sealed.exit_code == 0
    opened = kmsq("decrypt", "--context", "b=", "--context", "a=1=2", stdin=sealed.stdout_bytes)
    assert opened.stdout_bytes == plaintext


def test_files_serve_as_well_as_pipes(kmsq: Kmsq, key_id: str, tmp_path: Path) -> None:
    source, sealed, opened = (tmp_path / name for name in ("in", "sealed", "opened"))
    source.write_bytes(b"x")
    assert kmsq("encrypt", "alias/orders", "--in", str(source), "--out", str(sealed)).stdout == ""
    assert kmsq("decrypt", "--key", key_id, "--in", str(sealed), "--out", str(opened)).exit_code == 0
    assert opened.read_bytes() == b"x"
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600
    missing = kmsq("encrypt", "alias/orders", "--in", str(tmp_path / "none"))
    assert (missing.exit_code, "cannot read" in missing.stderr) == (1, True)
    unwritable = kmsq("encrypt", "alias/orders", "--out", str(tmp_path / "no" / "such"), stdin=b"x")
    assert (unwritable.exit_code, "cannot write" in unwritable.stderr) == (1, True)


def test_reencrypt_changes_the_context(kmsq: Kmsq, key_id: str) -> None:
    sealed = kmsq("encrypt", key_id, "--context", "a=1", stdin=b"x").stdout_bytes
    moved = kmsq("reencrypt", key_id, "--from-context", "a=1", "--context", "a=2", stdin=sealed).stdout_bytes
    assert kmsq("decrypt", "--context", "a=2", stdin=moved).stdout_bytes == b"x"


def test_random_writes_as_many_bytes_as_asked(kmsq: Kmsq) -> None:
    assert len(kmsq("random", "33").stdout_bytes) == 33


def test_an_error_of_the_service_exits_with_2_and_advice(kmsq: Kmsq, key_id: str) -> None:
    sealed = kmsq("encrypt", key_id, "--context", "a=1", stdin=b"x").stdout_bytes
    failed = kmsq("decrypt", stdin=sealed)
    assert failed.exit_code == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("kmsq: InvalidCiphertextException\n")
    assert "--context" in failed.stderr
    unknown = kmsq("key", "disable", "alias/orders")
    assert unknown.exit_code == 2
    assert unknown.stderr.startswith("kmsq: NotFoundException: Invalid keyId alias/orders\n")


def test_an_error_on_this_side_exits_with_1(kmsq: Kmsq, kms: FakeKms, key_id: str) -> None:
    kms.fail_next("DescribeKey", DeadlineExceeded("no worker answered"))
    failed = kmsq("key", "show", key_id)
    assert failed.exit_code == 1
    assert failed.stderr.startswith("kmsq: DeadlineExceeded: no worker answered\n")
    for wrong in (
        ("nonsense",),
        ("--nonsense",),
        ("key",),
        ("encrypt",),
        ("random", "0"),
        ("encrypt", key_id, "--context", "a"),
        ("encrypt", key_id, "--context", "a=1", "--context", "a=2"),
        ("policy", "get"),
        ("policy", "get", key_id, "--account"),
        ("policy", "put"),
        ("data-key", key_id, "--spec", "AES_256", "--bytes", "3"),
        ("data-key", key_id, "--without-plaintext", "--show-plaintext"),
    ):
        assert kmsq(*wrong).exit_code == 1, wrong


def test_too_much_plaintext_is_pointed_to_data_keys(kmsq: Kmsq, key_id: str) -> None:
    for plaintext in (b"", b"x" * 4097):
        failed = kmsq("encrypt", key_id, stdin=plaintext)
        assert failed.exit_code == 1
        assert "data-key" in failed.stderr


@pytest.mark.usefixtures("terminal")
def test_bytes_do_not_go_to_a_terminal(kmsq: Kmsq, tmp_path: Path) -> None:
    kmsq("key", "create", "--alias", "alias/orders")
    for command in (("encrypt", "alias/orders"), ("reencrypt", "alias/orders"), ("random", "3")):
        failed = kmsq(*command, stdin=b"x")
        assert (failed.exit_code, failed.stdout) == (1, "")
        assert "--out" in failed.stderr
    assert kmsq("encrypt", "alias/orders", "--out", str(tmp_path / "sealed"), stdin=b"x").exit_code == 0
    assert kmsq("decrypt", "--in", str(tmp_path / "sealed")).stdout == "x"


@pytest.mark.usefixtures("terminal")
def test_a_plaintext_key_goes_to_a_terminal_only_when_asked(kmsq: Kmsq) -> None:
    kmsq("key", "create", "--alias", "alias/orders")
    refused = kmsq("data-key", "alias/orders")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--plaintext-out" in refused.stderr
    assert "Plaintext" in kmsq("data-key", "alias/orders", "--show-plaintext").stdout
    assert "Plaintext" not in kmsq("data-key", "alias/orders", "--without-plaintext").stdout


def test_data_key_prints_json_to_a_pipe(kmsq: Kmsq, key_id: str) -> None:
    made = json.loads(kmsq("data-key", key_id, "--bytes", "3").stdout)
    assert set(made) == {"CiphertextBlob", "Plaintext", "KeyId", "KeyMaterialId"}
    assert len(made["Plaintext"]) == 4


def test_data_key_files_are_private_and_never_overwrite(kmsq: Kmsq, key_id: str, tmp_path: Path) -> None:
    plain, wrapped = tmp_path / "key", tmp_path / "key.wrapped"
    command = ("data-key", key_id, "--context", "a=1", "--plaintext-out", str(plain), "--ciphertext-out", str(wrapped))
    made = kmsq(*command)
    assert set(json.loads(made.stdout)) == {"KeyId", "KeyMaterialId"}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (plain, wrapped)] == [0o600, 0o600]
    opened = kmsq("decrypt", "--context", "a=1", "--in", str(wrapped)).stdout_bytes
    assert opened == plain.read_bytes()
    again = kmsq(*command)
    assert again.exit_code == 1
    assert plain.read_bytes() == opened


def test_keys_live_and_die(kmsq: Kmsq, key_id: str) -> None:
    def state() -> str:
        return str(json.loads(kmsq("key", "show", "alias/orders").stdout)["KeyState"])

    assert json.loads(kmsq("key", "list").stdout)["Keys"][0]["KeyId"] == key_id
    assert kmsq("key", "disable", key_id).exit_code == 0
    assert state() == "Disabled"
    assert kmsq("key", "enable", key_id).exit_code == 0
    assert kmsq("key", "rotate", key_id).exit_code == 0
    rotations = json.loads(kmsq("key", "rotations", key_id).stdout)["Rotations"]
    assert [rotation["RotationType"] for rotation in rotations] == ["ON_DEMAND"]
    assert len(json.loads(kmsq("key", "rotations", key_id, "--all-material").stdout)["Rotations"]) == 2
    assert kmsq("key", "update-description", key_id, "new").exit_code == 0
    assert json.loads(kmsq("key", "show", key_id).stdout)["Description"] == "new"
    assert json.loads(kmsq("key", "schedule-deletion", key_id, "--days", "7").stdout)["PendingWindowInDays"] == 7
    assert state() == "PendingDeletion"
    assert kmsq("key", "cancel-deletion", key_id).exit_code == 0
    assert state() == "Disabled"


def test_a_key_whose_alias_exists_is_not_lost(kmsq: Kmsq, key_id: str) -> None:
    failed = kmsq("key", "create", "--alias", "alias/orders")
    assert failed.exit_code == 2
    assert "AlreadyExistsException" in failed.stderr
    created = failed.stderr.split()[1]
    assert created != key_id
    assert kmsq("key", "show", created).exit_code == 0


def test_aliases_move(kmsq: Kmsq, key_id: str) -> None:
    other = json.loads(kmsq("key", "create").stdout)["KeyId"]
    assert kmsq("alias", "create", "alias/b", key_id).exit_code == 0
    assert kmsq("alias", "update", "alias/b", other).exit_code == 0
    listed = json.loads(kmsq("alias", "list", "--key", other).stdout)["Aliases"]
    assert [alias["AliasName"] for alias in listed] == ["alias/b"]
    assert kmsq("alias", "delete", "alias/b").exit_code == 0
    assert len(json.loads(kmsq("alias", "list").stdout)["Aliases"]) == 1


def test_policies_round_trip(kmsq: Kmsq, key_id: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}\n')
    assert kmsq("policy", "put", key_id, str(policy)).exit_code == 0
    printed = kmsq("policy", "get", key_id).stdout
    assert printed == policy.read_text()
    assert kmsq("policy", "put", "--account", stdin=printed).exit_code == 0
    assert kmsq("policy", "get", "--account").stdout == printed
    assert kmsq("policy", "put", key_id, "--bypass-lockout-check", stdin="{").exit_code == 2
    assert kmsq("policy", "put", key_id, stdin=b"\xff").exit_code == 1
    indented = kmsq("--output", "table", "policy", "get", key_id).stdout
    assert json.loads(indented) == json.loads(printed)
    assert indented.count("\n") > 1


def test_tables_are_for_people(kmsq: Kmsq, key_id: str) -> None:
    assert key_id in kmsq("--output", "table", "key", "list").stdout
    described = kmsq("--output", "table", "key", "show", key_id).stdout
    assert "KeyState" in described
    assert "SYMMETRIC_DEFAULT" in described
    assert kmsq("--output", "table", "key", "disable", key_id).stdout == "disabled\n"
    assert kmsq("key", "enable", key_id).stdout == ""
    assert "alias/orders" in kmsq("--output", "table", "alias", "list").stdout
    empty = kmsq("--output", "table", "key", "rotations", key_id)
    assert (empty.stdout, empty.stderr) == ("", "The key was never rotated.\n")


def test_schemas_are_exported_and_checked(kmsq: Kmsq, tmp_path: Path) -> None:
    folder = str(tmp_path / "schemas")
    assert kmsq("schemas", "export", folder).exit_code == 0
    assert kmsq("schemas", "export", "--check", folder).exit_code == 0
    next((tmp_path / "schemas").glob("*.json")).write_text("{}")
    assert kmsq("schemas", "export", "--check", folder).exit_code == 1


def test_help_teaches_with_examples(kmsq: Kmsq) -> None:
    for command in ((), ("encrypt",), ("decrypt",), ("reencrypt",), ("data-key",), ("key", "create"), ("policy",)):
        assert "Example" in kmsq(*command, "--help").stdout, command


def test_the_version_is_told(kmsq: Kmsq) -> None:
    assert kmsq("--version").stdout.startswith("kmsq, version ")


def test_a_missing_address_is_asked_for() -> None:
    for command in (["key", "list"], ["doctor"]):
        result = CliRunner(env={"KMSQ_AMQP_URL": None}).invoke(root, command)
        assert result.exit_code == 1
        assert "KMSQ_AMQP_URL" in result.stderr


def test_a_useless_address_is_refused_without_being_quoted() -> None:
    for command in (["key", "list"], ["doctor"]):
        result = CliRunner(env={"KMSQ_AMQP_URL": "amqp://alice:canary@:x/"}).invoke(root, command)
        assert result.exit_code == 1
        assert result.stderr.startswith("kmsq: InvalidAddress: ")
        assert "canary" not in result.output


def test_without_its_packages_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['rich'] = None; sys.argv = ['kmsq']; from kmsq.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 1
    assert "pip install 'kmsq[cli]'" in done.stderr


def test_the_client_needs_neither_click_nor_rich_nor_the_worker() -> None:
    code = (
        "import sys; import kmsq, kmsq.testing; "
        "print([name for name in ('click', 'rich', 'asyncpg', 'kmsq_worker') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
