"""Keys between PEM, which people exchange, and DER, which the API has."""

import base64
import textwrap
from enum import StrEnum

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from kmsq.cli.session import Failure

PUBLIC_KEY = "PUBLIC KEY"
PRIVATE_KEY = "PRIVATE KEY"
BEGIN = b"-----BEGIN "
_LINE_CHARS = 64  # RFC 7468 §2


class Form(StrEnum):
    """How a key is written."""

    PEM = "pem"
    DER = "der"

    def write(self, label: str, der: bytes) -> bytes:
        """Return `der` in this form; `label` is what the first line says (RFC 7468)."""
        if self is Form.DER:
            return der
        lines = textwrap.wrap(base64.b64encode(der).decode(), _LINE_CHARS)
        return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


FORMS = click.Choice([form.value for form in Form])


def read_public_key(data: bytes) -> bytes:
    """Return a public key, PEM or DER, as the API has it: SubjectPublicKeyInfo in DER. Raises `Failure`."""
    try:
        key = load_pem_public_key(data) if BEGIN in data else load_der_public_key(data)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Failure("this is not a public key in PEM or DER") from error


def read_private_key(data: bytes) -> bytes:
    """Return a private key, PEM or DER, as the API has it: PKCS #8 in DER, unencrypted. Raises `Failure`."""
    load = load_pem_private_key if BEGIN in data else load_der_private_key
    try:
        key = load(data, None)
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except TypeError:
        reason, hint = "the private key is encrypted", "Decrypt it first: openssl pkcs8 -topk8 -nocrypt -in FILE"
    except (ValueError, UnsupportedAlgorithm):
        reason, hint = "this is not a private key in PEM or DER", None
    # Raised outside the handlers: nobody has promised that such an error tells nothing of the key.
    raise Failure(reason, hint=hint)
