"""What a key's state and usage forbid (AWS_KMS_SEMANTICS, "Key states")."""

from collections.abc import Mapping

from kmsq_schemas.models.enums import KeyState, KeyUsage, Origin
from kmsq_worker.custody import Key
from kmsq_worker.errors import (
    DisabledException,
    InvalidKeyUsageException,
    KMSInvalidStateException,
    UnsupportedOperationException,
)

_STATES_IN_WORDS: Mapping[str, str] = {
    KeyState.PENDING_DELETION: "pending deletion",
    KeyState.PENDING_IMPORT: "pending import",
}


def require_enabled(key: Key) -> None:
    """Raise `DisabledException` or `KMSInvalidStateException` unless the key is enabled."""
    if key.row.key_state == KeyState.ENABLED:
        return
    if key.row.key_state == KeyState.DISABLED:
        message = f"{key.arn} is disabled."
        raise DisabledException(message)
    refuse_state(key)


def refuse_state(key: Key) -> None:
    """Raise `KMSInvalidStateException` naming the key's state."""
    state = _STATES_IN_WORDS.get(key.row.key_state, key.row.key_state)
    message = f"{key.arn} is {state}."
    raise KMSInvalidStateException(message)


def refuse_pending_deletion(key: Key) -> None:
    """Raise `KMSInvalidStateException` if the key is pending deletion."""
    if key.row.key_state == KeyState.PENDING_DELETION:
        refuse_state(key)


def require_usage(key: Key, usage: KeyUsage, operation: str) -> None:
    """Raise `InvalidKeyUsageException` unless the key is for `usage`."""
    if key.row.key_usage != usage:
        message = f"{key.arn} key usage is {key.row.key_usage} which is not valid for {operation}."
        raise InvalidKeyUsageException(message)


def require_origin(key: Key, origin: Origin) -> None:
    """Raise `UnsupportedOperationException` unless the key's material has this origin."""
    if key.row.origin != origin:
        message = f"{key.arn} origin is {key.row.origin} which is not valid for this operation."
        raise UnsupportedOperationException(message)
