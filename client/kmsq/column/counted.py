"""A client whose requests are counted."""

from typing_extensions import override

from kmsq.client import Client
from kmsq.operations import AllOperations
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation


class CountedClient(AllOperations):
    """The operations of another client; `requests` counts them, repetitions left out."""

    def __init__(self, client: Client) -> None:
        self.principal = client.principal
        self.timeout_seconds = client.timeout_seconds
        self.requests = 0
        self._client = client

    @override
    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float | None = None) -> Reply:
        self.requests += 1
        return await self._client.call(operation, request, timeout_seconds=timeout_seconds)
