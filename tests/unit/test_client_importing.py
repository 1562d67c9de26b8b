"""Wrapping key material for its import, and the import in one call."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsq.errors import InvalidRequest
from kmsq.importing import fitting_algorithm, import_key_material, wrap_key_material
from kmsq.testing import FakeKms
from kmsq_schemas.models import (
    AlgorithmSpec,
    ExpirationModel,
    GetParametersForImportReply,
    GetParametersForImportRequest,
    ImportKeyMaterialReply,
    ImportKeyMaterialRequest,
    ImportType,
    WrappingKeySpec,
)

KEY = "11111111-1111-1111-1111-111111111111"
TOKEN = b"token"
UNTIL = datetime(2027, 1, 31, tzinfo=UTC)
MODULUS_BYTES = 256
HASHES: dict[AlgorithmSpec, HashAlgorithm] = {
    AlgorithmSpec.RSAES_OAEP_SHA_1: SHA1(),  # noqa: S303  part of the API
    AlgorithmSpec.RSAES_OAEP_SHA_256: SHA256(),
    AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1: SHA1(),  # noqa: S303  part of the API
    AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256: SHA256(),
}


@pytest.fixture(scope="module")
def wrapping_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 8 * MODULUS_BYTES)


@pytest.fixture(scope="module")
def public_der(wrapping_key: rsa.RSAPrivateKey) -> bytes:
    return wrapping_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def unwrap(key: rsa.RSAPrivateKey, algorithm: AlgorithmSpec, wrapped: bytes) -> bytes:
    """Undo the wrapping as the API reference describes it."""
    padding = OAEP(MGF1(HASHES[algorithm]), HASHES[algorithm], None)
    if algorithm.value.startswith("RSAES_OAEP"):
        return key.decrypt(wrapped, padding)
    aes_key = key.decrypt(wrapped[:MODULUS_BYTES], padding)
    assert len(aes_key) == 32
    return aes_key_unwrap_with_padding(aes_key, wrapped[MODULUS_BYTES:])


@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize("material", [b"k" * 32, b"x", bytes(range(37))])
def test_what_is_wrapped_unwraps_as_the_api_says(
    wrapping_key: rsa.RSAPrivateKey, public_der: bytes, algorithm: AlgorithmSpec, material: bytes
) -> None:
    wrapped = wrap_key_material(material, public_der, algorithm)
    assert unwrap(wrapping_key, algorithm, wrapped) == material
    assert wrap_key_material(material, public_der, algorithm.value) != wrapped


@pytest.mark.parametrize(("algorithm", "most"), [("RSAES_OAEP_SHA_1", 214), ("RSAES_OAEP_SHA_256", 190)])
def test_oaep_takes_as_much_as_it_can_and_says_so(public_der: bytes, algorithm: str, most: int) -> None:
    assert len(wrap_key_material(b"s" * most, public_der, algorithm)) == MODULUS_BYTES
    with pytest.raises(InvalidRequest, match=f"up to {most} bytes, and there are {most + 1}"):
        wrap_key_material(b"s" * (most + 1), public_der, algorithm)


def test_a_private_key_of_any_length_goes_with_aes(wrapping_key: rsa.RSAPrivateKey, public_der: bytes) -> None:
    algorithm = AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256
    for length in (191, 2374):
        assert unwrap(wrapping_key, algorithm, wrap_key_material(b"s" * length, public_der, algorithm)) == b"s" * length


def test_what_cannot_be_wrapped_is_refused_without_being_quoted(public_der: bytes) -> None:
    elsewhere = ec.generate_private_key(ec.SECP256R1()).public_key()
    curve_der = elsewhere.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for algorithm, key, why in (
        ("RSAES_PKCS1_V1_5", public_der, "is none of"),
        ("SM2PKE", public_der, "is none of"),
        ("nonsense", public_der, "is none of"),
        ("RSAES_OAEP_SHA_256", b"junk", "not a public key"),
        ("RSAES_OAEP_SHA_256", curve_der, "not an RSA key"),
    ):
        with pytest.raises(InvalidRequest, match=why) as caught:
            wrap_key_material(b"canary", key, algorithm)
        assert "canary" not in repr(caught.value)
    with pytest.raises(InvalidRequest, match="no key material"):
        wrap_key_material(b"", public_der, "RSAES_OAEP_SHA_256")


@pytest.mark.parametrize(("spec", "most"), [("RSA_2048", 190), ("RSA_3072", 318), ("RSA_4096", 446)])
def test_the_algorithm_fits_the_length(spec: str, most: int) -> None:
    assert fitting_algorithm(most, spec) is AlgorithmSpec.RSAES_OAEP_SHA_256
    assert fitting_algorithm(most + 1, WrappingKeySpec(spec)) is AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256


def test_no_algorithm_fits_what_is_no_rsa_key() -> None:
    for spec in ("SM2", "nonsense"):
        with pytest.raises(InvalidRequest):
            fitting_algorithm(32, spec)


class ImportingKms(FakeKms):
    """Gives out one wrapping key and keeps what it was asked."""

    def __init__(self, wrapping_key: rsa.RSAPrivateKey, public_der: bytes) -> None:
        super().__init__()
        self._wrapping_key, self._public_der = wrapping_key, public_der
        self.material = b""
        self.answer_with("GetParametersForImport", self._give)
        self.answer_with("ImportKeyMaterial", self._take)

    def _give(self, request: GetParametersForImportRequest) -> GetParametersForImportReply:
        self.asked = request
        return GetParametersForImportReply(
            key_id=request.key_id, import_token=TOKEN, public_key=self._public_der, parameters_valid_to=UNTIL
        )

    def _take(self, request: ImportKeyMaterialRequest) -> ImportKeyMaterialReply:
        self.imported = request
        assert request.import_token == TOKEN
        self.material = unwrap(self._wrapping_key, self.asked.wrapping_algorithm, request.encrypted_key_material)
        return ImportKeyMaterialReply(key_id=request.key_id, key_material_id="0a" * 32)


@pytest.fixture
def kms(wrapping_key: rsa.RSAPrivateKey, public_der: bytes) -> ImportingKms:
    return ImportingKms(wrapping_key, public_der)


async def test_an_import_does_not_expire_unless_told_when(kms: ImportingKms) -> None:
    async with kms.client() as client:
        reply = await import_key_material(client, KEY, b"k" * 32)
        assert reply.key_material_id == "0a" * 32
        assert kms.material == b"k" * 32
        assert kms.asked.wrapping_algorithm is AlgorithmSpec.RSAES_OAEP_SHA_256
        assert kms.asked.wrapping_key_spec is WrappingKeySpec.RSA_4096
        assert kms.imported.expiration_model is ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE
        assert (kms.imported.valid_to, kms.imported.import_type) == (None, None)

        await import_key_material(client, KEY, b"k" * 32, valid_to=UNTIL)
        assert (kms.imported.valid_to, kms.imported.expires) == (UNTIL, True)


@pytest.mark.parametrize(
    ("new_material", "import_type"), [(True, ImportType.NEW_KEY_MATERIAL), (False, ImportType.EXISTING_KEY_MATERIAL)]
)
async def test_an_import_says_what_it_was_told(kms: ImportingKms, new_material: bool, import_type: ImportType) -> None:  # noqa: FBT001  pytest passes by name
    async with kms.client() as client:
        material = b"p" * 1218
        await import_key_material(
            client, KEY, material, description="from the vault", new_material=new_material, wrapping_key_spec="RSA_2048"
        )
    assert kms.material == material
    assert kms.asked.wrapping_algorithm is AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256
    assert kms.imported.key_material_description == "from the vault"
    assert kms.imported.import_type is import_type


async def test_nothing_is_asked_for_material_that_is_not_there(kms: ImportingKms) -> None:
    async with kms.client() as client:
        with pytest.raises(InvalidRequest):
            await import_key_material(client, KEY, b"")
    assert not kms.calls
