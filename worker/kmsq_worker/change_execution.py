"""A change being executed: rows are read fresh inside the transaction, and what is written is authenticated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kmsq_schemas import limits
from kmsq_schemas.models.enums import ImportState
from kmsq_worker import aliased, granted
from kmsq_worker.arn import KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import (
    ACCOUNT_POLICY_SUBJECT,
    Custody,
    Key,
    Tampered,
    alias_subject,
    imported_subject,
    key_subject,
)
from kmsq_worker.errors import KMSInternalException, NotFoundException
from kmsq_worker.execution import Execution
from kmsq_worker.keyring import Revisions
from kmsq_worker.policy.document import Policy
from kmsq_worker.store.changes import Situation, Transaction
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, GrantRow, ImportedRow, KeyRow, MaterialRow
from kmsq_worker.view import unbelievable


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of changes: ARNs of bootstrap administrators, and a quota for each key."""

    administrators: frozenset[str]
    on_demand_rotations: int = limits.ON_DEMAND_ROTATIONS_PER_KEY


class ChangeExecution(Execution):
    """One change. `epoch` is the one that it will make, `changed` the subjects that the change log will name."""

    def __init__(
        self,
        *,
        custody: Custody,
        principal: str,
        situation: Situation,
        transaction: Transaction,
        revisions: Revisions,
        rules: Rules,
        alarm: Callable[[Tampered], None],
    ) -> None:
        super().__init__(custody=custody, principal=principal, now=int(situation.clock.timestamp() * 1000))
        self.transaction = transaction
        self.rules = rules
        self.epoch = situation.epoch + 1
        self.moment = situation.clock
        self.changed: set[str] = set()
        self._revisions = revisions
        self._alarm = alarm
        self._policy_row = situation.account_policy
        self._policy: Policy | None = None

    async def begin(self) -> None:
        """Verify the account policy. Raises `Unavailable`."""
        row = self._policy_row
        await self.custody.fetch_missing([row])
        try:
            policy = self.custody.open_account_policy(row)
            self._revisions.check(ACCOUNT_POLICY_SUBJECT, row.revision, newest=self._revisions.newest)
            self._policy = policy
        except Tampered as error:
            # It stays None: an administrator can put it anew, and nothing else is authorised without it.
            self._alarm(error)

    @property
    def is_administrator(self) -> bool:
        """Whether the caller is one of the account's bootstrap administrators."""
        return self.arn in self.rules.administrators

    def account_policy(self) -> Policy:
        """Return the account policy as it is now. Raises `KMSInternalException` if it cannot be believed."""
        if self._policy is None:
            message = "The account policy failed its integrity check: an administrator must put it anew."
            raise KMSInternalException(message, reason="tampered")
        return self._policy

    async def locate(self, text: str) -> Key:
        """
        Return the key that a change names: by id or ARN, never by alias.

        Raises `NotFoundException`, `InvalidArnException`, or `KMSInvalidStateException` for a row that was edited.
        """
        reference = parse_key_reference(text, self.account)
        if reference.kind is KeyReferenceKind.ALIAS:
            message = f"Invalid keyId {text}"
            raise NotFoundException(message)
        self.note_reference(reference)
        row = await self.transaction.key(reference.value)
        if row is None:
            message = f"Key '{self.account.key_arn(reference.value)}' does not exist"
            raise NotFoundException(message)
        return await self.locate_row(row)

    async def locate_row(self, row: KeyRow) -> Key:
        """Verify a key's fresh row. Raises `KMSInvalidStateException`."""
        grants = await self.transaction.grants(row.key_id) if row.grants_digest else ()
        aliases = await self.transaction.aliases(row.key_id) if row.aliases_digest else ()
        await self.custody.fetch_missing([row, *grants])
        try:
            key = self.custody.open_key(row, grants, [alias.alias_name for alias in aliases])
            self._revisions.check(key_subject(row.key_id), row.revision, newest=self._revisions.newest)
        except Tampered as error:
            self._alarm(error)
            raise unbelievable(row.key_id) from error
        self.note_key(key)
        return key.as_of(self.now)

    async def find_alias(self, alias_name: str) -> AliasRow | None:
        """Return an alias's verified row, if it exists. Raises `KMSInvalidStateException`."""
        self.touched.subjects.add(alias_subject(alias_name))
        row = await self.transaction.alias(alias_name)
        if row is not None:
            await self._believe([row])
        return row

    async def _believe(self, aliases: Sequence[AliasRow]) -> None:
        await self.custody.fetch_missing(aliases)
        for row in aliases:
            subject = alias_subject(row.alias_name)
            try:
                self.custody.verify(row, subject)
                self._revisions.check(subject, row.revision, newest=self._revisions.newest)
            except Tampered as error:
                self._alarm(error)
                raise unbelievable(row.alias_name) from error

    async def create_key(self, row: KeyRow, material: MaterialRow | None) -> None:
        """Insert a new key, unless it waits for its import with its material. No keyring needs to hear of it."""
        signed = self.custody.authenticate(row)
        self.touched.wrote[key_subject(row.key_id)] = signed.mac.hex()
        await self.transaction.insert_key(signed)
        if material is not None:
            await self.transaction.insert_material(material)

    async def save_key(self, row: KeyRow) -> None:
        """
        Replace a key's row, at this change's epoch.

        One from before rows had a digest of their key's aliases gets it now. Raises `KMSInvalidStateException` when one
        of those aliases was edited.
        """
        if not row.aliases_digest:
            row = replace(row, aliases_digest=aliased.digest(await self._read_alias_names(row.key_id)))
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self._wrote(key_subject(row.key_id), signed.mac)
        await self.transaction.update_key(signed)

    async def delete_key(self, key: Key) -> None:
        """Delete a key, its material, grants and aliases: nothing of it stays but the audit log."""
        for alias in await self.transaction.aliases(key.key_id):
            self._wrote(alias_subject(alias.alias_name), None)
        for row in await self.transaction.imported(key.key_id):
            self.touched.wrote[imported_subject(row)] = None
        self._wrote(key_subject(key.key_id), None)
        await self.transaction.delete_key(key.key_id)

    async def imported(self, key: Key) -> Sequence[ImportedRow]:
        """
        Return what is said of a key's imported material, by number, if it fits what the key's row says.

        Raises `KMSInvalidStateException`.
        """
        rows = await self.transaction.imported(key.key_id)
        await self.custody.fetch_missing(rows)
        try:
            for row in rows:
                subject = imported_subject(row)
                self.custody.verify(row, subject)
                self._revisions.check(subject, row.revision, newest=self._revisions.newest)
            _require_all(key.row, rows)
        except Tampered as error:
            self._alarm(error)
            raise unbelievable(key.arn) from error
        return rows

    async def create_imported(self, row: ImportedRow) -> None:
        """Insert what is said of new material. Its key is saved by the caller: keyrings hear of keys alone."""
        await self.transaction.insert_imported(self._sign_imported(row))

    async def save_imported(self, row: ImportedRow) -> None:
        """Replace what is said of imported material. Its key is saved by the caller."""
        await self.transaction.update_imported(self._sign_imported(row))

    def _sign_imported(self, row: ImportedRow) -> ImportedRow:
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self.touched.wrote[imported_subject(row)] = signed.mac.hex()
        return signed

    async def create_grant(self, key: Key, row: GrantRow) -> None:
        """Add a grant to a key."""
        signed = self.custody.authenticate(row)
        await self.transaction.insert_grant(signed)
        await self._save_grants(key, [*key.grants.rows.values(), signed])

    async def delete_grant(self, key: Key, grant_id: str) -> None:
        """Take a grant of a key away."""
        await self.transaction.delete_grant(grant_id)
        await self._save_grants(key, [row for row in key.grants.rows.values() if row.grant_id != grant_id])

    async def _save_grants(self, key: Key, rows: Sequence[GrantRow]) -> None:
        await self.save_key(replace(key.row, grants_digest=granted.digest(rows)))

    async def create_alias(self, row: AliasRow, key: Key) -> None:
        """Give a key an alias, at this change's epoch."""
        names = await self._alias_names(key)
        await self.transaction.insert_alias(self._sign_alias(row))
        await self._save_aliases(key, names | {row.alias_name})

    async def move_alias(self, row: AliasRow, current: Key, target: Key) -> None:
        """Replace an alias's row, which points at `target` from now on, at this change's epoch."""
        left, joined = await self._alias_names(current), await self._alias_names(target)
        await self.transaction.update_alias(self._sign_alias(row))
        if current.key_id != target.key_id:
            await self._save_aliases(current, left - {row.alias_name})
            await self._save_aliases(target, joined | {row.alias_name})

    async def delete_alias(self, row: AliasRow, key: Key) -> None:
        """Take an alias of a key away."""
        names = await self._alias_names(key)
        self._wrote(alias_subject(row.alias_name), None)
        await self.transaction.delete_alias(row.alias_name)
        await self._save_aliases(key, names - {row.alias_name})

    def _sign_alias(self, row: AliasRow) -> AliasRow:
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self._wrote(alias_subject(row.alias_name), signed.mac)
        return signed

    async def _save_aliases(self, key: Key, names: frozenset[str]) -> None:
        await self.save_key(replace(key.row, aliases_digest=aliased.digest(names)))

    async def _alias_names(self, key: Key) -> frozenset[str]:
        """
        Return the names of a key's aliases, before this change writes any.

        Those that the key's row vouched for are not read again: an alias that somebody deletes by hand meanwhile would
        be missing from the next digest, too, and nobody would notice.
        """
        return await self._read_alias_names(key.key_id) if key.aliases is None else frozenset(key.aliases)

    async def _read_alias_names(self, key_id: str) -> frozenset[str]:
        """Return the names of a key's aliases, each vouched for by its own row alone."""
        rows = await self.transaction.aliases(key_id)
        await self._believe(rows)
        return frozenset(row.alias_name for row in rows)

    async def save_account_policy(self, policy: str) -> None:
        """Replace the account policy, at this change's epoch."""
        signed = self.custody.authenticate(AccountPolicyRow(policy=policy, revision=self.epoch))
        self._wrote(ACCOUNT_POLICY_SUBJECT, signed.mac)
        await self.transaction.put_account_policy(signed)

    def undo(self) -> None:
        """Note that the savepoint took back what was written: the audit record must not say otherwise."""
        self.changed.clear()
        self.touched.wrote.clear()

    def _wrote(self, subject: str, mac: bytes | None) -> None:
        self.changed.add(subject)
        self.touched.wrote[subject] = None if mac is None else mac.hex()


def first_end(imported: Sequence[ImportedRow], current: int) -> datetime | None:
    """Return when the first of a key's imported materials up to the `current` one expires, which its row says, too."""
    needed = (row for row in imported if row.material_number <= current and row.import_state == ImportState.IMPORTED)
    return min((row.valid_to for row in needed if row.valid_to is not None), default=None)


def _require_all(row: KeyRow, imported: Sequence[ImportedRow]) -> None:
    """Raise `Tampered` unless there is a row for each material, none of them older than the key's."""
    numbers = {one.material_number for one in imported}
    if not numbers.issuperset(range(1, row.current_material + 1)):
        raise Tampered(key_subject(row.key_id), "imported material was removed")
    if first_end(imported, row.current_material) != row.valid_to:
        raise Tampered(key_subject(row.key_id), "imported material ends at another time")
