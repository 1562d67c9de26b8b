"""RSA keys from outside that say the same in another way, and those that compute but break a rule."""

from functools import cache
from math import gcd, lcm

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kmsq_schemas.models.enums import KeySpec
from kmsq_worker.errors import IncorrectKeyMaterialException
from kmsq_worker.primitives import imported, key_pairs
from kmsq_worker.secret import Secret

RSA_2048 = KeySpec.RSA_2048
SMALL_PRIMES = [number for number in range(3, 2000) if all(number % divisor for divisor in range(2, 45))]


@cache
def numbers() -> rsa.RSAPrivateNumbers:
    return rsa.generate_private_key(65_537, 2048).private_numbers()


def primes(bits: int) -> tuple[int, int]:
    """Return two primes of this length, whose two highest bits are set."""
    found = rsa.generate_private_key(65_537, 2 * bits).private_numbers()
    return found.p, found.q


def encode(p: int, q: int, d: int, e: int, **others: int) -> bytes:
    """Encode an RSA key as it is, sound or not; `others` take the place of what follows from the rest."""
    derived = {"dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p) if p != q else 1, **others}
    key = rsa.RSAPrivateNumbers(p=p, q=q, d=d, **derived, public_numbers=rsa.RSAPublicNumbers(e, p * q))
    return key_pairs.encode(key.private_key(unsafe_skip_rsa_key_validation=True)).reveal()


def encode_sound(p: int, q: int, e: int) -> bytes:
    """Encode a key that computes as it should, for a public exponent of at least `e`."""
    assert (p * q).bit_length() == 2048
    while gcd(e, (p - 1) * (q - 1)) != 1:
        e += 2
    return encode(max(p, q), min(p, q), pow(e, -1, (p - 1) * (q - 1)), e)


def accept(given: bytes) -> bytes:
    return imported.accept(RSA_2048, Secret(given)).reveal()


def refuse(given: bytes) -> None:
    with pytest.raises(IncorrectKeyMaterialException, match="not a valid private key of key spec RSA_2048"):
        accept(given)


def refuse_ourselves(given: bytes) -> None:
    """Refuse what the library takes as valid."""
    load_der_private_key(given, None)
    refuse(given)


def test_the_same_rsa_key_is_kept_as_the_same_bytes() -> None:
    p, q, d, e = numbers().p, numbers().q, numbers().d, numbers().public_numbers.e
    longer = d + lcm(p - 1, q - 1)  # RFC 8017 §3.2 allows any that is right modulo λ and smaller than the modulus
    encodings = {encode(*pair, exponent, e) for pair in ((p, q), (q, p)) for exponent in (d, longer)}
    assert len(encodings) == 4
    assert {accept(encoding) for encoding in encodings} == {encode(p, q, d, e)}


@pytest.mark.parametrize("wrong", ["dmp1", "dmq1", "iqmp"])
def test_a_key_whose_parts_do_not_fit_is_refused(wrong: str) -> None:
    p, q, d, e = numbers().p, numbers().q, numbers().d, numbers().public_numbers.e
    right = {"dmp1": numbers().dmp1, "dmq1": numbers().dmq1, "iqmp": numbers().iqmp}
    refuse(encode(p, q, d, e, **{wrong: right[wrong] + 2}))


def test_a_key_whose_exponents_do_not_fit_is_refused() -> None:
    p, q, d, e = numbers().p, numbers().q, numbers().d, numbers().public_numbers.e
    refuse(encode(p, q, d + 2, e))
    refuse(encode(p, q, d, e + 2))


def test_a_key_of_one_prime_twice_is_refused() -> None:
    p = numbers().p
    refuse(encode(p, p, pow(65_537, -1, p * (p - 1)), 65_537))


def test_a_key_of_a_composite_prime_is_refused() -> None:
    first, second = primes(512)
    composite = first * second
    p = next(prime for prime in iter(lambda: primes(1024)[0], None) if (prime * composite).bit_length() == 2048)
    refuse(encode_sound(p, composite, 65_537))


@pytest.mark.parametrize("exponent", [65_537, 65_539, 2**64 + 13, 2**255 + 1])
def test_public_exponents_of_the_standard_are_accepted(exponent: int) -> None:
    given = encode_sound(numbers().p, numbers().q, exponent)
    assert key_pairs.spec_of(key_pairs.load(Secret(accept(given)))) is RSA_2048


@pytest.mark.parametrize("exponent", [3, 17, 257, 65_521, 2**256 + 1])
def test_other_public_exponents_are_refused(exponent: int) -> None:
    refuse_ourselves(encode_sound(numbers().p, numbers().q, exponent))


def test_primes_of_different_lengths_are_refused() -> None:
    refuse_ourselves(encode_sound(primes(1200)[0], primes(848)[0], 65_537))


def test_primes_close_to_each_other_are_refused() -> None:
    """Fermat's factorisation finds them at once."""
    p = q = numbers().p
    while any(q % small == 0 for small in SMALL_PRIMES) or pow(2, q - 1, q) != 1 or q == p:
        q += 2
    refuse_ourselves(encode_sound(p, q, 65_537))


@pytest.mark.parametrize("bits", [1024, 2047, 2050, 2056, 3072])
def test_other_sizes_are_refused_before_they_are_validated(bits: int) -> None:
    key = rsa.generate_private_key(65_537, bits)
    given = key_pairs.encode(key).reveal()
    load_der_private_key(given, None)
    refuse(given)
