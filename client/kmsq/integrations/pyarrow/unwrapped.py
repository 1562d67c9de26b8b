"""Keys that the service has unwrapped, kept for a while, because a reader of Parquet asks for the same again."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never
from weakref import WeakSet

CACHE_ENTRIES = 10_000  # a single-wrapped file has one key for each column, and wants each once for every row group
CACHE_SECONDS = 300.0  # with pyarrow's own 600 s for key encryption keys: a quarter of an hour at most


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLimits:
    """How many keys are kept, and how long each one. Zero or less means that none is."""

    entries: int = CACHE_ENTRIES
    seconds: float = CACHE_SECONDS


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """What names a key that was unwrapped. None of it is secret."""

    master_key_identifier: str
    text: str
    """As `KmsClient.wrap_key` returned it."""


class UnwrappedKeys:
    """
    A cache for any number of threads. It cannot be printed or pickled.

    Keys leave it in the order in which they came. What is too old is never returned, and leaves memory at the next
    call: no thread waits for that moment.
    """

    def __init__(self, *, limits: CacheLimits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[WrappedKey, tuple[float, bytes]] = {}  # the oldest comes first
        _caches.add(self)

    def find(self, wrapped: WrappedKey) -> bytes | None:
        """Return the key, or None if it is not here any more."""
        with self._lock:
            self._drop_old()
            _until, key = self._keys.get(wrapped, (0.0, None))
            return key

    def keep(self, wrapped: WrappedKey, key: bytes) -> None:
        """Keep `key` from now on, and drop what is too much for that."""
        with self._lock:
            self._keys.pop(wrapped, None)  # so that it comes last
            self._keys[wrapped] = (self._now() + self._limits.seconds, key)
            self._drop_old()
            while len(self._keys) > max(0, self._limits.entries):
                del self._keys[next(iter(self._keys))]

    def forget(self) -> None:
        """Drop all keys."""
        with self._lock:
            self._keys.clear()

    def _unlock(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may have held it

    def _drop_old(self) -> None:
        now = self._now()
        while self._keys:
            oldest = next(iter(self._keys))
            if self._keys[oldest][0] > now:
                return
            del self._keys[oldest]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._keys)}>"

    def __reduce__(self) -> Never:
        message = f"{type(self).__name__} holds keys and is not pickled"
        raise TypeError(message)


_caches: WeakSet[UnwrappedKeys] = WeakSet()


def forget_keys() -> None:
    """Empty the caches of all clients. pyarrow has one of its own: `CryptoFactory.remove_cache_entries_for_…`."""
    for cache in list(_caches):
        cache.forget()


def _after_fork() -> None:
    for cache in list(_caches):
        cache._unlock()  # noqa: SLF001  this module is where fork is dealt with


os.register_at_fork(after_in_child=_after_fork)
