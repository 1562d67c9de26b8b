"""The audit chain's bytes, and each way of tampering by name. Any tampering whatsoever is a property test."""

import hmac
import json
from uuid import UUID, uuid4

import pytest

from kmsq_worker import kdf
from kmsq_worker.audit import Chain, ChainBroken, ChainVerifier, StoredRecord, encode_record, genesis_mac
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import DomainKey

CHAIN = UUID(int=1)


@pytest.fixture
def domain_key() -> DomainKey:
    return DomainKey(UUID(int=7), Secret(bytes(32)))


def stored(chain: Chain, *records: bytes) -> list[StoredRecord]:
    """Append records one turn at a time; return them as the database would hold them."""
    rows = []
    for record in records:
        extension = chain.extend([record])
        chain.advance(extension)
        rows.append(StoredRecord(chain.sequence, record, chain.mac))
    return rows


def verify(domain_key: DomainKey, rows: list[StoredRecord], head: Chain, chain_id: UUID = CHAIN) -> None:
    verifier = ChainVerifier(domain_key=domain_key, chain_id=chain_id)
    verifier.feed(rows)
    verifier.finish(head_sequence=head.sequence, head_mac=head.mac, seal=head.seal)


def test_a_record_is_compact_json_in_the_order_given() -> None:
    record = encode_record({"b": 1, "a": ["ü", None], "c": {"z": True, "y": 2**63}})
    assert record == '{"v":1,"b":1,"a":["ü",null],"c":{"z":true,"y":9223372036854775808}}'.encode()


def test_the_macs_are_what_the_module_says(domain_key: DomainKey) -> None:
    """Computed here by hand: a change of the format must not pass unnoticed."""
    key = kdf.derive(bytes(32), b"kmsq/v1/audit", domain_key.id.bytes, 32)
    genesis = hmac.digest(key, b"\x00" + CHAIN.bytes, "sha256")
    first = hmac.digest(key, b"\x01" + genesis + b"one", "sha256")
    second = hmac.digest(key, b"\x01" + first + b"two", "sha256")
    seal = hmac.digest(key, b"\x02" + CHAIN.bytes + b"\x00\x00\x00\x00\x00\x00\x00\x02" + second, "sha256")
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    assert chain.mac == genesis == genesis_mac(domain_key, CHAIN)
    extension = chain.extend([b"one", b"two"])
    assert list(extension.macs) == [first, second]
    assert extension.seal == seal
    assert (extension.chain_id, extension.expected_sequence, extension.expected_mac) == (CHAIN, 0, genesis)


def test_extending_does_not_move_the_head_and_advancing_does(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    before = chain.mac
    extension = chain.extend([b"one", b"two"])
    assert (chain.sequence, chain.mac) == (0, before)
    assert chain.extend([b"other"]).expected_sequence == 0
    chain.advance(extension)
    assert (chain.sequence, chain.mac, chain.seal) == (2, extension.macs[1], extension.seal)


def test_chains_of_one_key_begin_differently(domain_key: DomainKey) -> None:
    assert genesis_mac(domain_key, CHAIN) != genesis_mac(domain_key, UUID(int=2))
    assert genesis_mac(domain_key, CHAIN) != genesis_mac(DomainKey.generate(), CHAIN)
    assert Chain.begin(domain_key=domain_key, chain_id=CHAIN).domain_key_id == domain_key.id


def test_a_chain_of_another_id_does_not_verify_as_this_one(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=uuid4())
    with pytest.raises(ChainBroken, match="record 1 was altered, moved or replaced"):
        verify(domain_key, stored(chain, b"one"), chain)
    with pytest.raises(ChainBroken, match="cut off"):
        verify(domain_key, [], Chain.begin(domain_key=domain_key, chain_id=uuid4()))


def test_an_empty_chain_and_a_whole_one_verify(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    verify(domain_key, [], chain)
    rows = stored(chain, b"one", b"two", b"three")
    verify(domain_key, rows, chain)


def test_a_chain_is_verified_in_batches_of_any_size(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    rows = stored(chain, b"one", b"two", b"three")
    verifier = ChainVerifier(domain_key=domain_key, chain_id=CHAIN)
    for batch in (rows[:1], [], rows[1:]):
        verifier.feed(batch)
    verifier.finish(head_sequence=3, head_mac=chain.mac, seal=chain.seal)


def test_each_way_of_tampering_is_named(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    one, two, three = rows = stored(chain, b"one", b"two", b"three")
    edited = StoredRecord(2, b"TWO", two.mac)
    renumbered = StoredRecord(2, three.record, three.mac)
    for tampered, what in (
        ([two, three], "record 1 is missing"),
        ([one, three], "record 2 is missing"),
        ([one, one, two, three], "record 2 is missing"),
        ([two, one, three], "record 1 is missing"),
        ([one, edited, three], "record 2 was altered"),
        ([one, renumbered], "record 2 was altered"),
        ([one, two], "the head says 3 records, 2 are there"),
        ([], "the head says 3 records, 0 are there"),
    ):
        with pytest.raises(ChainBroken, match=what):
            verify(domain_key, tampered, chain)
    verify(domain_key, rows, chain)


def test_a_chain_cut_off_with_its_head_moved_back_is_not_sealed(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    rows = stored(chain, b"one", b"two", b"three")
    verifier = ChainVerifier(domain_key=domain_key, chain_id=CHAIN)
    verifier.feed(rows[:2])
    with pytest.raises(ChainBroken, match="records were cut off"):
        verifier.finish(head_sequence=2, head_mac=rows[1].mac, seal=chain.seal)


def test_what_is_said_of_a_broken_chain_never_quotes_a_record(domain_key: DomainKey) -> None:
    chain = Chain.begin(domain_key=domain_key, chain_id=CHAIN)
    canary = encode_record({"canary": "canary-2718281828"})
    rows = stored(chain, canary, canary)
    rows[1] = StoredRecord(2, json.dumps({"canary": "canary-2718281828"}).encode(), rows[1].mac)
    with pytest.raises(ChainBroken) as caught:
        verify(domain_key, rows, chain)
    assert str(CHAIN) in str(caught.value)
    assert "canary" not in str(caught.value)
