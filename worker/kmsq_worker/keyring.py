"""
The keys a session has at hand: a bounded cache that follows the account's epoch.

A turn asks for a `View` of everything it needs, captured at an epoch. The turn's commit is refused if anything the
turn touched changed beyond that epoch, so a stale entry can delay a request but never decide it; LISTEN/NOTIFY is not
needed for that.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from kmsq_worker.arn import KeyReferenceKind
from kmsq_worker.breath import Breath
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, Custody, Key, Tampered, alias_subject, key_subject
from kmsq_worker.store.reader import Loaded
from kmsq_worker.store.rows import GrantRow
from kmsq_worker.view import AccountPolicy, Material, View, Wanted

KEYRING_MAX_KEYS = 10_000  # about 5 KB each with its parsed policy
MATERIAL_NUMBER_MAX = 2**31 - 1  # what the column holds; a blob can name more, and the database refuses to look for it
REVISIONS_MAX_SUBJECTS = 200_000  # a short string and a number each

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Loader(Protocol):
    """Where the keyring gets what it lacks."""

    async def load(
        self, aliases: Collection[str], key_ids: Collection[str], materials: Collection[tuple[str, int]]
    ) -> Loaded:
        """Load rows. Raises `Unavailable`."""


class Bounded(OrderedDict[K, V], Generic[K, V]):
    """A map that forgets what was used least recently."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def use(self, key: K) -> V | None:
        """Return the value and count it as used; None if it is not here."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        """Store a value, at the expense of the least recently used one."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._capacity:
            self.popitem(last=False)


class Revisions:
    """
    The highest revision seen of each key, alias and policy; it outlives sessions.

    A row that comes back with a lower one was rolled back in the database, unless it was read before the other: loads
    overtake each other. So whoever reads rows asks for `newest` first.
    """

    def __init__(self, capacity: int = REVISIONS_MAX_SUBJECTS) -> None:
        self._seen: Bounded[str, int] = Bounded(capacity)
        self.newest = 0
        """The highest of all: what is read from now on is at least as new."""

    def check(self, subject: str, revision: int, *, newest: int) -> None:
        """
        Raise `Tampered` for a revision lower than one seen before.

        `newest` is what `Revisions.newest` was before the row was read: what came later is no evidence against it.
        """
        seen = self._seen.use(subject) or 0
        if revision < seen <= newest:
            raise Tampered(subject, "rolled back")
        self._seen.keep(subject, max(seen, revision))
        self.newest = max(self.newest, revision)


