"""What domain keys promise beyond their vectors."""

import pickle
import uuid
from dataclasses import replace

import pytest

from kmsq_worker.rowmac import RowMacMismatch, mac_domain_key
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import Binding, DomainKey, UnwrapError, wrapped_by

PLACE = Binding(str(uuid.uuid4()), 1, "SYMMETRIC_DEFAULT", "AWS_KMS", "key-material")
ROW = {"key_id": PLACE.key_id, "state": "Enabled", "revision": 7}


@pytest.fixture
def domain_key() -> DomainKey:
    return DomainKey.generate()


@pytest.mark.parametrize("length", [1, 32, 138, 4896])
def test_material_of_any_length_comes_back(domain_key: DomainKey, length: int) -> None:
    material = Secret.random(length)
    wrapped = domain_key.wrap(material, PLACE)
    assert len(wrapped) == length + 45
    assert wrapped_by(wrapped) == domain_key.id
    assert domain_key.unwrap(wrapped, PLACE).reveal() == material.reveal()


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, key_id=str(uuid.uuid4())),
        replace(PLACE, material_number=2),
        replace(PLACE, key_spec="HMAC_256"),
        replace(PLACE, origin="EXTERNAL"),
        replace(PLACE, purpose="private-key"),
    ],
    ids=["key_id", "material_number", "key_spec", "origin", "purpose"],
)
def test_a_moved_value_does_not_unwrap(domain_key: DomainKey, elsewhere: Binding) -> None:
    wrapped = domain_key.wrap(Secret.random(32), PLACE)
    with pytest.raises(UnwrapError, match="not authentic at this place"):
        domain_key.unwrap(wrapped, elsewhere)


def test_every_bit_of_a_wrapped_value_counts(domain_key: DomainKey) -> None:
    wrapped = domain_key.wrap(Secret.random(32), PLACE)
    for bit in range(8 * len(wrapped)):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnwrapError):
            domain_key.unwrap(bytes(changed), PLACE)


def test_another_domain_key_does_not_unwrap_even_under_the_same_id(domain_key: DomainKey) -> None:
    wrapped = domain_key.wrap(Secret.random(32), PLACE)
    with pytest.raises(UnwrapError, match="another domain key"):
        DomainKey.generate().unwrap(wrapped, PLACE)
    with pytest.raises(UnwrapError, match="not authentic"):
        DomainKey(domain_key.id, Secret.random(32)).unwrap(wrapped, PLACE)
    with pytest.raises(UnwrapError, match="another domain key"):
        DomainKey(uuid.uuid4(), domain_key.key).unwrap(wrapped, PLACE)


@pytest.mark.parametrize("wrapped", [b"", b"\x01", bytes(46), b"\x01" + bytes(44), b"\x02" + bytes(45)])
def test_what_is_no_wrapped_value_names_no_domain_key(wrapped: bytes) -> None:
    with pytest.raises(UnwrapError, match="not a wrapped value"):
        wrapped_by(wrapped)


def test_wrapping_never_repeats_an_iv(domain_key: DomainKey) -> None:
    material = Secret.random(32)
    assert len({domain_key.wrap(material, PLACE)[17:29] for _ in range(2_000)}) == 2_000


def test_a_domain_key_has_32_bytes_and_a_binding_numbers_of_32_bits(domain_key: DomainKey) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DomainKey(uuid.uuid4(), Secret.random(16))
    with pytest.raises(OverflowError):
        domain_key.wrap(Secret.random(32), replace(PLACE, material_number=2**32))


def test_a_domain_key_shows_its_id_and_cannot_be_pickled(domain_key: DomainKey) -> None:
    assert repr(domain_key) == f"<DomainKey {domain_key.id}>"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(domain_key)


def test_a_row_mac_names_its_domain_key_and_verifies(domain_key: DomainKey) -> None:
    mac = domain_key.row_mac("keys", ROW)
    assert len(mac) == 48
    assert mac_domain_key(mac) == domain_key.id
    domain_key.verify_row_mac(mac, "keys", dict(reversed(ROW.items())))


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("aliases", ROW),
        ("keys", {**ROW, "state": "Disabled"}),
        ("keys", {**ROW, "revision": 8}),
        ("keys", {**ROW, "revision": "7"}),
        ("keys", {**ROW, "revision": None}),
        ("keys", {**ROW, "more": None}),
        ("keys", {"key_id": PLACE.key_id, "state": "Enabled"}),
    ],
)
def test_an_edited_row_does_not_verify(domain_key: DomainKey, table: str, columns: dict[str, object]) -> None:
    with pytest.raises(RowMacMismatch):
        domain_key.verify_row_mac(domain_key.row_mac("keys", ROW), table, columns)


def test_a_mac_of_another_domain_key_or_another_length_does_not_verify(domain_key: DomainKey) -> None:
    mac = domain_key.row_mac("keys", ROW)
    for wrong in (DomainKey.generate().row_mac("keys", ROW), b"", mac[:-1], mac + b"\x00", mac[16:]):
        with pytest.raises(RowMacMismatch):
            domain_key.verify_row_mac(wrong, "keys", ROW)
    for malformed in (b"", mac[:-1], mac + b"\x00"):
        with pytest.raises(RowMacMismatch):
            mac_domain_key(malformed)


def test_the_same_data_has_another_mac_for_each_purpose(domain_key: DomainKey) -> None:
    macs = {domain_key.audit_mac(b"x"), domain_key.token_mac(b"x"), domain_key.idempotency_mac(b"x")}
    assert len(macs) == 3
    assert {len(mac) for mac in macs} == {32}
