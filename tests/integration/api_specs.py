"""What a key of each spec and usage can do: the table of the API's reference, without what kmsq has not."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

PSS_AND_PKCS1 = {f"RSASSA_{scheme}_SHA_{size}" for scheme in ("PSS", "PKCS1_V1_5") for size in (256, 384, 512)}
OAEP = {"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
EDWARDS = {"ED25519_SHA_512", "ED25519_PH_SHA_512"}
LISTS: Mapping[str, str] = {
    "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
    "SIGN_VERIFY": "SigningAlgorithms",
    "GENERATE_VERIFY_MAC": "MacAlgorithms",
    "KEY_AGREEMENT": "KeyAgreementAlgorithms",
    "ENCAPSULATE_DECAPSULATE": "EncapsulationAlgorithms",
}
ALGORITHMS: Mapping[tuple[str, str], AbstractSet[str]] = {
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"): {"SYMMETRIC_DEFAULT"},
    **{(f"RSA_{bits}", "ENCRYPT_DECRYPT"): OAEP for bits in (2048, 3072, 4096)},
    **{(f"RSA_{bits}", "SIGN_VERIFY"): PSS_AND_PKCS1 for bits in (2048, 3072, 4096)},
    ("ECC_NIST_P256", "SIGN_VERIFY"): {"ECDSA_SHA_256"},
    ("ECC_NIST_P384", "SIGN_VERIFY"): {"ECDSA_SHA_384"},
    ("ECC_NIST_P521", "SIGN_VERIFY"): {"ECDSA_SHA_512"},
    ("ECC_SECG_P256K1", "SIGN_VERIFY"): {"ECDSA_SHA_256"},
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"): EDWARDS,
    **{(f"ECC_NIST_{curve}", "KEY_AGREEMENT"): {"ECDH"} for curve in ("P256", "P384", "P521")},
    **{(f"ML_DSA_{size}", "SIGN_VERIFY"): {"ML_DSA_SHAKE_256"} for size in (44, 65, 87)},
    **{(f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE"): {"ML_KEM"} for size in (768, 1024)},
    **{(f"HMAC_{size}", "GENERATE_VERIFY_MAC"): {f"HMAC_SHA_{size}"} for size in (224, 256, 384, 512)},
}

ASYMMETRIC = tuple(pair for pair in ALGORITHMS if not pair[0].startswith(("SYMMETRIC", "HMAC")))
SIGNING = tuple(
    (spec, algorithm)
    for (spec, usage), algorithms in ALGORITHMS.items()
    for algorithm in sorted(algorithms)
    if usage == "SIGN_VERIFY" and algorithm != "ED25519_PH_SHA_512"  # listed, as in AWS, and not served
)
