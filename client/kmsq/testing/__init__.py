"""
A KMS in memory, for the unit tests of producers.

    from kmsq.testing import FakeKms

    async def test_orders_are_sealed() -> None:
        async with FakeKms().client("alice") as client:
            key = await client.create_key()
            …

The client is a real `kmsq.Client`: its methods, models, limits and errors are the ones that production has; only
what carries the requests is replaced. **Nothing of this protects anything**: keys are kept in plain memory, policies
are stored and not enforced, and its ciphertexts are in a format of their own that no worker opens.
"""

from kmsq.testing.fake import FakeKms

__all__ = ["FakeKms"]
