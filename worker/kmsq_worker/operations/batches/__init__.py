"""
The batch operations: many items, each of which succeeds or fails by itself.

What items share is done once: locating, deciding, unlocking, deriving. One audit record tells it all.
"""

from kmsq_worker.operations.batches import data_keys, encryption, macs, re_encryption

__all__ = ["data_keys", "encryption", "macs", "re_encryption"]
