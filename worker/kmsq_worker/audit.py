"""
The audit log's chains: what is chained, how, and how a chain is checked. Pure.

A chain is a sequence of records, each stored as the exact bytes that were authenticated:

    mac 0     = HMAC(audit subkey, 00 ‖ chain id)
    mac n     = HMAC(audit subkey, 01 ‖ mac n-1 ‖ record n)
    head seal = HMAC(audit subkey, 02 ‖ chain id ‖ n (8 bytes) ‖ mac n)

The seal makes a shortened chain visible: whoever cuts records off cannot seal an earlier head. Opening a chain is a
record in the registry chain, so that whole chains cannot vanish either.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pydantic_core

from kmsq_worker.wrapping import DomainKey

REGISTRY_LANE = "registry"
RECORD_VERSION = 1
CHAIN_OPENED = "ChainOpened"
SESSION_BEGAN = "SessionBegan"
INITIALISED = "Initialised"

_GENESIS, _LINK, _HEAD = b"\x00", b"\x01", b"\x02"


def encode_record(facts: Mapping[str, object]) -> bytes:
    """Encode the facts of a record as the bytes that are chained and stored: compact JSON, in the order given."""
    return pydantic_core.to_json({"v": RECORD_VERSION, **facts})


def opening_record(*, chain_id: UUID, lane: str, month: date, worker: str) -> bytes:
    """Encode, for the registry, that a chain was opened: `month` says with which partition it may be dropped."""
    return encode_record(
        {"event": CHAIN_OPENED, "chain": str(chain_id), "lane": lane, "month": month.isoformat(), "worker": worker}
    )


def genesis_mac(domain_key: DomainKey, chain_id: UUID) -> bytes:
    """Return mac 0 of a chain, 32 bytes."""
    return domain_key.audit_mac(_GENESIS + chain_id.bytes)


def link_mac(domain_key: DomainKey, previous: bytes, record: bytes) -> bytes:
    """Return the mac that links `record` behind the record whose mac is `previous`, 32 bytes."""
    return domain_key.audit_mac(_LINK + previous + record)


def head_seal(domain_key: DomainKey, chain_id: UUID, sequence: int, mac: bytes) -> bytes:
    """Return the seal of a chain that ends with record `sequence`, 32 bytes."""
    return domain_key.audit_mac(_HEAD + chain_id.bytes + sequence.to_bytes(8, "big") + mac)


@dataclass(frozen=True, slots=True)
class Extension:
    """Records on their way into a chain: what the commit needs to link them."""

    chain_id: UUID
    expected_sequence: int
    expected_mac: bytes
    records: Sequence[bytes]
    macs: Sequence[bytes]
    seal: bytes


class Chain:
    """
    The head of a chain in its only writer's memory.

    `extend` computes, `advance` moves the head once the extension is known to be committed. When that is not known
    (a connection lost during the commit), the chain is given up and its writer opens another: the database's
    compare-and-set on the head decides alone what the old one contains.
    """

    def __init__(self, *, domain_key: DomainKey, chain_id: UUID, sequence: int, mac: bytes) -> None:
        self._domain_key = domain_key
        self.chain_id = chain_id
        self.sequence = sequence
        self.mac = mac

    @classmethod
    def begin(cls, *, domain_key: DomainKey, chain_id: UUID) -> "Chain":
        """Return a new, empty chain."""
        return cls(domain_key=domain_key, chain_id=chain_id, sequence=0, mac=genesis_mac(domain_key, chain_id))

    @property
    def domain_key_id(self) -> UUID:
        """The domain key under whose audit subkey the chain is made."""
        return self._domain_key.id

    @property
    def seal(self) -> bytes:
        """The seal of the head as it is."""
        return head_seal(self._domain_key, self.chain_id, self.sequence, self.mac)

    def extend(self, records: Sequence[bytes]) -> Extension:
        """Link `records` (at least one) behind the head, without moving it."""
        macs: list[bytes] = []
        mac = self.mac
        for record in records:
            mac = link_mac(self._domain_key, mac, record)
            macs.append(mac)
        seal = head_seal(self._domain_key, self.chain_id, self.sequence + len(records), mac)
        return Extension(self.chain_id, self.sequence, self.mac, records, macs, seal)

    def advance(self, extension: Extension) -> None:
        """Move the head behind a committed extension."""
        self.sequence = extension.expected_sequence + len(extension.records)
        self.mac = extension.macs[-1]


class ChainBroken(Exception):
    """A chain does not verify; the message names chain, sequence and what is wrong, never a record's content."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A row of kmsq.audit_records."""

    sequence: int
    record: bytes
    mac: bytes


class ChainVerifier:
    """Checks one chain, record by record in order, then its head. Constant memory."""

    def __init__(self, *, domain_key: DomainKey, chain_id: UUID) -> None:
        self._domain_key = domain_key
        self._chain_id = chain_id
        self._mac = genesis_mac(domain_key, chain_id)
        self.sequence = 0

    def feed(self, stored: Iterable[StoredRecord]) -> None:
        """Check the next records. Raises `ChainBroken`."""
        for row in stored:
            if row.sequence != self.sequence + 1:
                self._fail(f"record {self.sequence + 1} is missing (found {row.sequence})")
            if link_mac(self._domain_key, self._mac, row.record) != row.mac:
                self._fail(f"record {row.sequence} was altered, moved or replaced")
            self.sequence, self._mac = row.sequence, row.mac

    def finish(self, *, head_sequence: int, head_mac: bytes, seal: bytes) -> None:
        """Check the head after the last record. Raises `ChainBroken`."""
        if head_sequence != self.sequence:
            self._fail(f"the head says {head_sequence} records, {self.sequence} are there")
        if head_mac != self._mac or seal != head_seal(self._domain_key, self._chain_id, self.sequence, self._mac):
            self._fail(f"the head at {head_sequence} is not sealed by this service: records were cut off")

    def _fail(self, what: str) -> None:
        message = f"chain {self._chain_id}: {what}"
        raise ChainBroken(message)
