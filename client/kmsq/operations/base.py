"""From arguments to a request, through the transport, to a typed reply."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from pydantic import ValidationError

from kmsq.errors import ClientClosed, InvalidReply, InvalidRequest
from kmsq.transport import Transport
from kmsq_schemas.constraints import explain
from kmsq_schemas.models import Reply, Request, Tag
from kmsq_schemas.models.base import wire_name
from kmsq_schemas.operations import SPECS, Operation

R = TypeVar("R", bound=Reply)

Tags: TypeAlias = Mapping[str, str] | Sequence[Tag]
"""Tags as a map from key to value, or as the contract has them."""


def make_request(operation: Operation, arguments: Mapping[str, object]) -> Request:
    """
    Make the request model of `operation`.

    Raises `InvalidRequest`, whose text never holds a value of the arguments.
    """
    model = SPECS[operation].request
    given = {wire_name(name): _plain(value) for name, value in arguments.items() if value is not None}
    try:
        return model.model_validate(given)  # by wire names, because `explain` knows those
    except ValidationError as error:
        message = f"{operation.value}: {explain(error, model)}"
    # Raised outside the handler: the validation error carries the arguments, plaintexts included.
    raise InvalidRequest(message)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def tag_list(tags: Tags | None) -> list[object] | None:
    """Return tags in the shape of the contract, not validated: that is `make_request`'s part."""
    if isinstance(tags, Mapping):
        return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
    return None if tags is None else list(tags)


class Operations:
    """What every family of operations stands on."""

    principal: str
    """The broker user that the service sees."""
    timeout_seconds: float
    """The deadline of a call that names none, counted from its start."""
    _transport: Transport | None = None

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float | None = None) -> Reply:
        """
        Send `request` and return the reply, an instance of the operation's reply model.

        The methods named as the operations are easier to use; this one serves tools that go by the table of
        operations. Raises `KmsqError`.
        """
        if self._transport is None:
            raise ClientClosed("this client is not open: use it inside `async with`")
        seconds = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._transport.call(operation, request, timeout_seconds=seconds)

    async def _ask(
        self, operation: Operation, reply_model: type[R], timeout_seconds: float | None, **arguments: object
    ) -> R:
        reply = await self.call(operation, make_request(operation, arguments), timeout_seconds=timeout_seconds)
        if not isinstance(reply, reply_model):
            message = f"{type(reply).__name__} is not a reply to {operation.value}"
            raise InvalidReply(message)
        return reply


class Page(Protocol):
    """A reply that may be continued."""

    @property
    def next_marker(self) -> str | None:
        """Where the next page starts."""

    @property
    def truncated(self) -> bool:
        """Whether there is a next page."""


P = TypeVar("P", bound=Page)


async def pages(fetch: Callable[[str | None], Awaitable[P]]) -> AsyncIterator[P]:
    """Yield what `fetch` returns for each marker, until the last page."""
    marker: str | None = None
    while True:
        page = await fetch(marker)
        yield page
        if not page.truncated or page.next_marker is None:
            return
        marker = page.next_marker
