"""The rows that changes read and write, in memory."""

from collections.abc import Container, Sequence

from fakes.database import Database
from kmsq_worker.errors import KMSInternalException, ValidationException
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, GrantRow, ImportedRow, KeyRow, MaterialRow
from kmsq_worker.store.tables import Tables


class FakeTables(Tables):
    """Reads and alters a database's tables, as it holds them at the moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def key(self, key_id: str) -> KeyRow | None:
        """Return a key."""
        return self._database.tables.keys.get(key_id)

    async def insert_key(self, row: KeyRow) -> None:
        """Insert a key."""
        _refuse_nul(row.description)
        _refuse_second(row.key_id, self._database.tables.keys)
        self._database.tables.keys[row.key_id] = row

    async def update_key(self, row: KeyRow) -> None:
        """Replace a key."""
        _refuse_nul(row.description)
        self._database.tables.keys[row.key_id] = row

    async def delete_key(self, key_id: str) -> None:
        """Delete a key and what belongs to it."""
        tables = self._database.tables
        tables.last_uses = {pair: row for pair, row in tables.last_uses.items() if pair[0] != key_id}
        tables.grants = {name: row for name, row in tables.grants.items() if row.key_id != key_id}
        tables.imported = {pair: row for pair, row in tables.imported.items() if row.key_id != key_id}
        tables.materials = {pair: row for pair, row in tables.materials.items() if row.key_id != key_id}
        tables.aliases = {name: row for name, row in tables.aliases.items() if row.key_id != key_id}
        tables.keys.pop(key_id, None)

    async def materials(self, key_id: str) -> Sequence[MaterialRow]:
        """Return a key's materials."""
        rows = [row for row in self._database.tables.materials.values() if row.key_id == key_id]
        return sorted(rows, key=lambda row: row.material_number)

    async def insert_material(self, material: MaterialRow) -> None:
        """Insert material."""
        pair = (material.key_id, material.material_number)
        _refuse_second(pair, self._database.tables.materials)
        self._database.tables.materials[pair] = material

    async def update_material(self, material: MaterialRow) -> None:
        """Replace material."""
        self._database.tables.materials[material.key_id, material.material_number] = material

    async def count_rotations(self, key_id: str, rotation_type: str) -> int:
        """Count a key's rotations."""
        return sum(row.rotation_type == rotation_type for row in await self.materials(key_id))

    async def imported(self, key_id: str) -> Sequence[ImportedRow]:
        """Return what is said of a key's imported material."""
        rows = [row for row in self._database.tables.imported.values() if row.key_id == key_id]
        return sorted(rows, key=lambda row: row.material_number)

    async def insert_imported(self, row: ImportedRow) -> None:
        """Insert what is said of material."""
        _refuse_nul(row.description)
        _refuse_second((row.key_id, row.material_number), self._database.tables.imported)
        await self.update_imported(row)

    async def update_imported(self, row: ImportedRow) -> None:
        """Replace what is said of material."""
        _refuse_nul(row.description)
        self._database.tables.imported[row.key_id, row.material_number] = row

    async def grants(self, key_id: str) -> Sequence[GrantRow]:
        """Return a key's grants."""
        rows = [row for row in self._database.tables.grants.values() if row.key_id == key_id]
        return sorted(rows, key=lambda row: row.grant_id)

    async def grant(self, grant_id: str) -> GrantRow | None:
        """Return a grant."""
        return self._database.tables.grants.get(grant_id)

    async def insert_grant(self, row: GrantRow) -> None:
        """Insert a grant."""
        _refuse_second(row.grant_id, self._database.tables.grants)
        self._database.tables.grants[row.grant_id] = row

    async def delete_grant(self, grant_id: str) -> None:
        """Delete a grant."""
        self._database.tables.grants.pop(grant_id, None)

    async def alias(self, alias_name: str) -> AliasRow | None:
        """Return an alias."""
        return self._database.tables.aliases.get(alias_name)

    async def aliases(self, key_id: str) -> Sequence[AliasRow]:
        """Return the aliases of a key."""
        return self._database.tables.aliases_of(key_id)

    async def count_aliases(self, key_id: str) -> int:
        """Count a key's aliases."""
        return len(await self.aliases(key_id))

    async def insert_alias(self, row: AliasRow) -> None:
        """Insert an alias."""
        _refuse_second(row.alias_name, self._database.tables.aliases)
        self._database.tables.aliases[row.alias_name] = row

    async def update_alias(self, row: AliasRow) -> None:
        """Replace an alias."""
        self._database.tables.aliases[row.alias_name] = row

    async def delete_alias(self, alias_name: str) -> None:
        """Delete an alias."""
        self._database.tables.aliases.pop(alias_name, None)

    async def put_account_policy(self, row: AccountPolicyRow) -> None:
        """Replace the account policy."""
        self._database.tables.account_policy = row


def _refuse_nul(text: str) -> None:
    """Refuse what Postgres cannot store in a text."""
    if "\x00" in text:
        raise ValidationException("A value of the request cannot be stored.")


def _refuse_second(key: object, rows: Container[object]) -> None:
    """Refuse a second row of the same primary key."""
    if key in rows:
        raise KMSInternalException(reason="UniqueViolationError")
