"""The condition operators: each becomes a test of one value of the request against the values in the policy."""

import operator as compare
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeAlias

from kmsq_worker.policy.access import Value
from kmsq_worker.policy.flaw import Flaw, shown
from kmsq_worker.policy.keys import Kind
from kmsq_worker.policy.patterns import Matcher, Pattern, arn_glob, glob, plain

FIELD: Final = "Condition"
_TRUTHS: Final = {"true": True, "false": False}
_is_number = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,9})?").fullmatch
_is_epoch = re.compile(r"[0-9]{9,12}").fullmatch  # seconds; shorter is a year or a day, longer milliseconds
_is_moment = re.compile(  # the forms of W3C's note on dates and times that name a day, with their time zone
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?",
).fullmatch

Test: TypeAlias = Callable[[Value, str], bool]
"""Takes a value of the request and the caller's ARN, which policy variables may name."""

Compile: TypeAlias = Callable[[Iterable[str], bool], Test]
"""Takes the policy's values and whether its version knows variables; raises `Flaw`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`kinds` are the values it can be applied to; a negated one holds when nothing matches."""

    kinds: frozenset[Kind]
    compile: Compile
    negated: bool = False

    def test(self, values: Iterable[str], *, variables: bool) -> Test:
        """Compile it for the policy's `values`."""
        matches = self.compile(values, variables)
        if not self.negated:
            return matches
        return lambda value, principal: not matches(value, principal)


def truth(text: str) -> bool:
    """Read `true` or `false`; case does not matter, as in AWS."""
    if text.lower() not in _TRUTHS:
        raise Flaw(FIELD, f"true or false is needed, not {shown(text)}")
    return _TRUTHS[text.lower()]


def _text_of(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _equals(values: Iterable[str], variables: bool) -> Test:  # noqa: FBT001  called through a table
    return _text_test(plain(FIELD, value, variables=variables) for value in values)


def _like(values: Iterable[str], variables: bool) -> Test:  # noqa: FBT001
    return _text_test(glob(FIELD, value, variables=variables) for value in values)


def _arn_like(values: Iterable[str], variables: bool) -> Test:  # noqa: FBT001
    return _text_test(arn_glob(FIELD, value, variables=variables) for value in values)


def _text_test(patterns: Iterable[Pattern]) -> Test:
    matches = Matcher.of(patterns).matches
    return lambda value, principal: matches(_text_of(value), principal)


def _equals_ignoring_case(values: Iterable[str], variables: bool) -> Test:  # noqa: FBT001
    folded = (plain(FIELD, value.casefold(), variables=variables) for value in values)
    matches = Matcher.of(folded).matches
    return lambda value, principal: matches(_text_of(value).casefold(), principal.casefold())


def _bool(values: Iterable[str], _variables: bool) -> Test:  # noqa: FBT001
    wanted = frozenset(truth(value) for value in values)

    def test(value: Value, _principal: str) -> bool:
        if not isinstance(value, bool):
            raise TypeError(value)
        return value in wanted

    return test


def _ordered(read: Callable[[str], Decimal], relation: Callable[[Decimal, Decimal], bool]) -> Compile:
    def compile_(values: Iterable[str], _variables: bool) -> Test:  # noqa: FBT001
        limits = tuple(read(value) for value in values)

        def test(value: Value, _principal: str) -> bool:
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(value)
            number = Decimal(value)
            return any(relation(number, limit) for limit in limits)

        return test

    return compile_


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
_RELATIONS: Final = {
    "Equals": (compare.eq, False),
    "NotEquals": (compare.eq, True),
    "LessThan": (compare.lt, False),
    "LessThanEquals": (compare.le, False),
    "GreaterThan": (compare.gt, False),
    "GreaterThanEquals": (compare.ge, False),
}


def _comparisons(prefix: str, kind: Kind, read: Callable[[str], Decimal]) -> dict[str, Operator]:
    return {
        prefix + name: Operator(frozenset({kind}), _ordered(read, relation), negated)
        for name, (relation, negated) in _RELATIONS.items()
    }


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "StringEquals": Operator(_TEXT, _equals),
        "StringNotEquals": Operator(_TEXT, _equals, negated=True),
        "StringEqualsIgnoreCase": Operator(_TEXT, _equals_ignoring_case),
        "StringNotEqualsIgnoreCase": Operator(_TEXT, _equals_ignoring_case, negated=True),
        "StringLike": Operator(_TEXT, _like),
        "StringNotLike": Operator(_TEXT, _like, negated=True),
        "ArnEquals": Operator(_ARN, _arn_like),
        "ArnNotEquals": Operator(_ARN, _arn_like, negated=True),
        "ArnLike": Operator(_ARN, _arn_like),
        "ArnNotLike": Operator(_ARN, _arn_like, negated=True),
        "Bool": Operator(frozenset({Kind.BOOL}), _bool),
        **_comparisons("Numeric", Kind.NUMBER, _number),
        **_comparisons("Date", Kind.MOMENT, _moment),
    },
)
