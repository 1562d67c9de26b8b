"""Which operations coalesce: the table that everything else here goes by."""

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from kmsq.coalescing.data_keys import DataKeys, WrappedDataKeys
from kmsq.coalescing.macs import Macs
from kmsq.coalescing.symmetric import Decrypting, Encrypting, ReEncrypting
from kmsq_schemas.models import (
    DecryptRequest,
    EncryptRequest,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateMacRequest,
    ReEncryptRequest,
    Reply,
    Request,
)
from kmsq_schemas.operations import Operation


class Kind(Protocol):
    """How calls of one operation become one batch, and its reply their replies."""

    # `Any`: each takes its own operation's requests and reply; the table below pairs them.

    @property
    def operation(self) -> Operation:
        """What the calls are."""

    @property
    def batch(self) -> Operation:
        """What they are together."""

    def group(self, request: Any) -> Hashable | None:
        """Return what the requests of a batch must have in common; None for one that must travel alone."""

    def item_max_bytes(self, request: Any) -> int:
        """Return how much longer a batch can become by this request."""

    def join(self, requests: Sequence[Any]) -> Request:
        """Make one batch of requests of one group."""

    def split(self, reply: Any) -> Sequence[Reply | None]:
        """
        Return the reply of each item, None where it failed.

        Raises `ValueError` for a reply that does not follow the contract.
        """


KINDS: Mapping[type[Request], Kind] = MappingProxyType(
    {
        EncryptRequest: Encrypting(),
        DecryptRequest: Decrypting(),
        ReEncryptRequest: ReEncrypting(),
        GenerateDataKeyRequest: DataKeys(),
        GenerateDataKeyWithoutPlaintextRequest: WrappedDataKeys(),
        GenerateMacRequest: Macs(),
    }
)
