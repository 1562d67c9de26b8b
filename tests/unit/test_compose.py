"""compose.yaml and the files in deploy/, held against the rules that docs/operations.md states. No engine is needed."""

import json
import re
import runpy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # comes with yamllint

from kmsq_schemas.access import administrator_access, topology_access, worker_access
from kmsq_worker.rootkey import load_root_key_file
from kmsq_worker.settings import load

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = {"migrate", "init", "topology", "worker", "audit", "make-secrets"}
AS_ROOT = {"make-secrets"}  # it gives the secrets to their users, without a network
MOUNTED = "/run/secrets/"

every_service = pytest.mark.parametrize("name", SERVICES)


def secrets_of(name: str) -> set[str]:
    return set(SERVICES[name].get("secrets", ()))


def test_the_services_are_these() -> None:
    assert set(SERVICES) == OURS | {"rabbitmq", "postgres"}
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"audit", "make-secrets"}


@every_service
def test_a_service_can_do_as_little_as_possible(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "userns_mode", "devices"} & service.keys()
    assert (service["user"].startswith("0:")) == (name in AS_ROOT)
    assert ("cap_add" in service) == (name in AS_ROOT)


def test_the_one_service_that_is_root_has_no_network_and_reads_no_secret() -> None:
    for name in AS_ROOT:
        assert SERVICES[name]["network_mode"] == "none"
        assert not secrets_of(name)


@every_service
def test_a_service_has_limits(name: str) -> None:
    assert {"mem_limit", "cpus", "pids_limit", "logging", "restart"} <= SERVICES[name].keys()


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_holds_keys_does_not_swap(name: str) -> None:
    assert SERVICES[name]["memswap_limit"] == SERVICES[name]["mem_limit"]


@every_service
def test_an_image_has_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image)
    repository, _, tag = default.partition(":")
    assert repository in {"rabbitmq", "postgres", "kmsq"}
    assert tag
    assert tag != "latest"


def test_broker_and_database_are_of_the_promised_versions() -> None:
    assert ":-rabbitmq:4" in SERVICES["rabbitmq"]["image"]
    assert ":-postgres:18" in SERVICES["postgres"]["image"]


def test_workers_can_be_scaled() -> None:
    assert not {"container_name", "ports", "hostname"} & SERVICES["worker"].keys()


def test_only_the_broker_is_published_and_to_this_host_alone() -> None:
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"rabbitmq"}
    assert SERVICES["rabbitmq"]["ports"] == ["${KMSQ_AMQP_BIND:-127.0.0.1}:5672:5672"]


def test_producers_reach_the_broker_and_nothing_else() -> None:
    assert {name for name, service in SERVICES.items() if "producers" in service.get("networks", ())} == {"rabbitmq"}
    assert COMPOSE["networks"]["broker"] == {"internal": True}
    assert COMPOSE["networks"]["database"] == {"internal": True}


def test_a_drain_fits_into_the_time_before_the_kill() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > SERVICES["worker"]["environment"]["KMSQ_DRAIN_SECONDS"]


