"""What one turn sees of the keys: verified, captured at an epoch."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kmsq_worker.arn import KeyReference, KeyReferenceKind
from kmsq_worker.custody import Custody, Key, Tampered, alias_subject, key_subject
from kmsq_worker.errors import (
    InvalidCiphertextException,
    KMSInternalException,
    KMSInvalidStateException,
    NotFoundException,
)
from kmsq_worker.policy.document import Policy
from kmsq_worker.primitives.key_pairs import PrivateKey, load
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import MaterialRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that a request needs, and which of its materials: a number, or 0 for the current one."""

    reference: KeyReference
    material: int = 0


class Material:
    """Key material, wrapped until somebody who may use it needs it; then unwrapped once, for as long as it is cached."""

    __slots__ = ("_private_key", "_row", "_secret")

    def __init__(self, row: MaterialRow) -> None:
        self._row = row
        self._secret: Secret | None = None
        self._private_key: PrivateKey | None = None

    @property
    def number(self) -> int:
        """Its number within the key."""
        return self._row.material_number

    @property
    def material_id(self) -> str:
        """Its public name, 64 hex digits."""
        return self._row.material_id

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed, as imported material can be."""
        return self._row.wrapped is None

    def unlock(self, custody: Custody, key: Key) -> Secret:
        """Return the material itself. Raises `Tampered`."""
        if self._secret is None:
            self._secret = custody.unwrap(self._row, key.row)
        return self._secret

    def private_key(self, secret: Secret) -> PrivateKey:
        """Return the private key that `unlock` gave as `secret`, ready for use: reading one takes longer than signing."""
        if self._private_key is None:
            self._private_key = load(secret)
        return self._private_key


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """The account policy, as it was put and as it is evaluated."""

    text: str
    policy: Policy


@dataclass(slots=True)
class View:
    """Nothing in a view is older than `epoch`. `tampered` names what was found and not believed."""

    epoch: int
    account_policy: AccountPolicy | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    materials: dict[tuple[str, int], Material] = field(default_factory=dict)
    tampered: set[str] = field(default_factory=set)

    def locate(self, reference: KeyReference, arn: str) -> Key:
        """
        Return the key that `reference` names; `arn` is what an error calls it.

        Raises `NotFoundException`, or `KMSInvalidStateException` for a row that failed its integrity check.
        """
        is_alias = reference.kind is KeyReferenceKind.ALIAS
        key_id: str | None = reference.value
        if is_alias:
            self._believe(alias_subject(reference.value))
            key_id = self.aliases.get(reference.value)
        if key_id is not None:
            found = self.keys.get(key_id)
            if found is not None:
                return found
            self._believe(key_subject(key_id))
        message = f"Alias {arn} is not found." if is_alias else f"Key '{arn}' does not exist"
        raise NotFoundException(message)

    def policy(self) -> AccountPolicy:
        """Return the account policy. Raises `KMSInternalException` if it failed its integrity check."""
        if self.account_policy is None:
            message = "The account policy failed its integrity check: an administrator must put it anew."
            raise KMSInternalException(message, reason="tampered")
        return self.account_policy

    def material(self, key: Key, number: int) -> Material:
        """Return a key's material `number`. Raises `InvalidCiphertextException` if the key never had it."""
        found = self.materials.get((key.key_id, number))
        if found is None:
            raise InvalidCiphertextException(reason="unknown-material")
        return found

    def absorb(self, found: "View") -> None:
        """Add what a load found."""
        if found.account_policy is not None:
            self.account_policy = found.account_policy
        self.aliases |= found.aliases
        self.keys |= found.keys
        self.materials |= found.materials
        self.tampered |= found.tampered

    @contextmanager
    def distrust(self, alarm: Callable[[Tampered], None]) -> Generator[None]:
        """Note what is tampered with, and go on without it: its neighbours are not to blame."""
        try:
            yield
        except Tampered as error:
            self.tampered.add(error.subject)
            alarm(error)

    def _believe(self, subject: str) -> None:
        if subject in self.tampered:
            raise unbelievable(subject.partition(":")[2])


def unbelievable(name: str) -> KMSInvalidStateException:
    """Make the answer for a key or alias that is not as this service wrote it."""
    message = f"{name} failed its integrity check."
    return KMSInvalidStateException(message, reason="tampered")
