"""The condition operators: each becomes a test of the request's values against those in the policy."""

import operator as compare
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from kmsq_worker.policy.access import Access, Scalar, Texts
from kmsq_worker.policy.flaw import Flaw, shown
from kmsq_worker.policy.keys import Key, Kind
from kmsq_worker.policy.matcher import Matcher
from kmsq_worker.policy.patterns import arn_glob, glob, plain

FIELD: Final = "Condition"
_TRUTHS: Final = {"true": True, "false": False}
_is_number = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,9})?").fullmatch
_is_epoch = re.compile(r"[0-9]{9,12}").fullmatch  # seconds; shorter is a year or a day, longer milliseconds
_is_moment = re.compile(  # the forms of W3C's note on dates and times that name a day, with their time zone
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?",
).fullmatch

Values: TypeAlias = tuple[Scalar, ...]
Read: TypeAlias = Callable[[Access], Values | Texts | None]


class Test(Protocol):
    """The values of a policy, compiled."""

    def count(self, values: Any, principal: str) -> int:
        """Count the request's `values` that match; `principal` is the caller's ARN, which policy variables may name."""


Compile: TypeAlias = Callable[[Iterable[str], bool], Test]
"""Takes the policy's values and whether its version knows variables; raises `Flaw`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """
    `kinds` are the values it can be applied to; a negated one holds when nothing matches.

    `reader` makes what reads a key's values in the form that the compiled test counts.
    """

    kinds: frozenset[Kind]
    compile: Compile
    reader: Callable[[Key], Read]
    negated: bool = False


def truth(text: str) -> bool:
    """Read `true` or `false`; case does not matter, as in AWS."""
    if text.lower() not in _TRUTHS:
        raise Flaw(FIELD, f"true or false is needed, not {shown(text)}")
    return _TRUTHS[text.lower()]


def _text_of(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _as_they_are(key: Key) -> Read:
    return key.read


def _as_texts(key: Key) -> Read:
    return _reader(key, _text_of, folds=False)


def _as_folded_texts(key: Key) -> Read:
    return _reader(key, lambda value: _text_of(value).casefold(), folds=True)


def _reader(key: Key, convert: Callable[[Scalar], str], *, folds: bool) -> Read:
    def read(access: Access) -> Texts | None:
        values = key.read(access)
        return None if values is None else Texts(frozenset(map(convert, values)))

    name = (key.name.casefold(), folds)
    return lambda access: access.texts(name, read)


def _equals(values: Iterable[str], variables: bool) -> Matcher:  # noqa: FBT001  called through a table
    return Matcher.of(plain(FIELD, value, variables=variables) for value in values)


def _like(values: Iterable[str], variables: bool) -> Matcher:  # noqa: FBT001
    return Matcher.of(glob(FIELD, value, variables=variables) for value in values)


def _arn_like(values: Iterable[str], variables: bool) -> Matcher:  # noqa: FBT001
    return Matcher.of(arn_glob(FIELD, value, variables=variables) for value in values)


def _equals_ignoring_case(values: Iterable[str], variables: bool) -> Matcher:  # noqa: FBT001
    return Matcher.of((plain(FIELD, value.casefold(), variables=variables) for value in values), folds=True)


@dataclass(frozen=True, slots=True)
class Presence:
    """What every value satisfies."""

    def count(self, values: Values, _principal: str) -> int:
        """Count all."""
        return len(values)


@dataclass(frozen=True, slots=True)
class _Truths:
    wanted: frozenset[bool]

    def count(self, values: Values, _principal: str) -> int:
        return sum(self._matches(value) for value in values)

    def _matches(self, value: Scalar) -> bool:
        if not isinstance(value, bool):
            raise TypeError(value)
        return value in self.wanted


def _bool(values: Iterable[str], _variables: bool) -> _Truths:  # noqa: FBT001
    return _Truths(frozenset(truth(value) for value in values))


@dataclass(frozen=True, slots=True)
class _Bound:
    """One number that decides for all in the policy: whatever is less than one of several is less than the greatest."""

    relation: Callable[[Any, Any], bool]
    bound: object

    def count(self, values: Values, _principal: str) -> int:
        return sum(self._matches(value) for value in values)

    def _matches(self, value: Scalar) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(value)
        return self.relation(Decimal(value), self.bound)


def _ordered(
    read: Callable[[str], Decimal],
    relation: Callable[[Any, Any], bool],
    choose: Callable[[Iterable[Decimal]], object],
) -> Compile:
    def compile_(values: Iterable[str], _variables: bool) -> _Bound:  # noqa: FBT001
        return _Bound(relation, choose(read(value) for value in values))

    return compile_


def _is_one_of(number: Decimal, numbers: frozenset[Decimal]) -> bool:
    return number in numbers


def _number(text: str) -> Decimal:
    if not _is_number(text):
        raise Flaw(FIELD, f"a number is needed, not {shown(text)}")
    return Decimal(text)


def _moment(text: str) -> Decimal:
    """Read seconds since 1970, or ISO 8601; a day alone begins at midnight UTC."""
    if _is_epoch(text):
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text) if _is_moment(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise Flaw(FIELD, f"a date is needed, like 2030-01-31T12:00:00Z, not {shown(text)}")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Decimal(str(moment.timestamp()))


_TEXT: Final = frozenset({Kind.TEXT, Kind.ARN, Kind.BOOL, Kind.NUMBER})
_ARN: Final = frozenset({Kind.ARN})
_RELATIONS: Final[dict[str, tuple[Callable[[Any, Any], bool], Callable[[Iterable[Decimal]], object], bool]]] = {
    "Equals": (_is_one_of, frozenset, False),
    "NotEquals": (_is_one_of, frozenset, True),
    "LessThan": (compare.lt, max, False),
    "LessThanEquals": (compare.le, max, False),
    "GreaterThan": (compare.gt, min, False),
    "GreaterThanEquals": (compare.ge, min, False),
}


def _comparisons(prefix: str, kind: Kind, read: Callable[[str], Decimal]) -> dict[str, Operator]:
    return {
        prefix + name: Operator(frozenset({kind}), _ordered(read, relation, choose), _as_they_are, negated)
        for name, (relation, choose, negated) in _RELATIONS.items()
    }


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "StringEquals": Operator(_TEXT, _equals, _as_texts),
        "StringNotEquals": Operator(_TEXT, _equals, _as_texts, negated=True),
        "StringEqualsIgnoreCase": Operator(_TEXT, _equals_ignoring_case, _as_folded_texts),
        "StringNotEqualsIgnoreCase": Operator(_TEXT, _equals_ignoring_case, _as_folded_texts, negated=True),
        "StringLike": Operator(_TEXT, _like, _as_texts),
        "StringNotLike": Operator(_TEXT, _like, _as_texts, negated=True),
        "ArnEquals": Operator(_ARN, _arn_like, _as_texts),
        "ArnNotEquals": Operator(_ARN, _arn_like, _as_texts, negated=True),
        "ArnLike": Operator(_ARN, _arn_like, _as_texts),
        "ArnNotLike": Operator(_ARN, _arn_like, _as_texts, negated=True),
        "Bool": Operator(frozenset({Kind.BOOL}), _bool, _as_they_are),
        **_comparisons("Numeric", Kind.NUMBER, _number),
        **_comparisons("Date", Kind.MOMENT, _moment),
    },
)
