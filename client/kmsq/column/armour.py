"""Sealed cells in text files: base64, the standard alphabet, padded."""

from binascii import Error, a2b_base64, b2a_base64

from kmsq.column.cells import NOT_ENCRYPTED, Cell, Fault


def armoured(sealed: bytes) -> str:
    """Return bytes as text."""
    return b2a_base64(sealed, newline=False).decode()


def unarmoured(text: str) -> Cell:
    """Return the bytes of what `armoured` made, or the fault that it is something else."""
    try:
        sealed = a2b_base64(text, strict_mode=True)
    except (Error, ValueError):  # ValueError: text that is not ASCII
        return Fault(NOT_ENCRYPTED)
    return sealed or Fault(NOT_ENCRYPTED)