@every_service
def test_what_a_service_waits_for_can_tell_that_it_is_there(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


def test_the_order_of_the_first_start() -> None:
    assert set(SERVICES["worker"]["depends_on"]) == {"init", "topology"}
    assert set(SERVICES["init"]["depends_on"]) == {"migrate"}
    assert set(SERVICES["migrate"]["depends_on"]) == {"postgres"}
    assert set(SERVICES["topology"]["depends_on"]) == {"rabbitmq"}


@every_service
def test_no_password_is_in_the_environment_or_on_a_command_line(name: str) -> None:
    service = SERVICES[name]
    words = [*map(str, service.get("environment", {}).values()), *service.get("command", ())]
    assert not [word for word in words if "://" in word]
    for variable, value in service.get("environment", {}).items():
        if variable.endswith("_FILE"):
            assert value.startswith(MOUNTED), variable
            assert value.removeprefix(MOUNTED) in secrets_of(name)


def test_secrets_and_configs_that_are_used_are_those_that_exist() -> None:
    assert set().union(*map(secrets_of, SERVICES)) == set(COMPOSE["secrets"])
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", ())}
    assert used == set(COMPOSE["configs"])
    for config in COMPOSE["configs"].values():
        assert (ROOT / config["file"]).is_file()
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"deploy/secrets/{name}"


def test_secrets_are_neither_committed_nor_sent_to_a_build() -> None:
    assert (ROOT / "deploy/secrets/.gitignore").read_text().splitlines()[-2:] == ["*", "!.gitignore"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!deploy") and line != "!deploy/make_secrets.py"]


def test_a_worker_has_neither_the_owners_rights_nor_the_brokers() -> None:
    assert secrets_of("worker") == {"amqp-worker-url", "database-crypto-url", "database-change-url", "root.key"}
    assert {name for name in SERVICES if "root.key" in secrets_of(name)} == {"worker", "init", "audit"}


def test_the_image_runs_as_the_user_of_compose() -> None:
    assert "\nUSER 10001:10001\n" in DOCKERFILE
    assert {SERVICES[name]["user"] for name in OURS - AS_ROOT} == {"10001:10001"}


def test_the_image_copies_only_what_is_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert any(source == name or source.startswith(f"{name}/") for name in allowed), source
                assert (ROOT / source).exists()


def test_the_broker_gets_no_default_user() -> None:
    settings = dict(
        line.split(" = ") for line in (ROOT / "deploy/rabbitmq.conf").read_text().splitlines() if line[:1].isalpha()
    )
    assert settings["definitions.local.path"].removeprefix(MOUNTED) in secrets_of("rabbitmq")
    assert not [name for name in settings if name.startswith("default_")]
    assert (ROOT / "deploy/rabbitmq-plugins").read_text() == "[].\n"


class Made:
    """What make_secrets.py writes, with what it wants to give each file to instead of doing so, which takes root."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = runpy.run_path(str(ROOT / "deploy/make_secrets.py"))
        self.folder = folder
        self.users: list[tuple[int, int]] = []
        monkeypatch.setattr("os.fchown", lambda _descriptor, user, group: self.users.append((user, group)))
        monkeypatch.setattr("os.chown", lambda _path, user, group: self.users.append((user, group)))
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr("os.umask", lambda _mask: 0)
        self.main = script["main"]

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def mode(self, name: str) -> int:
        return (self.folder / name).stat().st_mode & 0o777


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made(tmp_path, monkeypatch)
    assert made.main(tmp_path) == 0
    return made


def test_all_secrets_are_made_and_one_for_the_operator(made: Made) -> None:
    assert {path.name for path in made.folder.iterdir()} == {*COMPOSE["secrets"], "amqp-admin-url"}
    known = {tuple(map(int, service["user"].split(":"))) for service in SERVICES.values()}
    shared = (10001, 999)  # the database URLs, which Postgres reads the passwords from
    assert set(made.users) - {(made.folder.stat().st_uid, 0)} <= known | {shared}


def test_nobody_but_a_secrets_readers_can_read_it(made: Made) -> None:
    for path in made.folder.iterdir():
        assert made.mode(path.name) == (0o440 if path.name.startswith("database-") else 0o400)
    assert made.folder.stat().st_mode & 0o777 == 0o700


def test_secrets_are_not_made_twice(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    before = made.read("root.key")
    assert made.main(made.folder) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert made.read("root.key") == before


def test_secrets_are_made_by_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(tmp_path, monkeypatch)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert made.main(tmp_path) == 1
    assert "as root" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_worker_accepts_the_settings_that_compose_gives_it(made: Made) -> None:
    environment = {
        name: str(value).replace(MOUNTED, f"{made.folder}/").replace("${KMSQ_LOG_LEVEL:-INFO}", "INFO")
        for name, value in SERVICES["worker"]["environment"].items()
    }
    settings = load(environment)
    assert settings.administrators == ("admin",)
    assert urlsplit(settings.database_url).username == "kmsq_crypto"
    assert urlsplit(settings.changes_database_url or "").username == "kmsq_change"
    assert urlsplit(settings.amqp_url).username == "kmsq-worker"


def test_the_root_key_is_one(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert load_root_key_file(made.folder / "root.key").id


def test_every_password_is_another(made: Made) -> None:
    urls = [made.read(name) for name in sorted(COMPOSE["secrets"]) if name.endswith("-url")]
    words = [urlsplit(url).password or "" for url in [*urls, made.read("amqp-admin-url")]]
    words.append(made.read("postgres-password"))
    assert len(set(words)) == len(words)
    assert min(map(len, words)) >= 32
    assert made.read("dbmate.env") == f"DATABASE_URL={made.read('database-owner-url')}"


def test_the_broker_learns_hashes_and_the_permissions_of_the_contract(made: Made) -> None:
    text = made.read("rabbitmq-definitions.json")
    definitions = json.loads(text)
    for name in ("amqp-admin-url", "amqp-topology-url", "amqp-worker-url"):
        assert (urlsplit(made.read(name)).password or "") not in text
    assert {user["name"]: user["tags"] for user in definitions["users"]} == {
        "admin": [],
        "kmsq-topology": [],
        "kmsq-worker": [],
    }
    for user, access in (
        ("kmsq-worker", worker_access()),
        ("kmsq-topology", topology_access()),
        ("admin", administrator_access("admin")),
    ):
        (given,) = [one for one in definitions["permissions"] if one["user"] == user]
        assert (given["configure"], given["write"], given["read"]) == (
            access.permissions.configure,
            access.permissions.write,
            access.permissions.read,
        )
        topics = {
            (one["exchange"], one["write"], one["read"])
            for one in definitions["topic_permissions"]
            if one["user"] == user
        }
        assert topics == {(topic.exchange, topic.write, topic.read) for topic in access.topics}
