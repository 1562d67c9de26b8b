"""A keyring over a database in memory, with what it alarmed and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fakes.database import CountingCustody, Database
from kmsq_worker.arn import KeyReference, KeyReferenceKind
from kmsq_worker.custody import Tampered
from kmsq_worker.keyring import KEYRING_MAX_KEYS, Keyring, Loader, Revisions
from kmsq_worker.view import Wanted


@dataclass
class Ring:
    """A keyring, and all that it was given."""

    keyring: Keyring
    custody: CountingCustody
    alarms: list[Tampered] = field(default_factory=list)
    lookups: list[tuple[int, int]] = field(default_factory=list)
    """(hits, misses) of each view."""

    @property
    def alarmed(self) -> Sequence[str]:
        """The subjects that the alarm was called for."""
        return [error.subject for error in self.alarms]


async def ring(
    database: Database,
    *,
    loader: Loader | None = None,
    revisions: Revisions | None = None,
    capacity: int = KEYRING_MAX_KEYS,
) -> Ring:
    """Return a keyring at the database's epoch."""
    alarms: list[Tampered] = []
    lookups: list[tuple[int, int]] = []
    custody = await database.custody()
    keyring = Keyring(
        loader=loader or database.reader,
        custody=custody,
        revisions=revisions or Revisions(),
        epoch=database.epoch,
        alarm=alarms.append,
        count=lambda hits, misses: lookups.append((hits, misses)),
        capacity=capacity,
    )
    return Ring(keyring, custody, alarms, lookups)


def by_id(key_id: str) -> KeyReference:
    """Refer to a key by its id."""
    return KeyReference(KeyReferenceKind.KEY_ID, key_id)


def by_alias(name: str) -> KeyReference:
    """Refer to a key by an alias."""
    return KeyReference(KeyReferenceKind.ALIAS, name)


def wants(*references: KeyReference) -> list[Wanted]:
    """Want keys with their current material."""
    return [Wanted(reference) for reference in references]
