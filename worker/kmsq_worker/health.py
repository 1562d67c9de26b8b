"""
/livez, /readyz and /metrics, served from a thread of their own.

A thread, so that a stalled event loop shows: /livez fails once the loop has not moved for `STALL_SECONDS`.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

BEAT_SECONDS = 1
STALL_SECONDS = 15  # half a session's patience with the broker


class Health:
    """What the probes are told."""

    def __init__(self) -> None:
        self._beat = time.monotonic()
        self.ready = False

    def beat(self) -> None:
        """Note that the event loop moves."""
        self._beat = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether the event loop moved lately."""
        return time.monotonic() - self._beat < STALL_SECONDS


@contextmanager
def served(host: str, port: int, health: Health, registry: CollectorRegistry) -> Generator[int | None]:
    """Serve until the end of the block; yields the port. A port of 0 serves nothing. Raises `OSError`."""
    if port == 0:
        yield None
        return

    class Handler(BaseHTTPRequestHandler):
        """Three paths, GET only."""

        timeout = 5  # seconds for a request: a slow reader must not keep a thread
        server_version = "kmsq"
        sys_version = ""

        def do_GET(self) -> None:
            match self.path:
                case "/livez":
                    self._answer(200 if health.live else 503, b"live\n" if health.live else b"stalled\n")
                case "/readyz":
                    self._answer(200 if health.ready else 503, b"ready\n" if health.ready else b"not ready\n")
                case "/metrics":
                    self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b"/livez /readyz /metrics\n")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: a probe every second is not news."""

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
