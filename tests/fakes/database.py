"""A database in memory: what the worker's store would read and write, row by row, without its locks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from fakes.material import fresh_material
from fakes.stored import Tables
from kmsq_schemas.models.enums import ExpirationModel, ImportState, KeySpec, KeyState, KeyUsage, Origin, RotationType
from kmsq_worker import aliased, envelope, granted
from kmsq_worker.arn import Account
from kmsq_worker.custody import (
    ACCOUNT_POLICY_SUBJECT,
    AnyRow,
    Custody,
    alias_subject,
    authenticate,
    key_subject,
)
from kmsq_worker.policy.defaults import default_key_policy, initial_account_policy
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.reader import Loaded, Reader
from kmsq_worker.store.rows import (
    AccountPolicyRow,
    AliasRow,
    DomainKeyRow,
    GrantRow,
    ImportedRow,
    KeyRow,
    LastUseRow,
    MaterialRow,
)
from kmsq_worker.wrapping import Binding, DomainKey

ACCOUNT = Account(region="local", account_id="000000000000")
MOMENT = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)  # deliveries.NOW


class CountingCustody(Custody):
    """Custody that counts what it unwraps."""

    unwrapped = 0

    def unwrap(self, material: MaterialRow, row: KeyRow) -> Secret:
        """Count, and unwrap."""
        self.unwrapped += 1
        return super().unwrap(material, row)


class Database:
    """Tables, and the keys that vouch for their rows. `administrators` may manage the account."""

    def __init__(self, administrators: Sequence[str] = ("alice",)) -> None:
        self.root_key = MemoryRootKey(Secret.random(32))
        self.domain_keys: list[DomainKeyRow] = []
        self.domain_key = self.add_domain_key()
        policy = initial_account_policy(map(ACCOUNT.user_arn, administrators))
        self.tables = Tables(self.signed(AccountPolicyRow(policy=policy, revision=0)))
        self.reader = FakeReader(self)

    @property
    def epoch(self) -> int:
        """The account's epoch."""
        return max((epoch for epoch, _ in self.tables.change_log), default=0)

    async def custody(self) -> CountingCustody:
        """Return an unlocked custody."""
        custody = CountingCustody(account=ACCOUNT, root_key=self.root_key, load=self.reader.domain_keys)
        await custody.unlock()
        return custody

    def signed(self, row: AnyRow) -> AnyRow:
        """Return the row with its MAC under the first domain key."""
        return authenticate(self.domain_key, row)

    def add_domain_key(self, root_key: MemoryRootKey | None = None) -> DomainKey:
        """Make a further domain key, under this database's root key or another."""
        key = DomainKey.generate()
        wrapping = root_key or self.root_key
        row = DomainKeyRow(
            domain_key_id=key.id, root_key_id=wrapping.id, wrapped=wrapping.wrap(key.key, key.id), created_at=MOMENT
        )
        self.domain_keys.append(row)
        return key

    def add_key(self, *, creator: str = "alice", **columns: Any) -> KeyRow:
        """Insert a key with its first material, as CreateKey does: without an epoch."""
        row = KeyRow(
            **{
                "key_id": str(uuid4()),
                "key_spec": KeySpec.SYMMETRIC_DEFAULT,
                "key_usage": KeyUsage.ENCRYPT_DECRYPT,
                "origin": Origin.AWS_KMS,
                "key_state": KeyState.ENABLED,
                "description": "",
                "policy": default_key_policy(ACCOUNT.user_arn(creator), ()),
                "creation_date": MOMENT,
                "current_material": 1,
                "aliases_digest": aliased.digest(()),
                "revision": self.epoch,
                **columns,
            }
        )
        self.tables.keys[row.key_id] = row = self.signed(row)
        for number in range(1, row.current_material + 1):
            self.add_material(row, number)
        return row

    def add_material(self, row: KeyRow, number: int) -> MaterialRow:
        """Insert fresh material of a key."""
        secret = fresh_material(row.key_spec)
        binding = Binding(row.key_id, number, row.key_spec, row.origin, "key-material")
        material = MaterialRow(
            key_id=row.key_id,
            material_number=number,
            material_id=envelope.material_id(secret, row.key_id),
            wrapped=self.domain_key.wrap(secret, binding),
            rotation_type=None if number == 1 else RotationType.ON_DEMAND,
            created_at=MOMENT,
        )
        self.tables.materials[row.key_id, number] = material
        return material

    def add_imported(self, row: KeyRow, number: int, **columns: Any) -> ImportedRow:
        """Insert what is said of a key's material, which is there already."""
        imported = ImportedRow(
            **{
                "key_id": row.key_id,
                "material_number": number,
                "material_id": self.tables.materials[row.key_id, number].material_id,
                "import_state": ImportState.IMPORTED,
                "expiration_model": ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE,
                "revision": self.epoch,
                **columns,
            }
        )
        self.tables.imported[row.key_id, number] = imported = self.signed(imported)
        return imported

    def add_grant(self, key_id: str, grantee: str, *operations: str, **columns: Any) -> GrantRow:
        """Let `grantee`, a user's name, do `operations` with a key, at a new epoch."""
        row = GrantRow(
            **{
                "grant_id": uuid4().hex * 2,
                "key_id": key_id,
                "grantee_principal": ACCOUNT.user_arn(grantee),
                "operations": list(operations),
                "constraints": "{}",
                "creation_date": MOMENT,
                **columns,
            }
        )
        self.tables.grants[row.grant_id] = row = self.signed(row)
        grants = [grant for grant in self.tables.grants.values() if grant.key_id == key_id]
        self.change_key(key_id, grants_digest=granted.digest(grants))
        return row

    def add_alias(self, name: str, key_id: str) -> AliasRow:
        """Point an alias at a key, at a new epoch."""
        former = self.tables.aliases.get(name)
        concerned = sorted({key_id} if former is None else {key_id, former.key_id})
        epoch = self.note_change(alias_subject(name), *map(key_subject, concerned))
        row = AliasRow(alias_name=name, key_id=key_id, creation_date=MOMENT, last_updated_date=MOMENT, revision=epoch)
        self.tables.aliases[name] = row = self.signed(row)
        for one, names in self.tables.alias_names(concerned).items():
            changed = replace(self.tables.keys[one], aliases_digest=aliased.digest(names), revision=epoch)
            self.tables.keys[one] = self.signed(changed)
        return row

    def change_key(self, key_id: str, **columns: Any) -> KeyRow:
        """Change a key as the service would, at a new epoch."""
        epoch = self.note_change(key_subject(key_id))
        row = self.signed(replace(self.tables.keys[key_id], **columns, revision=epoch))
        self.tables.keys[key_id] = row
        return row

    def age_key(self, key_id: str) -> KeyRow:
        """Make a key's row one that was last written before rows had a digest of aliases."""
        self.tables.keys[key_id] = row = self.signed(replace(self.tables.keys[key_id], aliases_digest=b""))
        return row

    def rotate_key(self, key_id: str) -> KeyRow:
        """Give a key new material, at a new epoch."""
        number = self.tables.keys[key_id].current_material + 1
        self.add_material(self.tables.keys[key_id], number)
        return self.change_key(key_id, current_material=number)

    def change_account_policy(self, policy: str) -> None:
        """Put another account policy, at a new epoch."""
        epoch = self.note_change(ACCOUNT_POLICY_SUBJECT)
        self.tables.account_policy = self.signed(AccountPolicyRow(policy=policy, revision=epoch))

    def note_change(self, *subjects: str) -> int:
        """Raise the epoch for a change of `subjects`."""
        epoch = self.epoch + 1
        self.tables.change_log += [(epoch, subject) for subject in subjects]
        return epoch

    def changed_since(self, epoch: int) -> Sequence[str]:
        """Return the subjects that changed beyond `epoch`."""
        return sorted({subject for number, subject in self.tables.change_log if number > epoch})


