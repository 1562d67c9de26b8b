"""
Key material from outside: what a key of a spec takes, brought into one form so that the same key comes as the same bytes.

Nothing here has been seen before and everything is checked. That takes 35 ms for RSA_2048 and 250 ms for RSA_4096
(their primes are tested), below 1 ms for all others.
"""

from collections.abc import Mapping
from math import lcm
from typing import Final, NoReturn

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kmsq_schemas.models.enums import KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.errors import IncorrectKeyMaterialException
from kmsq_worker.primitives import key_pairs
from kmsq_worker.primitives.key_pairs import PrivateKey
from kmsq_worker.secret import Secret

# What NIST FIPS 186-5 §A.1 asks of an RSA key beyond being one: a public exponent between these two, primes of half the
# modulus' bits that are further apart than 2^(half - 100), a private exponent above 2^half.
RSA_EXPONENT_MIN: Final = 2**16 + 1
RSA_EXPONENT_MAX: Final = 2**256 - 1
RSA_PRIMES_APART_BITS: Final = 100

_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80  # of a DER length; the other bits tell in how many bytes it follows
_VERSION: Final = bytes.fromhex("020100")  # RFC 5208 §5: v1(0)
_RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")  # RFC 8017 §A.1: rsaEncryption, NULL
_ALGORITHMS: Final[Mapping[KeySpec, bytes]] = {
    KeySpec.RSA_2048: _RSA,
    KeySpec.RSA_3072: _RSA,
    KeySpec.RSA_4096: _RSA,
    # RFC 5480 §2.1: id-ecPublicKey and the curve's name
    KeySpec.ECC_NIST_P256: bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),
    KeySpec.ECC_NIST_P384: bytes.fromhex("301006072a8648ce3d020106052b81040022"),
    KeySpec.ECC_NIST_P521: bytes.fromhex("301006072a8648ce3d020106052b81040023"),
    KeySpec.ECC_SECG_P256K1: bytes.fromhex("301006072a8648ce3d020106052b8104000a"),
    KeySpec.ECC_NIST_EDWARDS25519: bytes.fromhex("300506032b6570"),  # RFC 8410 §3
    KeySpec.ML_DSA_44: bytes.fromhex("300b0609608648016503040311"),  # NIST CSOR: id-ml-dsa-44 and so on
    KeySpec.ML_DSA_65: bytes.fromhex("300b0609608648016503040312"),
    KeySpec.ML_DSA_87: bytes.fromhex("300b0609608648016503040313"),
    KeySpec.ML_KEM_768: bytes.fromhex("300b0609608648016503040402"),
    KeySpec.ML_KEM_1024: bytes.fromhex("300b0609608648016503040403"),
}
"""The AlgorithmIdentifier of each spec's keys in DER."""


def accept(spec: KeySpec, material: Secret) -> Secret:
    """
    Check that `material` is a key of `spec` and return it in the form in which keys are stored.

    Symmetric and HMAC keys are raw bytes of one length. Private keys are unencrypted PKCS#8 DER (RFC 5208, version 1)
    of the spec's very algorithm, curve and size, valid in every part; ML-DSA and ML-KEM keys as their seeds. The same
    private key gives the same bytes, whichever of its allowed encodings it came in.

    Raises `IncorrectKeyMaterialException` for anything else, the specs that kmsq does not support included.
    """
    length = keyspecs.SYMMETRIC_MATERIAL_BYTES.get(spec)
    if length is None:
        return _accept_private_key(spec, material)
    if len(material) != length:
        message = f"Key spec {spec} takes {length} bytes of key material."
        raise IncorrectKeyMaterialException(message)
    return material


def _accept_private_key(spec: KeySpec, material: Secret) -> Secret:
    # The library reads much more than is wanted: older formats (PKCS #1, SEC 1), curves that are spelled out, RSA keys
    # restricted to PSS (whose restriction it drops), and kinds of keys that no spec has. It sees none of that.
    if not _is_private_key_info(spec, material.reveal()):
        _refuse(spec)
    # Read twice: the validation of an RSA key takes long, and longer the larger it is. So its size is looked at first.
    if key_pairs.spec_of(_read(spec, material, validate=False)) is not spec:
        _refuse(spec)
    private_key = _read(spec, material, validate=True)
    if isinstance(private_key, RSAPrivateKey):
        private_key = _normalise_rsa(spec, private_key)
    return key_pairs.encode(private_key)


def _is_private_key_info(spec: KeySpec, given: bytes) -> bool:
    """Tell whether `given` begins as a PrivateKeyInfo does: a SEQUENCE of the version, and the spec's algorithm."""
    if spec not in _ALGORITHMS or len(given) <= 1 or given[0] != _SEQUENCE:
        return False
    content = 2 + (given[1] - _LONG_FORM if given[1] >= _LONG_FORM else 0)
    return given.startswith(_VERSION + _ALGORITHMS[spec], content)


def _read(spec: KeySpec, material: Secret, *, validate: bool) -> PrivateKey:
    try:
        key = load_der_private_key(material.reveal(), None, unsafe_skip_rsa_key_validation=not validate)
    except (ValueError, UnsupportedAlgorithm, InternalError):  # the last, for one, for Ed25519 keys of other lengths
        # Not chained: nobody has promised that such an error tells nothing about what was being read.
        _refuse(spec)
    if not isinstance(key, PrivateKey):
        raise TypeError("the algorithm is that of another kind of key")
    return key


def _normalise_rsa(spec: KeySpec, private_key: RSAPrivateKey) -> RSAPrivateKey:
    """
    Put the larger prime first and compute the rest from the primes and the public exponent.

    Otherwise one key has many encodings: its primes in either order, and any of several private exponents. This is
    arithmetic of Python's, whose time depends on the numbers; it runs once for a key, when it is imported.
    """
    given = private_key.private_numbers()
    p, q = max(given.p, given.q), min(given.p, given.q)
    e = given.public_numbers.e
    d = pow(e, -1, lcm(p - 1, q - 1))  # as this library and OpenSSL compute it: the smallest exponent that works
    half = private_key.key_size // 2
    if not (
        RSA_EXPONENT_MIN <= e <= RSA_EXPONENT_MAX
        and p.bit_length() == q.bit_length() == half
        and p - q > 1 << (half - RSA_PRIMES_APART_BITS)
        and d > 1 << half
    ):
        _refuse(spec)
    numbers = RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), given.public_numbers)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # computed from primes that were tested above


def _refuse(spec: KeySpec) -> NoReturn:
    message = f"The key material is not a valid private key of key spec {spec}, encoded as PKCS#8 in DER."
    raise IncorrectKeyMaterialException(message) from None
