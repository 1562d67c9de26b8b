"""Encrypt and Decrypt for integrations with libraries that block, over connections shared by URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from kmsq.client import TIMEOUT_SECONDS
from kmsq.errors import InvalidReply
from kmsq.integrations.blocking import BlockingClient
from kmsq.operations.base import make_request
from kmsq_schemas.models import DecryptReply, EncryptReply, Reply
from kmsq_schemas.operations import Operation

R = TypeVar("R", bound=Reply)


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
