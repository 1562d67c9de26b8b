"""The envelope: AMQP properties and headers, and the names that may appear in them (DESIGN.md §5)."""

import re
import secrets

PROTOCOL_VERSION = 1
ERROR_TYPE = "Error"
"""`type` of a reply that carries an `ErrorReply`."""

HEADER_VERSION = "kmsq-version"
HEADER_DEADLINE = "deadline"
"""Unix milliseconds; on requests."""
HEADER_SERVER_TIME = "server_time"
"""Unix milliseconds; on replies."""
HEADER_TRACEPARENT = "traceparent"
HEADER_TRACESTATE = "tracestate"
HEADER_ON_BEHALF_OF = "on-behalf-of"
RESERVED_HEADERS = frozenset({HEADER_ON_BEHALF_OF})
"""Refused for now, as `content_encoding` is."""
SENDER_SELECTED_HEADERS = frozenset({"CC", "BCC"})
"""RabbitMQ routes a message by these, too: topic permissions up to 3.13 do not look at them, so requests have none."""

PRINCIPAL_PATTERN = r"[a-z0-9][a-z0-9-]{0,63}"
INSTANCE_PATTERN = r"[a-z0-9]{16,32}"
REPLY_QUEUE_PREFIX = "kmsq.reply"

# Always used with fullmatch: `$` would let a trailing newline pass.
_PRINCIPAL = re.compile(PRINCIPAL_PATTERN, re.ASCII)
_INSTANCE = re.compile(INSTANCE_PATTERN, re.ASCII)


def is_principal(name: str) -> bool:
    """Whether `name` may be the broker user of a producer: it is used unescaped in the broker's patterns."""
    return _PRINCIPAL.fullmatch(name) is not None


def is_instance(name: str) -> bool:
    """Whether `name` may identify one connection of a producer."""
    return _INSTANCE.fullmatch(name) is not None


def new_instance() -> str:
    """Make a name for a new connection: 32 characters that nobody can guess."""
    return secrets.token_hex(16)


def parse_reply_to(reply_to: str | None, principal: str) -> str | None:
    """Return the instance in `reply_to`, or None unless it is exactly a reply queue of `principal`."""
    prefix = f"{REPLY_QUEUE_PREFIX}.{principal}."
    if reply_to is None or not is_principal(principal) or not reply_to.startswith(prefix):
        return None
    instance = reply_to.removeprefix(prefix)
    return instance if is_instance(instance) else None
