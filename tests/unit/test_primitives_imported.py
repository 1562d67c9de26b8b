"""What is accepted as imported key material, and in which form it is kept."""

from base64 import b64decode
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from fakes.key_pairs import KEY_PAIRS, material, private_key
from kmsq_schemas.models.enums import KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.errors import IncorrectKeyMaterialException
from kmsq_worker.primitives import imported, key_pairs
from kmsq_worker.secret import Secret

VECTORS = Path(cryptography_vectors.__file__).parent / "asymmetric"
SYMMETRIC = list(keyspecs.SYMMETRIC_MATERIAL_BYTES)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4 §D.1.2.3
P256_ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")


def der(tag: int, *parts: bytes) -> bytes:
    """Encode one element of less than 64 KiB."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes(1 if length < 0x100 else 2, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def refuse(spec: KeySpec, given: bytes) -> None:
    with pytest.raises(IncorrectKeyMaterialException) as caught:
        imported.accept(spec, Secret(given))
    text = f"The key material is not a valid private key of key spec {spec}, encoded as PKCS#8 in DER."
    assert caught.value.message == text
    assert caught.value.__cause__ is None  # the library's errors are about secret bytes
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("spec", SYMMETRIC)
def test_symmetric_material_is_raw_bytes_of_one_length(spec: KeySpec) -> None:
    length = keyspecs.SYMMETRIC_MATERIAL_BYTES[spec]
    given = Secret.random(length)
    assert imported.accept(spec, given) is given
    for wrong in (0, 1, 16, length - 1, length + 1, 2 * length, 4096):
        with pytest.raises(IncorrectKeyMaterialException, match=f"^Key spec {spec} takes {length} bytes of key"):
            imported.accept(spec, Secret.random(wrong))


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_what_this_service_would_generate_is_accepted_as_it_is(spec: KeySpec) -> None:
    assert imported.accept(spec, material(spec)).reveal() == material(spec).reveal()


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_a_key_is_accepted_for_its_own_spec_only(spec: KeySpec) -> None:
    for other in KeySpec:
        if other is not spec and keyspecs.is_asymmetric(other):
            refuse(other, material(spec).reveal())


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_what_is_longer_shorter_or_of_another_encoding_is_refused(spec: KeySpec) -> None:
    good = material(spec).reveal()
    key = private_key(spec)
    for wrong in (b"", b"\x30", good[:1], good[:4], good[:-1], good + b"\x00", good[1:], b"\x00" * 32, good * 2):
        refuse(spec, wrong)
    refuse(spec, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    refuse(spec, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")))
    refuse(spec, key_pairs.public_key(key))


@pytest.mark.parametrize("spec", [KeySpec.RSA_2048, *KEY_PAIRS[3:7]])
def test_the_formats_before_pkcs8_are_refused(spec: KeySpec) -> None:
    key = private_key(spec)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)  # the others never had any
    older = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    load_der_private_key(older, None)  # the library takes it: the refusal is ours
    refuse(spec, older)


@pytest.mark.parametrize(
    "name", ["rsa_pss_2048", "rsa_pss_2048_hash", "rsa_pss_2048_hash_mask", "rsa_pss_2048_hash_mask_salt"]
)
def test_an_rsa_key_restricted_to_pss_is_refused(name: str) -> None:
    """The library reads it, as a key without restrictions."""
    body = der_of((VECTORS / f"PKCS8/{name}.pem").read_bytes())
    assert isinstance(load_der_private_key(body, None), rsa.RSAPrivateKey)
    refuse(KeySpec.RSA_2048, body)


def der_of(pem: bytes) -> bytes:
    """Return what stands between the lines of a PEM file."""
    return b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))


@pytest.mark.parametrize("name", ["DH/dhkey", "DER_Serialization/unenc-dsa-pkcs8", "X25519/x25519-pkcs8"])
def test_kinds_of_keys_that_no_spec_has_are_not_even_read(name: str) -> None:
    """The library warns of some of them, and a warning fails this test."""
    for spec in KEY_PAIRS:
        refuse(spec, (VECTORS / f"{name}.der").read_bytes())


@pytest.mark.parametrize("spec", KEY_PAIRS)
def test_a_key_whose_content_is_missing_or_of_another_kind_is_refused(spec: KeySpec) -> None:
    own = material(spec).reveal()
    header = 2 if own[1] < 0x80 else 2 + own[1] - 0x80
    algorithm = own[header + 3 : header + 5 + own[header + 4]]
    contents = [der(0x04), der(0x04, b"\x00"), der(0x04, der(0x04, bytes(31))), der(0x04, der(0x04, bytes(33)))]
    contents += [der(0x04, der(0x30)), der(0x04, der(0x30, b"\x02\x01\x00" * 9)), der(0x05), b"", bytes(40)]
    for content in contents:
        refuse(spec, der(0x30, b"\x02\x01\x00", algorithm, content))
    assert imported.accept(spec, Secret(der(0x30, b"\x02\x01\x00", algorithm, own[header + 3 + len(algorithm) :])))


def test_a_curve_that_is_spelled_out_is_refused() -> None:
    pem = (VECTORS / "EC/secp256r1-explicit-seed.pem").read_bytes()
    assert isinstance(load_pem_private_key(pem, None), ec.EllipticCurvePrivateKey)
    refuse(KeySpec.ECC_NIST_P256, der_of(pem))


# Elliptic curve keys, put together by hand (RFC 5915 in RFC 5208).


def encode_p256(scalar: bytes, *rest: bytes) -> bytes:
    inner = der(0x30, b"\x02\x01\x01", der(0x04, scalar), *rest)
    return der(0x30, b"\x02\x01\x00", P256_ALGORITHM, der(0x04, inner))


def p256() -> ec.EllipticCurvePrivateKey:
    key = private_key(KeySpec.ECC_NIST_P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode the optional public half of RFC 5915."""
    numbers = key.public_key().public_numbers()
    return der(0xA1, der(0x03, b"\x00\x04", numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")))


def test_the_same_elliptic_curve_key_is_kept_as_the_same_bytes() -> None:
    scalar = p256().private_numbers().private_value.to_bytes(32, "big")
    curve = der(0xA0, P256_ALGORITHM[-10:])  # RFC 5915 allows the curve inside, as well
    for rest in ((), (public_point(p256()),), (curve,), (curve, public_point(p256()))):
        given = Secret(encode_p256(scalar, *rest))
        assert imported.accept(KeySpec.ECC_NIST_P256, given).reveal() == material(KeySpec.ECC_NIST_P256).reveal()


def test_an_elliptic_curve_key_with_anothers_public_half_is_refused() -> None:
    scalar = p256().private_numbers().private_value.to_bytes(32, "big")
    refuse(KeySpec.ECC_NIST_P256, encode_p256(scalar, public_point(ec.generate_private_key(ec.SECP256R1()))))


@pytest.mark.parametrize("value", [0, P256_ORDER, P256_ORDER + 1, 2**256 - 1])
def test_an_elliptic_curve_key_out_of_range_is_refused(value: int) -> None:
    refuse(KeySpec.ECC_NIST_P256, encode_p256(value.to_bytes(32, "big")))


@pytest.mark.parametrize("value", [1, P256_ORDER - 1])
def test_the_ends_of_the_range_are_accepted(value: int) -> None:
    accepted = key_pairs.load(imported.accept(KeySpec.ECC_NIST_P256, Secret(encode_p256(value.to_bytes(32, "big")))))
    assert isinstance(accepted, ec.EllipticCurvePrivateKey)
    assert accepted.private_numbers().private_value == value


@pytest.mark.parametrize("name", ["ec-inconsistent-curve", "ec-inconsistent-curve2", "ec-invalid-version"])
def test_published_malformed_keys_are_refused(name: str) -> None:
    refuse(KeySpec.ECC_NIST_P256, der_of((VECTORS / f"PKCS8/{name}.pem").read_bytes()))


def test_a_lattice_key_without_its_seed_is_refused() -> None:
    refuse(KeySpec.ML_DSA_65, (VECTORS / "MLDSA/mldsa65_noseed_priv.der").read_bytes())


@pytest.mark.parametrize(
    ("spec", "name"), [(KeySpec.ML_DSA_44, "MLDSA/mldsa44_priv.der"), (KeySpec.ML_KEM_768, "MLKEM/mlkem768.der")]
)
def test_lattice_keys_of_others_are_accepted_as_seeds(spec: KeySpec, name: str) -> None:
    given = (VECTORS / name).read_bytes()
    accepted = imported.accept(spec, Secret(given))
    assert len(accepted) == len(material(spec))
    assert key_pairs.public_key(key_pairs.load(accepted)) == key_pairs.public_key(key_pairs.load(Secret(given)))
