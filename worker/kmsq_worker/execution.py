"""
One request being executed, as its operation sees it.

An operation locates keys, has them authorised, unlocks their material. On the way the execution notes what was
touched, for the commit, and what the audit record will say.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from kmsq_worker.arn import KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, Custody, Key, Row, Tampered, alias_subject, key_subject
from kmsq_worker.errors import KMSInternalException, NotFoundException
from kmsq_worker.policy.access import NOTHING, Access, Value
from kmsq_worker.policy.document import Policy
from kmsq_worker.policy.evaluate import authorize_account, authorize_key
from kmsq_worker.policy.grants import Grant
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.primitives.key_pairs import PrivateKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.reader import Reader
from kmsq_worker.telemetry import LOGGER
from kmsq_worker.view import Material, View, unbelievable

R = TypeVar("R", bound=Row)

Values = Mapping[str, Value]
"""Condition values that an operation supplies, by `ConditionKey`."""


@dataclass(slots=True)
class Touched:
    """What a request touched. `subjects` decide whether the commit may stand, the rest goes to the audit record."""

    subjects: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)
    materials: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    contexts: list[Mapping[str, str]] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    """Those that allowed what no policy allowed, or that the request is about."""
    doubts: list[Tampered] = field(default_factory=list)
    """What only a change meanwhile explains: an alarm if the commit stands."""
    count: int = 1
    """How many items the request has: more than one only in a batch."""
    failed: dict[str, str] = field(default_factory=dict)
    """Which items of a batch failed, as ranges of indices by error code and reason."""
    failed_count: int = 0
    used: set[str] | None = None
    """The keys with which a batch did something; None for all that were touched."""
    context_digests: list[str] = field(default_factory=list)
    """Of the contexts of a batch whose items have their own: see `operations.batches.contexts`."""
    wrote: dict[str, str | None] = field(default_factory=dict)
    """The MACs of the rows that a change wrote, in hexadecimal, by subject; None for a deleted one."""

    def facts(self) -> dict[str, object]:
        """Return what the audit record says of it; what there was nothing of is left out."""
        said: dict[str, object] = {}
        if self.keys:
            said["keys"] = self.keys
            said["revisions"] = self.revisions
        if self.materials:
            said["materials"] = self.materials
        if self.grants:
            said["grants"] = self.grants
        if self.contexts:
            said["contexts"] = self.contexts
        if self.context_digests:
            said["context_digests"] = self.context_digests
        if self.wrote:
            said["wrote"] = self.wrote
        if self.failed:
            said["failed"] = self.failed
        return said


class Execution(ABC):
    """What turns and changes have in common: who asks, and who may."""

    def __init__(self, *, custody: Custody, principal: str, now: int) -> None:
        self.custody = custody
        self.account = custody.account
        self.now = now
        self.arn = self.account.user_arn(principal)
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
        target: Grant | None = None,
    ) -> Grant | None:
        """
        Authorise `action` on `key`; return the grant that allowed it, None if a policy did.

        `target` is the grant that the request would make or end. Raises `AccessDeniedException`.
        """
        if context:
            self.touched.contexts.append(context)
        return self.decide(action, key, context=context, values=values, target=target)

    def decide(
        self,
        action: str,
        key: Key,
        *,
        context: Mapping[str, str] | None = None,
        values: Values = NOTHING,
        target: Grant | None = None,
    ) -> Grant | None:
        """Do what `authorize` does, for those who note the context themselves."""
        account_policy = self.account_policy()
        access = Access(
            principal=self.arn,
            action=action,
            resource=key.arn,
            context=context or NOTHING,
            values=self._values(key, values) if key.policy.condition_keys or account_policy.condition_keys else NOTHING,
        )
        grants = key.grants.of(self.arn) if key.grants.rows else ()
        grant = authorize_key(access, key.policy, account_policy, self.account.root_arn, grants, target=target)
        if grant is not None and grant.grant_id not in self.touched.grants:
            self.touched.grants.append(grant.grant_id)
        return grant

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
        principal: str,
        now: int,
        view: View,
        reader: Reader,
        alarm: Callable[[Tampered], None],
    ) -> None:
        super().__init__(custody=custody, principal=principal, now=now)
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
        return self.locate_reference(parse_key_reference(text, self.account))

    def locate_reference(self, reference: KeyReference) -> Key:
        """Return the key of a parsed name."""
        self.note_reference(reference)
        key = self._view.locate(reference, self.account.arn_of(reference))
        if reference.kind is KeyReferenceKind.ALIAS:  # of this key, not of the other one that ReEncrypt names
            self._request_aliases[key.key_id] = reference.value
        self.note_key(key)
        return key.as_of(self.now)

    def locate_by_id(self, text: str) -> Key:
        """Return the key that a management request names: by id or ARN, never by alias."""
        reference = parse_key_reference(text, self.account)
        if reference.kind is KeyReferenceKind.ALIAS:
            message = f"Invalid keyId {text}"
            raise NotFoundException(message)
        return self.locate_reference(reference)

    async def believed(self, rows: Sequence[R], subject: Callable[[R], str]) -> Sequence[R]:
        """Return those of `rows`, read for a list, that are as this service wrote them; `subject` names one."""
        await self.custody.fetch_missing(rows)
        return [row for row in rows if self._is_believed(row, subject(row))]

    def _is_believed(self, row: Row, subject: str) -> bool:
        try:
            self.custody.verify(row, subject)
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
            if material.is_gone:  # imported material may have been destroyed since the key was read
                self.touched.doubts.append(error)
            else:
                self._alarm(error)
            raise unbelievable(key.arn) from error

    def unlock_private_key(self, key: Key) -> PrivateKey:
        """Unwrap a key pair and return its private key: only after `authorize`."""
        material = self.material(key, key.row.current_material)
        return material.private_key(self.unlock(key, material))


def unexpected(operation: str, error: Exception) -> KMSInternalException:
    """Log a fault of ours, by type and place, and make the answer to whoever met it."""
    LOGGER.error("operation failed unexpectedly", extra={"operation": operation}, exc_info=error)
    return KMSInternalException("An internal error occurred.", reason=type(error).__name__)
