"""Keeps one connection up."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from kmsq.amqp.address import Address
from kmsq.amqp.link import Link
from kmsq.amqp.refusals import Diagnosis, connect_failure
from kmsq.errors import KmsqError, NotConnected

RECONNECT_SECONDS = 0.1  # the longest first pause between attempts to connect; they double
RECONNECT_MAX_SECONDS = 5.0
STABLE_SECONDS = 15.0  # a connection that lasted so long was a good one; longer than an attempt to connect may take

log = logging.getLogger(__name__)


class Supervisor:
    """Opens links one after the other, and says which one is up."""

    def __init__(
        self,
        address: Address,
        open_link: Callable[[], AbstractAsyncContextManager[Link]],
        *,
        on_lost: Callable[[], None],
        chance: Callable[[], float],
    ) -> None:
        self._address = address
        self._open_link = open_link
        self._on_lost = on_lost
        self._chance = chance
        self._link: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._hopeless: asyncio.Future[KmsqError] = asyncio.get_running_loop().create_future()
        self._problem: KmsqError = NotConnected(f"the broker at {address} has not answered yet")

    @property
    def problem(self) -> KmsqError | None:
        """Why there is no connection; None when there is one."""
        return None if self._link.done() else self._problem

    async def link(self) -> Link:
        """Return the connection, waiting for it as long as it takes."""
        return await asyncio.shield(self._link)

    async def wait_first(self, timeout_seconds: float) -> None:
        """
        Wait for the first connection.

        Raises what keeps us from it, after `timeout_seconds`, or at once when waiting will not help.
        """
        either: set[asyncio.Future[Any]] = {self._link, self._hopeless}
        await asyncio.wait(either, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not self._link.done():
            raise self._problem

    async def run(self) -> None:
        """Keep a connection up until cancelled."""
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with self._open_link() as link:
                    await self._use(link)
                diagnosis = Diagnosis(NotConnected(f"the connection to {self._address} was lost"), hopeless=False)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # aiormq's way to say that the connection went away in the middle of something.
                diagnosis = connect_failure(error, self._address)
            except Exception as error:  # noqa: BLE001  whatever the driver raises, the next connection may be better
                diagnosis = connect_failure(error, self._address)
            self._note(diagnosis)
            if asyncio.get_running_loop().time() - started > STABLE_SECONDS:
                failures = 0
            longest = min(RECONNECT_MAX_SECONDS, RECONNECT_SECONDS * 2.0 ** min(failures, 16))
            failures += 1
            await asyncio.sleep(longest * (0.5 + self._chance() / 2))

    async def _use(self, link: Link) -> None:
        log.info("connected to %s as %s", self._address, self._address.principal)
        self._link.set_result(link)
        try:
            await link.wait_lost()
        finally:
            self._link = asyncio.get_running_loop().create_future()
            self._on_lost()

    def _note(self, diagnosis: Diagnosis) -> None:
        log.warning("%s", diagnosis.error)
        self._problem = diagnosis.error
        if diagnosis.hopeless and not self._hopeless.done():
            self._hopeless.set_result(diagnosis.error)
