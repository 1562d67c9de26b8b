"""Connections that know their limits, and the translation of what the driver raises."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from kmsq_worker.errors import Unavailable, ValidationException

Connection = asyncpg.Connection
"""What the rest passes on without looking inside."""

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 15  # above LOCK_TIMEOUT_SECONDS, far below RabbitMQ's consumer timeout of 30 minutes
LOCK_TIMEOUT_SECONDS = 10
READ_CONNECTIONS = 4  # keyring misses of all lanes, and List… operations

_SERVER_SETTINGS = {
    "application_name": "kmsq-worker",
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "jit": "off",  # every statement here is short; compiling one costs more than running it
}

_UNHURRIED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}

# InternalClientError: what asyncpg raises, now and then, when the server goes away between two messages.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


@contextmanager
def translated() -> Generator[None]:
    """
    Turn what the driver or the network raises into `Unavailable`, with the cause kept.

    A value that Postgres cannot store (a NUL in a text) is the request's fault: `ValidationException`.
    """
    try:
        yield
    except asyncpg.DataError as error:
        message = "A value of the request cannot be stored."
        raise ValidationException(message) from error
    except _FAILURES as error:
        raise Unavailable(type(error).__name__) from error


@asynccontextmanager
async def connected(url: str, *, unhurried: bool = False) -> AsyncGenerator[asyncpg.Connection]:
    """Hold one connection; an `unhurried` one may take any time for a statement. Raises `Unavailable`."""
    with translated():
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=None if unhurried else STATEMENT_TIMEOUT_SECONDS + 1,
            server_settings=_SERVER_SETTINGS | (_UNHURRIED if unhurried else {}),
        )
    try:
        yield connection
    finally:
        # terminate() and not close(): a session that failed must not wait for a peer that may be frozen.
        connection.terminate()


@asynccontextmanager
async def pooled(url: str) -> AsyncGenerator[asyncpg.Pool]:
    """Hold a small pool for reads. Raises `Unavailable`."""
    with translated():
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=READ_CONNECTIONS,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=STATEMENT_TIMEOUT_SECONDS + 1,
            server_settings=_SERVER_SETTINGS,
            reset=_keep,
        )
    try:
        yield pool
    finally:
        pool.terminate()


async def _keep(_connection: asyncpg.Connection) -> None:
    """Skip the reset on release, a second round trip: nothing here changes a session's state."""
