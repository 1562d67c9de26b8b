"""Requests as a broker would hand them over."""

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import uuid4

from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import EncryptRequest, Request
from kmsq_schemas.operations import SPECS, Operation, Queue
from kmsq_worker.decode import Caller
from kmsq_worker.ports import Delivery

NOW = 1_800_000_000_000  # Unix milliseconds
INSTANCE = "abcdefghij0123456789"
HEADERS: Mapping[str, object] = {"kmsq-version": 1, "deadline": NOW + 60_000}

_tags = count(1)


def now() -> int:
    """Return the time at which all of this happens."""
    return NOW


def delivery(
    operation: Operation = Operation.GENERATE_RANDOM,
    body: bytes = b'{"NumberOfBytes":8}',
    *,
    principal: str = "alice",
    headers: Mapping[str, object] = HEADERS,
    attempt: int = 1,
    **changes: Any,
) -> Delivery:
    """Return a request that is right in every respect, but for `changes`."""
    right = Delivery(
        queue=SPECS[operation].queue,
        tag=next(_tags),
        routing_key=f"{principal}.{operation}",
        body=body,
        type=operation,
        content_type=ContentType.JSON,
        content_encoding=None,
        message_id=str(uuid4()),
        correlation_id=uuid4().hex,
        reply_to=f"kmsq.reply.{principal}.{INSTANCE}",
        user_id=principal,
        headers=headers,
        attempt=attempt,
        arrived=time.monotonic(),
    )
    return replace(right, **changes)


def request(message: Request, *, content_type: ContentType = ContentType.JSON, **changes: Any) -> Delivery:
    """Return a delivery of `message`."""
    operation = Operation(type(message).__name__.removesuffix("Request"))
    return delivery(operation, encode(message, content_type), content_type=content_type, **changes)


def encrypt(key_id: str, plaintext: bytes = b"x", **changes: Any) -> Delivery:
    """Return a request to encrypt."""
    return request(EncryptRequest(key_id=key_id, plaintext=plaintext), **changes)


def caller(operation: Operation = Operation.GENERATE_RANDOM, principal: str = "alice") -> Caller:
    """Return a caller as `identify` proves one."""
    return Caller(principal, INSTANCE, SPECS[operation])


def bare(queue: Queue = Queue.CRYPTO, *, principal: str | None = "alice", attempt: int = 1) -> Delivery:
    """Return a delivery that only an inbox looks at."""
    return delivery(queue=queue, user_id=principal, attempt=attempt)
