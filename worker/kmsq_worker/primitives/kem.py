"""Key encapsulation: ML-KEM (FIPS 203). Takes 25 to 40 µs."""

from typing import NamedTuple

from kmsq_worker.errors import InvalidCiphertextException
from kmsq_worker.primitives.key_pairs import MLKEMPrivateKey, MLKEMPublicKey, PrivateKey, PublicKey


class Encapsulated(NamedTuple):
    """A shared secret of 32 bytes, and the ciphertext that carries it to the holder of the private key."""

    shared_secret: bytes
    ciphertext: bytes


def encapsulate(key: PrivateKey | PublicKey) -> Encapsulated:
    """Make a secret for the holder of the private key; `key` is either half. The ciphertext has 1,088 or 1,568 bytes."""
    public_key = key.public_key() if isinstance(key, MLKEMPrivateKey) else key
    if not isinstance(public_key, MLKEMPublicKey):
        raise TypeError("an ML-KEM key is needed")
    shared_secret, ciphertext = public_key.encapsulate()
    return Encapsulated(shared_secret, ciphertext)


def decapsulate(private_key: PrivateKey, ciphertext: bytes) -> bytes:
    """
    Return the shared secret (32 bytes) that `ciphertext` carries.

    A ciphertext of the right length that was made for another key, or altered, gives another secret, not an error
    (implicit rejection, FIPS 203 §6.3): an error would tell attackers what they ask.

    Raises `InvalidCiphertextException` with an empty message for a wrong length.
    """
    if not isinstance(private_key, MLKEMPrivateKey):
        raise TypeError("an ML-KEM key is needed")
    try:
        return private_key.decapsulate(ciphertext)
    except ValueError as error:
        raise InvalidCiphertextException(reason="length") from error
