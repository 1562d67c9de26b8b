"""The fake KMS, and clients of it."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from kmsq.client import TIMEOUT_SECONDS, Client
from kmsq.errors import AccessDeniedException, KmsqError, UnsupportedOperationException, ValidationException
from kmsq.testing.handlers import HANDLERS
from kmsq.testing.world import ACCOUNT, World
from kmsq.transport import Transport
from kmsq_schemas import codec, limits
from kmsq_schemas.content import ContentType, MalformedBody
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.models.batches import BatchRequest
from kmsq_schemas.operations import SPECS, Operation, OperationSpec, Queue


class FakeKms:
    """
    A KMS in memory; see `kmsq.testing` for what it is not.

    All clients of one `FakeKms` see the same keys. `now` is its clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._world = World(now)
        self._denied: set[tuple[str, Operation]] = set()
        self._failures: defaultdict[Operation, deque[KmsqError]] = defaultdict(deque)
        self._own: dict[Operation, Callable[[Any], Reply]] = {}
        self.calls: Counter[Operation] = Counter()
        """How often each operation was asked for, failures included."""

    def client(self, principal: str = "alice", *, timeout_seconds: float = TIMEOUT_SECONDS) -> Client:
        """Return a client for `principal`, to be entered with `async with` as any other."""
        return _FakeClient(_FakeTransport(self, principal), principal=principal, timeout_seconds=timeout_seconds)

    def deny(self, principal: str, operation: Operation | str) -> None:
        """
        From now on answer `AccessDeniedException` when `principal` asks for `operation` (`"Encrypt"`).

        What is denied for one value is denied for a batch of them, too.
        """
        self._denied.add((principal, Operation(operation)))

    def allow(self, principal: str, operation: Operation | str) -> None:
        """Take a `deny` back."""
        self._denied.discard((principal, Operation(operation)))

    def fail_next(self, operation: Operation | str, error: KmsqError) -> None:
        """Raise `error` the next time anyone asks for `operation`; several wait in line."""
        self._failures[Operation(operation)].append(error)

    def answer_with(self, operation: Operation | str, make_reply: Callable[[Any], Reply]) -> None:
        """
        From now on answer `operation` (`"Sign"`) with what `make_reply` makes of its request, or raises.

        For what the fake does not do: key pairs, MACs, grants, imports. It goes before what the fake does.
        """
        self._own[Operation(operation)] = make_reply

    def answer(self, principal: str, operation: Operation, request: Request) -> Reply:
        """Do what a worker does. Raises a `ServiceError`, or what `fail_next` was given."""
        self.calls[operation] += 1
        waiting = self._failures[operation]
        if waiting:
            raise waiting.popleft()
        if not self._denied.isdisjoint({(principal, operation), (principal, Operation(operation.of_one))}):
            message = (
                f"User: arn:kmsq:iam::{ACCOUNT}:user/{principal} is not authorized to perform: kms:{operation.of_one}"
            )
            raise AccessDeniedException(message)
        if operation in self._own:
            return self._own[operation](request)
        handler = HANDLERS.get(operation)
        if handler is None:
            message = f"kmsq.testing does not do {operation.value}: see FakeKms.answer_with"
            raise UnsupportedOperationException(message)
        return handler(self._world, request)


class _FakeTransport:
    """Answers at once, but through the codec, so that what would not travel does not pass."""

    def __init__(self, kms: FakeKms, principal: str) -> None:
        self._kms = kms
        self._principal = principal

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:  # noqa: ARG002
        """See `Transport`. There is nothing to wait for."""
        spec = SPECS[operation]
        content_type = ContentType.CBOR if spec.queue is Queue.BATCH else ContentType.JSON
        body = codec.encode(request, content_type)
        try:
            arrived = codec.decode(spec.request, body, content_type)
        except MalformedBody as error:
            raise ValidationException(str(error)) from None
        _check_sizes(arrived, len(body), spec, content_type)
        reply = self._kms.answer(self._principal, operation, arrived)
        return codec.decode(spec.reply, codec.encode(reply, content_type), content_type)


def _check_sizes(request: Request, body_bytes: int, spec: OperationSpec, content_type: ContentType) -> None:
    if body_bytes > spec.max_body_bytes:
        message = f"The body of {spec.operation} may have at most {spec.max_body_bytes} bytes."
        raise ValidationException(message)
    size = request.reply_max_bytes(content_type) if isinstance(request, BatchRequest) else 0
    if size > limits.MESSAGE_MAX_BYTES:
        message = (
            f"The reply could have {size} bytes; at most {limits.MESSAGE_MAX_BYTES} are allowed: send fewer items."
        )
        raise ValidationException(message)


class _FakeClient(Client):
    """A client over a transport that is there already."""

    def __init__(self, transport: Transport, *, principal: str, timeout_seconds: float) -> None:
        self._prepare(lambda: nullcontext(transport), principal=principal, timeout_seconds=timeout_seconds)