class Keyring:
    """The cache: one a session, shared by its lanes."""

    def __init__(
        self,
        *,
        loader: Loader,
        custody: Custody,
        revisions: Revisions,
        epoch: int,
        alarm: Callable[[Tampered], None],
        count: Callable[[int, int], None],
        capacity: int = KEYRING_MAX_KEYS,
    ) -> None:
        self._loader = loader
        self._custody = custody
        self._revisions = revisions
        self._epoch = epoch
        self._alarm = alarm
        self._count = count
        self._account_policy: AccountPolicy | None = None
        self._aliases: Bounded[str, str] = Bounded(capacity)
        self._keys: Bounded[str, Key] = Bounded(capacity)
        self._materials: Bounded[str, dict[int, Material]] = Bounded(capacity)

    @property
    def epoch(self) -> int:
        """The epoch up to which this keyring follows the change log."""
        return self._epoch

    async def view(self, wanted: Iterable[Wanted]) -> View:
        """Return a view of `wanted`, loading what is not here in one go. Raises `Unavailable`."""
        view = View(self._epoch, self._account_policy)
        needed = set(wanted)
        missing = [one for one in needed if not self._take(one, view)]
        self._count(len(needed) - len(missing), len(missing))
        if missing or view.account_policy is None:
            view.absorb(await self._load(missing))
        return view

    def follow(self, epoch: int, changed: Sequence[str]) -> None:
        """Drop what changed: `changed` are all subjects of the change log between this keyring's epoch and `epoch`."""
        for subject in changed:
            kind, _, name = subject.partition(":")
            if kind == "key":
                self._keys.pop(name, None)
                self._materials.pop(name, None)
            elif kind == "alias":
                self._aliases.pop(name, None)
            elif subject == ACCOUNT_POLICY_SUBJECT:
                self._account_policy = None
        self._epoch = max(self._epoch, epoch)

    def forget(self, epoch: int) -> None:
        """Drop everything: the change log up to `epoch` is too long to follow."""
        self._account_policy = None
        self._aliases.clear()
        self._keys.clear()
        self._materials.clear()
        self._epoch = max(self._epoch, epoch)

    def _take(self, wanted: Wanted, view: View) -> bool:
        """Copy what is wanted from the cache into the view; False if something is not here."""
        key_id: str | None = wanted.reference.value
        if wanted.reference.kind is KeyReferenceKind.ALIAS:
            key_id = self._aliases.use(wanted.reference.value)
            if key_id is None:
                return False
            view.aliases[wanted.reference.value] = key_id
        key = self._keys.use(key_id) if key_id is not None else None
        if key is None:
            return False
        view.keys[key.key_id] = key
        number = wanted.material or key.row.current_material
        material = (self._materials.use(key.key_id) or {}).get(number)
        if material is None:
            return not 0 < number <= key.row.current_material  # it cannot exist: nothing to load
        view.materials[key.key_id, number] = material
        return True

    async def _load(self, missing: Sequence[Wanted]) -> View:
        aliases = {one.reference.value for one in missing if one.reference.kind is KeyReferenceKind.ALIAS}
        by_id = [one for one in missing if one.reference.kind is KeyReferenceKind.KEY_ID]
        key_ids = {one.reference.value for one in by_id}
        materials = {(one.reference.value, one.material) for one in by_id if 0 < one.material <= MATERIAL_NUMBER_MAX}
        newest = self._revisions.newest
        loaded = await self._loader.load(aliases, key_ids, materials)
        newest = max(newest, loaded.epoch)
        await self._custody.fetch_missing(
            [loaded.account_policy, *loaded.aliases, *loaded.keys, *loaded.grants, *loaded.materials]
        )
        found = await self._verify(loaded, newest)
        # A row read before a change that this keyring follows already would stay here unnoticed. Only the view may use
        # it: the view's epoch is older still, and its commit is checked against that.
        if found.epoch >= self._epoch:
            self._keep(found)
        return found

    async def _verify(self, loaded: Loaded, newest: int) -> View:
        found, breath = View(loaded.epoch), Breath()
        with found.distrust(self._alarm):
            policy = self._custody.open_account_policy(loaded.account_policy)
            self._revisions.check(ACCOUNT_POLICY_SUBJECT, loaded.account_policy.revision, newest=newest)
            found.account_policy = AccountPolicy(loaded.account_policy.policy, policy)
        for alias in loaded.aliases:
            subject = alias_subject(alias.alias_name)
            with found.distrust(self._alarm):
                self._custody.verify(alias, subject)
                self._revisions.check(subject, alias.revision, newest=newest)
                found.aliases[alias.alias_name] = alias.key_id
        grants: dict[str, list[GrantRow]] = {}
        for grant in loaded.grants:
            grants.setdefault(grant.key_id, []).append(grant)
        for row in loaded.keys:
            with found.distrust(self._alarm):
                key = self._custody.open_key(row, grants.get(row.key_id, ()), loaded.alias_names.get(row.key_id, ()))
                self._revisions.check(key_subject(row.key_id), row.revision, newest=newest)
                found.keys[row.key_id] = key
            await breath.take()  # a key can have thousands of grants
        for material in loaded.materials:
            found.materials[material.key_id, material.material_number] = Material(material)
        return found

    def _keep(self, found: View) -> None:
        if found.account_policy is not None:
            self._account_policy = found.account_policy
        for name, key_id in found.aliases.items():
            self._aliases.keep(name, key_id)
        for key_id, key in found.keys.items():
            self._keys.keep(key_id, key)
        for (key_id, number), material in found.materials.items():
            self._materials.keep(key_id, {**self._materials.get(key_id, {}), number: material})
