"""Key agreement: ECDH on the NIST curves (SP 800-56A r3 §5.7.1.2), whose cofactor is 1. Takes 75 to 450 µs."""

from cryptography.hazmat.primitives.asymmetric.ec import ECDH, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmsq_worker.errors import ValidationException
from kmsq_worker.primitives import key_pairs
from kmsq_worker.primitives.key_pairs import PrivateKey


def derive_shared_secret(private_key: PrivateKey, public_key: bytes) -> bytes:
    """
    Agree on a secret with the holder of `public_key`, a DER SubjectPublicKeyInfo with an uncompressed point (RFC 5480).

    Returns the x coordinate, as many bytes as the curve's field elements have: 32, 48, 66. It is no key yet: both sides
    derive theirs from it.

    Raises `ValidationException` for a public key that is encoded in another way, on another curve, or not on its curve.
    """
    if not isinstance(private_key, EllipticCurvePrivateKey):
        raise TypeError("a key on a Weierstrass curve is needed")
    return private_key.exchange(ECDH(), _load(private_key, public_key))


def _load(private_key: EllipticCurvePrivateKey, public_key: bytes) -> EllipticCurvePublicKey:
    # All keys of a curve are encoded alike but for the two coordinates at the end. The library reads more: hybrid points,
    # which RFC 5480 §2.2 forbids, curves that are spelled out, and kinds of keys that agree on nothing. It sees none.
    own = key_pairs.public_key(private_key)
    coordinates = 2 * ((private_key.key_size + 7) // 8)  # bytes
    if len(public_key) != len(own) or not public_key.startswith(own[:-coordinates]):
        message = "PublicKey is not a SubjectPublicKeyInfo in DER of an uncompressed point on the curve of the key."
        raise ValidationException(message)
    try:
        # This validates the point (SP 800-56A r3 §5.6.2.3.3): in range, on the curve, not the one at infinity.
        other = load_der_public_key(public_key)
    except ValueError as error:
        message = "PublicKey is not a point on the curve of the key."
        raise ValidationException(message) from error
    if not isinstance(other, EllipticCurvePublicKey):
        raise TypeError("the algorithm is that of another kind of key")
    return other
