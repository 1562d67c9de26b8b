"""
kmsq for scripts and other code without an event loop.

    from kmsq.sync import Client

    with Client("amqp://alice:…@broker/") as client:
        sealed = client.encrypt("alias/orders", b"…")
        for blob in client.encrypt_many("alias/orders", values):
            …
"""

from kmsq.sync.client import Client

__all__ = ["Client"]
