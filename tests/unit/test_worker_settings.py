"""Settings: each mistake is named by its variable, and no password is ever shown."""

from pathlib import Path

import pytest

from kmsq_schemas.operations import Queue
from kmsq_worker.settings import Settings, SettingsError, load

CANARY = "canary"
MINIMAL = {
    "KMSQ_AMQP_URL": "amqp://kmsq-worker:canary@broker/",
    "KMSQ_DATABASE_URL": "postgresql://kmsq_crypto:canary@database/kmsq",
    "KMSQ_CHANGES_DATABASE_URL": "postgresql://kmsq_change:canary@database/kmsq",
    "KMSQ_ROOT_KEY_FILE": "/etc/kmsq/root.key",
}


def with_(**changes: str | None) -> dict[str, str]:
    """Return a right environment, but for `changes`; None leaves a variable out."""
    changed = {**MINIMAL, **{f"KMSQ_{name}": value for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


def test_four_variables_are_enough() -> None:
    settings = load(MINIMAL)
    assert settings.queues == (Queue.CRYPTO, Queue.SLOW, Queue.BATCH, Queue.READ, Queue.ADMIN)
    assert (settings.turn_max, settings.principal_max, settings.drain_seconds) == (256, 500, 20)
    assert (settings.on_demand_rotations, settings.scheduler_seconds) == (25, 10)
    assert (settings.health_host, settings.health_port, settings.log_level) == ("127.0.0.1", 8080, "INFO")
    assert settings.administrators == ()
    assert settings.root_key_file == Path("/etc/kmsq/root.key")


def test_everything_can_be_set() -> None:
    settings = load(
        with_(
            ADMINISTRATORS=" alice, bob ,,carol",
            QUEUES="read, CRYPTO",
            TURN_MAX="1",
            PRINCIPAL_MAX="1000",
            DRAIN_SECONDS="600",
            ON_DEMAND_ROTATIONS="1000000",
            SCHEDULER_SECONDS="1",
            HEALTH_PORT="0",
            HEALTH_HOST="0.0.0.0",  # noqa: S104  # a container's
            LOG_LEVEL="debug",
            CHANGES_DATABASE_URL=None,
        )
    )
    assert settings.administrators == ("alice", "bob", "carol")
    assert settings.queues == (Queue.CRYPTO, Queue.READ)
    assert (settings.turn_max, settings.health_port, settings.log_level) == (1, 0, "DEBUG")
    assert (settings.on_demand_rotations, settings.scheduler_seconds) == (1_000_000, 1)
    assert settings.changes_database_url is None


def test_the_process_s_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MINIMAL.items():
        monkeypatch.setenv(name, value)
    assert load().amqp_url == MINIMAL["KMSQ_AMQP_URL"]


@pytest.mark.parametrize("name", [name for name in MINIMAL if name != "KMSQ_CHANGES_DATABASE_URL"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_is_named(name: str, value: str | None) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        load(with_(**{name.removeprefix("KMSQ_"): value}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "AMQP_URL",
            ["http://canary@x", "canary", "amqp:canary", "//canary", "amqp://u:canary@[::1/", "amqp://canary℀@x"],
        ),
        ("DATABASE_URL", ["mysql://canary@x", "canary", "postgresql://u:canary@[/", "amqp://canary"]),
        ("CHANGES_DATABASE_URL", ["mysql://canary@x", "postgresql://u:canary@[::/"]),
        ("TURN_MAX", ["0", "1001", "-1", "canary", "1.5", " 1", "1\n", "٣", "9" * 5000, "1e2", "0x10"]),
        ("PRINCIPAL_MAX", ["0", "1001"]),
        ("DRAIN_SECONDS", ["0", "601", "20s"]),
        ("HEALTH_PORT", ["-1", "65001", "http"]),
        ("LOG_LEVEL", ["canary", "TRACE", "10"]),
        ("QUEUES", ["canary", "crypto,canary", "crypto,,read", ",", "kmsq.crypto"]),
        ("ADMINISTRATORS", ["Canary", "alice bob", "alice,*", "a" * 65, "alice\n,-"]),
    ],
)
def test_a_malformed_value_is_named_and_not_quoted(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(SettingsError, match=f"^KMSQ_{name} must be") as caught:
            load(with_(**{name: value}))
        assert CANARY not in str(caught.value).lower()
        assert caught.value.__cause__ is None


def test_the_admin_queue_needs_the_role_that_changes() -> None:
    with pytest.raises(SettingsError, match="KMSQ_CHANGES_DATABASE_URL is needed"):
        load(with_(CHANGES_DATABASE_URL=None))
    assert load(with_(CHANGES_DATABASE_URL=None, QUEUES="crypto,read")).changes_database_url is None


def test_a_value_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("\n amqp://from:file@broker/ \n")
    assert load(with_(AMQP_URL=None, AMQP_URL_FILE=str(file))).amqp_url == "amqp://from:file@broker/"
    assert load(with_(AMQP_URL="", AMQP_URL_FILE=str(file))).amqp_url == "amqp://from:file@broker/"


def test_a_file_beside_a_value_is_refused_and_an_empty_name_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KMSQ_AMQP_URL and KMSQ_AMQP_URL_FILE are both set"):
        load(with_(AMQP_URL_FILE=str(tmp_path)))
    assert load(with_(AMQP_URL_FILE="")).amqp_url == MINIMAL["KMSQ_AMQP_URL"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "KMSQ_DATABASE_URL_FILE: No such file"),
        (b" \n", "KMSQ_DATABASE_URL is not set"),
        (b"\xff\xfecanary", "KMSQ_DATABASE_URL_FILE: not a text"),
        (b"canary", "KMSQ_DATABASE_URL must be a URL"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_not_quoted(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^{message}") as caught:
        load(with_(DATABASE_URL=None, DATABASE_URL_FILE=str(file)))
    assert CANARY not in str(caught.value)


def shown(**changes: str) -> str:
    settings = load(with_(**changes))
    return "\n".join([str(settings.redacted()), repr(settings), str(settings)])


def test_settings_are_shown_without_passwords() -> None:
    found = load(with_(ADMINISTRATORS="alice,bob")).redacted()
    assert found["KMSQ_AMQP_URL"] == "amqp://kmsq-worker:***@broker/"
    assert found["KMSQ_DATABASE_URL"] == "postgresql://kmsq_crypto:***@database/kmsq"
    assert found["KMSQ_ADMINISTRATORS"] == "alice,bob"
    assert found["KMSQ_QUEUES"] == "crypto,slow,batch,read,admin"
    assert found["KMSQ_ROOT_KEY_FILE"] == "/etc/kmsq/root.key"
    assert set(found) == {f"KMSQ_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert CANARY not in shown()


@pytest.mark.parametrize(
    "url",
    [
        "amqp://u:canary@h/",
        "amqp://:canary@h/",
        "amqp://u:can@ary:canary@h/",
        "amqp://u:can/canary@h/",
        "amqp://u:can#canary@h/",
        "amqp://u:can?canary@h/",
        "amqp://u:canary@h/?x=1&y=@",
        "amqp://u:%20canary@h:5671/v%2Fh?heartbeat=5",
        "amqp://h/?password=canary",
        "amqp://h/?x=1&sslpassword=canary&y=2",
        "amqp://u@h/?PassFile=canary#f",
    ],
)
def test_however_a_password_is_written_it_is_not_shown(url: str) -> None:
    """Unescaped delimiters and Postgres's parameters were shown."""
    assert CANARY not in shown(AMQP_URL=url)


def test_urls_without_passwords_are_shown_as_they_are() -> None:
    for url in ("amqp://u@h/", "amqps://h:5671/v%2Fh?heartbeat=5", "amqp://"):
        assert load(with_(AMQP_URL=url)).redacted()["KMSQ_AMQP_URL"] == url
    settings = load(with_(QUEUES="crypto", CHANGES_DATABASE_URL=None))
    assert settings.redacted()["KMSQ_CHANGES_DATABASE_URL"] is None
