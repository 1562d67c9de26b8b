"""One method for each operation of the message contract, by family."""

from kmsq.operations.aliases import AliasOperations
from kmsq.operations.asymmetric import AsymmetricOperations
from kmsq.operations.base import Operations
from kmsq.operations.batches import BatchOperations
from kmsq.operations.data_key_streams import DataKeyStreamOperations
from kmsq.operations.data_keys import DataKeyOperations
from kmsq.operations.grants import GrantOperations
from kmsq.operations.importing import ImportOperations
from kmsq.operations.keys import KeyOperations
from kmsq.operations.mac import MacOperations
from kmsq.operations.policies import PolicyOperations
from kmsq.operations.rotation import RotationOperations
from kmsq.operations.streams import StreamOperations
from kmsq.operations.symmetric import SymmetricOperations
from kmsq.operations.tags import TagOperations
from kmsq.operations.usage import UsageOperations

__all__ = ["AllOperations", "Operations"]


class AllOperations(
    KeyOperations,
    UsageOperations,
    TagOperations,
    AliasOperations,
    PolicyOperations,
    GrantOperations,
    SymmetricOperations,
    DataKeyOperations,
    AsymmetricOperations,
    MacOperations,
    RotationOperations,
    ImportOperations,
    BatchOperations,
    StreamOperations,
    DataKeyStreamOperations,
):
    """All families, and streams of values over the batches. A test holds it against the table of operations."""
