"""
`kmsq-worker audit verify`: whether the audit log is complete and unaltered, and the rows are what it says.

    1  the registry chain, which names every chain that was ever opened
    2  each chain, record by record, and its head
    3  no chain missing, none that the registry does not know, no record without a chain
    4  each key, alias and the account policy: its MAC is right, and is the one that the last audited change wrote;
       each key has all its materials, they unwrap, and none is back that was destroyed

What no worker can notice by itself, rows rolled back to an older state while nobody was looking, shows in step 4; also
when a later change took them for the truth and signed them anew.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from kmsq_schemas.models.enums import ImportState
from kmsq_worker import audit
from kmsq_worker.audit import ChainBroken, ChainVerifier, StoredRecord
from kmsq_worker.custody import (
    ACCOUNT_POLICY_SUBJECT,
    Custody,
    Row,
    Tampered,
    alias_subject,
    imported_subject,
    key_subject,
)
from kmsq_worker.store.auditor import Auditor
from kmsq_worker.store.rows import AliasRow, ChainRow, GrantRow, ImportedRow, KeyRow
from kmsq_worker.wrapping import DomainKey

PROBLEMS_MAX = 1_000  # a report, not a second audit log


class Progress(Protocol):
    """Hears how far the verification is."""

    def __call__(self, chain: int, chains: int, records: int) -> None:
        """Note that `records` were checked, in `chain` of `chains`."""


@dataclass(slots=True)
class Report:
    """What was found. Sound if `problems` is empty."""

    chains: int = 0
    records: int = 0
    rows: int = 0
    dropped_months: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Note a problem."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


class Verification:
    """One run. Raises `Unavailable` when the database is lost on the way."""

    def __init__(self, *, auditor: Auditor, custody: Custody, progress: Progress) -> None:
        self._auditor = auditor
        self._custody = custody
        self._progress = progress
        self._report = Report()
        self._opened: dict[str, date] = {}
        """The month of each chain that was ever opened."""
        self._written: dict[str, tuple[int, str | None]] = {}
        """Of each subject: the epoch and the MAC of the last audited write."""
        self._unread: dict[str, int] = {}
        """Of each key: the sum of the epochs that wrote it, less that of the revisions that those changes had read."""
        self._found: set[str] = set()
        """The subjects whose rows are there."""

    async def run(self) -> Report:
        """Verify everything, as it is now."""
        async with self._auditor.snapshot():
            return await self._verify()

    async def _verify(self) -> Report:
        chains = await self._auditor.chains()
        known = {str(chain.chain_id) for chain in chains if chain.lane != audit.REGISTRY_LANE}
        if not any(chain.lane == audit.REGISTRY_LANE for chain in chains):
            self._report.add("the registry chain is missing")
        for number, chain in enumerate(chains, start=1):  # (1)(2): the registry comes first
            self._progress(number, len(chains), self._report.records)
            await self._chain(chain)
        for missing in sorted(self._opened.keys() - known):  # (3)
            self._report.add(f"chain {missing}: it was opened and is gone")
        for unknown in sorted(known - self._opened.keys()):
            self._report.add(f"chain {unknown}: the registry does not know it")
        orphans = await self._auditor.orphaned_records()
        if orphans:
            self._report.add(f"{orphans} records belong to no chain")
        await self._rows()  # (4)
        return self._report

    async def _chain(self, chain: ChainRow) -> None:
        self._report.chains += 1
        try:
            domain_key = self._custody.domain_key(chain.domain_key_id)
            verifier = ChainVerifier(domain_key=domain_key, chain_id=chain.chain_id)
            async for batch in self._auditor.records(chain):
                for stored in batch:  # one by one: what stands before the first bad record is believed
                    verifier.feed((stored,))
                    self._report.records += 1
                    self._learn(stored)
            if verifier.sequence == 0 and await self._is_dropped(chain, domain_key):
                return
            verifier.finish(head_sequence=chain.head_sequence, head_mac=chain.head_mac, seal=chain.head_seal)
        except (ChainBroken, Tampered) as error:
            self._report.add(str(error))

    def _learn(self, stored: StoredRecord) -> None:
        record = json.loads(stored.record)
        if record.get("event") == audit.CHAIN_OPENED:
            self._opened[record["chain"]] = date.fromisoformat(record["month"])
        wrote: Mapping[str, str | None] = record.get("wrote", {})
        read = dict(zip(map(key_subject, record.get("keys", ())), record.get("revisions", ()), strict=False))
        for subject, mac in wrote.items():
            epoch = record["epoch"]
            if subject not in self._written or self._written[subject][0] <= epoch:
                self._written[subject] = epoch, mac
            self._unread[subject] = self._unread.get(subject, 0) + epoch - read.get(subject, 0)

    async def _is_dropped(self, chain: ChainRow, domain_key: DomainKey) -> bool:
        """Tell whether an operator dropped the chain's whole month, by what is authenticated; the report says so."""
        month = self._opened.get(str(chain.chain_id))
        if chain.head_sequence == 0 or month is None or await self._auditor.has_month(month):
            return False
        if chain.head_seal != audit.head_seal(domain_key, chain.chain_id, chain.head_sequence, chain.head_mac):
            return False
        self._report.dropped_months.add(f"{month:%Y-%m}")
        return True

    async def _rows(self) -> None:
        found = self._found
        async for batch in self._batches():
            await self._custody.fetch_missing(batch)
            for row in batch:
                subject = _subject(row)
                found.add(subject)
                self._report.rows += 1
                self._row(row, subject)
        for subject, (epoch, mac) in sorted(self._written.items()):
            if mac is not None and subject not in found:
                self._report.add(f"{subject}: its row is gone")
            if subject.startswith(key_subject("")) and not self._is_followed(subject, epoch):
                self._report.add(f"{subject}: a change was made of an older row than the newest (rolled back?)")

    def _is_followed(self, subject: str, last: int) -> bool:
        """
        Tell whether each change of a key read what the one before had written, so that only the last is unread.

        A change that read an older row makes the sum larger for good: it leaves unread what is newer than what it read.
        """
        return self._unread[subject] == last or bool(self._report.dropped_months)

    def _row(self, row: Row, subject: str) -> None:
        try:
            if not isinstance(row, KeyRow):  # a key was opened with what belongs to it
                self._custody.verify(row, subject)
        except Tampered as error:
            self._report.add(str(error))
            return
        written = self._written.get(subject)
        if written is None and not self._report.dropped_months:
            self._report.add(f"{subject}: no audited change wrote it")
        elif written is not None and written[1] != row.mac.hex():
            self._report.add(f"{subject}: it is not what the last audited change wrote (rolled back?)")

    async def _keys(self, keys: Sequence[KeyRow]) -> Sequence[KeyRow]:
        """Return those whose rows, with their grants and aliases, are authentic; the others are reported."""
        key_ids = [key.key_id for key in keys]
        alias_names = await self._auditor.alias_names(key_ids)
        grants: dict[str, list[GrantRow]] = {}
        for grant in await self._auditor.grants(key_ids):
            grants.setdefault(grant.key_id, []).append(grant)
        await self._custody.fetch_missing([*keys, *(grant for granted in grants.values() for grant in granted)])
        sound = []
        for key in keys:
            try:
                self._custody.open_key(key, grants.get(key.key_id, ()), alias_names.get(key.key_id, ()))
                sound.append(key)
            except Tampered as error:
                self._found.add(error.subject)
                self._report.add(str(error))
        return sound

    async def _materials(self, keys: Sequence[KeyRow], imported: Sequence[ImportedRow]) -> None:
        key_ids = [key.key_id for key in keys]
        materials = {(row.key_id, row.material_number): row for row in await self._auditor.materials(key_ids)}
        awaited = {
            (row.key_id, row.material_number) for row in imported if row.import_state == ImportState.PENDING_IMPORT
        }
        await self._custody.fetch_missing(materials.values())
        for key in keys:
            for number in range(1, key.current_material + 1):
                if (key.key_id, number) not in materials:
                    self._report.add(f"{key_subject(key.key_id)}: material {number} is gone")
        by_id = {key.key_id: key for key in keys}
        for place, material in materials.items():
            if place in awaited:
                if material.wrapped is not None:
                    self._report.add(f"{key_subject(material.key_id)}: material {place[1]} was destroyed and is back")
                continue
            try:
                self._custody.unwrap(material, by_id[material.key_id])
            except Tampered as error:
                self._report.add(str(error))

    async def _batches(self) -> AsyncGenerator[list[Row]]:
        async for keys in self._auditor.keys():
            yield list(await self._keys(keys))
            imported = await self._auditor.imported([key.key_id for key in keys])
            yield list(imported)
            await self._materials(keys, imported)
        async for aliases in self._auditor.aliases():
            yield list(aliases)
        policy = await self._auditor.account_policy()
        yield [] if policy is None else [policy]


def _subject(row: Row) -> str:
    if isinstance(row, KeyRow):
        return key_subject(row.key_id)
    if isinstance(row, ImportedRow):
        return imported_subject(row)
    return alias_subject(row.alias_name) if isinstance(row, AliasRow) else ACCOUNT_POLICY_SUBJECT
