"""
One request being executed, as its operation sees it.

An operation locates keys, has them authorised, unlocks their material. On the way the execution notes what was
touched, for the commit, and what the audit record will say.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kmsq_schemas.models.enums import KeyState, KeyUsage
from kmsq_worker.arn import KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, Custody, Key, Tampered, alias_subject, key_subject
from kmsq_worker.decode import Caller
from kmsq_worker.errors import (
    DisabledException,
    InvalidKeyUsageException,
    KMSInternalException,
    KMSInvalidStateException,
    NotFoundException,
)
from kmsq_worker.policy.access import NOTHING, Access, Value
from kmsq_worker.policy.document import Policy
from kmsq_worker.policy.evaluate import authorize_account, authorize_key
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.reader import Reader
from kmsq_worker.store.rows import AliasRow
from kmsq_worker.telemetry import LOGGER
from kmsq_worker.view import Material, View, unbelievable

Values = Mapping[str, Value]
"""Condition values that an operation supplies, by `ConditionKey`."""

_STATES_IN_WORDS: Mapping[str, str] = {
    KeyState.PENDING_DELETION: "pending deletion",
    KeyState.PENDING_IMPORT: "pending import",
}


@dataclass(slots=True)
class Touched:
    """What a request touched. `subjects` decide whether the commit may stand, the rest goes to the audit record."""

    subjects: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)
    materials: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    contexts: list[Mapping[str, str]] = field(default_factory=list)
    wrote: dict[str, str | None] = field(default_factory=dict)
    """The MACs of the rows that a change wrote, in hexadecimal, by subject; None for a deleted one."""


class Execution(ABC):
    """What turns and changes have in common: who asks, and who may."""

    def __init__(self, *, custody: Custody, caller: Caller, now: int) -> None:
        self.custody = custody
        self.account = custody.account
        self.caller = caller
        self.now = now
        self.arn = self.account.user_arn(caller.principal)
        self.touched = Touched()
        self._request_aliases: dict[str, str] = {}

    @abstractmethod
    def account_policy(self) -> Policy:
        """Return the account policy as of this execution."""

    def authorize(
        self,
        action: str,
        key: Key,
        *,
        context: Mapping[str, str] | None = None,
        values: Values = NOTHING,
    ) -> None:
        """Authorise `action` on `key`. Raises `AccessDeniedException`."""
        if context:
            self.touched.contexts.append(context)
        account_policy = self.account_policy()
        access = Access(
            principal=self.arn,
            action=action,
            resource=key.arn,
            context=context or NOTHING,
            values=self._values(key, values) if key.policy.condition_keys or account_policy.condition_keys else NOTHING,
        )
        authorize_key(access, key.policy, account_policy, self.account.root_arn)

    def authorize_account(self, action: str, values: Values = NOTHING) -> None:
        """Authorise an operation that has no key. Raises `AccessDeniedException`."""
        authorize_account(self.account_access(action, values), self.account_policy())

    def account_access(self, action: str, values: Values = NOTHING) -> Access:
        """Describe an operation that has no key."""
        timed = {**values, ConditionKey.EPOCH_TIME: self.now // 1000}
        return Access(principal=self.arn, action=action, resource="*", values=timed)

    def key_access(self, action: str, key_arn: str, values: Values = NOTHING) -> Access:
        """Describe an operation on a key whose policy is not in force yet."""
        timed = {**values, ConditionKey.EPOCH_TIME: self.now // 1000}
        return Access(principal=self.arn, action=action, resource=key_arn, values=timed)

    def note_reference(self, reference: KeyReference) -> None:
        """Note by which name a key is looked for, found or not."""
        if reference.kind is KeyReferenceKind.ALIAS:
            self.touched.subjects.add(alias_subject(reference.value))
        else:
            self.touched.subjects.add(key_subject(reference.value))

    def note_key(self, key: Key) -> None:
        """Note which key it was."""
        self.touched.subjects.add(key_subject(key.key_id))
        self.touched.keys.append(key.key_id)
        self.touched.revisions.append(key.row.revision)

    def _values(self, key: Key, values: Values) -> Values:
        supplied: dict[str, Value] = {**key.conditions, **values, ConditionKey.EPOCH_TIME: self.now // 1000}
        if key.key_id in self._request_aliases:
            supplied[ConditionKey.REQUEST_ALIAS] = self._request_aliases[key.key_id]
        return supplied


class TurnExecution(Execution):
    """A request of a turn: everything comes from the turn's view, and `reader` for lists."""

    def __init__(
        self,
        *,
        custody: Custody,
        caller: Caller,
        now: int,
        view: View,
        reader: Reader,
        alarm: Callable[[Tampered], None],
    ) -> None:
        super().__init__(custody=custody, caller=caller, now=now)
        self._view = view
        self.reader = reader
        self._alarm = alarm
        self.touched.subjects.add(ACCOUNT_POLICY_SUBJECT)

    def account_policy(self) -> Policy:
        """Return the account policy of the view. Raises `KMSInternalException` if it cannot be believed."""
        return self._view.policy().policy

    def account_policy_text(self) -> str:
        """Return the account policy as it was put."""
        return self._view.policy().text

    def locate(self, text: str) -> Key:
        """Return the key that a request names. Raises `NotFoundException` and others of `View.locate`."""
        return self.locate_reference(parse_key_reference(text, self.account), text)

    def locate_reference(self, reference: KeyReference, text: str) -> Key:
        """Return the key of a parsed name; `text` is what an error calls it."""
        self.note_reference(reference)
        key = self._view.locate(reference, text)
        if reference.kind is KeyReferenceKind.ALIAS:  # of this key, not of the other one that ReEncrypt names
            self._request_aliases[key.key_id] = reference.value
        self.note_key(key)
        return key

    def locate_by_id(self, text: str) -> Key:
        """Return the key that a management request names: by id or ARN, never by alias."""
        reference = parse_key_reference(text, self.account)
        if reference.kind is KeyReferenceKind.ALIAS:
            message = f"Invalid keyId {text}"
            raise NotFoundException(message)
        return self.locate_reference(reference, text)

    async def believed(self, rows: Sequence[AliasRow]) -> Sequence[AliasRow]:
        """Return those of `rows`, which were read for a list, that are as this service wrote them."""
        await self.custody.fetch_missing(rows)
        return [row for row in rows if self._is_believed(row)]

    def _is_believed(self, row: AliasRow) -> bool:
        try:
            self.custody.verify(row, alias_subject(row.alias_name))
        except Tampered as error:
            self._alarm(error)
            return False
        return True

    def material(self, key: Key, number: int) -> Material:
        """Return a key's material, still wrapped. Raises `InvalidCiphertextException` if the key never had it."""
        return self._view.material(key, number)

    def unlock(self, key: Key, material: Material) -> Secret:
        """Unwrap a key's material: only after `authorize`. Raises `KMSInvalidStateException` if it does not unwrap."""
        self.touched.materials.append(material.number)
        try:
            return material.unlock(self.custody, key)
        except Tampered as error:
            self._alarm(error)
            raise unbelievable(key.arn) from error


def unexpected(operation: str, error: Exception) -> KMSInternalException:
    """Log a fault of ours, by type and place, and make the answer to whoever met it."""
    LOGGER.error("operation failed unexpectedly", extra={"operation": operation}, exc_info=error)
    return KMSInternalException("An internal error occurred.", reason=type(error).__name__)


def require_enabled(key: Key) -> None:
    """Raise `DisabledException` or `KMSInvalidStateException` unless the key is enabled."""
    if key.row.key_state == KeyState.ENABLED:
        return
    if key.row.key_state == KeyState.DISABLED:
        message = f"{key.arn} is disabled."
        raise DisabledException(message)
    refuse_state(key)


def refuse_state(key: Key) -> None:
    """Raise `KMSInvalidStateException` naming the key's state."""
    state = _STATES_IN_WORDS.get(key.row.key_state, key.row.key_state)
    message = f"{key.arn} is {state}."
    raise KMSInvalidStateException(message)


def require_usage(key: Key, usage: KeyUsage, operation: str) -> None:
    """Raise `InvalidKeyUsageException` unless the key is for `usage`."""
    if key.row.key_usage != usage:
        message = f"{key.arn} key usage is {key.row.key_usage} which is not valid for {operation}."
        raise InvalidKeyUsageException(message)
