"""The root key itself."""

import pickle
from uuid import uuid4

import pytest

from kmsq_worker.rootkey import RootKey, RootKeyError
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret


@pytest.fixture
def root_key() -> MemoryRootKey:
    return MemoryRootKey(Secret.random(32))


def test_it_is_a_root_key(root_key: MemoryRootKey) -> None:
    provider: RootKey = root_key
    domain_key, domain_key_id = Secret.random(32), uuid4()
    wrapped = provider.wrap(domain_key, domain_key_id)
    assert len(wrapped) == 77
    assert provider.unwrap(wrapped, domain_key_id).reveal() == domain_key.reveal()


def test_its_id_follows_from_the_key_and_is_all_it_shows() -> None:
    key = Secret.random(32)
    root_key = MemoryRootKey(key)
    assert root_key.id == MemoryRootKey(key).id != MemoryRootKey(Secret.random(32)).id
    assert len(root_key.id) == 32
    assert repr(root_key) == f"<MemoryRootKey {root_key.id}>"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(root_key)


def test_another_root_key_says_which_one_is_needed(root_key: MemoryRootKey) -> None:
    domain_key_id = uuid4()
    wrapped = root_key.wrap(Secret.random(32), domain_key_id)
    other = MemoryRootKey(Secret.random(32))
    with pytest.raises(RootKeyError, match=f"needs root key {root_key.id}; this one is {other.id}"):
        other.unwrap(wrapped, domain_key_id)


def test_a_domain_key_moved_to_another_id_does_not_unwrap(root_key: MemoryRootKey) -> None:
    wrapped = root_key.wrap(Secret.random(32), uuid4())
    with pytest.raises(RootKeyError, match="altered or moved"):
        root_key.unwrap(wrapped, uuid4())


def test_every_bit_counts(root_key: MemoryRootKey) -> None:
    domain_key_id = uuid4()
    wrapped = root_key.wrap(Secret.random(32), domain_key_id)
    for bit in range(8 * len(wrapped)):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RootKeyError):
            root_key.unwrap(bytes(changed), domain_key_id)


def test_only_32_bytes_are_taken_and_only_77_come_back(root_key: MemoryRootKey) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MemoryRootKey(Secret.random(16))
    with pytest.raises(ValueError, match="32 bytes"):
        root_key.wrap(Secret.random(33), uuid4())
    for wrapped in (b"", bytes(77), b"\x01" + bytes(75), b"\x01" + bytes(77)):
        with pytest.raises(RootKeyError):
            root_key.unwrap(wrapped, uuid4())
