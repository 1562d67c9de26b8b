"""
Processes that outlive whoever started them, found again by a file.

A process id alone may belong to another process by now; with the time it started it is unique until the next boot.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


class ServiceError(RuntimeError):
    """A private service did not do what was asked; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that a daemon runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Process:
    """One entry of the process table."""

    pid: int
    parent: int
    state: str
    started: int  # clock ticks since boot

    @classmethod
    def read(cls, pid: int) -> "Process | None":
        """Look `pid` up; None when there is no such process, or only its exit status is left."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command's name stands in parentheses and may itself contain any character. Fields: proc(5).
        state, parent, *rest = stat.rpartition(")")[2].split()
        if state in "ZX":
            return None
        return cls(pid, int(parent), state, int(rest[17]))

    def signal(self, number: int) -> None:
        """Send a signal, unless the process is gone or its id belongs to another one by now."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        now = Process.read(self.pid)
        return now is not None and now.started == self.started


def descendants(root: Process) -> list[Process]:
    """Return `root` and everything that it or its children started, parents first."""
    table = [Process.read(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = [root]
    for parent in found:  # grows while it is walked
        found += [process for process in table if process is not None and process.parent == parent.pid]
    return found


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition`; False when it did not hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Daemon:
    """
    One service process with its helpers, known by `<name>.process` in `folder`, writing to `<name>.log` there.

    All methods block. They find the process whether or not this Python process started it.
    """

    def __init__(self, name: str, folder: Path, *, account: Account | None = None) -> None:
        self.name = name
        self.account = account
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.process"
        self._child: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> None:
        """Start the process in a session of its own, so that a Ctrl-C at the terminal does not reach it."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        process = Process.read(self._child.pid)
        started = process.started if process else 0
        self._pid_file.write_text(f"{self._child.pid} {started}\n")

    def process(self) -> Process | None:
        """Return the running process, or None."""
        if self._child is not None:
            self._child.poll()  # reaps it, if it ended
        try:
            pid, started = map(int, self._pid_file.read_text().split())
        except (FileNotFoundError, ValueError):
            return None
        process = Process.read(pid)
        return process if process is not None and process.started == started else None

    @property
    def is_running(self) -> bool:
        """Whether the process runs (a paused one does)."""
        return self.process() is not None

    @property
    def pid(self) -> int:
        """The process id. Raises `ServiceError` when it does not run."""
        process = self.process()
        if process is None:
            raise ServiceError(self.describe("does not run"))
        return process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status (negative: the signal), if this Python process started it and it has ended."""
        return self._child.poll() if self._child is not None else None

    def signal_all(self, number: int) -> None:
        """Send a signal to the process and all of its descendants."""
        process = self.process()
        if process is not None:
            for member in descendants(process):
                member.signal(number)

    def kill(self) -> None:
        """SIGKILL the process and all of its descendants, and wait until they are gone."""
        process = self.process()
        if process is None:
            return
        members = descendants(process)
        for member in members:
            member.signal(signal.SIGKILL)
        self._wait_gone(members, 10)

    def stop(self, number: int = signal.SIGTERM, *, grace_seconds: float = 30) -> None:
        """Send `number` to the process and wait; SIGKILL whatever of it is left after `grace_seconds`."""
        process = self.process()
        if process is not None:
            self.signal_all(signal.SIGCONT)  # a paused process ignores everything else
            members = descendants(process)
            process.signal(number)
            wait_until(lambda: not self.is_running, grace_seconds)
            for member in members:
                member.signal(signal.SIGKILL)
            self._wait_gone(members, 10)
        self._pid_file.unlink(missing_ok=True)

    def wait_ready(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for `condition`. Raises `ServiceError` when the process ends before, or `seconds` have passed."""
        wait_until(lambda: not self.is_running or condition(), seconds)
        if not self.is_running:
            raise ServiceError(self.describe("ended while starting"))
        if not condition():
            raise ServiceError(self.describe(f"was not ready after {seconds:.0f} s"))

    def describe(self, event: str) -> str:
        """Return a message about `event` with the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"{self.name} {event}; its log ({self.log}) ends with:", *lines[-20:]])

    def _wait_gone(self, members: Sequence[Process], seconds: float) -> None:
        if not wait_until(lambda: not self.is_running and not any(m.is_alive() for m in members), seconds):
            raise ServiceError(self.describe("would not die"))
        if self._child is not None:
            self._child.wait(seconds)
