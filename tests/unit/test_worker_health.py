"""The probes, over a loopback socket."""

import http.client
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from kmsq_worker import health as health_module
from kmsq_worker.health import STALL_SECONDS, Health, served
from kmsq_worker.telemetry import Telemetry


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def health(clock: Clock) -> Health:
    assert clock.seconds
    return Health()


@pytest.fixture
def port(health: Health, free_port: int) -> Iterator[int]:
    telemetry = Telemetry()
    telemetry.request("Encrypt", "Success", 0.0)
    with served("127.0.0.1", free_port, health, telemetry.registry) as bound:
        assert bound == free_port
        yield free_port


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_worker_is_live_while_its_event_loop_moves(port: int, health: Health, clock: Clock) -> None:
    assert ask(port, "/livez") == (200, "live\n")
    clock.seconds += STALL_SECONDS - 0.1
    assert ask(port, "/livez") == (200, "live\n")
    clock.seconds += 0.1
    assert ask(port, "/livez") == (503, "stalled\n")
    health.beat()
    assert ask(port, "/livez") == (200, "live\n")


def test_a_worker_is_ready_when_it_says_so(port: int, health: Health) -> None:
    assert ask(port, "/readyz") == (503, "not ready\n")
    health.ready = True
    assert ask(port, "/readyz") == (200, "ready\n")


def test_a_worker_without_a_session_is_live_all_the_same(port: int, health: Health) -> None:
    health.ready = False
    assert ask(port, "/livez")[0] == 200


def test_metrics_are_prometheus_text(port: int) -> None:
    status, text = ask(port, "/metrics")
    assert status == 200
    assert 'kmsq_requests_total{operation="Encrypt",outcome="Success"} 1.0' in text


def test_other_paths_and_other_methods_are_not_found(port: int) -> None:
    for path in ("/", "/livez/", "/metrics/x", "/..", "/readyz%20"):
        assert ask(port, path)[0] == 404
    assert ask(port, "/livez", "POST")[0] == 501


def test_the_server_does_not_tell_its_version(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/livez")
    assert (connection.getresponse().getheader("Server") or "").strip() == "kmsq"
    connection.close()


def test_port_0_serves_nothing(health: Health) -> None:
    with served("127.0.0.1", 0, health, Telemetry().registry) as bound:
        assert bound is None


def test_the_port_is_free_again_afterwards(health: Health, free_port: int) -> None:
    for _ in range(2):
        with served("127.0.0.1", free_port, health, Telemetry().registry):
            assert ask(free_port, "/livez")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(free_port, "/livez")


def test_a_port_that_is_taken_is_an_error(port: int, health: Health) -> None:
    with pytest.raises(OSError, match="in use"), served("127.0.0.1", port, health, Telemetry().registry):
        pass
