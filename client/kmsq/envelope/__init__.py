"""
Encrypting on this side, under data keys that the service wraps. Formats and guarantees: docs/envelope.md.

    from kmsq import Client, Envelope

    async with Client("amqp://alice:…@broker/") as client:
        envelope = Envelope(client, "alias/orders")
        sealed = await envelope.encrypt(b"any length", context={"order": "17"})
        plain = await envelope.decrypt(sealed)

`cells` seals many small values under one data key.
"""

from kmsq.envelope.cache import DataKeyCache
from kmsq.envelope.cells import CellKey
from kmsq.envelope.envelope import Envelope
from kmsq.envelope.header import EnvelopeHeader, inspect
from kmsq.envelope.rewrapping import rewrap, rewrap_header

__all__ = ["CellKey", "DataKeyCache", "Envelope", "EnvelopeHeader", "inspect", "rewrap", "rewrap_header"]
