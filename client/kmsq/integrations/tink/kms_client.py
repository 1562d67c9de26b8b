"""Tink's view of kmsq: key URIs, and one AEAD for each key."""

import tink
from tink import aead

from kmsq.errors import KmsqError
from kmsq.integrations.blocking import BlockingClient, shared_client
from kmsq.integrations.cipher import Cipher, Timeouts
from kmsq_schemas.limits import PLAINTEXT_MAX_BYTES

KEY_URI_PREFIX = "kmsq://"
"""What follows is a key id, key ARN, alias name or alias ARN."""

ASSOCIATED_DATA = "associatedData"
"""The name in the encryption context; the value is hexadecimal. Part of the format, and the same as Tink's for AWS."""


class KmsAead(aead.Aead):  # type: ignore[misc]  # tink has no types
    """Encrypts and decrypts in the service, under one key. Any number of threads may call at once."""

    def __init__(self, cipher: Cipher, key_id: str) -> None:
        self._cipher = cipher
        self._key_id = key_id

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """
        Return the ciphertext blob of 1 to 4,096 bytes, bound to up to 4,085 bytes of `associated_data`.

        Raises `tink.TinkError`, whose cause is the `KmsqError`.
        """
        if not 1 <= len(plaintext) <= PLAINTEXT_MAX_BYTES:
            message = (
                f"kmsq encrypts 1 to {PLAINTEXT_MAX_BYTES} bytes, not {len(plaintext)}: "
                "use tink.aead.KmsEnvelopeAead with this AEAD"
            )
            raise tink.TinkError(message)
        try:
            return self._cipher.encrypt(self._key_id, plaintext, encryption_context=_context(associated_data))
        except KmsqError as error:
            raise tink.TinkError(str(error)) from error

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """
        Return the plaintext of what `encrypt` returned for the same `associated_data`.

        Raises `tink.TinkError`, whose cause is the `KmsqError`; also when the ciphertext is of another key.
        """
        try:
            return self._cipher.decrypt(ciphertext, key_id=self._key_id, encryption_context=_context(associated_data))
        except KmsqError as error:
            raise tink.TinkError(str(error)) from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {KEY_URI_PREFIX}{self._key_id}>"


class KmsClient(tink.KmsClient):  # type: ignore[misc]  # tink has no types
    """
    Gives Tink its AEADs. The user of `amqp_url` (by default `KMSQ_AMQP_URL`) is the principal.

    Clients of one URL share a connection, which the first call opens. A client with a `key_uri` supports that one only,
    so that several may be registered.

    Raises `InvalidAddress` for a URL without a usable user, or if there is none; `tink.TinkError` for a `key_uri` that
    is not one of kmsq.
    """

    def __init__(
        self,
        amqp_url: str | BlockingClient | None = None,
        *,
        key_uri: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
    ) -> None:
        if key_uri is not None:
            _key_id(key_uri)
        self._key_uri = key_uri
        self._cipher = Cipher(shared_client(amqp_url), timeouts=timeouts)

    def does_support(self, key_uri: str) -> bool:
        """Whether `key_uri` is one of kmsq, and the one that this client is for, if it is for one."""
        return key_uri == self._key_uri if self._key_uri else _is_ours(key_uri)

    def get_aead(self, key_uri: str) -> KmsAead:
        """Return the AEAD of a key; the service is not asked yet. Raises `tink.TinkError` for an unsupported URI."""
        if not self.does_support(key_uri):
            message = f"this client does not support {key_uri}: it is for {self._key_uri or KEY_URI_PREFIX + '…'}"
            raise tink.TinkError(message)
        return KmsAead(self._cipher, _key_id(key_uri))


def _is_ours(key_uri: str) -> bool:
    return key_uri.startswith(KEY_URI_PREFIX) and key_uri != KEY_URI_PREFIX


def _key_id(key_uri: str) -> str:
    if not _is_ours(key_uri):
        message = f"{key_uri} is no key URI of kmsq: write {KEY_URI_PREFIX}alias/orders, or a key id or ARN after it"
        raise tink.TinkError(message)
    return key_uri.removeprefix(KEY_URI_PREFIX)


def _context(associated_data: bytes) -> dict[str, str]:
    """Return the encryption context: none without associated data. No two of them give the same."""
    return {ASSOCIATED_DATA: associated_data.hex()} if associated_data else {}
