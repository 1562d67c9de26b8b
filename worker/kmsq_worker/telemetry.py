"""
Metrics and logs: facts, never payloads.

No label is a key id or a principal. A log line holds a fixed text and the fields of an allow-list; an exception shows
up as the names of its types and the lines it passed, for its text may quote what it was given.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kmsq_worker.custody import Tampered

LOGGER = logging.getLogger("kmsq_worker")

LOG_FIELDS = frozenset(
    {
        "advice",
        "attempt",
        "count",
        "error",
        "lane",
        "operation",
        "port",
        "worker",
        "queues",
        "reason",
        "schema",
        "seconds",
        "signal",
        "subject",
        "version",
    },
)

_BODY_LOGGERS = ("aiormq", "aio_pika", "asyncio")  # at DEBUG they log whole frames, bodies included: PITFALLS
_DURATIONS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)  # seconds
_TURN_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # requests


class Telemetry:
    """The metrics of one worker process (docs/operations.md lists them)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "kmsq_requests", "Requests by operation and outcome.", ["operation", "outcome"], registry=registry
        )
        self._durations = Histogram(
            "kmsq_request_seconds",
            "From delivery to the reply's confirm.",
            ["operation"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._items = Counter(
            "kmsq_batch_items", "Items of answered batches.", ["operation", "outcome"], registry=registry
        )
        self._waits = Histogram(
            "kmsq_queue_wait_seconds", "From delivery to the turn.", ["lane"], buckets=_DURATIONS, registry=registry
        )
        self._turns = Histogram("kmsq_turn_size", "Requests a turn.", ["lane"], buckets=_TURN_SIZES, registry=registry)
        self._commits = Histogram(
            "kmsq_commit_seconds", "A turn's or a change's commit.", ["lane"], buckets=_DURATIONS, registry=registry
        )
        self._redone = Counter(
            "kmsq_commits_refused", "Commits that found the turn out of date.", ["outcome"], registry=registry
        )
        self._keyring = Counter("kmsq_keyring_lookups", "Keys looked up.", ["result"], registry=registry)
        self._undeliverable = Counter(
            "kmsq_replies_undeliverable", "Replies that found no queue, or came too late.", registry=registry
        )
        self._tampered = Counter(
            "kmsq_integrity_failures", "Rows that are not as this service wrote them. Alert on this.", registry=registry
        )
        self._jobs = Counter(
            "kmsq_scheduled_jobs",
            "What the scheduler did, by event and outcome.",
            ["event", "outcome"],
            registry=registry,
        )
        self._sessions = Counter(
            "kmsq_sessions_lost", "Broker or database sessions that ended in a failure.", registry=registry
        )
        self._ready = Gauge("kmsq_ready", "1 while requests are being served.", registry=registry)

    def turn(self, lane: str, size: int, commit_seconds: float) -> None:
        """Count a committed turn."""
        self._turns.labels(lane).observe(size)
        self._commits.labels(lane).observe(commit_seconds)

    def refused_commit(self, outcome: str) -> None:
        """Count a commit that has to be done again."""
        self._redone.labels(outcome).inc()

    def waited(self, lane: str, arrived: float) -> None:
        """Count the wait of the delivery that came at `arrived` (time.monotonic)."""
        self._waits.labels(lane).observe(time.monotonic() - arrived)

    def request(self, operation: str, outcome: str, arrived: float) -> None:
        """Count an answered request."""
        self._requests.labels(operation, outcome).inc()
        self._durations.labels(operation).observe(time.monotonic() - arrived)

    def items(self, operation: str, count: int, failed: int) -> None:
        """Count the items of an answered batch."""
        self._items.labels(operation, "Success").inc(count - failed)
        self._items.labels(operation, "Failed").inc(failed)

    def keyring(self, hits: int, misses: int) -> None:
        """Count lookups in the keyring."""
        self._keyring.labels("hit").inc(hits)
        self._keyring.labels("miss").inc(misses)

    def undeliverable(self, count: int) -> None:
        """Count replies that reached nobody."""
        self._undeliverable.inc(count)

    def tampered(self, error: Tampered) -> None:
        """Raise the alarm."""
        self._tampered.inc()
        LOGGER.critical("integrity check failed", extra={"subject": error.subject, "reason": error.what})

    def job(self, event: str, outcome: str) -> None:
        """Count what the scheduler did to a key."""
        self._jobs.labels(event, outcome).inc()
        LOGGER.info("scheduled job done", extra={"operation": event, "reason": outcome})

    def session(self, *, ready: bool) -> None:
        """Note whether requests are being served."""
        self._ready.set(int(ready))

    def session_lost(self) -> None:
        """Count a session that ended in a failure."""
        self._sessions.inc()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, the allowed fields, and where an exception came from."""

    def __init__(self, constants: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__()
        self._constants = dict(constants)

    def format(self, record: logging.LogRecord) -> str:
        """Format, leaving out everything that is not allowed: a library's arguments are not."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **self._constants,
        }
        line |= {name: value for name, value in vars(record).items() if name in LOG_FIELDS}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe(record.exc_info[1])
        return json.dumps(line, default=str)


def _event(record: logging.LogRecord) -> str:
    """
    Return the fixed text of ours, or a library's template without its arguments.

    A library's text without arguments may be one that was put together beforehand (asyncio's holds the text of an
    exception that nobody awaited): its place must do.
    """
    is_ours = record.name.partition(".")[0] == LOGGER.name
    if isinstance(record.msg, str) and (is_ours or record.args):
        return record.msg
    return f"{record.filename}:{record.lineno}"


def describe(error: BaseException) -> list[str]:
    """Return types and places of an exception and its causes, without their texts."""
    return _describe(error, set())


def _describe(error: BaseException, told: set[int]) -> list[str]:
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and id(current) not in told:
        told.add(id(current))
        places = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in traceback.extract_tb(current.__traceback__)
        ]
        lines.append(f"{type(current).__module__}.{type(current).__qualname__} at {' < '.join(reversed(places))}")
        if isinstance(current, BaseExceptionGroup):
            for member in current.exceptions:
                lines += _describe(member, told)
        current = current.__cause__ or current.__context__
    return lines


def configure_logging(level: str, stream: TextIO = sys.stderr, **constants: str) -> None:
    """Send all logs, as JSON lines, to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(constants))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _BODY_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)  # one line for every frame of a lost channel
