"""
Grant tokens: they name a grant together with its key, and only this service can make them.

Token = URL-safe base64 of domain key id (16 bytes) ‖ HMAC (32 bytes) ‖ grant id (32 bytes) ‖ key id (UTF-8).

The HMAC is the domain key's `token_mac` of length (4 bytes, big endian) ‖ `grant` ‖ 00 ‖ grant id ‖ key id: pagination
markers begin with another word, so that neither passes for the other. A token is a name and no permission: whoever
retires a grant by its token needs the same right as by its id.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.errors import InvalidGrantTokenException
from kmsq_worker.wrapping import DomainKey

GRANT_ID_BYTES = 32  # random, 64 hexadecimal digits in the API
_DOMAIN_KEY_ID, _MAC = slice(0, 16), slice(16, 48)
_GRANT_ID, _KEY_ID = slice(48, 48 + GRANT_ID_BYTES), slice(48 + GRANT_ID_BYTES, None)
_PURPOSE = b"grant\x00"


@dataclass(frozen=True, slots=True)
class NamedGrant:
    """A grant by its names; whether it exists is another question."""

    key_id: str
    grant_id: str


def make_token(custody: Custody, grant: NamedGrant) -> str:
    """Make the token of a grant."""
    grant_id, key_id = bytes.fromhex(grant.grant_id), grant.key_id.encode()
    domain_key = custody.current
    return urlsafe_b64encode(domain_key.id.bytes + _mac(domain_key, grant_id, key_id) + grant_id + key_id).decode()


def read_token(custody: Custody, token: str) -> NamedGrant:
    """Return what a token names. Raises `InvalidGrantTokenException` for one that this service did not make."""
    try:
        raw = urlsafe_b64decode(token)
        if urlsafe_b64encode(raw).decode() != token:  # the decoder skips what is no base64
            raise ValueError("not canonical")  # noqa: TRY301  # one way out for all that is wrong
        domain_key = custody.domain_key(UUID(bytes=raw[_DOMAIN_KEY_ID]))
        grant_id, key_id = raw[_GRANT_ID], raw[_KEY_ID]
        if hmac.compare_digest(raw[_MAC], _mac(domain_key, grant_id, key_id)):
            return NamedGrant(key_id=key_id.decode(), grant_id=grant_id.hex())
    except (binascii.Error, ValueError, Tampered):
        pass
    message = "The grant token was not made by this service."
    raise InvalidGrantTokenException(message)


def _mac(domain_key: DomainKey, grant_id: bytes, key_id: bytes) -> bytes:
    return domain_key.token_mac(len(_PURPOSE).to_bytes(4, "big") + _PURPOSE + grant_id + key_id)
