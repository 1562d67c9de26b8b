"""`kmsq file` in bad company: signals, and others who write the same files."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kmsq.cli import replacing
from kmsq.cli.app import root
from kmsq.cli.session import Failure
from kmsq.envelope.streams import open_steps
from kmsq.testing import FakeKms
from kmsq_schemas.operations import Operation

Kmsq = Callable[..., Result]
ENCRYPT = ("file", "encrypt", "--key-id", "alias/files")
REWRAP = ("file", "rewrap", "--key-id", "alias/files", "in.kmsq")
DECRYPT = ("file", "decrypt", "in.kmsq", "-o", "out")


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def kmsq(kms: FakeKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kmsq:
    """Return the command, in a folder with a file and its envelope."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, obj=lambda _: kms.client("alice"), prog_name="kmsq")

    assert run("key", "create", "--alias", "alias/files").exit_code == 0
    Path("in").write_bytes(bytes(100_000))
    assert run(*ENCRYPT, "in").exit_code == 0
    return run


def refused(done: Result, words: str) -> None:
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert words in done.stderr
    assert [name for name in names() if name.endswith(".partial")] == []


def names() -> list[str]:
    return sorted(each.name for each in Path().iterdir())


def test_standard_input_and_output_are_the_input_itself_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(tmp_path / "in")
    with Path(name).open("ab") as appended, Path(name).open("rb") as read:
        monkeypatch.setattr(sys, "stdin", read)
        with pytest.raises(Failure, match="in is the input itself"):
            replacing.refuse_itself("-", name)
        monkeypatch.setattr(sys, "stdout", appended)
        for source in ("-", name):
            with pytest.raises(Failure, match="standard output is the input itself"):
                replacing.refuse_itself(source, "-")
        replacing.refuse_itself("/dev/null", "-")


@pytest.mark.parametrize("change", ["replaced", "appended", "removed"])
def test_rewrap_does_not_replace_what_has_changed_meanwhile(
    kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    sealed = Path("in.kmsq")

    synced = os.fsync

    def meanwhile(descriptor: int) -> None:
        synced(descriptor)
        match change:
            case "replaced":
                Path("newer").write_bytes(b"another's")
                Path("newer").replace(sealed)
            case "appended":
                with sealed.open("ab") as file:
                    file.write(b"another's")
            case _:
                sealed.unlink()

    monkeypatch.setattr(os, "fsync", meanwhile)
    refused(kmsq(*REWRAP, "--replace"), "in.kmsq has changed meanwhile")
    assert sealed.exists() == (change != "removed")
    assert change == "removed" or sealed.read_bytes().endswith(b"another's")


def test_who_owns_a_file_owns_what_is_put_in_its_place(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []

    def may_not(_descriptor: int, user: int, group: int) -> None:
        given.append((user, group))
        raise PermissionError

    monkeypatch.setattr(os, "fchown", may_not)
    assert kmsq(*REWRAP, "--out", "copy").exit_code == 0
    assert given == []
    owner = Path("in.kmsq").stat()
    assert kmsq(*REWRAP, "--replace").exit_code == 0
    assert given == [(owner.st_uid, owner.st_gid)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_leaves_no_plaintext(
    kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def signalled(*arguments: Any) -> Iterator[int]:
        yield from open_steps(*arguments)
        os.kill(os.getpid(), number)

    monkeypatch.setattr("kmsq.cli.file.open_steps", signalled)
    assert kmsq(*DECRYPT).exit_code == 128 + number
    assert names() == ["in", "in.kmsq"]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    def signalled(*arguments: Any) -> Iterator[int]:
        yield from open_steps(*arguments)
        os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr("kmsq.cli.file.open_steps", signalled)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert kmsq(*DECRYPT).exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_that_cannot_be_synced_is_refused_before_anything_is_asked(
    kms: FakeKms, kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def unreadable(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", unreadable)
    refused(kmsq(*ENCRYPT, "in", "-o", "again"), "cannot write again: Permission denied")
    assert names() == ["in", "in.kmsq"]
    assert kms.calls[Operation.GENERATE_DATA_KEY] == 1  # for the first envelope


def test_a_name_that_is_not_utf_8_can_be_told(kmsq: Kmsq) -> None:
    name = os.fsdecode(b"caf\xe9")
    Path("in").rename(name)
    done = kmsq(*ENCRYPT, name)
    assert done.exit_code == 0
    assert '"Output": "caf\N{REPLACEMENT CHARACTER}.kmsq"' in done.stdout
    assert Path(f"{name}.kmsq").exists()


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, Failure), (errno.EPIPE, BrokenPipeError)])
def test_what_standard_output_does_not_take_at_the_end_is_told(
    monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=Full()))
    with pytest.raises(error), replacing.open_target("-", replace=False):
        pass
