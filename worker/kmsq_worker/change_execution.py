"""A change being executed: rows are read fresh inside the transaction, and what is written is authenticated."""

from collections.abc import Callable
from dataclasses import replace

from kmsq_worker.arn import KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, Custody, Key, Tampered, alias_subject, key_subject
from kmsq_worker.decode import Caller
from kmsq_worker.errors import KMSInternalException, NotFoundException
from kmsq_worker.execution import Execution
from kmsq_worker.keyring import Revisions
from kmsq_worker.policy.document import Policy
from kmsq_worker.store.changes import Situation, Transaction
from kmsq_worker.store.rows import AccountPolicyRow, AliasRow, KeyRow, MaterialRow
from kmsq_worker.view import unbelievable


class ChangeExecution(Execution):
    """
    One change. `epoch` is the one that it will make, `changed` the subjects that the change log will name.

    `administrators` are the ARNs that the default key policy lets administer.
    """

    def __init__(
        self,
        *,
        custody: Custody,
        caller: Caller,
        situation: Situation,
        transaction: Transaction,
        revisions: Revisions,
        administrators: frozenset[str],
        alarm: Callable[[Tampered], None],
    ) -> None:
        super().__init__(custody=custody, caller=caller, now=int(situation.clock.timestamp() * 1000))
        self.transaction = transaction
        self.administrators = administrators
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
        return self.arn in self.administrators

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
        await self.custody.fetch_missing([row])
        try:
            key = self.custody.open_key(row)
            self._revisions.check(key_subject(row.key_id), row.revision, newest=self._revisions.newest)
        except Tampered as error:
            self._alarm(error)
            raise unbelievable(row.key_id) from error
        self.note_key(key)
        return key

    async def find_alias(self, alias_name: str) -> AliasRow | None:
        """Return an alias's verified row, if it exists. Raises `KMSInvalidStateException`."""
        self.touched.subjects.add(alias_subject(alias_name))
        row = await self.transaction.alias(alias_name)
        if row is None:
            return None
        await self.custody.fetch_missing([row])
        try:
            self.custody.verify(row, alias_subject(alias_name))
            self._revisions.check(alias_subject(alias_name), row.revision, newest=self._revisions.newest)
        except Tampered as error:
            self._alarm(error)
            raise unbelievable(alias_name) from error
        return row

    async def create_key(self, row: KeyRow, material: MaterialRow) -> None:
        """Insert a new key. It changes nothing that exists, so no keyring needs to hear of it."""
        signed = self.custody.authenticate(row)
        self.touched.wrote[key_subject(row.key_id)] = signed.mac.hex()
        await self.transaction.insert_key(signed, material)

    async def save_key(self, row: KeyRow) -> None:
        """Replace a key's row, at this change's epoch."""
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self._wrote(key_subject(row.key_id), signed.mac)
        await self.transaction.update_key(signed)

    async def create_alias(self, row: AliasRow) -> None:
        """Insert an alias, at this change's epoch."""
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self._wrote(alias_subject(row.alias_name), signed.mac)
        await self.transaction.insert_alias(signed)

    async def save_alias(self, row: AliasRow) -> None:
        """Replace an alias's row, at this change's epoch."""
        signed = self.custody.authenticate(replace(row, revision=self.epoch))
        self._wrote(alias_subject(row.alias_name), signed.mac)
        await self.transaction.update_alias(signed)

    async def delete_alias(self, row: AliasRow) -> None:
        """Delete an alias."""
        self._wrote(alias_subject(row.alias_name), None)
        await self.transaction.delete_alias(row.alias_name)

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
