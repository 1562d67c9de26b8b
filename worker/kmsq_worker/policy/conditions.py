"""
The `Condition` element: operators over condition keys.

All operators of a statement, and all keys of an operator, must hold; of an operator's values one must match, or none
for a negated one (`StringNotEquals`). When the request lacks the key: a plain operator is false, a negated one true,
`…IfExists` true, `ForAllValues:` true, `ForAnyValue:` false, as in AWS.

Where AWS leaves the meaning open, the answer is the one that cannot widen an allow or dodge a deny: in an Allow the
condition must hold for *every* value, in a Deny for *any*. That is so for an operator without `ForAnyValue:` or
`ForAllValues:` when the request has several values, e.g. two pairs whose keys differ in case only; for a missing key
under `ForAnyValue:…IfExists`; for what every such request has (the time, a key's aliases and tags, the tags of a request
that tags), should the worker fail to supply it; and for a context key or tag that is spelt in many ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from kmsq_worker.policy.access import Access
from kmsq_worker.policy.flaw import Flaw, shown
from kmsq_worker.policy.keys import PAIRS, Key, find
from kmsq_worker.policy.operators import FIELD, OPERATORS, Operator, Presence, Read, Test, truth

_IF_EXISTS: Final = "IfExists"
_NULL: Final = "Null"


class _Set(Enum):
    """The set operators, which stand before another one."""

    FOR_ALL = "ForAllValues"
    FOR_ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One operator applied to one key.

    `read` gives the request's values as `test` counts them. `every` tells whether all must match or one suffices.
    """

    key: Key
    read: Read
    test: Test
    negated: bool
    every: bool
    missing: bool
    unknown: bool

    def holds(self, access: Access) -> bool:
        """Tell whether the request satisfies it."""
        values = self.read(access)
        if not values:
            return self.unknown if values is None else self.missing
        matching = self.test.count(values, access.principal)
        if self.negated:
            matching = len(values) - matching
        return matching == len(values) if self.every else matching > 0


@dataclass(frozen=True, slots=True)
class _Name:
    """An operator's name taken apart: `ForAnyValue:StringLikeIfExists`."""

    base: str
    set_operator: _Set | None
    if_exists: bool

    @classmethod
    def parse(cls, text: str) -> "_Name":
        prefix, colon, rest = text.partition(":")
        try:
            set_operator = _Set(prefix) if colon else None
        except ValueError:
            raise Flaw(FIELD, f"unknown operator {shown(text)}") from None
        base = rest if colon else text
        name = cls(base.removesuffix(_IF_EXISTS), set_operator, base.endswith(_IF_EXISTS))
        if name.base not in OPERATORS and (name.base != _NULL or base != text or name.if_exists):
            raise Flaw(FIELD, f"unknown operator {shown(text)}")
        return name


def compile_conditions(element: object, *, deny: bool, variables: bool) -> tuple[Condition, ...]:
    """
    Read a `Condition` element. `deny` tells the statement's effect, `variables` whether its version knows them.

    Raises `Flaw`.
    """
    conditions = []
    for operator, block in _members(element, "operators"):
        name = _Name.parse(operator)
        members = dict(_members(block, f"condition keys under {operator}"))
        if not members:
            raise Flaw(FIELD, f"{operator} is empty")
        if len({key.casefold() for key in members}) != len(members):
            raise Flaw(FIELD, f"{operator} names a key twice")
        for key, values in members.items():
            texts = _texts(values)
            if name.base == _NULL:
                conditions.append(_null(find(key), texts, deny=deny))
            else:
                conditions.append(_condition(name, find(key), texts, deny=deny, variables=variables))
    return tuple(conditions)


def _condition(name: _Name, key: Key, values: tuple[str, ...], *, deny: bool, variables: bool) -> Condition:
    operator = OPERATORS[name.base]
    if not operator.kinds & key.kinds:
        raise Flaw(FIELD, f"{name.base} does not fit {shown(key.name)}")
    if name.set_operator is _Set.FOR_ALL and key.name.startswith(PAIRS):
        raise Flaw(FIELD, f"ForAllValues would match requests without {shown(key.name)}; remove it")
    return Condition(
        key=key,
        read=operator.reader(key),
        test=operator.compile(values, variables),
        negated=operator.negated,
        every=not deny if name.set_operator is None else name.set_operator is _Set.FOR_ALL,
        missing=_when_missing(name, operator, deny=deny),
        unknown=deny,
    )


def _when_missing(name: _Name, operator: Operator, *, deny: bool) -> bool:
    match name.set_operator:
        case _Set.FOR_ALL:
            return True
        case _Set.FOR_ANY:
            return name.if_exists and deny
        case None:
            return name.if_exists or operator.negated


def _null(key: Key, values: tuple[str, ...], *, deny: bool) -> Condition:
    if len(values) != 1:
        raise Flaw(FIELD, "Null takes one value")
    missing = truth(values[0])
    return Condition(key, key.read, Presence(), negated=missing, every=True, missing=missing, unknown=deny)


def _members(element: object, what: str) -> Iterator[tuple[str, object]]:
    if not isinstance(element, dict):
        raise Flaw(FIELD, f"an object with {what} is needed, not {shown(element)}")
    yield from element.items()


def _texts(values: object) -> tuple[str, ...]:
    items = values if isinstance(values, list) else [values]
    if not items:
        raise Flaw(FIELD, "a list of values is empty")
    return tuple(_text(item) for item in items)


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case _:
            raise Flaw(FIELD, f"a string, number or boolean is needed, not {shown(value)}")
