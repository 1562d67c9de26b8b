"""The aliases of one key. A key's row holds a digest of their names: they are believed all together or not at all."""

import hashlib
from collections.abc import Iterable

_LENGTH_BYTES = 4


def digest(names: Iterable[str]) -> bytes:
    """
    Return what the row of a key with aliases of these names must hold: 32 bytes, for no names as well.

    SHA-256 of the sorted names in UTF-8, each preceded by its length in 4 bytes, big endian. A row that holds nothing
    instead was last written before rows had a digest: which aliases its key has is unknown, since one that somebody
    deleted by hand would not be missed.
    """
    encoded = sorted(name.encode() for name in names)
    return hashlib.sha256(b"".join(len(name).to_bytes(_LENGTH_BYTES, "big") + name for name in encoded)).digest()
