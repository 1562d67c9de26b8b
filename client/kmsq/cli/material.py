"""Key material in files: raw, hexadecimal, base64, or a private key."""

import base64
import binascii
import string
from collections.abc import Callable, Mapping
from enum import StrEnum

from kmsq.cli.pem import BEGIN, read_private_key
from kmsq.cli.session import Failure

_TEXT = frozenset(string.printable.encode())


class MaterialForm(StrEnum):
    """How a file holds key material."""

    RAW = "raw"
    HEX = "hex"
    BASE64 = "base64"
    PEM = "pem"
    DER = "der"


def read_material(data: bytes, form: MaterialForm | None) -> bytes:
    """
    Return the key material in `data`, a private key as PKCS #8 in DER.

    Without a form it is a private key where it is PEM, and raw bytes where it is no text: of 32 random bytes all are
    printable once in 2^43. Text could be three things, of which two would be imported wrongly without an error.

    Raises `Failure`, whose text holds nothing of the material.
    """
    if form is None:
        form = _guess(data)
    material = _READERS[form](data)
    if not material:
        raise Failure("there is no key material")
    return material


def _guess(data: bytes) -> MaterialForm:
    if not data or not _TEXT.issuperset(data):
        return MaterialForm.RAW
    if BEGIN in data:
        return MaterialForm.PEM
    raise Failure("the key material is text", hint="Say what it is: --format hex, --format base64 or --format raw.")


def _from_hex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        reason = "the key material is not hexadecimal"
    raise Failure(reason)  # outside the handler: the error quotes


def _from_base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error as error:
        raise Failure("the key material is not base64") from error


_READERS: Mapping[MaterialForm, Callable[[bytes], bytes]] = {
    MaterialForm.RAW: bytes,
    MaterialForm.HEX: _from_hex,
    MaterialForm.BASE64: _from_base64,
    MaterialForm.PEM: read_private_key,
    MaterialForm.DER: read_private_key,
}
