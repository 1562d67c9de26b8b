"""The nodes that every other integration test stands on do what a crash test needs of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.daemon import Daemon
from services.postgres import PostgresNode
from services.rabbit import RabbitNode
from services.reaper import reaping


@pytest.fixture
def rabbit(services_folder: Path, request: pytest.FixtureRequest) -> Iterator[RabbitNode]:
    with RabbitNode(services_folder / request.node.name) as node:
        yield node


@pytest.fixture
def postgres(services_folder: Path, request: pytest.FixtureRequest) -> Iterator[PostgresNode]:
    with PostgresNode(services_folder / request.node.name) as node:
        yield node


def test_a_broker_keeps_users_permissions_and_port_across_a_crash(rabbit: RabbitNode) -> None:
    url = rabbit.add_user("alice")
    rabbit.set_permissions("alice", configure="^a$", write="^b$", read="^c$")
    rabbit.kill()
    assert not rabbit.is_running
    rabbit.start()
    assert rabbit.url("alice") == url
    assert "alice\t^a$\t^b$\t^c$" in rabbit.ctl("list_permissions")


def test_a_stopped_broker_leaves_no_process_behind(rabbit: RabbitNode) -> None:
    rabbit.pause()
    rabbit.stop()
    daemons = [Daemon(name, rabbit.folder) for name in ("rabbitmq", "epmd")]
    assert not any(daemon.is_running for daemon in daemons)
    assert processes_mentioning(rabbit.folder) == []


def test_a_database_keeps_what_was_committed_across_a_crash(postgres: PostgresNode) -> None:
    postgres.provide("kmsq", "kmsq_owner")
    postgres.sql("CREATE TABLE survived (n int); INSERT INTO survived VALUES (7);", database="kmsq")
    postgres.kill()
    assert not postgres.is_running
    postgres.start()
    assert postgres.sql("SELECT n FROM survived", database="kmsq") == "7"
    postgres.crash_stop()
    postgres.start()
    assert postgres.sql("SELECT n FROM survived", database="kmsq") == "7"


def test_a_database_is_as_durable_as_in_production(postgres_node: PostgresNode) -> None:
    assert postgres_node.sql("SHOW fsync; SHOW synchronous_commit; SHOW full_page_writes;").split() == ["on"] * 3


def test_nothing_outlives_the_test_run(postgres: PostgresNode) -> None:
    with reaping(postgres.folder):
        assert postgres.is_running
    assert not postgres.is_running


def processes_mentioning(folder: Path) -> list[str]:
    """Return the command lines of living processes that name `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in command:
            found.append(command)
    return found
