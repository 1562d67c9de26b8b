"""
Parquet Modular Encryption under keys of kmsq, through pyarrow.

    from kmsq.integrations.pyarrow import KmsClientFactory
    from pyarrow.parquet.encryption import CryptoFactory

    crypto = CryptoFactory(KmsClientFactory("amqp://alice:…@broker/"))

See docs/parquet-encryption.md.
"""

try:
    from kmsq.integrations.pyarrow.kms_client import ENCRYPTION_CONTEXT, KmsClient, KmsClientFactory
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    message = "kmsq.integrations.pyarrow needs more packages: pip install kmsq[parquet]"
    raise ImportError(message) from error

from kmsq.integrations.blocking import BlockingClient, close_all
from kmsq.integrations.cipher import Timeouts
from kmsq.integrations.pyarrow.unwrapped import CacheLimits, forget_keys

close_connections = close_all

__all__ = [
    "ENCRYPTION_CONTEXT",
    "BlockingClient",
    "CacheLimits",
    "KmsClient",
    "KmsClientFactory",
    "Timeouts",
    "close_connections",
    "forget_keys",
]
