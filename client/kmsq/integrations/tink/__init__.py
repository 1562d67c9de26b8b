"""
Tink under keys of kmsq: `kmsq://alias/…` as the key that wraps data keys and keysets.

    from kmsq.integrations.tink import KmsClient

    remote = KmsClient("amqp://alice:…@broker/").get_aead("kmsq://alias/orders")

See docs/tink.md.
"""

try:
    from kmsq.integrations.tink.kms_client import KEY_URI_PREFIX, KmsAead, KmsClient
except ModuleNotFoundError as error:
    if error.name != "tink":
        raise
    message = "kmsq.integrations.tink needs more packages: pip install kmsq[tink]"
    raise ImportError(message) from error

from kmsq.integrations.blocking import BlockingClient, close_all
from kmsq.integrations.cipher import Timeouts

close_connections = close_all

__all__ = ["KEY_URI_PREFIX", "BlockingClient", "KmsAead", "KmsClient", "Timeouts", "close_connections"]
