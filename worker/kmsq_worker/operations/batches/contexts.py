"""The encryption contexts of a batch: pairs that all items share, and pairs of their own."""

import hashlib
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate, repeat
from typing import Final, NamedTuple

from kmsq_worker.breath import BATCH_BREATH_SECONDS, Breath
from kmsq_worker.envelope import CONTEXT_MAX_BYTES, encode_context
from kmsq_worker.errors import KmsError, ValidationException
from kmsq_worker.execution import Touched
from kmsq_worker.policy.access import NOTHING

KEPT_MAX_BYTES: Final = 4 * 1024 * 1024  # of shared pairs in what the items are bound to: as long as a message may be
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

    A short message can say that ten thousand items share 8 KB of pairs. So where the shared pairs are long, what an item is
    bound to is made each time that it is asked for, by putting its own pairs between them, and is not kept.
    """

    def __init__(self, shared: Mapping[str, str] | None, own: Sequence[Mapping[str, str] | None] | None) -> None:
        """Raise `ValidationException` when the shared pairs alone are too long."""
        pairs = shared or NOTHING
        self.common: Final = Bound(encode_context(pairs), pairs)
        """What an item without pairs of its own is bound to."""
        self._own = own if own and any(own) else None
        self._kept: list[Bound | KmsError] = []
        # Strings compare by code points, which is the order of their UTF-8 bytes, hence that of encode_context.
        self._names = sorted(pairs)
        self._places = list(accumulate((len(encode_context({name: pairs[name]})) for name in self._names), initial=0))

    @property
    def differ(self) -> bool:
        """Whether any item has pairs of its own."""
        return self._own is not None

    def associated(self, indices: Collection[int]) -> Iterable[bytes]:
        """Return the encodings of the contexts of some items. Raises why one has none."""
        if not self.differ:
            return repeat(self.common.associated, len(indices))
        return map(self._associated, indices)

    def of(self, index: int) -> Bound | KmsError:
        """Return what the item at `index` is bound to, or why there is nothing."""
        if self._own is None:
            return self.common
        return self._kept[index] if self._kept else self._made(self._own[index])

    def _associated(self, index: int) -> bytes:
        bound = self.of(index)
        if isinstance(bound, KmsError):
            raise bound
        return bound.associated

    def _made(self, own: Mapping[str, str] | None) -> Bound | KmsError:
        if not own:
            return self.common
        if not self.common.shared.keys().isdisjoint(own):
            return ValidationException("The item's own EncryptionContext repeats a key of the shared one.")
        try:
            return Bound(self._encoded_with(own), self.common.shared, own)
        except ValidationException as error:
            return error

    async def note(self, touched: Touched) -> None:
        """
        Note what the audit record keeps: the shared pairs, and a digest where items have their own. Call it first.

        The digest is SHA-256, in hexadecimal, of each item's encoded context (docs/ciphertext.md) behind its length in
        4 bytes, big endian; of an item without a valid context, 4 bytes FF.
        """
        if self.common.shared:
            touched.contexts.append(self.common.shared)
        if self._own is None:
            return
        keeps = len(self._own) * len(self.common.associated) <= KEPT_MAX_BYTES
        digest, kept, breath = hashlib.sha256(), list[Bound | KmsError](), Breath(BATCH_BREATH_SECONDS)
        for own in self._own:
            bound = self._made(own)
            digest.update(_hashed(bound))
            if keeps:
                kept.append(bound)
            await breath.take()
        self._kept = kept
        touched.context_digests.append(digest.hexdigest())

    def _encoded_with(self, own: Mapping[str, str]) -> bytes:
        """Return what `encode_context` gives for the shared pairs and `own`. Raises what it does."""
        if not self._names:
            return encode_context(own)
        parts, done = [], 0
        for name in sorted(own):
            place = self._places[bisect(self._names, name)]
            parts += [self.common.associated[done:place], encode_context({name: own[name]})]
            done = place
        encoded = b"".join((*parts, self.common.associated[done:]))
        if len(encoded) > CONTEXT_MAX_BYTES:
            message = f"EncryptionContext is longer than {CONTEXT_MAX_BYTES} bytes."
            raise ValidationException(message)
        return encoded


def _hashed(bound: Bound | KmsError) -> bytes:
    if isinstance(bound, KmsError):
        return _INVALID
    return len(bound.associated).to_bytes(_LENGTH_BYTES, "big") + bound.associated
