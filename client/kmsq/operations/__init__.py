"""One method for each operation of the message contract, by family."""

from kmsq.operations.aliases import AliasOperations
from kmsq.operations.base import Operations
from kmsq.operations.data_keys import DataKeyOperations
from kmsq.operations.keys import KeyOperations
from kmsq.operations.policies import PolicyOperations
from kmsq.operations.rotation import RotationOperations
from kmsq.operations.symmetric import SymmetricOperations

__all__ = ["AllOperations", "Operations"]


class AllOperations(
    KeyOperations,
    AliasOperations,
    PolicyOperations,
    SymmetricOperations,
    DataKeyOperations,
    RotationOperations,
):
    """All families. A test holds it against the table of operations."""
