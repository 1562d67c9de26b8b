"""Data keys that are used more than once, for those who ask for it. Consequences: docs/envelope.md, "Data-key cache"."""

import time
from asyncio import Lock
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from kmsq.envelope.secret import DataKey

MESSAGES_MAX = 2**16
BYTES_MAX = 2**36  # 64 GiB
CAPACITY = 1000

Name: TypeAlias = tuple[object, ...]
"""
All that decides which data key it is and who may have it: the client; key and context, or wrapped key and context.

The client, since each is one principal at one service: what one may unwrap, another may not.
"""


@dataclass(frozen=True, slots=True)
class WrappedDataKey:
    """A data key, and what to keep of it beside the data."""

    data_key: DataKey
    wrapped: bytes


K = TypeVar("K", DataKey, WrappedDataKey)


@dataclass(slots=True)
class Use(Generic[K]):
    """A data key in the cache, and what was done with it."""

    key: K
    since: float
    messages: int = 0
    bytes: int = 0


class DataKeyCache:
    """
    Keeps data keys in memory, so that a message does not cost a request. One event loop may use it, for any envelopes;
    those of one client share keys.

    A key is used for `max_age_seconds` after it came from the service; a key that encrypts, for up to `max_messages`
    and `max_bytes` of plaintext as well. Up to `capacity` keys of each kind are kept; the least recently used goes
    first. `now` is a clock in seconds.

    **A key that is disabled or denied at the service goes on working here for up to `max_age_seconds`.**

    Raises `ValueError` for limits that would keep nothing.
    """

    def __init__(
        self,
        *,
        max_age_seconds: float,
        max_messages: int = MESSAGES_MAX,
        max_bytes: int = BYTES_MAX,
        capacity: int = CAPACITY,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if not all(limit > 0 for limit in (max_age_seconds, max_messages, max_bytes, capacity)):  # nor a NaN
            raise ValueError("each limit of a data-key cache is above zero")
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._sealing: _Shelf[WrappedDataKey] = _Shelf(max_age_seconds, capacity, now)
        self._opening: _Shelf[DataKey] = _Shelf(max_age_seconds, capacity, now)

    async def for_sealing(
        self, name: Name, plaintext_bytes: int, fetch: Callable[[], Awaitable[WrappedDataKey]]
    ) -> WrappedDataKey:
        """Return a data key for one more message of so many bytes, from `fetch` if no kept one may be used for it."""

        def has_room(use: Use[WrappedDataKey]) -> bool:
            return use.messages < self._max_messages and use.bytes + plaintext_bytes <= self._max_bytes

        use = await self._sealing.get(name, has_room, fetch)
        use.messages += 1
        use.bytes += plaintext_bytes
        return use.key

    async def for_opening(self, name: Name, fetch: Callable[[], Awaitable[DataKey]]) -> DataKey:
        """Return the data key of that name, from `fetch` if none is kept."""
        return (await self._opening.get(name, lambda _: True, fetch)).key

    def clear(self) -> None:
        """Forget every key."""
        self._sealing.clear()
        self._opening.clear()

    def __len__(self) -> int:
        """Return how many keys are kept."""
        return len(self._sealing) + len(self._opening)

    def __repr__(self) -> str:
        return f"<DataKeyCache of {len(self)} keys>"


class _Shelf(Generic[K]):
    """The keys of one kind."""

    def __init__(self, max_age_seconds: float, capacity: int, now: Callable[[], float]) -> None:
        self._max_age_seconds = max_age_seconds
        self._capacity = capacity
        self._now = now
        self._uses: OrderedDict[Name, Use[K]] = OrderedDict()
        self._fetching: WeakValueDictionary[Name, Lock] = WeakValueDictionary()

    async def get(self, name: Name, may_be_used: Callable[[Use[K]], bool], fetch: Callable[[], Awaitable[K]]) -> Use[K]:
        # Those who wait for the same key wait for one request. The caller's reference keeps the lock in the dictionary.
        lock = self._fetching.setdefault(name, Lock())
        async with lock:
            use = self._uses.get(name)
            if use is not None and not self._is_old(use) and may_be_used(use):
                self._uses.move_to_end(name)
                return use
            asked_at = self._now()  # the age counts from before the answer: the service may have refused since
            use = Use(await fetch(), asked_at)
            self._put(name, use)
            return use

    def clear(self) -> None:
        self._uses.clear()

    def __len__(self) -> int:
        return len(self._uses)

    def _put(self, name: Name, use: Use[K]) -> None:
        for old in [each for each, kept in self._uses.items() if self._is_old(kept)]:
            del self._uses[old]
        self._uses[name] = use
        self._uses.move_to_end(name)
        if len(self._uses) > self._capacity:
            self._uses.popitem(last=False)

    def _is_old(self, use: Use[K]) -> bool:
        return self._now() - use.since >= self._max_age_seconds
