"""The encryption contexts of a batch: pairs that all items share, and pairs of their own."""

import hashlib
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.envelope import CONTEXT_MAX_BYTES, encode_context
from kmsq_worker.errors import KmsError, ValidationException
from kmsq_worker.execution import Touched
from kmsq_worker.policy.access import NOTHING

_LENGTH_BYTES: Final = 4
_INVALID: Final = b"\xff" * _LENGTH_BYTES  # in the digest, where an item has no valid context: no length is that large


class Bound(NamedTuple):
    """What an item is bound to: its context's encoding as associated data, and the pairs that it consists of."""

    associated: bytes
    shared: Mapping[str, str]
    own: Mapping[str, str] = NOTHING

    @property
    def context(self) -> Mapping[str, str]:
        """All of its pairs."""
        return {**self.shared, **self.own}


class Contexts:
    """
    What each item is bound to: the shared pairs, with its own added to them.

    A short message can say that ten thousand items share 8 KB of pairs. So what an item is bound to is made when it is
    asked for, by putting its own pairs between the shared ones, and is not kept.
    """

    def __init__(self, shared: Mapping[str, str] | None, own: Sequence[Mapping[str, str] | None] | None) -> None:
        """Raise `ValidationException` when the shared pairs alone are too long."""
        pairs = shared or NOTHING
        self._shared = Bound(encode_context(pairs), pairs)
        self._own = own if own and any(own) else None
        # Strings compare by code points, which is the order of their UTF-8 bytes, hence that of encode_context.
        self._names = sorted(pairs)
        self._places = list(accumulate((len(encode_context({name: pairs[name]})) for name in self._names), initial=0))

    def of(self, index: int) -> Bound | KmsError:
        """Return what the item at `index` is bound to, or why there is nothing."""
        own = None if self._own is None else self._own[index]
        if not own:
            return self._shared
        if not self._shared.shared.keys().isdisjoint(own):
            return ValidationException("The item's own EncryptionContext repeats a key of the shared one.")
        try:
            return Bound(self._encoded_with(own), self._shared.shared, own)
        except ValidationException as error:
            return error

    async def note(self, touched: Touched) -> None:
        """
        Note what the audit record keeps: the shared pairs, and a digest where items have their own.

        The digest is SHA-256, in hexadecimal, of each item's encoded context (docs/ciphertext.md) behind its length in
        4 bytes, big endian; of an item without a valid context, 4 bytes FF.
        """
        if self._shared.shared:
            touched.contexts.append(self._shared.shared)
        if self._own is None:
            return
        digest, breath = hashlib.sha256(), Breath(BATCH_BREATH_SECONDS)
        for index in range(len(self._own)):
            digest.update(_hashed(self.of(index)))
            await breath.take()
        touched.context_digests.append(digest.hexdigest())

    def _encoded_with(self, own: Mapping[str, str]) -> bytes:
        """Return what `encode_context` gives for the shared pairs and `own`. Raises what it does."""
        if not self._names:
            return encode_context(own)
        parts, done = [], 0
        for name in sorted(own):
            place = self._places[bisect(self._names, name)]
            parts += [self._shared.associated[done:place], encode_context({name: own[name]})]
            done = place
        encoded = b"".join((*parts, self._shared.associated[done:]))
        if len(encoded) > CONTEXT_MAX_BYTES:
            message = f"EncryptionContext is longer than {CONTEXT_MAX_BYTES} bytes."
            raise ValidationException(message)
        return encoded


def _hashed(bound: Bound | KmsError) -> bytes:
    if isinstance(bound, KmsError):
        return _INVALID
    return len(bound.associated).to_bytes(_LENGTH_BYTES, "big") + bound.associated
