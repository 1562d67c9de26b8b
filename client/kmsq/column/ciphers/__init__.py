"""The two ways to seal a cell: by the service, or on this side."""

from kmsq.column.ciphers.base import Cipher
from kmsq.column.ciphers.envelope import EnvelopeCipher
from kmsq.column.ciphers.value import ValueCipher
from kmsq.column.plan import Plan
from kmsq.column.table import Mode
from kmsq.operations import AllOperations

__all__ = ["Cipher", "cipher_for"]


def cipher_for(client: AllOperations, plan: Plan) -> Cipher:
    """Return the cipher of the plan's mode."""
    return ValueCipher(client, plan) if plan.seal.mode is Mode.VALUE else EnvelopeCipher(client, plan)
