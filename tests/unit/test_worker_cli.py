"""The commands of `kmsq-worker` that need neither broker nor database."""

import builtins
import json
import shlex
import stat
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from kmsq_schemas.operations import Operation
from kmsq_worker import __main__, app, supervisor
from kmsq_worker.cli import cli
from kmsq_worker.cli.audit import _print_report
from kmsq_worker.cli.explained import explained
from kmsq_worker.custody import Tampered
from kmsq_worker.errors import Unavailable
from kmsq_worker.rootkey import RootKeyError, load_root_key_file
from kmsq_worker.settings import SettingsError
from kmsq_worker.store.schema import WrongDatabase
from kmsq_worker.verification import Report

ENVIRONMENT = {
    "KMSQ_AMQP_URL": "amqp://kmsq-worker:canary@127.0.0.1/",
    "KMSQ_DATABASE_URL": "postgresql://u:canary@127.0.0.1/",
    "KMSQ_CHANGES_DATABASE_URL": "postgresql://u:canary@127.0.0.1/",
    "KMSQ_ROOT_KEY_FILE": "/nowhere/root.key",
}


def call(*arguments: str, **environment: str | None) -> Result:
    without = dict.fromkeys([*ENVIRONMENT, "KMSQ_ADMINISTRATORS", "KMSQ_QUEUES", "KMSQ_LOG_LEVEL"])
    return CliRunner(env={**without, **environment}).invoke(cli, arguments)


def test_settings_are_printed_without_passwords() -> None:
    result = call("settings", **ENVIRONMENT)
    assert result.exit_code == 0
    assert "KMSQ_AMQP_URL=amqp://kmsq-worker:***@127.0.0.1/" in result.output
    assert "KMSQ_TURN_MAX=256" in result.output
    assert "canary" not in result.output


def test_every_setting_is_explained() -> None:
    explained_by = call("settings", "--help").output
    printed = [line.partition("=")[0] for line in call("settings", **ENVIRONMENT).output.splitlines()]
    assert all(name.removesuffix("_PORT").removesuffix("_HOST") in explained_by for name in printed)


@pytest.mark.parametrize(
    "command", [("run",), ("settings",), ("topology", "declare"), ("audit", "tail"), ("audit", "verify")]
)
def test_a_missing_setting_is_one_line_and_exit_code_1(command: tuple[str, ...]) -> None:
    result = call(*command)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("Error: KMSQ_")
    assert "is not set" in line


def test_a_root_key_is_created_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    result = call("root-key", "create", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert load_root_key_file(path).id in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    again = call("root-key", "create", str(path))
    assert again.exit_code == 1
    assert again.output.startswith("Error: ")


def test_init_needs_administrators_and_a_proper_account() -> None:
    good = ("init", "--account", "000000000000", "--region", "local")
    assert "KMSQ_ADMINISTRATORS must name" in call(*good, **ENVIRONMENT).output
    for account, region in (("1", "local"), ("000000000000", "No Region")):
        result = call("init", "--account", account, "--region", region, KMSQ_ADMINISTRATORS="alice")
        assert result.exit_code == 1
        assert "not a region and a 12-digit account id" in result.output
    result = call(*good, **ENVIRONMENT, KMSQ_ADMINISTRATORS="alice")
    assert (result.exit_code, "canary" in result.output) == (1, False)
    assert "/nowhere/root.key" in result.output


def test_permissions_are_printed_as_arguments_of_rabbitmqctl() -> None:
    result = call("topology", "permissions", "--producer", "alice", "--operation", "Encrypt", "--vhost", "a b")
    assert result.exit_code == 0
    first, *topics = map(shlex.split, result.output.splitlines())
    assert first[:4] == ["set_permissions", "-p", "a b", "alice"]
    assert len(first) == 7
    assert {tuple(line[:4]) for line in topics} == {("set_topic_permissions", "-p", "a b", "alice")}
    assert any("Encrypt" in line[5] for line in topics)


@pytest.mark.parametrize("who", ["--worker", "--administrator"])
def test_each_kind_of_user_has_permissions(who: str) -> None:
    result = call("topology", "permissions", who, "bob")
    assert result.exit_code == 0
    assert all(shlex.split(line)[3] == "bob" for line in result.output.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--worker", "a", "--administrator", "b"),
        ("--producer", "a"),
        ("--producer", "a", "--operation", "Shutdown"),
        ("--operation", "Encrypt"),
    ],
)
def test_whose_permissions_must_be_clear(arguments: tuple[str, ...]) -> None:
    result = call("topology", "permissions", *arguments)
    assert result.exit_code in {1, 2}
    assert "Error: " in result.output


