"""Members that several requests have and kmsq does not serve (`kmsq_schemas.unsupported` says why)."""

from collections.abc import Sequence

from kmsq_schemas.models.enums import DryRunModifier
from kmsq_schemas.models.symmetric import RecipientInfo
from kmsq_worker.errors import UnsupportedOperationException


def refuse_recipient(recipient: RecipientInfo | None) -> None:
    """Raise `UnsupportedOperationException` for a request whose reply an enclave alone shall be able to read."""
    if recipient is not None:
        message = "Recipient is not supported."
        raise UnsupportedOperationException(message)


def refuse_modifiers(modifiers: Sequence[DryRunModifier] | None) -> None:
    """Raise `UnsupportedOperationException` for a dry run that shall not look at the ciphertext."""
    if modifiers:
        message = "DryRunModifiers is not supported."
        raise UnsupportedOperationException(message)
