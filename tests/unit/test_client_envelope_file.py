"""The command `kmsq file`, against a KMS in memory."""

import errno
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from kmsq.cli import steps
from kmsq.cli.app import root
from kmsq.cli.copying import copy_steps
from kmsq.envelope import inspect
from kmsq.envelope.chunks import CHUNK_BYTES
from kmsq.envelope.streams import seal_steps
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

Kmsq = Callable[..., Result]
DATA = bytes(range(256)) * 1024  # four chunks
ENCRYPT = ("file", "encrypt", "--key-id", "alias/files")


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def kmsq(kms: FakeKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kmsq:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(root, arguments, input=stdin, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    assert run("key", "create", "--alias", "alias/files").exit_code == 0
    (tmp_path / "in").write_bytes(DATA)
    return run


@pytest.fixture
def sealed(kmsq: Kmsq) -> Path:
    assert kmsq(*ENCRYPT, "--context", "host=db1", "in").exit_code == 0
    return Path("in.kmsq")


def refused(done: Result, *words: str) -> None:
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert leftovers() == []


def names() -> list[str]:
    return sorted(each.name for each in Path().iterdir())


def leftovers() -> list[str]:
    return [name for name in names() if name.endswith(".partial")]


def test_a_file_goes_there_and_back_under_its_default_names(kmsq: Kmsq, sealed: Path) -> None:
    refused(kmsq("file", "decrypt", str(sealed)), "in exists", "--force")
    Path("in").unlink()
    done = kmsq("--output", "json", "file", "decrypt", str(sealed))
    assert Path("in").read_bytes() == DATA
    shown = json.loads(done.stdout)
    assert {name: shown[name] for name in ("Input", "Output", "EncryptionContext", "PlaintextBytes")} == {
        "Input": "in.kmsq",
        "Output": "in",
        "EncryptionContext": {"host": "db1"},
        "PlaintextBytes": len(DATA),
    }
    assert kmsq("--output", "table", *ENCRYPT, "in", "-o", "again").stdout.startswith("again: 0.3 MB in ")
    assert leftovers() == []


def test_pipes_serve_as_well_as_files(kmsq: Kmsq) -> None:
    made = kmsq(*ENCRYPT, "-", stdin=DATA)
    assert made.exit_code == 0
    opened = kmsq("file", "decrypt", "-", stdin=made.stdout_bytes)
    assert (opened.stdout_bytes, opened.stderr) == (DATA, "")
    moved = kmsq("file", "rewrap", "--key-id", "alias/files", "-", stdin=made.stdout_bytes)
    assert kmsq("file", "decrypt", "-", stdin=moved.stdout_bytes).stdout_bytes == DATA


def test_the_envelope_is_as_private_as_its_source_and_the_plaintext_is_its_owners(kmsq: Kmsq, sealed: Path) -> None:
    Path("in").chmod(0o640)
    kmsq(*ENCRYPT, "in", "--force")
    kmsq(*ENCRYPT, "-", "--out", "piped", stdin=DATA)
    kmsq("file", "decrypt", str(sealed), "--force")
    modes = [stat.S_IMODE(Path(name).stat().st_mode) for name in ("in.kmsq", "piped", "in")]
    assert modes == [0o640, 0o600, 0o600]


def test_nothing_is_overwritten_unless_told_and_never_the_input(kmsq: Kmsq, sealed: Path) -> None:
    before = sealed.read_bytes()
    refused(kmsq(*ENCRYPT, "in"), "in.kmsq exists", "--force")
    assert sealed.read_bytes() == before
    assert kmsq(*ENCRYPT, "in", "--force").exit_code == 0
    assert sealed.read_bytes() != before
    Path("link").symlink_to("in")
    for target in ("in", "./in", "link"):
        refused(kmsq(*ENCRYPT, "in", "-o", target, "--force"), "is the input itself")
    assert Path("in").read_bytes() == DATA
    Path("folder").mkdir()
    refused(kmsq(*ENCRYPT, "in", "-o", "folder", "--force"), "folder is not a file")
    refused(kmsq(*ENCRYPT, "in", "-o", "no/such"), "cannot write no/such")
    refused(kmsq(*ENCRYPT, "none"), "cannot read none")
    refused(kmsq(*ENCRYPT, "folder"), "cannot read folder")


def test_a_file_that_comes_into_being_meanwhile_is_not_overwritten(
    kms: FakeKms, kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*arguments: Any) -> Iterator[int]:
        Path("in.kmsq").write_bytes(b"another's")
        return seal_steps(*arguments)

    monkeypatch.setattr("kmsq.cli.file.seal_steps", meanwhile)
    refused(kmsq(*ENCRYPT, "in"), "cannot write in.kmsq: File exists")
    assert Path("in.kmsq").read_bytes() == b"another's"
    assert kms.calls[Operation.GENERATE_DATA_KEY] == 1


def test_without_hard_links_a_rename_does(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    assert kmsq(*ENCRYPT, "in").exit_code == 0
    assert kmsq("file", "decrypt", "in.kmsq", "-o", "out").exit_code == 0
    assert Path("out").read_bytes() == DATA
    assert leftovers() == []


def test_an_altered_file_leaves_nothing_and_says_what_to_do(kmsq: Kmsq, sealed: Path) -> None:
    good = sealed.read_bytes()
    for broken in (good[:-1], good[: -(len(DATA) % CHUNK_BYTES) - 16], good + b"\0", good[:60], b"", b"text"):
        sealed.write_bytes(broken)
        refused(kmsq("file", "decrypt", str(sealed), "-o", "out"), "kmsq: InvalidEnvelope: ", "another copy")
        assert not Path("out").exists()
    size = len(inspect(io.BytesIO(good)).encode())
    altered = kmsq("file", "decrypt", "-", stdin=good[: size - 1] + bytes([good[size - 1] ^ 1]) + good[size:])
    assert (altered.exit_code, altered.stdout_bytes) == (2, b"")
    assert "InvalidCiphertextException" in altered.stderr
    assert "another copy" in altered.stderr


def test_a_stream_that_was_cut_off_gives_its_beginning_and_exit_code_1(kmsq: Kmsq) -> None:
    data = bytes(5 * 1024 * 1024)
    made = kmsq(*ENCRYPT, "-", stdin=data).stdout_bytes
    cut = kmsq("file", "decrypt", "-", stdin=made[:-1])
    assert cut.exit_code == 1
    assert 0 < len(cut.stdout_bytes) < len(data)
    assert "InvalidEnvelope" in cut.stderr


def test_decrypt_insists_on_key_and_context_if_told(kmsq: Kmsq, sealed: Path) -> None:
    wrong = kmsq("file", "decrypt", str(sealed), "-o", "out", "--context", "host=db2")
    refused(wrong, "the envelope's encryption context is not the expected one", "file inspect")
    other = json.loads(kmsq("key", "create").stdout)["KeyId"]
    assert kmsq("file", "decrypt", str(sealed), "-o", "out", "--key-id", other).exit_code == 2
    right = ("--context", "host=db1", "--key-id", "alias/files")
    assert kmsq("file", "decrypt", str(sealed), "-o", "out", *right).exit_code == 0


def test_a_denial_is_the_services_own_and_leaves_nothing(kms: FakeKms, kmsq: Kmsq) -> None:
    kms.deny("alice", Operation.GENERATE_DATA_KEY)
    denied = kmsq(*ENCRYPT, "in")
    assert denied.exit_code == 2
    assert "AccessDeniedException" in denied.stderr
    assert names() == ["in"]


def test_rewrap_replaces_the_wrapped_key_and_copies_the_rest(kms: FakeKms, kmsq: Kmsq, sealed: Path) -> None:
    before = sealed.read_bytes()
    header = inspect(io.BytesIO(before))
    size, kept = len(header.encode()), len(header.encode()) - len(header.wrapped_key)
    new = json.loads(kmsq("key", "create").stdout)["KeyId"]
    refused(kmsq("file", "rewrap", "--key-id", new, str(sealed)), "give --out, or --replace")
    refused(kmsq("file", "rewrap", "--key-id", new, str(sealed), "--out", str(sealed), "--force"), "input itself")
    refused(kmsq("file", "rewrap", "--key-id", new, str(sealed), "--out", "x", "--replace"), "no --out")
    refused(kmsq("file", "rewrap", str(sealed), "--replace"), "Give --key-id")  # the fake's blobs name no key
    shown = json.loads(kmsq("file", "rewrap", "--key-id", new, str(sealed), "--replace").stdout)
    assert (shown["Output"], shown["CopiedBytes"]) == ("in.kmsq", len(before) - size)
    after = sealed.read_bytes()
    assert (after[:kept], after[size:]) == (before[:kept], before[size:])
    assert after[kept:size] != before[kept:size]
    assert kms.calls[Operation.RE_ENCRYPT] == 1
    assert kms.calls[Operation.DECRYPT] == 0
    assert kmsq("file", "decrypt", str(sealed), "-o", "out", "--key-id", new).exit_code == 0
    assert Path("out").read_bytes() == DATA


def test_inspect_shows_what_the_header_says_and_asks_nobody(kms: FakeKms, kmsq: Kmsq, sealed: Path) -> None:
    kms.calls.clear()
    shown = json.loads(kmsq("--output", "json", "file", "inspect", str(sealed)).stdout)
    assert (shown["EncryptionContext"], shown["PlaintextBytes"]) == ({"host": "db1"}, len(DATA))
    table = kmsq("--output", "table", "file", "inspect", str(sealed)).stdout
    assert "host=db1" in table
    assert "262,144" in table
    piped = json.loads(kmsq("file", "inspect", "-", stdin=sealed.read_bytes()).stdout)
    assert "PlaintextBytes" not in piped
    header = len(inspect(io.BytesIO(sealed.read_bytes())).encode())
    sealed.write_bytes(sealed.read_bytes()[: header + 15])
    cut = kmsq("--output", "table", "file", "inspect", str(sealed))
    assert "in.kmsq is not complete" in cut.stderr
    assert "unknown" in cut.stdout
    assert not kms.calls


def test_a_context_cannot_write_control_characters_to_the_terminal(kmsq: Kmsq) -> None:
    assert kmsq(*ENCRYPT, "--context", "a\x1b[2J=é\x9b1m\r", "in").exit_code == 0
    shown = kmsq("--output", "table", "file", "inspect", "in.kmsq").stdout
    assert "a\\x1b[2J=é\\x9b1m\\r" in shown


def test_what_to_call_the_plaintext_must_be_clear(kmsq: Kmsq) -> None:
    for name in ("in", ".kmsq"):
        refused(kmsq("file", "decrypt", name), "Say it with --out")


def test_an_envelope_is_not_printed_on_a_terminal(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmsq.cli.files.on_terminal", lambda: True)
    refused(kmsq(*ENCRYPT, "-", stdin=DATA), "the envelope would be printed on the terminal")


def test_progress_is_shown_on_a_terminal(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]  # a terminal is what says so
    with monkeypatch.context() as patched:
        patched.setattr(steps, "sys", SimpleNamespace(stderr=terminal))
        patched.setattr(steps, "Console", lambda **_: Console(file=terminal, force_terminal=True, width=100))
        assert kmsq(*ENCRYPT, "in").exit_code == 0
    assert "encrypting" in terminal.getvalue()
    assert "262.1/262.1 kB" in terminal.getvalue()


def test_a_full_disk_is_told_and_leaves_nothing(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kmsq.cli.replacing.FileIO", Full)
    refused(kmsq(*ENCRYPT, "in"), "No space left on device")
    assert names() == ["in"]


def test_a_reader_that_has_had_enough_is_clicks_business() -> None:
    with pytest.raises(BrokenPipeError), steps.working():
        raise BrokenPipeError


def test_ctrl_c_leaves_nothing(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("kmsq.cli.file.seal_steps", interrupted)
    assert kmsq(*ENCRYPT, "in").exit_code == 1
    assert names() == ["in"]


def test_the_kernels_copy_and_the_plain_one_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(name: str) -> bytes:
        with (tmp_path / "a").open("rb", buffering=0) as source, (tmp_path / name).open("wb", buffering=0) as target:
            source.seek(3)
            target.write(b"!")
            assert sum(copy_steps(source, target)) == len(DATA) - 3
        return (tmp_path / name).read_bytes()

    def cannot(*_: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    (tmp_path / "a").write_bytes(DATA)
    assert copied("kernel") == b"!" + DATA[3:]
    monkeypatch.setattr(os, "copy_file_range", cannot)
    assert copied("plain") == b"!" + DATA[3:]


def test_a_copy_that_fails_midway_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").write_bytes(DATA)
    monkeypatch.setattr(os, "copy_file_range", broken)
    with (
        (tmp_path / "a").open("rb", buffering=0) as source,
        (tmp_path / "b").open("wb", buffering=0) as target,
        pytest.raises(OSError, match="Input/output"),
    ):
        list(copy_steps(source, target))
