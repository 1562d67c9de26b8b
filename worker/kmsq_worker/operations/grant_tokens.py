"""
Grant tokens: they name a grant together with its key, and only this service can make them.

Token = URL-safe base64 of domain key id (16 bytes) ‖ HMAC (32 bytes) ‖ nonce (12 bytes) ‖ grant id (32 bytes) ‖ key id
(UTF-8).

The HMAC is the domain key's `token_mac` of length (4 bytes, big endian) ‖ `grant` ‖ 00 ‖ nonce ‖ grant id ‖ key id:
pagination markers begin with another word, so that neither passes for the other. The nonce makes every token another
one, as in AWS; all tokens of a grant name it. A token is a name and no permission: whoever retires a grant by its token
needs the same right as by its id.
"""

import binascii
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.errors import InvalidGrantTokenException
from kmsq_worker.wrapping import DomainKey

GRANT_ID_BYTES = 32  # random, 64 hexadecimal digits in the API
NONCE_BYTES = 12  # 96 random bits: no two tokens are the same
_DOMAIN_KEY_ID, _MAC, _NAMES = slice(0, 16), slice(16, 48), slice(48, None)
_GRANT_ID = slice(48 + NONCE_BYTES, 48 + NONCE_BYTES + GRANT_ID_BYTES)
_KEY_ID = slice(48 + NONCE_BYTES + GRANT_ID_BYTES, None)
_PURPOSE = b"grant\x00"


@dataclass(frozen=True, slots=True)
class NamedGrant:
    """A grant by its names; whether it exists is another question."""

    key_id: str
    grant_id: str


def make_token(custody: Custody, grant: NamedGrant) -> str:
    """Make a token of a grant, another one each time."""
    names = os.urandom(NONCE_BYTES) + bytes.fromhex(grant.grant_id) + grant.key_id.encode()
    domain_key = custody.current
    return urlsafe_b64encode(domain_key.id.bytes + _mac(domain_key, names) + names).decode()


def read_token(custody: Custody, token: str) -> NamedGrant:
    """Return what a token names. Raises `InvalidGrantTokenException` for one that this service did not make."""
    try:
        raw = urlsafe_b64decode(token)
        if urlsafe_b64encode(raw).decode() != token:  # the decoder skips what is no base64
            raise ValueError("not canonical")  # noqa: TRY301  # one way out for all that is wrong
        domain_key = custody.domain_key(UUID(bytes=raw[_DOMAIN_KEY_ID]))
        if hmac.compare_digest(raw[_MAC], _mac(domain_key, raw[_NAMES])):
            return NamedGrant(key_id=raw[_KEY_ID].decode(), grant_id=raw[_GRANT_ID].hex())
    except (binascii.Error, ValueError, Tampered):
        pass
    message = "The grant token was not made by this service."
    raise InvalidGrantTokenException(message)


def _mac(domain_key: DomainKey, names: bytes) -> bytes:
    return domain_key.token_mac(len(_PURPOSE).to_bytes(4, "big") + _PURPOSE + names)
