"""An AMQP URL, taken apart without ever showing its password."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from kmsq.errors import InvalidAddress
from kmsq_schemas.message import PRINCIPAL_PATTERN, is_principal

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
HEARTBEAT_SECONDS = 10  # aiormq notices a dead peer after three times as long


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and as whom to connect."""

    url: str = field(repr=False)
    """With the password."""
    principal: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> "Address":
        """
        Take `url` apart.

        Raises `InvalidAddress`, whose text and context never hold the URL.
        """
        try:
            parts: SplitResult | None = urlsplit(url)
            port = parts.port if parts is not None else None
        except ValueError:
            parts, port = None, None
        # Raised outside the handler: urllib's errors quote pieces of the URL, which may be the password.
        if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise InvalidAddress(
                "the AMQP URL must look like amqp://user:password@host:5672/ (amqps:// for TLS); "
                "characters like / and @ in the password must be percent-encoded"
            )
        principal = unquote(parts.username or "")
        if not is_principal(principal):
            message = f"the AMQP URL must name its user, which is the principal and must match {PRINCIPAL_PATTERN}"
            raise InvalidAddress(message)
        return cls(_with_heartbeat(parts), principal, parts.hostname, port or DEFAULT_PORTS[parts.scheme])

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _with_heartbeat(parts: SplitResult) -> str:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.setdefault("heartbeat", str(HEARTBEAT_SECONDS))
    return parts._replace(query=urlencode(query)).geturl()
