"""What pyarrow asks to wrap and unwrap the keys of Parquet files, and what makes it from pyarrow's configuration."""

import base64
import binascii
import functools
from types import MappingProxyType
from typing import Never

from pyarrow.parquet import encryption

from kmsq.errors import InvalidAddress, InvalidRequest
from kmsq.integrations.blocking import BlockingClient, shared_client
from kmsq.integrations.cipher import Cipher, Timeouts
from kmsq.integrations.pyarrow.unwrapped import CacheLimits, UnwrappedKeys, WrappedKey

ENCRYPTION_CONTEXT = MappingProxyType({"kmsq:purpose": "parquet"})
"""Bound to every key that is wrapped here. It is part of the format: with another one no file opens any more."""

NOT_GIVEN = ("", "DEFAULT")  # what pyarrow passes on for an instance URL, or a token, that nobody gave


class KmsClient(encryption.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """
    Wraps and unwraps keys of Parquet files under keys of kmsq. pyarrow calls it, from any of its threads.

    The user of `amqp_url` (by default `KMSQ_AMQP_URL`) is the principal. Clients of one URL share a connection, which
    the first call opens. Raises `InvalidAddress` for a URL without a usable user, or if there is none.

    Make few: pyarrow's half of a client and this one hold each other, so that none is ever freed.
    """

    def __init__(
        self,
        amqp_url: str | BlockingClient | None = None,
        *,
        cache: CacheLimits = CacheLimits(),  # noqa: B008  frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self._cipher = Cipher(shared_client(amqp_url), timeouts=timeouts)
        self._unwrapped = UnwrappedKeys(limits=cache)

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        """
        Return the key, encrypted under a key of kmsq, as base64.

        `master_key_identifier` is a key id, key ARN, alias name or alias ARN. Raises `KmsqError`.
        """
        blob = self._cipher.encrypt(master_key_identifier, key_bytes, encryption_context=ENCRYPTION_CONTEXT)
        return base64.b64encode(blob).decode()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        """
        Return the key that `wrap_key` wrapped: from the cache, or decrypted by the service.

        Raises `KmsqError`: `IncorrectKeyException` when it was wrapped under another key than the key id or key ARN
        says. An alias may have moved on since, so that its blob alone says which key it was.
        """
        wrapped = WrappedKey(master_key_identifier, wrapped_key)
        key = self._unwrapped.find(wrapped)
        if key is None:
            key = self._cipher.decrypt(
                _decoded(wrapped_key),
                key_id=None if _is_alias(master_key_identifier) else master_key_identifier,
                encryption_context=ENCRYPTION_CONTEXT,
            )
            self._unwrapped.keep(wrapped, key)
        return key

    def forget_keys(self) -> None:
        """Empty the cache: the next `unwrap_key` asks the service."""
        self._unwrapped.forget()


class KmsClientFactory:
    """
    Makes clients for `pyarrow.parquet.encryption.CryptoFactory`.

    A `KmsConnectionConfig` whose `key_access_token` is an AMQP URL gets a client of that one; any other a client of
    `amqp_url` (by default `KMSQ_AMQP_URL`). It cannot be pickled, because it may hold a password.
    """

    def __init__(
        self,
        amqp_url: str | BlockingClient | None = None,
        *,
        cache: CacheLimits = CacheLimits(),  # noqa: B008  frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
    ) -> None:
        self._amqp_url = amqp_url
        self._cache = cache
        self._timeouts = timeouts

    def __call__(self, config: encryption.KmsConnectionConfig) -> KmsClient:
        """
        Return a client for `config`: the same one for the same URL.

        Raises `InvalidAddress` for a URL that cannot be used, if there is none, or if it is in the wrong place.
        """
        _require_nothing_else(config)
        token = config.key_access_token
        amqp_url = self._amqp_url if token in NOT_GIVEN else token
        return _client_of(shared_client(amqp_url), self._cache, self._timeouts)

    def __reduce__(self) -> Never:
        message = f"{type(self).__name__} may hold a password and is not pickled: make one in each process"
        raise TypeError(message)


@functools.cache  # because none is ever freed: one for each connection, not one for each CryptoFactory
def _client_of(client: BlockingClient, cache: CacheLimits, timeouts: Timeouts) -> KmsClient:
    return KmsClient(client, cache=cache, timeouts=timeouts)


def _require_nothing_else(config: encryption.KmsConnectionConfig) -> None:
    # pyarrow writes the instance URL into files, the password with it. When it reads, it can take the URL from the file,
    # where it would tell us whom to send our password to.
    if config.kms_instance_url not in NOT_GIVEN:
        raise InvalidAddress(
            "kms_instance_url is not used, because Parquet files would show it: give the AMQP URL to "
            "KmsClientFactory, or as key_access_token"
        )
    # pyarrow tells clients and cached keys apart by the token alone: this would be one principal's, or another's.
    if config.custom_kms_conf:
        raise InvalidAddress(
            "custom_kms_conf is not used: give the AMQP URL to KmsClientFactory, or as key_access_token"
        )


def _is_alias(master_key_identifier: str) -> bool:
    return master_key_identifier.rpartition(":")[2].startswith("alias/")


def _decoded(wrapped_key: str) -> bytes:
    try:
        return base64.b64decode(wrapped_key, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("the wrapped key is not base64: kmsq did not wrap it, or the file is damaged") from None
