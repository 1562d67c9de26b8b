"""What logs and metrics show; that they show nothing else is a property test."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from kmsq_worker.custody import Tampered
from kmsq_worker.errors import Unavailable
from kmsq_worker.telemetry import LOGGER, Telemetry, configure_logging, describe

CANARY = "canary-2718281828"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Send all logs here, as a worker does, and put everything back afterwards."""
    root, names = logging.getLogger(), ("aiormq", "aio_pika", "asyncio", "aiormq.connection")
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ("", *names)}
    written = io.StringIO()
    configure_logging("DEBUG", written, fleet="blue")
    yield written
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_states_facts(stream: io.StringIO) -> None:
    LOGGER.warning("session lost", extra={"reason": "ConnectionResetError", "body": CANARY})
    (line,) = lines(stream)
    assert {name: line[name] for name in line if name != "time"} == {
        "level": "warning",
        "logger": "kmsq_worker",
        "event": "session lost",
        "fleet": "blue",
        "reason": "ConnectionResetError",
    }
    assert str(line["time"]).endswith("Z")
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("name", ["aiormq", "aio_pika", "asyncio", "aiormq.channel"])
def test_libraries_that_log_bodies_are_not_heard_at_debug(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).debug("frame %r", CANARY)
    assert not stream.getvalue()
    logging.getLogger(name).warning("frame %r", CANARY)
    assert [line["event"] for line in lines(stream)] == ["frame %r"]


async def test_an_exception_that_nobody_awaited_is_told_without_its_text(stream: io.StringIO) -> None:
    """The message that asyncio makes of it holds it all."""
    context = {"message": f"Exception in callback f({CANARY!r})", "exception": ValueError(CANARY)}
    asyncio.get_running_loop().default_exception_handler(context)
    (line,) = lines(stream)
    assert (line["logger"], line["exception"]) == ("asyncio", ["builtins.ValueError at "])
    assert CANARY not in stream.getvalue()


def test_an_exception_s_causes_contexts_and_group_members_are_told() -> None:
    def fail() -> None:
        try:
            int(CANARY)
        except ValueError as error:
            raise Unavailable(CANARY) from error

    with pytest.raises(Unavailable) as caught:
        fail()
    group = ExceptionGroup(CANARY, [caught.value, ValueError(CANARY)])
    found = describe(group)
    assert [line.partition(" at ")[0] for line in found] == [
        "builtins.ExceptionGroup",
        "kmsq_worker.errors.Unavailable",
        "builtins.ValueError",
        "builtins.ValueError",
    ]
    assert all("test_worker_telemetry.py:" in found[which] for which in (1, 2))


def test_exceptions_that_cause_each_other_are_told_once() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert len(describe(first)) == 2
    group = ExceptionGroup("", [first, first])
    assert len(describe(group)) == 3


def test_tampering_is_counted_and_shouted(stream: io.StringIO) -> None:
    telemetry = Telemetry()
    telemetry.tampered(Tampered("key:x", "row MAC"))
    assert telemetry.registry.get_sample_value("kmsq_integrity_failures_total") == 1
    (line,) = lines(stream)
    assert (line["level"], line["subject"], line["reason"]) == ("critical", "key:x", "row MAC")


def test_each_thing_that_is_counted_has_its_metric() -> None:
    telemetry = Telemetry()
    telemetry.turn("crypto", 3, 0.002)
    telemetry.refused_commit("stale")
    telemetry.waited("crypto", 0.0)
    telemetry.request("Encrypt", "Success", 0.0)
    telemetry.keyring(5, 2)
    telemetry.undeliverable(4)
    telemetry.session(ready=True)
    telemetry.session_lost()
    value = telemetry.registry.get_sample_value
    assert value("kmsq_turn_size_sum", {"lane": "crypto"}) == 3
    assert value("kmsq_commit_seconds_count", {"lane": "crypto"}) == 1
    assert value("kmsq_commits_refused_total", {"outcome": "stale"}) == 1
    assert value("kmsq_queue_wait_seconds_count", {"lane": "crypto"}) == 1
    assert value("kmsq_request_seconds_count", {"operation": "Encrypt"}) == 1
    assert value("kmsq_keyring_lookups_total", {"result": "hit"}) == 5
    assert value("kmsq_keyring_lookups_total", {"result": "miss"}) == 2
    assert value("kmsq_replies_undeliverable_total") == 4
    assert (value("kmsq_ready"), value("kmsq_sessions_lost_total")) == (1, 1)
    telemetry.session(ready=False)
    assert value("kmsq_ready") == 0
