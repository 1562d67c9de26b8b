"""The rows that changes read and write, one statement each, inside the transaction of whoever calls."""

import dataclasses
from collections.abc import Sequence

import asyncpg

from kmsq_worker.errors import KMSInternalException, Unavailable
from kmsq_worker.store.connection import translated
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, GrantRow, ImportedRow, KeyRow, MaterialRow


def _insert(table: str, row: type) -> str:
    names = [field.name for field in dataclasses.fields(row)]
    values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608  # names of fields, no input


def _update(table: str, row: type, *keys: str) -> str:
    names = [field.name for field in dataclasses.fields(row)]
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, start=1) if name not in keys)
    which = " AND ".join(f"{key} = ${names.index(key) + 1}" for key in keys)
    return f"UPDATE {table} SET {sets} WHERE {which}"  # noqa: S608  # as above


_INSERT_KEY = _insert("kmsq.keys", KeyRow)
_UPDATE_KEY = _update("kmsq.keys", KeyRow, "key_id")
_INSERT_MATERIAL = _insert("kmsq.key_material", MaterialRow)
_UPDATE_MATERIAL = """
    UPDATE kmsq.key_material SET material_id = $3, wrapped = $4, rotation_type = $5, created_at = $6
    WHERE key_id = $1 AND material_number = $2
"""
_INSERT_IMPORTED = _insert("kmsq.imported_material", ImportedRow)
_UPDATE_IMPORTED = _update("kmsq.imported_material", ImportedRow, "key_id", "material_number")
_INSERT_GRANT = _insert("kmsq.grants", GrantRow)
_INSERT_ALIAS = _insert("kmsq.aliases", AliasRow)
_UPDATE_ALIAS = _update("kmsq.aliases", AliasRow, "alias_name")

AnyRow = KeyRow | MaterialRow | ImportedRow | GrantRow | AliasRow


