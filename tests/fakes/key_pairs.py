"""Key pairs for tests, one of each spec for the whole run: some take half a second to make."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kmsq_schemas.models.enums import KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.primitives import key_pairs
from kmsq_worker.primitives.key_pairs import PrivateKey
from kmsq_worker.secret import Secret

KEY_PAIRS = [spec for spec in KeySpec if keyspecs.is_asymmetric(spec) and keyspecs.is_supported(spec)]


@cache
def material(spec: KeySpec) -> Secret:
    """Return a private key as it is stored."""
    return key_pairs.generate(spec)


@cache
def private_key(spec: KeySpec) -> PrivateKey:
    """Return the same key, loaded."""
    return key_pairs.load(material(spec))


def another(spec: KeySpec) -> PrivateKey:
    """Return a key that no other test has."""
    return key_pairs.load(key_pairs.generate(spec))


def rsa_private_key(spec: KeySpec = KeySpec.RSA_2048) -> RSAPrivateKey:
    """Return a key of this RSA spec as what it is."""
    key = private_key(spec)
    assert isinstance(key, RSAPrivateKey)
    return key
