"""Reading the vector files of `cryptography-vectors`: NIST's (CAVP) and those of the standards' authors."""

from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)

ROOT = Path(cryptography_vectors.__file__).parent
CURVES: dict[str, EllipticCurve] = {
    "P-256": SECP256R1(),
    "P-384": SECP384R1(),
    "P-521": SECP521R1(),
    "K-256": SECP256K1(),
}
Case = dict[str, str]


def blocks(name: str) -> Iterator[tuple[str, Case]]:
    """
    Yield the blocks of a file, which blank lines part, each with the section heading that stands above it.

    Headings in a row are joined. A line without `=`, such as FAIL, is a name with an empty value.
    """
    heading = previous = ""
    case: Case = {}
    for line in [*(ROOT / name).read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("["):
            heading = heading + line if previous.startswith("[") else line
        elif line.startswith("#"):
            pass
        elif line:
            field, _, value = line.partition("=")
            case[field.strip()] = value.strip()
        elif case:
            yield heading, case
            case = {}
        previous = line


def counted(name: str) -> Iterator[Case]:
    """Yield the cases of a file that has no blank lines between them; each begins with its `count`."""
    case: Case = {}
    with (ROOT / name).open(encoding="ascii") as lines:
        for line in lines:
            field, _, value = line.strip().partition(" = ")
            if field == "count" and case:
                yield case
                case = {}
            case[field] = value
    yield case


def labelled(name: str) -> Iterator[Case]:
    """Yield a file's examples: the last value under each `# label:` when an `Encryption` has been read."""
    case: Case = {}
    label = ""
    for line in [*(ROOT / name).read_text(encoding="ascii").splitlines(), "#"]:
        if line.startswith("#"):
            if label == "Encryption":
                yield dict(case)
            label = line.strip("# :")
            case[label] = ""
        else:
            case[label] = case.get(label, "") + line.replace(" ", "")


def rsa_private_key(case: Case) -> RSAPrivateKey:
    """Load the private key of a `labelled` example."""
    names = ("Prime 1", "Prime 2", "Exponent", "Public exponent", "Modulus")
    p, q, d, e, n = (int(case[name], 16) for name in names)
    numbers = RSAPrivateNumbers(
        p, q, d, rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q), RSAPublicNumbers(e, n)
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # published, and slow to validate 60 times


def point(curve: EllipticCurve, case: Case, x: str = "Qx", y: str = "Qy") -> EllipticCurvePublicNumbers:
    """Return the point of a case, which need not be on the curve."""
    return EllipticCurvePublicNumbers(int(case[x], 16), int(case[y], 16), curve)
