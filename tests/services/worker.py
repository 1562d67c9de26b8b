"""One `kmsq-worker run` process."""

import http.client
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.daemon import Daemon
from services.node import Node
from services.ports import HOST

READY_SECONDS = 60
DRAIN_SECONDS = 60


class Worker(Node):
    """A worker process: start, drain (SIGTERM), crash, hang; its log is at `log`."""

    def __init__(
        self, name: str, folder: Path, *, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.health_port = int(environment["KMSQ_HEALTH_PORT"])
        self.daemon = Daemon(name, folder)
        self._command = command
        self._environment = dict(environment)

    @property
    def log(self) -> Path:
        """What the worker wrote: structured JSON logs, and tracebacks if there are any."""
        return self.daemon.log

    @property
    def pid(self) -> int:
        """The process id, of the parent with `--processes N`."""
        return self.daemon.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status (negative: the signal that ended it); None while it runs."""
        return self.daemon.exit_status

    def start(self) -> None:
        """Start the process and return when it is ready."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the process without waiting. Idempotent."""
        if not self.is_running:
            self.daemon.spawn(self._command, env=self._environment, cwd=self.log.parent)

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until /readyz says yes. Raises `ServiceError` when the process ends or `seconds` have passed."""
        self.daemon.wait_ready(self.is_ready, seconds)

    def is_ready(self, *, process: int = 0) -> bool:
        """Whether /readyz says yes; `process` is a child's number with `--processes N`."""
        return self.health("/readyz", process=process) == http.HTTPStatus.OK

    def health(self, path: str, *, process: int = 0) -> int | None:
        """Return the HTTP status of `path` on the health port; None when nothing answers."""
        connection = http.client.HTTPConnection(HOST, self.health_port + process, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask for an orderly end (SIGTERM) without waiting for it."""
        process = self.daemon.process()
        if process is not None:
            process.signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask for an orderly end and wait for it; SIGKILL after a minute. Idempotent."""
        self.daemon.stop(grace_seconds=DRAIN_SECONDS)
