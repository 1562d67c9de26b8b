"""
Pagination: markers that only this service can make, each good for one operation and one key.

Marker = URL-safe base64 of domain key id (16 bytes) ‖ HMAC (32 bytes) ‖ position (UTF-8).
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.errors import InvalidMarkerException

_ID_BYTES, _MAC_BYTES = 16, 32
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, and the marker of the next one if there is more."""

    entries: Sequence[T]
    next_marker: str | None

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return self.next_marker is not None


def position_of(custody: Custody, scope: str, marker: str | None) -> str:
    """Return where a page begins: behind this position; `""` without a marker. Raises `InvalidMarkerException`."""
    if marker is None:
        return ""
    try:
        raw = urlsafe_b64decode(marker)
        if urlsafe_b64encode(raw).decode() != marker:  # the decoder skips what is no base64
            raise ValueError("not canonical")  # noqa: TRY301  # one way out for all that is wrong
        domain_key = custody.domain_key(UUID(bytes=raw[:_ID_BYTES]))
        mac, position = raw[_ID_BYTES : _ID_BYTES + _MAC_BYTES], raw[_ID_BYTES + _MAC_BYTES :]
        if hmac.compare_digest(mac, domain_key.token_mac(_bound(scope, position))):
            return position.decode()
    except (binascii.Error, ValueError, Tampered):
        pass
    message = "The marker was not made for this list."
    raise InvalidMarkerException(message)


def page(custody: Custody, scope: str, rows: Sequence[T], limit: int, position: Callable[[T], str]) -> Page[T]:
    """Make a page of the first `limit` of `rows`, which holds one more if there is more."""
    if len(rows) <= limit:
        return Page(rows, None)
    entries = rows[:limit]
    last = position(entries[-1]).encode()
    domain_key = custody.current
    marker = domain_key.id.bytes + domain_key.token_mac(_bound(scope, last)) + last
    return Page(entries, urlsafe_b64encode(marker).decode())


def _bound(scope: str, position: bytes) -> bytes:
    encoded = b"page\x00" + scope.encode()
    return len(encoded).to_bytes(4, "big") + encoded + position
