"""
Fixtures for every kind of test.

Nothing is started before a test asks for it: unit tests pass without services and with the network off.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from services.postgres import PostgresNode
from services.rabbit import RabbitNode
from services.reaper import reaping
from services.stack import PrivateStack, Stack, private_stack, remove

# Two loaded cores make any deadline flaky; in CI the examples are the same every time, so that a failure is a change's.
settings.register_profile("kmsq", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("kmsq")

SERVICES_FOLDER = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def services_folder(pytestconfig: pytest.Config) -> Iterator[Path]:
    """Where this run's nodes live: not below pytest's own folder, which PostgreSQL's user may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="kmsq-tests-"))
    folder.chmod(0o711)
    pytestconfig.stash[SERVICES_FOLDER] = folder
    with reaping(folder):
        yield folder


@pytest.fixture(scope="session")
def rabbit_node(services_folder: Path) -> Iterator[RabbitNode]:
    """Return a running broker that the whole run shares: leave it running and unharmed."""
    with RabbitNode(services_folder / "rabbitmq") as node:
        yield node


@pytest.fixture(scope="session")
def postgres_node(services_folder: Path) -> Iterator[PostgresNode]:
    """Return a running database server that the whole run shares; create databases of your own in it."""
    with PostgresNode(services_folder / "postgres") as node:
        yield node


@pytest.fixture(scope="session")
def stack(services_folder: Path, rabbit_node: RabbitNode, postgres_node: PostgresNode) -> Iterator[PrivateStack]:
    """Return a running kmsq with two workers that the whole run shares: leave it running and unharmed."""
    with Stack(services_folder / "stack", broker=rabbit_node, database=postgres_node) as running:
        yield running


@pytest.fixture
def own_stack(services_folder: Path, request: pytest.FixtureRequest) -> Iterator[PrivateStack]:
    """Return a stack of this test's own, not started (call `up`), to be broken as the test likes."""
    mine = private_stack(Path(tempfile.mkdtemp(prefix=f"{request.node.name[:40]}-", dir=services_folder)))
    mine.folder.chmod(0o711)
    try:
        yield mine
    finally:
        mine.down()
        if not request.session.testsfailed:
            remove(mine)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the nodes left, unless a test failed: then their logs may explain it."""
    folder = config.stash.get(SERVICES_FOLDER, None)
    session = config.pluginmanager.get_plugin("session")
    if folder is not None and not (session and session.testsfailed):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the logs are when a test failed."""
    folder = config.stash.get(SERVICES_FOLDER, None)
    if folder is not None and terminalreporter.stats.keys() & {"failed", "error"}:
        terminalreporter.write_line(f"The services' and workers' logs and data are kept in {folder}")
