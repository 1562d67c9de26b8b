"""
Wildcards and policy variables.

`*` stands for any run of characters and `?` for exactly one. `${aws:username}` and `${aws:PrincipalArn}` stand for the
caller; `${*}`, `${?}` and `${$}` for the character itself. Every other `${…}` is refused: read literally it would
silently match nothing, and a deny would not deny.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, TypeAlias

from kmsq_worker.policy.flaw import Flaw, shown

ARN_PARTS: Final = 6


class Wild(Enum):
    """A wildcard in a pattern."""

    RUN = "*"
    ONE = "?"


class Variable(Enum):
    """A part of a pattern that the request fills in."""

    USERNAME = "aws:username"
    PRINCIPAL_ARN = "aws:principalarn"

    def of(self, principal: str) -> str:
        """Give its value for the caller `principal`, an ARN."""
        return principal.rpartition("/")[2] if self is Variable.USERNAME else principal


Token: TypeAlias = str | Wild | Variable

_VARIABLES: Final[dict[str, Token]] = {"*": "*", "?": "?", "$": "$", **{name.value: name for name in Variable}}
_PIECES: Final = re.compile(r"\$\{([^}]*)\}|(\*+)|(\?)|((?:[^*?$]|\$(?!\{))+)", re.DOTALL)
_WILDS: Final = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a pattern whose wildcards stand for the characters of the class `any_character`."""

    tokens: tuple[Token, ...]
    any_character: str = "."

    @property
    def varies(self) -> bool:
        """Whether the request has a part in it."""
        return any(isinstance(token, Variable) for token in self.tokens)

    @property
    def is_literal(self) -> bool:
        """Whether no wildcard is in it."""
        return not any(isinstance(token, Wild) for token in self.tokens)

    def literal(self, principal: str) -> str:
        """Write it out; it holds no wildcard."""
        return "".join(token.of(principal) if isinstance(token, Variable) else str(token) for token in self.tokens)

    def expression(self, principal: str) -> str:
        """
        Translate to a regular expression that takes linear time for each `*`.

        Between two `*` the leftmost place is always as good as any other, so the groups are atomic: a policy full of
        `*` cannot make the worker backtrack.
        """
        parts = [""]
        for token in self.tokens:
            if token is Wild.RUN:
                parts.append("")
            elif token is Wild.ONE:
                parts[-1] += self.any_character
            else:
                parts[-1] += re.escape(token.of(principal) if isinstance(token, Variable) else str(token))
        if len(parts) == 1:
            return parts[0]
        middle = "".join(f"(?>{self.any_character}*?{part})" for part in parts[1:-1] if part)
        return f"{parts[0]}{middle}{self.any_character}*{parts[-1]}"


Pattern: TypeAlias = tuple[Segment, ...]


def plain(field: str, text: str, *, variables: bool) -> Pattern:
    """Read text without wildcards."""
    return (Segment(_tokens(field, text, wildcards=False, variables=variables)),)


def glob(field: str, text: str, *, variables: bool) -> Pattern:
    """Read text with wildcards."""
    return (Segment(_tokens(field, text, wildcards=True, variables=variables)),)


def arn_glob(field: str, text: str, *, variables: bool) -> Pattern:
    """Read an ARN with wildcards, which stay within its first five parts; variables are for the last one."""
    *head, resource = text.split(":", ARN_PARTS - 1)
    if len(head) != ARN_PARTS - 1 or head[0] != "arn":
        raise Flaw(field, f"{shown(text)} is not an ARN")
    return (
        *(Segment(_tokens(field, part, wildcards=True, variables=False), "[^:]") for part in head),
        *glob(field, resource, variables=variables),
    )


def _tokens(field: str, text: str, *, wildcards: bool, variables: bool) -> tuple[Token, ...]:
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        piece = _PIECES.match(text, position)
        if piece is None:
            raise Flaw(field, f"a policy variable is not closed in {shown(text)}")
        position = piece.end()
        variable, run, _one, literal = piece.groups()
        if variable is not None:
            tokens.append(_variable(field, variable, allowed=variables))
        elif literal is not None or not wildcards:
            tokens.append(piece.group())
        else:
            tokens.append(Wild.RUN if run else Wild.ONE)
    return tuple(tokens)


def _variable(field: str, name: str, *, allowed: bool) -> Token:
    if not allowed:
        raise Flaw(field, "policy variables are not allowed here, or need Version 2012-10-17")
    token = _VARIABLES.get(name.lower())
    if token is None:
        raise Flaw(field, f"unknown policy variable {shown(name)}")
    return token


@dataclass(frozen=True, slots=True)
class Matcher:
    """Whether a text matches one of several patterns. What most policies use is a set look-up."""

    everything: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    expressions: tuple[re.Pattern[str], ...]
    varying: tuple[Pattern, ...]

    @classmethod
    def of(cls, patterns: Iterable[Pattern]) -> Self:
        """Sort the patterns by how cheaply they can be matched."""
        everything, exact, prefixes, expressions, varying = False, set(), [], [], []
        for pattern in patterns:
            if any(segment.varies for segment in pattern):
                varying.append(pattern)
            elif all(segment.is_literal for segment in pattern):
                exact.add(_literal(pattern, ""))
            elif len(pattern) == 1 and pattern[0].tokens == (Wild.RUN,):
                everything = True
            elif (prefix := _prefix(pattern)) is not None:
                prefixes.append(prefix)
            else:
                expressions.append(_compiled(pattern, ""))
        return cls(everything, frozenset(exact), tuple(prefixes), tuple(expressions), tuple(varying))

    def matches(self, text: str, principal: str = "") -> bool:
        """Tell whether `text` matches; `principal` fills the variables."""
        if self.everything or text in self.exact:
            return True
        if self.prefixes and text.startswith(self.prefixes):
            return True
        if self.expressions and any(expression.fullmatch(text) for expression in self.expressions):
            return True
        return bool(self.varying) and any(_varying_matches(pattern, text, principal) for pattern in self.varying)


def _varying_matches(pattern: Pattern, text: str, principal: str) -> bool:
    if all(segment.is_literal for segment in pattern):
        return _literal(pattern, principal) == text
    return _compiled(pattern, principal).fullmatch(text) is not None


def _literal(pattern: Sequence[Segment], principal: str) -> str:
    return ":".join(segment.literal(principal) for segment in pattern)


def _compiled(pattern: Pattern, principal: str) -> re.Pattern[str]:
    return re.compile(":".join(segment.expression(principal) for segment in pattern), re.DOTALL)


def _prefix(pattern: Pattern) -> str | None:
    *head, last = pattern
    stem = Segment(last.tokens[:-1])
    if last.tokens[-1:] != (Wild.RUN,) or not all(segment.is_literal for segment in (*head, stem)):
        return None
    return _literal((*head, stem), "")
