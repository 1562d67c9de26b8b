"""ECDH and ML-KEM, beyond the published vectors."""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.dsa import generate_private_key as generate_dsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from fakes.key_pairs import another
from kmsq_schemas.models.enums import KeySpec
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.primitives import kem, key_pairs
from kmsq_worker.primitives.agreement import derive_shared_secret
from kmsq_worker.primitives.key_pairs import MLKEMPublicKey
from vectors.nist_files import ROOT

SECRET_BYTES = {KeySpec.ECC_NIST_P256: 32, KeySpec.ECC_NIST_P384: 48, KeySpec.ECC_NIST_P521: 66}
CIPHERTEXT_BYTES = {KeySpec.ML_KEM_768: 1088, KeySpec.ML_KEM_1024: 1568}
NOT_ENCODED = "^PublicKey is not a SubjectPublicKeyInfo in DER of an uncompressed point on the curve of the key.$"
NOT_ON_CURVE = "^PublicKey is not a point on the curve of the key.$"
DER = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def der_of(name: str) -> bytes:
    """Return a published public key."""
    return b64decode(b"".join((ROOT / f"asymmetric/EC/{name}.pem").read_bytes().splitlines()[1:-1]))


@pytest.mark.parametrize("spec", SECRET_BYTES)
def test_both_sides_derive_the_same_secret_of_fixed_length(spec: KeySpec) -> None:
    secrets = set()
    for _ in range(20):
        ours, theirs = another(spec), another(spec)
        secret = derive_shared_secret(ours, key_pairs.public_key(theirs))
        assert secret == derive_shared_secret(theirs, key_pairs.public_key(ours))
        assert len(secret) == SECRET_BYTES[spec]
        secrets.add(secret)
    assert len(secrets) == 20


def test_the_secret_is_the_x_coordinate() -> None:
    """With our private key being 1, it is the other side's point itself."""
    theirs = ec.generate_private_key(ec.SECP256R1())
    secret = derive_shared_secret(ec.derive_private_key(1, ec.SECP256R1()), theirs.public_key().public_bytes(*DER))
    assert int.from_bytes(secret, "big") == theirs.public_key().public_numbers().x


def test_a_public_key_of_another_curve_or_kind_is_refused() -> None:
    ours = another(KeySpec.ECC_NIST_P256)
    others = [another(spec) for spec in (KeySpec.ECC_NIST_P384, KeySpec.ECC_SECG_P256K1, KeySpec.RSA_2048)]
    encoded = [key_pairs.public_key(other) for other in others]
    encoded += [X25519PrivateKey.generate().public_key().public_bytes(*DER)]
    encoded += [generate_dsa(1024).public_key().public_bytes(*DER)]  # noqa: S505  # never used
    encoded += [ec.generate_private_key(ec.BrainpoolP256R1()).public_key().public_bytes(*DER)]
    encoded += [(ROOT / "asymmetric/DH/dhpub.der").read_bytes()]  # which the library would warn of
    for other in encoded:
        with pytest.raises(ValidationException, match=NOT_ENCODED):
            derive_shared_secret(ours, other)


def test_a_malformed_public_key_is_refused() -> None:
    ours = another(KeySpec.ECC_NIST_P256)
    good = key_pairs.public_key(another(KeySpec.ECC_NIST_P256))
    point = good[-64:]
    wrong = [b"", b"\x30", good[:-1], good + b"\x00", good[:-64], point, b"\x04" + point, good[:26] + b"\x05" + point]
    wrong += [b"\x30\x19" + good[2:23] + b"\x03\x02\x00\x00"]  # the point at infinity
    wrong += [der_of("sect163k1-spki"), der_of("secp256k1-pub-explicit-no-seed")]
    for given in wrong:
        with pytest.raises(ValidationException, match=NOT_ENCODED):
            derive_shared_secret(ours, given)


