"""What is asked for, as policies see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Scalar: TypeAlias = str | bool | int
Value: TypeAlias = Scalar | tuple[str, ...] | Mapping[str, str]
"""A condition key's value, its values, or, of keys that name a pair (`aws:ResourceTag/<key>`), all pairs."""

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Texts:
    """A request's values of one condition key, and which of them matched which patterns: nothing is matched twice."""

    all: frozenset[str]
    matched: dict[frozenset[object], frozenset[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the values."""
        return len(self.all)


@dataclass(frozen=True, slots=True)
class Access:
    """
    One request: `principal` (the ARN of a user) asks to do `action` (`kms:Encrypt`) with `resource`.

    `resource` is a key ARN, or `*` for operations that have none. `context` is the request's encryption context.
    `values` holds the other condition keys, spelt as in `keys.ConditionKey`; moments are seconds since 1970, tags are
    a mapping. It need hold only what `Policy.condition_keys` of the policies at hand names. A condition on a value of the
    wrong type raises `TypeError`: better no answer than a deny that does not deny.

    What conditions read is worked out once and kept, so none of it may change after the first decision.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    values: Mapping[str, Value] = field(default_factory=lambda: NOTHING)
    _folded: dict[str, dict[str, list[str]]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _texts: dict[tuple[str, bool], Texts | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def spelt(self, name: str, pairs: Mapping[str, str], folded_key: str) -> list[str]:
        """Give the values of those `pairs` whose keys are `folded_key` but for their case; `name` tells whose they are."""
        folded = self._folded.get(name)
        if folded is None:
            folded = self._folded[name] = {}
            for key, value in pairs.items():
                folded.setdefault(key.casefold(), []).append(value)
        return folded.get(folded_key, [])

    def texts(self, name: tuple[str, bool], read: Callable[["Access"], Texts | None]) -> Texts | None:
        """Give what `read` gives, but read it only once; `name` tells apart what is read."""
        if name not in self._texts:
            self._texts[name] = read(self)
        return self._texts[name]
