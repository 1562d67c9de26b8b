"""The cache of unwrapped keys: bounded by number and age, and silent about what it holds."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from kmsq.integrations.pyarrow.unwrapped import CacheLimits, UnwrappedKeys, WrappedKey

FORK_SECONDS = 20.0


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def wrapped(number: int) -> WrappedKey:
    return WrappedKey("alias/orders", f"wrapped {number}")


def key(number: int) -> bytes:
    return f"{number:016}".encode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_is_found_by_its_wrapped_form_and_its_master_key(clock: Clock) -> None:
    keys = UnwrappedKeys(limits=CacheLimits(), now=clock)
    keys.keep(wrapped(1), key(1))
    assert keys.find(wrapped(1)) == key(1)
    assert keys.find(WrappedKey("alias/other", wrapped(1).text)) is None
    assert keys.find(wrapped(2)) is None


def test_a_key_is_kept_for_its_time_from_when_it_came_and_then_leaves_memory(clock: Clock) -> None:
    keys = UnwrappedKeys(limits=CacheLimits(seconds=300), now=clock)
    keys.keep(wrapped(1), key(1))
    clock.seconds += 200
    keys.keep(wrapped(2), key(2))
    clock.seconds += 99
    assert keys.find(wrapped(1)) == key(1)  # being used does not make it younger
    clock.seconds += 1
    assert keys.find(wrapped(2)) == key(2)
    assert list(keys._keys) == [wrapped(2)]
    assert keys.find(wrapped(1)) is None


def test_a_key_that_comes_again_starts_again(clock: Clock) -> None:
    keys = UnwrappedKeys(limits=CacheLimits(entries=2, seconds=300), now=clock)
    keys.keep(wrapped(1), key(1))
    clock.seconds += 299
    keys.keep(wrapped(2), key(2))
    keys.keep(wrapped(1), key(1))
    clock.seconds += 299
    keys.keep(wrapped(3), key(3))
    assert list(keys._keys) == [wrapped(1), wrapped(3)]


def test_the_oldest_leaves_when_there_are_too_many(clock: Clock) -> None:
    keys = UnwrappedKeys(limits=CacheLimits(entries=3), now=clock)
    for number in range(5):
        keys.keep(wrapped(number), key(number))
    assert [number for number in range(5) if keys.find(wrapped(number))] == [2, 3, 4]


@pytest.mark.parametrize("limits", [CacheLimits(entries=0), CacheLimits(entries=-1), CacheLimits(seconds=0)])
def test_a_limit_of_zero_or_less_keeps_nothing(limits: CacheLimits) -> None:
    keys = UnwrappedKeys(limits=limits)
    keys.keep(wrapped(1), key(1))
    assert len(keys._keys) == 0
    assert keys.find(wrapped(1)) is None


def test_forgetting_empties_it() -> None:
    keys = UnwrappedKeys(limits=CacheLimits())
    keys.keep(wrapped(1), key(1))
    keys.forget()
    assert keys.find(wrapped(1)) is None


def test_it_shows_no_key_and_is_not_pickled() -> None:
    keys = UnwrappedKeys(limits=CacheLimits())
    keys.keep(wrapped(1), key(1))
    assert repr(keys) == "<UnwrappedKeys: 1>"
    with pytest.raises(TypeError, match="holds keys"):
        pickle.dumps(keys)


def test_threads_may_use_it_at_once() -> None:
    keys = UnwrappedKeys(limits=CacheLimits(entries=7))

    def use(number: int) -> bool:
        keys.keep(wrapped(number % 20), key(number % 20))
        return keys.find(wrapped(number % 20)) in (key(number % 20), None)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(4000)))
    assert len(keys._keys) == 7


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # of Python 3.12 on: it is what we test
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent() -> None:
    keys = UnwrappedKeys(limits=CacheLimits())
    keys.keep(wrapped(1), key(1))
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    with keys._lock:  # as if another thread were in the middle of it
        process = context.Process(target=lambda: send.send(keys.find(wrapped(1))), daemon=True)
        process.start()
    assert receive.poll(FORK_SECONDS)
    assert receive.recv() == key(1)
    process.join(FORK_SECONDS)
    assert process.exitcode == 0
