"""The algorithm of a command that was told none: what DescribeKey lists decides."""

from collections.abc import Sequence
from typing import TypeVar

from kmsq.cli.session import Failure
from kmsq.client import Client
from kmsq_schemas.models import KeyMetadata, MacAlgorithm, SigningAlgorithm

# Of the six of an RSA key: PSS has a proof, PKCS #1 v1.5 is there for old verifiers, and the digest is SHA-256 as for
# most elliptic curves.
PREFERRED = SigningAlgorithm.RSASSA_PSS_SHA_256

T = TypeVar("T")


async def signing_algorithm(client: Client, key_id: str, named: str | None) -> SigningAlgorithm:
    """Return the algorithm that was named, else the key's preferred or first one. Raises `Failure`."""
    if named is not None:
        return SigningAlgorithm(named)
    key = (await client.describe_key(key_id)).key_metadata
    listed = _listed(key, key.signing_algorithms, "signing")
    return PREFERRED if PREFERRED in listed else listed[0]


async def mac_algorithm(client: Client, key_id: str, named: str | None) -> MacAlgorithm:
    """Return the algorithm that was named, else the key's only one. Raises `Failure`."""
    if named is not None:
        return MacAlgorithm(named)
    key = (await client.describe_key(key_id)).key_metadata
    return _listed(key, key.mac_algorithms, "message authentication codes")[0]


def _listed(key: KeyMetadata, algorithms: Sequence[T] | None, purpose: str) -> Sequence[T]:
    if not algorithms:
        message = f"{key.arn} is a key for {key.key_usage}, not for {purpose}"
        raise Failure(message, hint="`kmsq key create --help` shows which specs are for what.")
    return algorithms