def test_every_operation_can_be_permitted() -> None:
    arguments = [part for name in Operation for part in ("--operation", name.value)]
    assert call("topology", "permissions", "--producer", "alice", *arguments).exit_code == 0


@pytest.mark.parametrize(("processes", "supervised"), [("1", []), ("3", [3])])
def test_one_process_serves_and_several_are_supervised(
    monkeypatch: pytest.MonkeyPatch, processes: str, supervised: list[int]
) -> None:
    ran: list[int] = []
    watched: list[int] = []

    async def supervise(count: int) -> int:
        watched.append(count)
        return 0

    monkeypatch.setattr(app, "run", lambda _settings, process: ran.append(process))
    monkeypatch.setattr(supervisor, "supervise", supervise)
    monkeypatch.setattr("kmsq_worker.cli.service.configure_logging", lambda _level: None)
    assert call("run", "--processes", processes, "--process", "7", **ENVIRONMENT).exit_code == 0
    assert (ran, watched) == ([] if supervised else [7], supervised)


@pytest.mark.parametrize("processes", ["0", "65", "many"])
def test_only_so_many_processes_can_be_asked_for(processes: str) -> None:
    assert call("run", "--processes", processes, **ENVIRONMENT).exit_code == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SettingsError("KMSQ_X is not set"), "KMSQ_X is not set"),
        (RootKeyError("the file is not there"), "the file is not there"),
        (WrongDatabase("run dbmate"), "run dbmate"),
        (Tampered("account-policy", "row MAC"), "account-policy: row MAC"),
        (Unavailable("ConnectionRefusedError"), "ConnectionRefusedError"),
    ],
)
def test_what_an_operator_can_mend_is_one_line(error: Exception, line: str) -> None:
    @explained
    def command() -> None:
        raise error

    with pytest.raises(click.ClickException) as caught:
        command()
    assert caught.value.message == line


def test_an_outage_is_told_with_its_cause_and_a_fault_of_ours_is_not_hidden() -> None:
    @explained
    def lost() -> None:
        raise Unavailable("OSError") from OSError(111, "Connection refused")

    @explained
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(click.ClickException, match=r"OSError: .*Connection refused"):
        lost()
    with pytest.raises(KeyError):
        broken()


def test_a_report_is_read_by_people(capsys: pytest.CaptureFixture[str]) -> None:
    _print_report(Report(chains=2, records=7, rows=3, dropped_months={"2026-02", "2026-01"}))
    _print_report(Report(problems=["chain x: cut off"]))
    assert capsys.readouterr().out.splitlines() == [
        "- the records of 2026-01 were dropped with their partition",
        "- the records of 2026-02 were dropped with their partition",
        "2 chains, 7 records, 3 rows: sound",
        "✗ chain x: cut off",
        "0 chains, 0 records, 0 rows: 1 problems",
    ]


@pytest.mark.parametrize(
    ("report", "code"), [(Report(records=3), 0), (Report(problems=["chain x: cut off"]), 2)], ids=["sound", "unsound"]
)
def test_an_unsound_log_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, report: Report, code: int) -> None:
    async def verify(_source: object) -> Report:
        return report

    monkeypatch.setattr("kmsq_worker.cli.audit._verify", verify)
    result = call("audit", "verify", "--output", "json")
    assert result.exit_code == code
    told = json.loads(result.output)
    assert (told["sound"], told["problems"], told["records"]) == (code == 0, report.problems, report.records)
    assert call("audit", "verify").exit_code == code


def test_an_installation_without_the_worker_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if name == "kmsq_worker.cli":
            raise ModuleNotFoundError(name="asyncpg")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "kmsq-worker: asyncpg is missing: pip install 'kmsq[worker]'\n"
