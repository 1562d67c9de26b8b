"""kmsq for code that blocks: calls from any thread, over one connection."""

import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar
from weakref import WeakSet

from kmsq.client import WORKER_USER, Client
from kmsq.errors import ClientClosed, InvalidAddress, NotConnected
from kmsq.integrations.line import Line
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation

T = TypeVar("T")

OPENING_GRACE_SECONDS = 5.0  # for a client whose time to connect is over, to clean up and say why


class BlockingClient:
    """
    Makes `kmsq.Client` callable from threads that have no event loop. Any number of them may call at once.

    `make_client` returns a client that is not entered yet, and that waits so many seconds for its first connection.
    The first call enters it, in a thread that all calls share; so does the first call after `close`, after a failure
    to connect, and in a process that was forked off, which never touches its parent's connection.
    """

    def __init__(self, make_client: Callable[[float], Client]) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._line: Line | None = None
        _clients.add(self)

    def call(
        self, operation: Operation, request: Request, *, connect_timeout_seconds: float, timeout_seconds: float
    ) -> Reply:
        """
        Send `request` and return the reply, an instance of the operation's reply model.

        Waits up to `connect_timeout_seconds` for a first connection, then up to `timeout_seconds` for the reply, in
        which time the request is repeated as `kmsq.Client` does. Raises `KmsqError`.
        """
        line = self.open(connect_timeout_seconds)
        return outcome(line.submit(operation, request, timeout_seconds=timeout_seconds))

    def start(self, work: Callable[[Client], Coroutine[Any, Any, T]], *, connect_timeout_seconds: float) -> Future[T]:
        """
        Begin what is to be done with the client, once it is open; `outcome` waits for it.

        Raises `NotConnected` when it is not open within `connect_timeout_seconds`, and what kept it from opening.
        """
        return self.open(connect_timeout_seconds).start(work)

    def open(self, connect_timeout_seconds: float) -> Line:
        """Return the line once it is open: see `start`."""
        line, waiting_seconds = self._current_line(connect_timeout_seconds)
        try:
            line.opened.result(waiting_seconds)
        except TimeoutError:
            message = f"no connection to the broker came about within {connect_timeout_seconds:g} s"
            raise NotConnected(message) from None
        return line

    def close(self) -> None:
        """Close the connection, if there is one: calls under way fail with `ClientClosed`. The next call opens one."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def _current_line(self, connect_timeout_seconds: float) -> tuple[Line, float]:
        """Return the line, and how long to wait until it is open."""
        with self._lock:
            if self._line is None or self._line.is_over:
                self._line = Line(self._make_client(connect_timeout_seconds))
                return self._line, connect_timeout_seconds + OPENING_GRACE_SECONDS
            return self._line, connect_timeout_seconds

    def _forget_parent(self) -> None:
        # The line is kept and left alone: its loop shares the parent's epoll instance, from which closing anything
        # would take the parent's socket, and its thread does not exist here.
        _of_parents.append(self._line)
        self._line = None
        self._lock = threading.Lock()  # a thread of the parent may have held it


def shared_client(amqp_url: str | BlockingClient | None) -> BlockingClient:
    """
    Return the client of `amqp_url`, by default that of `KMSQ_AMQP_URL`: one for each URL. It is not open yet.

    A `BlockingClient` is returned as it is. Raises `InvalidAddress` for a URL without a usable user, or if there is
    none.
    """
    if isinstance(amqp_url, BlockingClient):
        return amqp_url
    url = amqp_url or os.environ.get("KMSQ_AMQP_URL")
    if not url:
        raise InvalidAddress("no broker to connect to: pass an AMQP URL, or set KMSQ_AMQP_URL")
    worker_user = os.environ.get("KMSQ_WORKER_USER") or WORKER_USER

    def make_client(connect_timeout_seconds: float) -> Client:
        return Client(url, worker_user=worker_user, connect_timeout_seconds=connect_timeout_seconds)

    make_client(0.0)  # raises for a bad URL now, not at the first call
    # Two threads may get here at once: one of the two clients is dropped, before it opened anything.
    return _by_address.setdefault((url, worker_user), BlockingClient(make_client))


def outcome(work: Future[T]) -> T:
    """Wait for what `BlockingClient.start` began. Whoever is interrupted here forgets it."""
    try:
        return work.result()
    except CancelledError:
        raise ClientClosed("the connection was closed before the reply came") from None
    finally:
        work.cancel()  # without effect on what is done; the caller may have been interrupted


_clients: WeakSet[BlockingClient] = WeakSet()
_by_address: dict[tuple[str, str], BlockingClient] = {}
_of_parents: list[Line | None] = []


def close_all() -> None:
    """Close the connection of every client. The next call opens a new one."""
    for client in list(_clients):
        client.close()


def _after_fork() -> None:
    for client in list(_clients):
        client._forget_parent()  # noqa: SLF001  this module is where fork is dealt with


atexit.register(close_all)
os.register_at_fork(after_in_child=_after_fork)
