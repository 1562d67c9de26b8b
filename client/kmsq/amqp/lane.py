"""The publishing channel of one operation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiormq import spec
from aiormq.abc import ConfirmationFrameType, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError

from kmsq.amqp.pending import Pending
from kmsq_schemas.names import REQUESTS_EXCHANGE

MAX_UNCONFIRMED = 1000  # publishes: aiormq goes through all of them for each confirm of several

Confirmation: TypeAlias = ConfirmationFrameType | DeliveredMessage | None


class Lane:
    """
    The publishing channel of one operation, opened when it is needed, and again after the broker has closed it.

    The broker answers one forbidden publish by closing its channel, with everything that is on it. A channel for each
    operation confines that to requests which are all forbidden. The first publish of a channel goes alone, so that no
    others are written after its close, which would be an error of the whole connection.
    """

    def __init__(self, routing_key: str, open_channel: Callable[[], Awaitable[Channel]]) -> None:
        self._routing_key = routing_key
        self._open_channel = open_channel
        self._proven: Channel | None = None
        self._trial = asyncio.Lock()
        self._slots = asyncio.Semaphore(MAX_UNCONFIRMED)

    async def publish(self, pending: Pending, properties: spec.Basic.Properties) -> Confirmation:
        """
        Publish and wait for the broker's confirm; return it, or the message if the broker returned it.

        Returns None when the caller has left before the message was sent. Raises the driver's errors.
        """
        async with self._slots:
            while not pending.gone:
                channel = self._usable()
                if channel is not None:
                    return await self._publish(channel, pending, properties)
                async with self._trial:
                    if self._usable() is None and not pending.gone:
                        return await self._publish_first(pending, properties)
        return None

    def _usable(self) -> Channel | None:
        return None if self._proven is None or self._proven.is_closed else self._proven

    async def _publish_first(self, pending: Pending, properties: spec.Basic.Properties) -> Confirmation:
        channel = await self._open_channel()
        try:
            confirmation = await self._publish(channel, pending, properties)
        except DeliveryError:
            self._proven = channel  # the broker did not take the message, but has nothing against its kind
            raise
        self._proven = channel
        return confirmation

    async def _publish(self, channel: Channel, pending: Pending, properties: spec.Basic.Properties) -> Confirmation:
        # Without `wait` it does not wait for the socket to drain, which would serialise all publishes of the channel.
        return await channel.basic_publish(
            pending.body,
            exchange=REQUESTS_EXCHANGE,
            routing_key=self._routing_key,
            properties=properties,
            mandatory=True,
            wait=False,
        )
