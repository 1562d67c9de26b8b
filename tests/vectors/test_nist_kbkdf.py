"""The KDF against NIST's own vectors (CAVP, SP 800-108), which come with `cryptography-vectors`."""

from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker import kdf
from vectors import vector_maker

RESPONSES = Path(cryptography_vectors.__file__).parent / "KDF" / "nist-800-108-KBKDF-CTR.txt"
SECTION = ["[PRF=HMAC_SHA256]", "[CTRLOCATION=BEFORE_FIXED]", "[RLEN=32_BITS]"]


def published() -> Iterator[dict[str, str]]:
    """Yield the cases of the one mode that kmsq uses."""
    section: list[str] = []
    case: dict[str, str] = {}
    for line in RESPONSES.read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            section = [line] if line.startswith("[PRF") else [*section, line]
        name, _, value = line.partition(" = ")
        case[name] = value
        if name == "KO":
            if section == SECTION:
                yield case
            case = {}


CASES = list(published())


def test_nists_file_has_the_cases() -> None:
    assert len(CASES) == 40


@pytest.mark.parametrize("case", CASES)
def test_the_kdf_gives_nists_output(case: dict[str, str]) -> None:
    output = kdf.derive_from(bytes.fromhex(case["KI"]), bytes.fromhex(case["FixedInputData"]), int(case["L"]) // 8)
    assert output.hex() == case["KO"]


@given(key=st.binary(max_size=100), context=st.binary(max_size=64), length=st.integers(1, 200))
def test_the_fixed_input_is_put_together_as_the_page_says(key: bytes, context: bytes, length: int) -> None:
    ours = kdf.derive(key, b"kmsq/v1/test", context, length)
    assert ours == vector_maker.kbkdf(key, "kmsq/v1/test", context, length)
