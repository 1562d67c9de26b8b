"""Which algorithms fit a key."""

from functools import cache

from kmsq_schemas.models.enums import KeySpec, KeyUsage
from kmsq_worker import keyspecs
from kmsq_worker.custody import Key
from kmsq_worker.errors import InvalidKeyUsageException
from kmsq_worker.keyspecs import Algorithm


def require_algorithm(key: Key, algorithm: Algorithm) -> None:
    """Raise `InvalidKeyUsageException` unless keys of this spec and usage have `algorithm`."""
    if algorithm not in _algorithms(key.row.key_spec, key.row.key_usage):
        message = f"Algorithm {algorithm} is incompatible with key spec {key.row.key_spec}."
        raise InvalidKeyUsageException(message)


@cache  # asked of every message; there are as many answers as pairs of spec and usage
def _algorithms(spec: str, usage: str) -> frozenset[Algorithm]:
    return frozenset(keyspecs.algorithms(KeySpec(spec), KeyUsage(usage)).all())