@pytest.mark.parametrize("spec", SECRET_BYTES)
def test_a_point_that_is_not_on_the_curve_is_refused(spec: KeySpec) -> None:
    ours = another(spec)
    good = key_pairs.public_key(another(spec))
    length = SECRET_BYTES[spec]
    header, x, y = good[: -2 * length], good[-2 * length : -length], good[-length:]
    for wrong in (y + x, x + x, bytes(2 * length), b"\xff" * 2 * length, x + y[:-1] + bytes([y[-1] ^ 1])):
        with pytest.raises(ValidationException, match=NOT_ON_CURVE):
            derive_shared_secret(ours, header + wrong)


def test_a_public_key_has_one_encoding() -> None:
    """The library reads them all."""
    ours, theirs = another(KeySpec.ECC_NIST_P256), ec.generate_private_key(ec.SECP256R1()).public_key()
    good = theirs.public_bytes(*DER)
    compressed = theirs.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    hybrid = bytes([compressed[0] + 4]) + good[-64:]  # both coordinates, and the sign of the second once more
    others = [b"\x30\x39" + good[2:23] + b"\x03\x22\x00" + compressed, good[:26] + hybrid]
    for other in others:
        assert load_der_public_key(other) == theirs
    for other in [*others, der_of("secp256r1-pub-explicit-seed")]:
        with pytest.raises(ValidationException, match=NOT_ENCODED):
            derive_shared_secret(ours, other)


@pytest.mark.parametrize("spec", CIPHERTEXT_BYTES)
def test_what_is_encapsulated_with_either_half_is_decapsulated(spec: KeySpec) -> None:
    private_key = another(spec)
    public_key = load_der_public_key(key_pairs.public_key(private_key))
    assert isinstance(public_key, MLKEMPublicKey)
    made = [kem.encapsulate(key) for key in (private_key, public_key) * 20]
    assert len({one.shared_secret for one in made}) == len({one.ciphertext for one in made}) == 40
    for shared_secret, ciphertext in made:
        assert len(shared_secret) == 32
        assert len(ciphertext) == CIPHERTEXT_BYTES[spec]
        assert kem.decapsulate(private_key, ciphertext) == shared_secret


@pytest.mark.parametrize("spec", CIPHERTEXT_BYTES)
def test_an_altered_ciphertext_gives_another_secret_always_the_same(spec: KeySpec) -> None:
    private_key = another(spec)
    shared_secret, ciphertext = kem.encapsulate(private_key)
    for position in (0, len(ciphertext) // 2, len(ciphertext) - 1):
        altered = ciphertext[:position] + bytes([ciphertext[position] ^ 1]) + ciphertext[position + 1 :]
        rejected = kem.decapsulate(private_key, altered)
        assert len(rejected) == 32
        assert rejected != shared_secret
        assert kem.decapsulate(private_key, altered) == rejected
        assert kem.decapsulate(another(spec), altered) != rejected


@pytest.mark.parametrize("spec", CIPHERTEXT_BYTES)
def test_a_ciphertext_of_another_length_is_invalid(spec: KeySpec) -> None:
    length = CIPHERTEXT_BYTES[spec]
    for wrong in (0, 1, 768, length - 1, length + 1, 2656 - length, 6144):
        with pytest.raises(InvalidCiphertextException) as caught:
            kem.decapsulate(another(spec), bytes(wrong))
        assert caught.value.message == str(caught.value) == ""


def test_a_key_of_a_foreign_type_is_our_own_mistake() -> None:
    for spec in (KeySpec.RSA_2048, KeySpec.ECC_NIST_EDWARDS25519, KeySpec.ML_DSA_44):
        foreign = another(spec)
        with pytest.raises(TypeError, match="Weierstrass"):
            derive_shared_secret(foreign, b"")
        with pytest.raises(TypeError, match="ML-KEM"):
            kem.encapsulate(foreign)
        with pytest.raises(TypeError, match="ML-KEM"):
            kem.decapsulate(foreign, b"")
