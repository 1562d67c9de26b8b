"""The encryption contexts of a batch: pairs that all items share, and pairs of their own."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kmsq_worker.envelope import encode_context
from kmsq_worker.errors import KmsError, ValidationException
from kmsq_worker.execution import Touched

_LENGTH_BYTES: Final = 4
_INVALID: Final = b"\xff" * _LENGTH_BYTES  # in the digest, where an item has no valid context: no length is that large


class Bound(NamedTuple):
    """An item's context, and its encoding as associated data."""

    context: Mapping[str, str]
    associated: bytes


class Contexts:
    """What each item is bound to: the shared pairs, with its own added to them."""

    def __init__(self, shared: Mapping[str, str] | None, own: Sequence[Mapping[str, str] | None] | None) -> None:
        """Raise `ValidationException` when the shared pairs alone are too long."""
        self._shared = Bound(shared or {}, encode_context(shared or {}))
        self._each = [self._with(pairs) for pairs in own] if own and any(own) else None

    def of(self, index: int) -> Bound | KmsError:
        """Return the context of the item at `index`, or why there is none."""
        return self._shared if self._each is None else self._each[index]

    def note(self, touched: Touched) -> None:
        """
        Note what the audit record keeps: the shared pairs, and a digest where items have their own.

        The digest is SHA-256, in hexadecimal, of each item's encoded context (docs/ciphertext.md) behind its length in
        4 bytes, big endian; of an item without a valid context, 4 bytes FF.
        """
        if self._shared.context:
            touched.contexts.append(self._shared.context)
        if self._each is not None:
            touched.context_digests.append(hashlib.sha256(b"".join(map(_hashed, self._each))).hexdigest())

    def _with(self, own: Mapping[str, str] | None) -> Bound | KmsError:
        if not own:
            return self._shared
        if not self._shared.context.keys().isdisjoint(own):
            return ValidationException("The item's own EncryptionContext repeats a key of the shared one.")
        context = {**self._shared.context, **own}
        try:
            return Bound(context, encode_context(context))
        except ValidationException as error:
            return error


def _hashed(bound: Bound | KmsError) -> bytes:
    if isinstance(bound, KmsError):
        return _INVALID
    return len(bound.associated).to_bytes(_LENGTH_BYTES, "big") + bound.associated
