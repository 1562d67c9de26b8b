"""The seam between the operations and whatever carries them."""

from typing import Protocol

from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation


class Transport(Protocol):
    """Carries requests to a KMS: over AMQP (`kmsq.amqp`), or to one in memory (`kmsq.testing`)."""

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """
        Return the reply, an instance of the operation's reply model.

        Raises a `ServiceError` that the service answered, or another `KmsqError`.
        """
