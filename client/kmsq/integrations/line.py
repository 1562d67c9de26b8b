"""One thread with an event loop and an open client: what carries the calls of other threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from kmsq.client import Client
from kmsq.errors import ClientClosed
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation

T = TypeVar("T")

CLOSE_SECONDS = 6.0  # longer than a client takes to say goodbye to a broker that hangs


class Line:
    """
    Enters `client` in a thread of its own, and leaves it there when closed.

    A line is over when it was closed, or could not be opened; it does not come back.
    """

    def __init__(self, client: Client) -> None:
        self.opened: Future[None] = Future()
        """Done when the client is open; fails with what kept it from opening."""
        self._client = client
        self._lock = threading.Lock()
        self._over = False
        self._loop = asyncio.new_event_loop()
        self._serving = self._loop.create_task(self._serve())
        # A daemon, because the interpreter waits for other threads before it calls what atexit knows, which closes us.
        self._thread = threading.Thread(target=self._run, name=f"kmsq {client.principal}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether another line is needed."""
        return self._over

    def submit(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Future[Reply]:
        """Hand a call over: see `start`."""
        return self.start(lambda client: client.call(operation, request, timeout_seconds=timeout_seconds))

    def start(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> Future[T]:
        """
        Hand over what is to be done with the client; only after `opened`. Cancelling the result forgets it.

        Raises `ClientClosed` when the line is over. What its end interrupts is cancelled.
        """
        with self._lock:  # so that the work is on the loop before what ends the line, and its end finds it
            if self._over:
                raise ClientClosed("the connection was closed")
            return asyncio.run_coroutine_threadsafe(work(self._client), self._loop)

    def close(self) -> None:
        """End the line, and wait up to `CLOSE_SECONDS` for the client to say goodbye. Idempotent."""
        with self._lock:
            if not self._over:
                self._over = True
                self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serving)
        except asyncio.CancelledError:  # by `close`
            if not self.opened.done():
                self.opened.set_exception(ClientClosed("the connection was closed while it was being opened"))
        except Exception as error:
            if self.opened.done():
                raise  # nobody waits for it any more: the interpreter reports it
            self.opened.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        try:
            async with self._client:
                self.opened.set_result(None)
                await asyncio.Event().wait()  # until cancelled
        finally:
            with self._lock:
                self._over = True
            await self._cancel_calls()

    async def _cancel_calls(self) -> None:
        calls = asyncio.all_tasks() - {self._serving}
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)