class Tables:
    """The tables that hold keys and what belongs to them. Every method raises `Unavailable`. Use it within a savepoint."""

    def __init__(self, *, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def key(self, key_id: str) -> KeyRow | None:
        """Return a key's row."""
        with translated():
            row = await self._connection.fetchrow("SELECT * FROM kmsq.keys WHERE key_id = $1", key_id)
        return None if row is None else KeyRow(**row)

    async def insert_key(self, row: KeyRow) -> None:
        """Insert a new key."""
        await self._write(_INSERT_KEY, row)

    async def update_key(self, row: KeyRow) -> None:
        """Replace a key's row."""
        await self._write(_UPDATE_KEY, row)

    async def delete_key(self, key_id: str) -> None:
        """Delete a key that is pending deletion, with its material, grants and aliases."""
        with translated():
            deleted = await self._connection.fetchval("SELECT kmsq.delete_key($1)", key_id)
        if not deleted:  # its row was read under the account's lock
            raise Unavailable("key vanished")

    async def materials(self, key_id: str) -> Sequence[MaterialRow]:
        """Return all material of a key, by number."""
        with translated():
            rows = await self._connection.fetch(
                "SELECT * FROM kmsq.key_material WHERE key_id = $1 ORDER BY material_number", key_id
            )
        return [MaterialRow(**row) for row in rows]

    async def insert_material(self, material: MaterialRow) -> None:
        """Insert further material of a key."""
        await self._write(_INSERT_MATERIAL, material)

    async def update_material(self, material: MaterialRow) -> None:
        """Replace a material's row: it was destroyed, came back, or became current."""
        with translated():
            await self._connection.execute(
                _UPDATE_MATERIAL,
                material.key_id,
                material.material_number,
                material.material_id,
                material.wrapped,
                material.rotation_type,
                material.created_at,
            )

    async def count_rotations(self, key_id: str, rotation_type: str) -> int:
        """Count a key's rotations of one type."""
        return await self._count(
            "SELECT count(*) FROM kmsq.key_material WHERE key_id = $1 AND rotation_type = $2", key_id, rotation_type
        )

    async def imported(self, key_id: str) -> Sequence[ImportedRow]:
        """Return what is said of a key's imported material, by number."""
        with translated():
            rows = await self._connection.fetch(
                "SELECT * FROM kmsq.imported_material WHERE key_id = $1 ORDER BY material_number", key_id
            )
        return [ImportedRow(**row) for row in rows]

    async def insert_imported(self, row: ImportedRow) -> None:
        """Insert what is said of newly imported material."""
        await self._write(_INSERT_IMPORTED, row)

    async def update_imported(self, row: ImportedRow) -> None:
        """Replace what is said of imported material."""
        await self._write(_UPDATE_IMPORTED, row)

    async def grants(self, key_id: str) -> Sequence[GrantRow]:
        """Return all grants of a key, by id."""
        with translated():
            rows = await self._connection.fetch("SELECT * FROM kmsq.grants WHERE key_id = $1 ORDER BY grant_id", key_id)
        return [GrantRow(**row) for row in rows]

    async def grant(self, grant_id: str) -> GrantRow | None:
        """Return a grant's row, which is believed only if its key's digest covers it."""
        with translated():
            row = await self._connection.fetchrow("SELECT * FROM kmsq.grants WHERE grant_id = $1", grant_id)
        return None if row is None else GrantRow(**row)

    async def insert_grant(self, row: GrantRow) -> None:
        """Insert a new grant."""
        await self._write(_INSERT_GRANT, row)

    async def delete_grant(self, grant_id: str) -> None:
        """Delete a grant."""
        with translated():
            await self._connection.execute("DELETE FROM kmsq.grants WHERE grant_id = $1", grant_id)

    async def alias(self, alias_name: str) -> AliasRow | None:
        """Return an alias's row."""
        with translated():
            row = await self._connection.fetchrow("SELECT * FROM kmsq.aliases WHERE alias_name = $1", alias_name)
        return None if row is None else AliasRow(**row)

    async def aliases(self, key_id: str) -> Sequence[AliasRow]:
        """Return all aliases of a key, by name."""
        with translated():
            rows = await self._connection.fetch(
                "SELECT * FROM kmsq.aliases WHERE key_id = $1 ORDER BY alias_name", key_id
            )
        return [AliasRow(**row) for row in rows]

    async def count_aliases(self, key_id: str) -> int:
        """Count a key's aliases."""
        return await self._count("SELECT count(*) FROM kmsq.aliases WHERE key_id = $1", key_id)

    async def insert_alias(self, row: AliasRow) -> None:
        """Insert a new alias."""
        await self._write(_INSERT_ALIAS, row)

    async def update_alias(self, row: AliasRow) -> None:
        """Replace an alias's row."""
        await self._write(_UPDATE_ALIAS, row)

    async def delete_alias(self, alias_name: str) -> None:
        """Delete an alias."""
        with translated():
            await self._connection.execute("DELETE FROM kmsq.aliases WHERE alias_name = $1", alias_name)

    async def put_account_policy(self, row: AccountPolicyRow) -> None:
        """Replace the account policy, or bring it back."""
        with translated():
            await self._connection.execute(
                """
                INSERT INTO kmsq.account_policy (policy, revision, mac) VALUES ($1, $2, $3)
                ON CONFLICT (only_row) DO UPDATE SET policy = $1, revision = $2, mac = $3
                """,
                row.policy,
                row.revision,
                row.mac,
            )

    async def _count(self, query: str, *arguments: str) -> int:
        with translated():
            return int(await self._connection.fetchval(query, *arguments))

    async def _write(self, statement: str, row: AnyRow) -> None:
        """Raise `KMSInternalException` if a row is in the way: whoever calls looked before, so it was put there by hand."""
        values = [getattr(row, field.name) for field in dataclasses.fields(row)]
        with translated():
            try:
                await self._connection.execute(statement, *values)
            except asyncpg.IntegrityConstraintViolationError as error:
                raise KMSInternalException("An internal error occurred.", reason=type(error).__name__) from error