class FakeReader(Reader):
    """Reads from the tables; counts what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.loads: list[tuple[Collection[str], Collection[str], Collection[tuple[str, int]]]] = []

    async def epoch(self) -> int:
        """Return the account's epoch."""
        return self._database.epoch

    async def load(
        self, aliases: Collection[str], key_ids: Collection[str], materials: Collection[tuple[str, int]]
    ) -> Loaded:
        """Load as the real one does: aliases with their keys, keys with their current material."""
        self.loads.append((aliases, key_ids, materials))
        if any(number >= 2**31 for _, number in materials):
            message = "the driver refuses numbers that the column cannot hold"
            raise AssertionError(message)
        tables = self._database.tables
        alias_rows = [tables.aliases[name] for name in aliases if name in tables.aliases]
        wanted = {*key_ids, *(row.key_id for row in alias_rows)}
        key_rows = [tables.keys[key_id] for key_id in wanted if key_id in tables.keys]
        numbers = {*materials, *((row.key_id, row.current_material) for row in key_rows)}
        material_rows = [tables.materials[pair] for pair in numbers if pair in tables.materials]
        grant_rows = [row for row in tables.grants.values() if row.key_id in {key.key_id for key in key_rows}]
        names = tables.alias_names(row.key_id for row in key_rows)
        rows = (tables.account_policy, alias_rows, key_rows, material_rows, grant_rows)
        return Loaded(self._database.epoch, *rows, names)

    async def domain_keys(self, domain_key_ids: Collection[UUID] | None = None) -> Sequence[DomainKeyRow]:
        """Return domain keys, oldest first."""
        rows = self._database.domain_keys
        return [row for row in rows if domain_key_ids is None or row.domain_key_id in domain_key_ids]

    async def list_keys(self, after: str, limit: int) -> Sequence[str]:
        """Return key ids in order."""
        return sorted(key_id for key_id in self._database.tables.keys if key_id > after)[:limit]

    async def list_aliases(self, key_id: str | None, after: str, limit: int) -> Sequence[AliasRow]:
        """Return aliases by name."""
        rows = sorted(self._database.tables.aliases.values(), key=lambda row: row.alias_name)
        return [row for row in rows if row.alias_name > after and key_id in (None, row.key_id)][:limit]

    async def list_materials(
        self, key_id: str, after: int, limit: int, *, rotations_only: bool
    ) -> Sequence[MaterialRow]:
        """Return materials by number."""
        rows = sorted(self._database.tables.materials.values(), key=lambda row: row.material_number)
        found = [row for row in rows if row.key_id == key_id and row.material_number > after]
        return [row for row in found if row.rotation_type is not None or not rotations_only][:limit]

    async def list_retirable(self, retiring_principal: str, after: str, limit: int) -> Sequence[GrantRow]:
        """Return grants by id."""
        rows = sorted(self._database.tables.grants.values(), key=lambda row: row.grant_id)
        return [row for row in rows if row.retiring_principal == retiring_principal and row.grant_id > after][:limit]

    async def imported(self, key_id: str) -> Sequence[ImportedRow]:
        """Return what is said of imported material, by number."""
        rows = sorted(self._database.tables.imported.values(), key=lambda row: row.material_number)
        return [row for row in rows if row.key_id == key_id]

    async def last_use(self, key_id: str) -> LastUseRow | None:
        """Return the newest use."""
        uses = [use for (used, _), use in self._database.tables.last_uses.items() if used == key_id]
        return max(uses, key=lambda use: use.used_at, default=None)

    async def usage_tracked_since(self) -> datetime:
        """Return when all of this began."""
        return MOMENT

    async def note_last_use(self, slot: int, uses: Mapping[str, LastUseRow]) -> None:
        """Record uses of keys that exist, unless newer ones are there."""
        tables = self._database.tables
        for key_id, use in uses.items():
            known = tables.last_uses.get((key_id, slot))
            if key_id in tables.keys and (known is None or known.used_at < use.used_at):
                tables.last_uses[key_id, slot] = use
