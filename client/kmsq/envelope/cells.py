"""
Many small values under one data key: the cells of a column. Specified in docs/envelope.md.

    key = await CellKey.generate(client, "alias/orders", {"table": "cards"})
    cells = key.seal_all([b"4111…", b"5500…"], b"number")   # keep key.stored beside them
    key = await CellKey.restore(client, stored, {"table": "cards"})
    key.open(cells[0], b"number")
"""

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from threading import Lock
from typing import Final, NoReturn, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq.envelope.context import encode_context
from kmsq.envelope.derivation import COMMITMENT_BYTES, IV_BYTES, TAG_BYTES, derive, derive_committed
from kmsq.envelope.kms import DataKeys, Rewrapping, check_wrapped, rewrap_key
from kmsq.envelope.secret import DataKey
from kmsq.errors import EnvelopeLimitExceeded, InvalidEnvelope
from kmsq_schemas.models import DataKeySpec

CELL_LABEL: Final = b"kmsq/v1/cells"
STORED_VERSION: Final = b"\x01"  # of what is kept of the key
CELL_VERSION: Final = b"\x01"  # AES-256-GCM, random 96-bit IV
CELL_OVERHEAD_BYTES: Final = len(CELL_VERSION) + IV_BYTES + TAG_BYTES
CELLS_MAX: Final = 2**32  # of one key: random 96-bit IVs, NIST SP 800-38D §8.3

_COMMITMENT: Final = slice(1, 1 + COMMITMENT_BYTES)
_WRAPPED: Final = slice(1 + COMMITMENT_BYTES, None)
_IV: Final = slice(1, 1 + IV_BYTES)
_SEALED: Final = slice(1 + IV_BYTES, None)


@final
class CellKey:
    """
    One data key for many small values.

    It seals up to 2³² cells in its life as an object; who restores it and goes on sealing keeps the sum below that.
    Any number of threads may use one. It cannot be printed, pickled or copied.
    """

    __slots__ = ("_cipher", "_left", "_lock", "_stored")

    def __init__(self, cipher: AESGCM, stored: bytes) -> None:
        """Use `generate` and `restore`."""
        self._cipher = cipher
        self._stored = stored
        self._left = CELLS_MAX
        self._lock = Lock()

    @classmethod
    async def generate(cls, kms: DataKeys, key_id: str, context: Mapping[str, str]) -> "CellKey":
        """
        Make a fresh data key under `key_id`, bound to the encryption `context`.

        Raises `KmsqError`: what GenerateDataKey is answered with, `InvalidRequest` for a context beyond its limits.
        """
        encoded = encode_context(context)
        reply = await kms.generate_data_key(key_id, encryption_context=context or None, key_spec=DataKeySpec.AES_256)
        return unsafe_cell_key(DataKey(reply.plaintext), encoded, reply.ciphertext_blob)

    @classmethod
    async def restore(cls, kms: DataKeys, stored: bytes, context: Mapping[str, str]) -> "CellKey":
        """
        Have a key back from what was `stored`, by Decrypt.

        Raises `InvalidEnvelope` for anything else than a `stored` of this `context`, and what Decrypt is answered with.
        """
        wrapped, digest = wrapped_of(stored), sha256(encode_context(context)).digest()
        reply = await kms.decrypt(wrapped, encryption_context=context or None)
        return cls(derive_committed(DataKey(reply.plaintext), CELL_LABEL, digest, stored[_COMMITMENT]), stored)

    @property
    def stored(self) -> bytes:
        """Version (1) ‖ commitment (32) ‖ wrapped data key: what to keep beside the cells. Not secret."""
        return self._stored

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """
        Encrypt one value of any length, bound to `associated`, which is needed again to open it.

        Returns version (1) ‖ IV (12, random) ‖ ciphertext ‖ tag (16). Raises `EnvelopeLimitExceeded` after 2³² cells.
        """
        return self.seal_all((plaintext,), associated)[0]

    def seal_all(self, plaintexts: Sequence[bytes], associated: bytes) -> list[bytes]:
        """Encrypt values as `seal` does, each with an IV of its own; faster, because their IVs are drawn at once."""
        self._reserve(len(plaintexts))
        ivs = os.urandom(IV_BYTES * len(plaintexts))
        bound = CELL_VERSION + associated
        encrypt = self._cipher.encrypt
        starts = range(0, len(ivs), IV_BYTES)
        return [
            CELL_VERSION + (iv := ivs[start : start + IV_BYTES]) + encrypt(iv, plaintext, bound)
            for start, plaintext in zip(starts, plaintexts, strict=True)
        ]

    def open(self, cell: bytes, associated: bytes) -> bytes:
        """Decrypt one cell. Raises `InvalidEnvelope` for whatever this key did not seal with this `associated`."""
        if len(cell) < CELL_OVERHEAD_BYTES or not cell.startswith(CELL_VERSION):
            raise InvalidEnvelope
        try:
            return self._cipher.decrypt(cell[_IV], cell[_SEALED], CELL_VERSION + associated)
        except InvalidTag:
            raise InvalidEnvelope from None

    def _reserve(self, count: int) -> None:
        with self._lock:
            if count > self._left:
                raise EnvelopeLimitExceeded("this cell key has sealed 2³² values: generate another")
            self._left -= count

    def __repr__(self) -> str:
        return "<CellKey>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a CellKey cannot be pickled or copied: keep `stored`")


def unsafe_cell_key(data_key: DataKey, encoded_context: bytes, wrapped: bytes) -> CellKey:
    """
    Make the cell key of a given data key (32 bytes): for `CellKey.generate` and for test vectors only.

    A data key that is also used elsewhere would bring its use there under the limit of 2³² cells here.
    """
    cipher, commitment = derive(data_key, CELL_LABEL, sha256(encoded_context).digest())
    return CellKey(cipher, STORED_VERSION + commitment + check_wrapped(wrapped))


def wrapped_of(stored: bytes) -> bytes:
    """Return the wrapped data key in what was `stored` of a cell key. Raises `InvalidEnvelope`."""
    if not stored.startswith(STORED_VERSION):
        raise InvalidEnvelope
    return check_wrapped(stored[_WRAPPED])


async def rewrap_cell_key(kms: Rewrapping, stored: bytes, context: Mapping[str, str], destination_key_id: str) -> bytes:
    """
    Return what to store instead of `stored`, so that the cells need `destination_key_id` from now on.

    The cells and their key stay the same; only its wrapping changes, by ReEncrypt. Raises `KmsqError`.
    """
    rewrapped = await rewrap_key(kms, wrapped_of(stored), context, destination_key_id)
    return STORED_VERSION + stored[_COMMITMENT] + rewrapped
