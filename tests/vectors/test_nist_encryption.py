"""RSA-OAEP against the vectors of PKCS #1 and the library's own, AES key wrapping and AES-GCM against NIST's."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from kmsq_schemas.models.enums import AlgorithmSpec, EncryptionAlgorithm
from kmsq_worker.errors import InvalidCiphertextException
from kmsq_worker.primitives import import_wrapping, rsa_encryption
from vectors.nist_files import Case, blocks, labelled, rsa_private_key

OAEP_FILES = [
    (EncryptionAlgorithm.RSAES_OAEP_SHA_1, "asymmetric/RSA/pkcs-1v2-1d2-vec/oaep-vect.txt"),
    (EncryptionAlgorithm.RSAES_OAEP_SHA_256, "asymmetric/RSA/oaep-custom/oaep-sha256-sha256.txt"),
]
KEY_WRAP = AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256
AES_256_GCM = "ciphers/AES/GCM/gcmDecrypt256.rsp"


@pytest.mark.parametrize(("algorithm", "name"), OAEP_FILES)
def test_oaep_decrypts_the_published_ciphertexts(algorithm: EncryptionAlgorithm, name: str) -> None:
    cases = list(labelled(name))
    assert len(cases) == 60
    for case in cases:
        key = rsa_private_key(case)
        assert rsa_encryption.decrypt(key, algorithm, bytes.fromhex(case["Encryption"])).hex() == case["Message"]


@pytest.mark.parametrize(
    ("algorithm", "name"), [(OAEP_FILES[0][0], OAEP_FILES[1][1]), (OAEP_FILES[1][0], OAEP_FILES[0][1])]
)
def test_oaep_refuses_ciphertexts_of_the_other_hash(algorithm: EncryptionAlgorithm, name: str) -> None:
    case = next(labelled(name))
    with pytest.raises(InvalidCiphertextException):
        rsa_encryption.decrypt(rsa_private_key(case), algorithm, bytes.fromhex(case["Encryption"]))


def test_import_unwraps_what_nists_aes_key_wrap_with_padding_unwraps() -> None:
    """SP 800-38F, KWP-AD with AES-256: each case's key is sent under RSA-OAEP, as an importer does."""
    wrapping_key = generate_private_key(65_537, 2048)
    padding = OAEP(MGF1(SHA256()), SHA256(), None)
    cases = [case for _, case in blocks("keywrap/kwtestvectors/KWP_AD_256.txt")]
    assert len(cases) == 500
    unwrapped = 0
    for case in cases:
        sent = wrapping_key.public_key().encrypt(bytes.fromhex(case["K"]), padding) + bytes.fromhex(case["C"])
        if "P" in case:
            assert import_wrapping.unwrap(wrapping_key, KEY_WRAP, sent).reveal().hex() == case["P"]
            unwrapped += 1
        else:
            assert "FAIL" in case
            with pytest.raises(InvalidCiphertextException):
                import_wrapping.unwrap(wrapping_key, KEY_WRAP, sent)
    assert unwrapped == 400


def gcm_cases() -> list[Case]:
    """Return the cases with the lengths of IV and tag that the envelope has."""
    ours = ("[Keylen = 256][IVlen = 96]", "[Taglen = 128]")
    return [
        case
        for section, case in blocks(AES_256_GCM)
        if section.startswith(ours[0]) and section.endswith(ours[1]) and "Count" in case
    ]


def test_the_librarys_aes_gcm_opens_what_nists_opens() -> None:
    """The envelope and the wrapping of keys use it as it is."""
    cases = gcm_cases()
    assert len(cases) == 375
    opened = 0
    for case in cases:
        key, iv, text, data, tag = (bytes.fromhex(case[name]) for name in ("Key", "IV", "CT", "AAD", "Tag"))
        if "PT" in case:
            assert AESGCM(key).decrypt(iv, text + tag, data).hex() == case["PT"]
            assert AESGCM(key).encrypt(iv, bytes.fromhex(case["PT"]), data) == text + tag
            opened += 1
        else:
            assert "FAIL" in case
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(iv, text + tag, data)
    assert opened == 184
