"""An audit log in memory, as an auditor reads it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

from fakes.database import MOMENT, Database
from kmsq_worker import audit
from kmsq_worker.audit import Chain, StoredRecord
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT
from kmsq_worker.store.auditor import Auditor
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, ChainRow, GrantRow, ImportedRow, KeyRow, MaterialRow

MONTH = date(2027, 1, 1)


@dataclass
class Log:
    """Chains and their records, the registry first; made as a worker would make them."""

    database: Database
    chains: dict[UUID, ChainRow] = field(default_factory=dict)
    records: dict[UUID, list[StoredRecord]] = field(default_factory=dict)
    months: set[date] = field(default_factory=lambda: {date(2027, 1, 1)})
    orphans: int = 0

    def __post_init__(self) -> None:
        """Begin as `kmsq-worker init` does."""
        wrote = {ACCOUNT_POLICY_SUBJECT: self.database.tables.account_policy.mac.hex()}
        first = audit.encode_record({"event": audit.INITIALISED, "epoch": 0, "wrote": wrote})
        self.append(uuid4(), audit.REGISTRY_LANE, [first])

    @property
    def registry(self) -> UUID:
        """The registry chain's id."""
        return next(iter(self.chains))

    def open(self, *records: bytes, lane: str = "admin") -> UUID:
        """Open a chain with these records; say so in the registry."""
        chain_id = uuid4()
        opened = audit.opening_record(chain_id=chain_id, lane=lane, month=MONTH, worker="worker")
        self.append(self.registry, audit.REGISTRY_LANE, [opened])
        self.append(chain_id, lane, records)
        return chain_id

    def append(self, chain_id: UUID, lane: str, records: Sequence[bytes]) -> None:
        """Append records to a chain, which begins with them if it is new."""
        domain_key = self.database.domain_key
        rows = self.records.setdefault(chain_id, [])
        chain = Chain.begin(domain_key=domain_key, chain_id=chain_id)
        if rows:
            chain = Chain(domain_key=domain_key, chain_id=chain_id, sequence=len(rows), mac=rows[-1].mac)
        for record in records:
            chain.advance(chain.extend([record]))
            rows.append(StoredRecord(chain.sequence, record, chain.mac))
        self.chains[chain_id] = ChainRow(
            chain_id=chain_id,
            lane=lane,
            month=None if lane == audit.REGISTRY_LANE else MONTH,
            domain_key_id=domain_key.id,
            opened_at=MOMENT,
            head_sequence=chain.sequence,
            head_mac=chain.mac,
            head_seal=chain.seal,
        )

    def drop_month(self) -> None:
        """Drop January's partition."""
        self.months.clear()
        for chain_id in self.chains.keys() - {self.registry}:
            self.records[chain_id] = []


class FakeAuditor(Auditor):
    """Reads the log and the tables, two rows at a time."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.in_snapshot = False

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Note that everything is read inside."""
        self.in_snapshot = True
        yield
        self.in_snapshot = False

    async def chains(self) -> Sequence[ChainRow]:
        """Return all chains."""
        if not self.in_snapshot:
            message = "heads and records must be of one moment"
            raise AssertionError(message)
        return list(self._log.chains.values())

    async def records(self, chain: ChainRow) -> AsyncGenerator[Sequence[StoredRecord]]:
        """Yield a chain's records."""
        rows = self._log.records[chain.chain_id]
        for start in range(0, len(rows), 2):
            yield rows[start : start + 2]

    async def orphaned_records(self) -> int:
        """Count records of no chain."""
        return self._log.orphans

    async def has_month(self, month: date) -> bool:
        """Tell whether a month is there."""
        return month in self._log.months

    async def keys(self) -> AsyncGenerator[Sequence[KeyRow]]:
        """Yield all keys."""
        for row in self._log.database.tables.keys.values():
            yield [row]

    async def materials(self, key_ids: Sequence[str]) -> Sequence[MaterialRow]:
        """Return all materials of these keys."""
        return [row for row in self._log.database.tables.materials.values() if row.key_id in key_ids]

    async def grants(self, key_ids: Sequence[str]) -> Sequence[GrantRow]:
        """Return all grants of these keys."""
        return [row for row in self._log.database.tables.grants.values() if row.key_id in key_ids]

    async def alias_names(self, key_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the names of the aliases of these keys."""
        return self._log.database.tables.alias_names(key_ids)

    async def imported(self, key_ids: Sequence[str]) -> Sequence[ImportedRow]:
        """Return what is said of the imported material of these keys."""
        return [row for row in self._log.database.tables.imported.values() if row.key_id in key_ids]

    async def aliases(self) -> AsyncGenerator[Sequence[AliasRow]]:
        """Yield all aliases."""
        for row in self._log.database.tables.aliases.values():
            yield [row]

    async def account_policy(self) -> AccountPolicyRow | None:
        """Return the account policy."""
        return self._log.database.tables.account_policy
