"""ECDH against NIST's validity tests (SP 800-56A), ML-KEM against the reference implementation (FIPS 203)."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, derive_private_key, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsq_worker.errors import ValidationException
from kmsq_worker.primitives.agreement import derive_shared_secret
from kmsq_worker.primitives.kem import decapsulate
from kmsq_worker.primitives.key_pairs import MLKEMPrivateKey
from vectors.nist_files import CURVES, Case, blocks, counted

ECDH_FILE = "asymmetric/ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_resp.fax"
ECDH_SECTIONS = {"[EC - SHA256]": "P-256", "[ED - SHA384]": "P-384", "[EE - SHA512]": "P-521"}
ML_KEM: dict[str, Callable[[bytes], MLKEMPrivateKey]] = {
    "768": mlkem.MLKEM768PrivateKey.from_seed_bytes,
    "1024": mlkem.MLKEM1024PrivateKey.from_seed_bytes,
}


def subject_public_key_info(curve: EllipticCurve, case: Case) -> bytes:
    """Encode the other side's point, which may be on no curve, by putting it into the encoding of one that is."""
    length = (curve.key_size + 7) // 8
    point = b"".join(int(case[name], 16).to_bytes(length, "big") for name in ("QsCAVSx", "QsCAVSy"))
    template = generate_private_key(curve).public_key()
    return template.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)[: -2 * length] + point


def ecdh_cases(*results: str) -> list[tuple[EllipticCurve, Case]]:
    """Return the cases with these results. Left out is what is wrong with a key pair that we would have made."""
    return [
        (CURVES[ECDH_SECTIONS[section]], case)
        for section, case in blocks(ECDH_FILE)
        if section in ECDH_SECTIONS and "COUNT" in case and any(result in case["Result"] for result in results)
    ]


def test_ecdh_agrees_with_nist() -> None:
    cases = ecdh_cases("P (", "Z changed")
    assert len(cases) == 60
    agreed = 0
    for curve, case in cases:
        private_key = derive_private_key(int(case["dsIUT"], 16), curve)
        secret = derive_shared_secret(private_key, subject_public_key_info(curve, case))
        assert len(secret) == (curve.key_size + 7) // 8
        if case["Result"].startswith("P"):
            assert int.from_bytes(secret, "big") == int(case["Z"], 16)
            agreed += 1
        else:
            assert int.from_bytes(secret, "big") != int(case["Z"], 16)
    assert agreed == 54


def test_ecdh_refuses_the_points_that_nist_refuses() -> None:
    cases = ecdh_cases("CAVS's Static public key")
    assert len(cases) == 12
    for curve, case in cases:
        private_key = derive_private_key(int(case["dsIUT"], 16), curve)
        with pytest.raises(ValidationException, match="not a point on the curve"):
            derive_shared_secret(private_key, subject_public_key_info(curve, case))


@pytest.mark.parametrize("size", ML_KEM)
def test_ml_kem_decapsulates_as_the_reference_implementation_does(size: str) -> None:
    """Every tenth of 1,000 cases. `ct_n` was made for nobody: its secret `ss_n` shows the implicit rejection."""
    cases = list(counted(f"asymmetric/MLKEM/kat_MLKEM_{size}.rsp"))[::10]
    assert len(cases) == 100
    for case in cases:
        private_key = ML_KEM[size](bytes.fromhex(case["d"] + case["z"]))
        assert private_key.public_key().public_bytes_raw().hex() == case["pk"]
        assert decapsulate(private_key, bytes.fromhex(case["ct"])).hex() == case["ss"]
        assert decapsulate(private_key, bytes.fromhex(case["ct_n"])).hex() == case["ss_n"]
