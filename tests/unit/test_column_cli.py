"""The command `kmsq column`, against a KMS in memory."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kmsq.cli.app import root
from kmsq.cli.column_progress import facts
from kmsq.cli.column_run import resuming
from kmsq.column import Progress
from kmsq.column.journal import Tally
from kmsq.errors import AccessDeniedException
from kmsq.testing import FakeKms
from unit.column_tables import content, write_table

Kmsq = Callable[..., Result]
OPTIONS = ("--table", "orders", "--column", "name", "--column", "price")


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def kmsq(kms: FakeKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kmsq:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kmsq", "--amqp-url", "amqp://alice:secret@host/", "column", "…"])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(root, arguments, obj=lambda _: kms.client(), prog_name="kmsq")
        assert "Traceback" not in done.output
        return done

    run("key", "create", "--alias", "alias/orders")
    return run


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_table(tmp_path, "csv")


def encrypt(kmsq: Kmsq, *more: str) -> Result:
    return kmsq("column", "encrypt", "plain.csv", "--key-id", "alias/orders", *OPTIONS, *more)


@pytest.mark.parametrize("mode", ["value", "envelope"])
def test_what_is_encrypted_is_rewrapped_verified_and_decrypted(kmsq: Kmsq, plain: Path, mode: str) -> None:
    assert json.loads(encrypt(kmsq, "--mode", mode, "-o", "sealed.csv").stdout)["Cells"] == 200
    kmsq("key", "create", "--alias", "alias/new")
    assert kmsq("column", "rewrap", "sealed.csv", "--to", "alias/new", "--in-place", *OPTIONS).exit_code == 0
    verified = kmsq("column", "verify", "sealed.csv", *OPTIONS, "--against", "plain.csv")
    assert (verified.exit_code, json.loads(verified.stdout)["Findings"]) == (0, 0)
    assert kmsq("column", "decrypt", "sealed.csv", *OPTIONS, "-o", "opened.csv").exit_code == 0
    assert content(Path("opened.csv")) == content(plain)


@pytest.mark.usefixtures("plain")
def test_a_person_reads_sentences(kmsq: Kmsq) -> None:
    table = ("--output", "table", "column")
    rehearsed = kmsq(*table, *_encryption("--dry-run", "-o", "sealed.csv"))
    assert rehearsed.stdout.startswith("would encrypt name (text), price (text) of table orders into sealed.csv")
    assert "the service would allow it" in rehearsed.stdout
    done = kmsq(*table, *_encryption("--progress", "always", "-o", "sealed.csv"))
    assert done.stdout.startswith("100 rows, 200 cells in ")
    assert "100 rows" in done.stderr
    other = kmsq(*table, "verify", "sealed.csv", "--table", "customers", "--column", "name", "--column", "price")
    assert other.exit_code == 1
    assert "row 1, column name: InvalidCiphertextException" in other.stdout
    assert "… and 100 more" in other.stdout


def _encryption(*more: str) -> tuple[str, ...]:
    return ("encrypt", "plain.csv", "--key-id", "alias/orders", *OPTIONS, *more)


def test_a_run_that_was_stopped_says_how_to_go_on_without_the_password(kmsq: Kmsq, plain: Path) -> None:
    plain.write_text(f"{plain.read_text()}101,{'x' * 4096},1\n")
    stopped = encrypt(kmsq, "-o", "sealed.csv", "--part-rows", "30")
    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert "What was done is kept. To go on: kmsq column … --resume" in stopped.stderr.replace("'", "")
    assert "secret" not in stopped.stderr
    again = encrypt(kmsq, "-o", "sealed.csv")
    assert (again.exit_code, "--resume goes on from it, --restart begins anew" in again.stderr) == (1, True)
    done = json.loads(encrypt(kmsq, "-o", "sealed.csv", "--resume", "--on-error", "skip").stdout)
    assert (done["Rows"], done["ResumedFrom"], done["Skipped"]) == (101, 90, 1)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("more", [(), ("--resume",)], ids=["anew", "resumed"])
def test_a_run_that_did_nothing_leaves_nothing_in_the_way(kmsq: Kmsq, kms: FakeKms, more: tuple[str, ...]) -> None:
    kms.fail_next("BatchEncrypt", AccessDeniedException("no"))
    denied = encrypt(kmsq, "-o", "sealed.csv")
    assert (denied.exit_code, "To go on" in denied.stderr) == (2, False)
    other = encrypt(kmsq, "-o", "sealed.csv", "--mode", "envelope", *more)
    assert json.loads(other.stdout)["Rows"] == 100


@pytest.mark.usefixtures("plain")
def test_a_folder_that_is_not_there_is_told(kmsq: Kmsq) -> None:
    failed = encrypt(kmsq, "-o", "nowhere/sealed.csv")
    assert (failed.exit_code, "CannotWrite" in failed.stderr, "No such file" in failed.stderr) == (1, True, True)


@pytest.mark.usefixtures("plain")
def test_bad_cells_are_left_out_or_the_run_ends_with_advice(kmsq: Kmsq) -> None:
    Path("plain.csv").write_text(f"name,price\n{'x' * 4096},1\ny,2\n")
    failed = encrypt(kmsq, "-o", "sealed.csv")
    assert (failed.exit_code, "row 1, column name: ValueTooLong" in failed.stderr) == (1, True)
    assert "--on-error skip leaves such rows out" in failed.stderr
    done = kmsq("--output", "table", "column", *_encryption("-o", "sealed.csv", "--resume", "--on-error", "quarantine"))
    assert "1 rows were left out, for 1 cells: " in done.stdout


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("more", "text"),
    [
        ((), "-o OUT, or --in-place"),
        (("-o", "x.csv", "--in-place"), "-o OUT, or --in-place"),
        (("-o", "plain.csv"), "--in-place replaces it"),
        (("-o", "x.csv", "--resume", "--restart"), "not both"),
        (("-o", "x.csv", "--delimiter", ";;"), "one character"),
        (("-o", "x.parquet"), "one format"),
        (("-o", "x.txt"), "--format must say"),
        (("-o", "x.csv", "--column", "nome"), "no column nome"),
    ],
)
def test_what_makes_no_sense_is_refused(kmsq: Kmsq, more: tuple[str, ...], text: str) -> None:
    refused = encrypt(kmsq, *more)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert text in refused.stderr


@pytest.mark.parametrize(
    "written",
    ["a,b\n1\n", "a,a\n", "", 'a,b\n"x,1\n', b"a,b\n\xff,1\n"],
    ids=["fields-missing", "a-column-twice", "empty", "an-open-quote", "not-utf-8"],
)
def test_what_is_not_csv_is_refused_with_its_place(kmsq: Kmsq, written: str | bytes) -> None:
    Path("plain.csv").write_bytes(written.encode() if isinstance(written, str) else written)
    refused = kmsq(
        "column", "encrypt", "plain.csv", "--key-id", "alias/orders", "--table", "t", "--column", "a", "-o", "x.csv"
    )
    assert refused.exit_code == 1
    assert "MalformedTable: plain.csv: " in refused.stderr


def test_what_is_not_json_lines_is_refused_with_its_place(kmsq: Kmsq) -> None:
    for written in ('{"name":1}\n{"name":', '["name"]\n'):
        Path("plain.jsonl").write_text(written)
        refused = kmsq(
            *("column", "encrypt", "plain.jsonl", "--key-id", "alias/orders"),
            *("--table", "t", "--column", "name", "-o", "x.jsonl"),
        )
        assert refused.exit_code == 1
        assert "MalformedTable: plain.jsonl: the line at byte " in refused.stderr


def test_the_command_to_go_on_names_no_password_and_resumes_once() -> None:
    words = ["/bin/kmsq", "--amqp-url=amqp://a:b@c/", "column", "encrypt", "my file.csv", "--restart", "--resume"]
    assert resuming(words) == "kmsq column encrypt 'my file.csv' --resume"


def test_an_earlier_runs_rows_make_no_speed() -> None:
    now = Progress(
        tally=Tally(rows=3_000, bytes=5_000_000, skipped=2),
        resumed=Tally(rows=1_000, bytes=1_000_000),
        position=3,
        size=10,
        requests=12,
    )
    assert facts(now, 2.0) == "3,000 rows  2 left out  1,000/s  2.0 MB/s  12 requests"


def test_parquet_without_pyarrow_says_what_to_install(kmsq: Kmsq, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plain.parquet").write_bytes(b"")
    monkeypatch.setattr("kmsq.column.formats.find_spec", lambda _: None)
    refused = kmsq(
        *("column", "encrypt", "plain.parquet", "--key-id", "alias/orders"),
        *("--table", "t", "--column", "name", "-o", "x.parquet"),
    )
    assert (refused.exit_code, "pip install 'kmsq[parquet]'" in refused.stderr) == (1, True)
