"""What a private RabbitMQ node and a private PostgreSQL node have in common."""

import json
import secrets
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from services.daemon import Daemon
from services.ports import free_ports

TOKEN_BYTES = 18


def password() -> str:
    """Return a random password that needs no quoting in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Settings:
    """Ports, passwords and the like of one node: drawn once, kept in a file, so that a restart finds them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        return self._values.get(name)

    def set(self, name: str, value: str) -> str:
        """Keep `value` under `name`, readable by the owner alone."""
        self._values[name] = value
        self._path.touch(mode=0o600)
        self._path.write_text(json.dumps(self._values, indent=2) + "\n")
        return value

    def secret(self, name: str) -> str:
        """Return the password kept under `name`, drawing it the first time."""
        return self.get(name) or self.set(name, password())

    def port(self, name: str) -> int:
        """Return the port kept under `name`, drawing a free one the first time."""
        return int(self.get(name) or self.set(name, str(free_ports(1)[0])))


class Node(ABC):
    """
    A private server in a folder of its own: start, stop, crash, hang, and start again on the same data and ports.

    All methods block for as long as it takes (a start: seconds). In asyncio code call them with `asyncio.to_thread`.
    """

    daemon: Daemon

    @abstractmethod
    def start(self) -> None:
        """Start the node, making its data the first time, and return when it serves. Idempotent."""

    @abstractmethod
    def stop(self) -> None:
        """Shut down orderly and leave no process behind. Idempotent."""

    def kill(self) -> None:
        """Crash: SIGKILL to every process of the node at once."""
        self.daemon.kill()

    def pause(self) -> None:
        """Hang: SIGSTOP to every process of the node. Its connections stay open and silent."""
        self.daemon.signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self.daemon.signal_all(signal.SIGCONT)

    def restart(self) -> None:
        """Stop orderly and start again."""
        self.stop()
        self.start()

    @property
    def is_running(self) -> bool:
        """Whether the server's process exists (a paused one does)."""
        return self.daemon.is_running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
