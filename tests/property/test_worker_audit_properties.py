"""Whatever is done to a chain without its key is found out."""

import json
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kmsq_worker.audit import Chain, ChainBroken, ChainVerifier, StoredRecord, encode_record
from kmsq_worker.wrapping import DomainKey

DOMAIN_KEY = DomainKey.generate()
CHAIN = UUID(int=1)
TURNS = st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=4), max_size=6)


class Stored(NamedTuple):
    """A chain as the database holds it."""

    rows: tuple[StoredRecord, ...]
    head_sequence: int
    head_mac: bytes
    seal: bytes


def build(turns: list[list[bytes]], chain_id: UUID = CHAIN, domain_key: DomainKey = DOMAIN_KEY) -> Stored:
    chain = Chain.begin(domain_key=domain_key, chain_id=chain_id)
    rows: list[StoredRecord] = []
    for turn in turns:
        extension = chain.extend(turn)
        numbered = enumerate(zip(extension.records, extension.macs, strict=True), start=extension.expected_sequence + 1)
        rows += [StoredRecord(number, record, mac) for number, (record, mac) in numbered]
        chain.advance(extension)
    return Stored(tuple(rows), chain.sequence, chain.mac, chain.seal)


def verify(stored: Stored, chain_id: UUID = CHAIN) -> None:
    verifier = ChainVerifier(domain_key=DOMAIN_KEY, chain_id=chain_id)
    verifier.feed(stored.rows)
    verifier.finish(head_sequence=stored.head_sequence, head_mac=stored.head_mac, seal=stored.seal)


def flipped(data: bytes, bit: int) -> bytes:
    """Flip a bit; a byte more for what has none."""
    if not data:
        return b"\x00"
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@given(turns=TURNS)
def test_what_was_appended_verifies_however_it_was_grouped(turns: list[list[bytes]]) -> None:
    stored = build(turns)
    verify(stored)
    assert build([[record] for turn in turns for record in turn]) == stored


def tampered_rows(draw: st.DrawFn, rows: list[StoredRecord], spare: list[StoredRecord]) -> list[StoredRecord]:
    """Edit, drop, move, insert or cut off rows, of this chain or another."""
    if not rows:
        return [draw(st.sampled_from(spare))] if spare else []
    where, there = (draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    row, bit = rows[where], draw(st.integers(0, 8 * 40))
    match draw(st.sampled_from(["edit", "mac", "drop", "swap", "insert", "cut"])):
        case "edit":
            rows[where] = replace(row, record=flipped(row.record, bit))
        case "mac":
            rows[where] = replace(row, mac=flipped(row.mac, bit))
        case "drop":
            del rows[where]
        case "swap":
            rows[where], rows[there] = rows[there], row
        case "insert":
            rows.insert(where, draw(st.sampled_from(spare)))
        case "cut":
            del rows[where:]
    return rows


@st.composite
def tampering(draw: st.DrawFn, stored: Stored, other: Stored) -> Stored:
    """Do to a chain what somebody with the database, but without the domain key, can do; cover the tracks, or not."""
    rows = list(stored.rows)
    for _ in range(draw(st.integers(0, 3))):
        rows = tampered_rows(draw, rows, [*stored.rows, *other.rows])
    if draw(st.booleans()):
        rows = [replace(row, sequence=number) for number, row in enumerate(rows, start=1)]
    sequences = st.sampled_from([stored.head_sequence, len(rows)]) | st.integers(0, 30)
    macs = [stored.head_mac, other.head_mac, flipped(stored.head_mac, 7), *(row.mac for row in rows[-1:])]
    seals = [stored.seal, other.seal, flipped(stored.seal, 100)]
    return Stored(tuple(rows), draw(sequences), draw(st.sampled_from(macs)), draw(st.sampled_from(seals)))


@given(data=st.data(), turns=TURNS, others=TURNS)
def test_any_tampering_is_detected(data: st.DataObject, turns: list[list[bytes]], others: list[list[bytes]]) -> None:
    stored = build(turns)
    foreign = data.draw(st.sampled_from([(UUID(int=2), DOMAIN_KEY), (CHAIN, DomainKey.generate())]))
    tampered = data.draw(tampering(stored, build(others, *foreign)))
    assume(tampered != stored)
    with pytest.raises(ChainBroken):
        verify(tampered)


@given(turns=TURNS)
def test_a_chain_verifies_under_its_own_id_alone(turns: list[list[bytes]]) -> None:
    with pytest.raises(ChainBroken):
        verify(build(turns), chain_id=UUID(int=2))


@given(turns=TURNS.filter(bool), keep=st.integers(0, 30))
def test_an_earlier_state_of_the_rows_is_not_the_chain_s(turns: list[list[bytes]], keep: int) -> None:
    """Rows and head's MAC rolled back together: only the seal, which is newer, gives it away."""
    stored = build(turns)
    rows = stored.rows[: keep % len(stored.rows)]
    empty = build([])
    rolled_back = Stored(rows, len(rows), rows[-1].mac if rows else empty.head_mac, stored.seal)
    with pytest.raises(ChainBroken, match="cut off"):
        verify(rolled_back)


FACTS = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20) | st.lists(st.text(max_size=5)),
    max_size=6,
)


@given(facts=FACTS)
def test_a_record_reads_back_as_its_facts_and_stays_the_same_bytes(facts: dict[str, object]) -> None:
    record = encode_record(facts)
    assert json.loads(record) == {"v": 1, **facts}
    assert encode_record(facts) == record
    assert b"\n" not in record
