"""The root key file is made safely, and anything unsafe or malformed is refused with what to do."""

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from kmsq_worker.rootkey import RootKeyError, create_root_key_file, load_root_key_file
from kmsq_worker.secret import Secret

GOOD = b"kmsq-root-key v1\n" + b"0123456789abcdef" * 4 + b"\n"
CONTENT_MARK = "0123456789abcdef"


def put(path: Path, content: bytes, mode: int = 0o400) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_was_created_loads(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    root_key_id = create_root_key_file(path)
    loaded, again = load_root_key_file(path), load_root_key_file(path)
    assert loaded.id == again.id == root_key_id
    domain_key_id = uuid4()
    wrapped = loaded.wrap(Secret(b"d" * 32), domain_key_id)
    assert again.unwrap(wrapped, domain_key_id).reveal() == b"d" * 32


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "root.key"
    before = os.umask(umask)
    try:
        create_root_key_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    existing = put(tmp_path / "root.key", GOOD)
    dangling = tmp_path / "link.key"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (existing, dangling):
        with pytest.raises(RootKeyError, match="exists and is not overwritten"):
            create_root_key_file(path)
    assert existing.read_bytes() == GOOD
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: int) -> bytes:
        raise OSError(5, "Input/output error")

    path = put(tmp_path / "root.key", GOOD)
    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(RootKeyError, match="cannot be read: Input/output error"):
        load_root_key_file(path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RootKeyError, match="cannot be created: No such file"):
        create_root_key_file(tmp_path / "missing" / "root.key")


def test_file_and_folder_are_synced_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(stat.S_IFMT(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", sync)
    create_root_key_file(tmp_path / "root.key")
    assert synced == [stat.S_IFREG, stat.S_IFDIR]

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RootKeyError, match="cannot be written: No space left"):
        create_root_key_file(tmp_path / "other.key")
    assert not (tmp_path / "other.key").exists()


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o402, 0o410, 0o444, 0o644, 0o777])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path / "root.key", GOOD, mode)
    with pytest.raises(RootKeyError, match=rf"mode {mode:04o}.*run chmod 400 {path}"):
        load_root_key_file(path)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_file_that_only_its_owner_can_use_loads(tmp_path: Path, mode: int) -> None:
    assert load_root_key_file(put(tmp_path / "root.key", GOOD, mode)).id


def test_a_foreign_owner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "root.key", GOOD)
    real = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[stat.ST_UID] = os.geteuid() + 4242
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", foreign)
    with pytest.raises(RootKeyError, match=f"belongs to user {os.geteuid() + 4242}: run chown"):
        load_root_key_file(path)


def test_links_are_followed_and_what_they_lead_to_is_checked(tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    target = put(tmp_path / "root.key", GOOD)
    link.symlink_to(target)
    assert load_root_key_file(link).id == load_root_key_file(target).id
    target.chmod(0o444)
    with pytest.raises(RootKeyError, match="chmod 400"):
        load_root_key_file(link)


def test_what_is_no_regular_file_is_refused_without_hanging(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.key"
    os.mkfifo(fifo, 0o400)
    for path in (fifo, tmp_path, Path("/dev/null")):
        with pytest.raises(RootKeyError, match="not a regular file"):
            load_root_key_file(path)


def test_a_missing_file_says_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(RootKeyError, match=r"No such file.*kmsq-worker root-key create"):
        load_root_key_file(tmp_path / "root.key")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:-2],
        GOOD[:17],
        GOOD + b"\n",
        GOOD + b"more\n",
        GOOD[17:],
        GOOD.replace(b"v1", b"v2"),
        GOOD.upper(),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"0", b" "),
        GOOD.replace(b"0", b"g"),
        b" " + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD * 100,
        b"\xff" * 100,
    ],
)
def test_a_malformed_file_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RootKeyError, match="malformed") as caught:
        load_root_key_file(put(tmp_path / "root.key", content))
    assert CONTENT_MARK not in str(caught.value).lower()
    assert caught.value.__context__ is None


def test_the_last_newline_may_be_missing(tmp_path: Path) -> None:
    whole = load_root_key_file(put(tmp_path / "a.key", GOOD))
    assert whole.id == load_root_key_file(put(tmp_path / "b.key", GOOD[:-1])).id
