"""Encrypt and Decrypt for integrations with libraries that block, over connections shared by URL."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from kmsq.client import TIMEOUT_SECONDS, WORKER_USER, Client
from kmsq.errors import InvalidAddress, InvalidReply
from kmsq.integrations.blocking import BlockingClient
from kmsq.operations.base import make_request
from kmsq_schemas.models import DecryptReply, EncryptReply, Reply
from kmsq_schemas.operations import Operation

R = TypeVar("R", bound=Reply)

_by_address: dict[tuple[str, str], BlockingClient] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a call may take: up to the sum of both."""

    connect_seconds: float = TIMEOUT_SECONDS
    """Until there is a first connection to the broker."""
    call_seconds: float = TIMEOUT_SECONDS
    """From then on until the reply, all repetitions included."""


class Cipher:
    """Encrypts and decrypts up to 4,096 bytes under symmetric keys. Any number of threads may call at once."""

    def __init__(self, client: BlockingClient, *, timeouts: Timeouts) -> None:
        self._client = client
        self._timeouts = timeouts

    def encrypt(self, key_id: str, plaintext: bytes, *, encryption_context: Mapping[str, str]) -> bytes:
        """Return the ciphertext blob of 1 to 4,096 bytes. Raises `KmsqError`."""
        reply = self._ask(
            Operation.ENCRYPT,
            EncryptReply,
            key_id=key_id,
            plaintext=plaintext,
            encryption_context=encryption_context or None,
        )
        return reply.ciphertext_blob

    def decrypt(self, ciphertext_blob: bytes, *, key_id: str | None, encryption_context: Mapping[str, str]) -> bytes:
        """
        Return the plaintext; of another key's blob if `key_id` is None.

        Raises `KmsqError`: `IncorrectKeyException` when the blob is not of the key that is named.
        """
        reply = self._ask(
            Operation.DECRYPT,
            DecryptReply,
            ciphertext_blob=ciphertext_blob,
            key_id=key_id,
            encryption_context=encryption_context or None,
        )
        return reply.plaintext

    def _ask(self, operation: Operation, reply_model: type[R], **arguments: object) -> R:
        reply = self._client.call(
            operation,
            make_request(operation, arguments),
            connect_timeout_seconds=self._timeouts.connect_seconds,
            timeout_seconds=self._timeouts.call_seconds,
        )
        if not isinstance(reply, reply_model):
            message = f"{type(reply).__name__} is not a reply to {operation.value}"
            raise InvalidReply(message)
        return reply


def shared_client(amqp_url: str | BlockingClient | None) -> BlockingClient:
    """
    Return the client of `amqp_url`, by default that of `KMSQ_AMQP_URL`: one for each URL. It is not open yet.

    A `BlockingClient` is returned as it is. Raises `InvalidAddress` for a URL without a usable user, or if there is
    none.
    """
    if isinstance(amqp_url, BlockingClient):
        return amqp_url
    url = amqp_url or os.environ.get("KMSQ_AMQP_URL")
    if not url:
        raise InvalidAddress("no broker to connect to: pass an AMQP URL, or set KMSQ_AMQP_URL")
    worker_user = os.environ.get("KMSQ_WORKER_USER") or WORKER_USER

    def make_client(connect_timeout_seconds: float) -> Client:
        return Client(url, worker_user=worker_user, connect_timeout_seconds=connect_timeout_seconds)

    make_client(0.0)  # raises for a bad URL now, not at the first call
    # Two threads may get here at once: one of the two clients is dropped, before it opened anything.
    return _by_address.setdefault((url, worker_user), BlockingClient(make_client))
