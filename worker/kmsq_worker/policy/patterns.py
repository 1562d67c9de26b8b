"""
Wildcards and policy variables.

`*` stands for any run of characters and `?` for exactly one. `${aws:username}` and `${aws:PrincipalArn}` stand for the
caller; `${*}`, `${?}` and `${$}` for the character itself. Every other `${…}` is refused: read literally it would
silently match nothing, and a deny would not deny.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, TypeAlias

from kmsq_worker.policy.flaw import Flaw, shown

ARN_PARTS: Final = 6

# Matching takes its time from the worker that serves everybody, so what a policy may ask for is bounded: see `bounds`.
PATTERN_MAX_CHARS: Final = 256  # of a value with wildcards or variables; an ARN of an alias, the longest, fits
STARS_MAX: Final = 16  # in one value: each is another search
SLOW_PIECE_MAX_CHARS: Final = 16  # what has a `?` or variable between two `*`: its search takes text × piece steps


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


Tokens: TypeAlias = tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """
    A stretch of a pattern within which wildcards stay.

    `pieces` are what stands between its `*`, without them: each matches texts of one length. In the middle ones `?`
    comes last: `*?a` and `?*a` say the same, and what begins with a character is found faster.
    """

    pieces: tuple[Tokens, ...]

    @classmethod
    def of(cls, tokens: Iterable[Token]) -> Self:
        """Cut `tokens` at every `*`."""
        pieces: list[list[Token]] = [[]]
        for token in tokens:
            if token is Wild.RUN:
                pieces.append([])
            else:
                pieces[-1].append(token)
        for piece, before in zip(pieces[-2:0:-1], pieces[-3::-1], strict=False):
            while piece and piece[0] is Wild.ONE:
                before.append(piece.pop(0))
        first, *middle, last = pieces if len(pieces) > 1 else (pieces[0], [])
        middle = [piece for piece in middle if piece]
        kept = (first, *middle, last) if len(pieces) > 1 else (first,)
        return cls(tuple(tuple(piece) for piece in kept))

    @property
    def middle(self) -> tuple[Tokens, ...]:
        """The pieces that have to be searched for."""
        return self.pieces[1:-1]

    @property
    def varies(self) -> bool:
        """Whether the request has a part in it."""
        return any(isinstance(token, Variable) for piece in self.pieces for token in piece)

    @property
    def is_literal(self) -> bool:
        """Whether no wildcard is in it."""
        return len(self.pieces) == 1 and Wild.ONE not in self.pieces[0]

    @property
    def is_prefix(self) -> bool:
        """Whether its one wildcard is a `*` at the end."""
        return len(self.pieces) == 2 and not self.pieces[1] and Wild.ONE not in self.pieces[0]  # noqa: PLR2004


Pattern: TypeAlias = tuple[Segment, ...]


def plain(field: str, text: str, *, variables: bool) -> Pattern:
    """Read text without wildcards."""
    return _bounded(field, text, (Segment.of(_tokens(field, text, wildcards=False, variables=variables)),))


def glob(field: str, text: str, *, variables: bool) -> Pattern:
    """Read text with wildcards."""
    return _bounded(field, text, (Segment.of(_tokens(field, text, wildcards=True, variables=variables)),))


def arn_glob(field: str, text: str, *, variables: bool) -> Pattern:
    """Read an ARN with wildcards, which stay within its first five parts; variables are for the last one."""
    *head, resource = text.split(":", ARN_PARTS - 1)
    if len(head) != ARN_PARTS - 1 or head[0] != "arn":
        raise Flaw(field, f"{shown(text)} is not an ARN")
    segments = (Segment.of(_tokens(field, part, wildcards=True, variables=False)) for part in head)
    return _bounded(field, text, (*segments, *glob(field, resource, variables=variables)))


def _bounded(field: str, text: str, pattern: Pattern) -> Pattern:
    if all(segment.is_literal and not segment.varies for segment in pattern):
        return pattern
    if len(text) > PATTERN_MAX_CHARS:
        raise Flaw(
            field, f"{shown(text)} has a wildcard or a variable and is longer than {PATTERN_MAX_CHARS} characters"
        )
    if sum(len(segment.pieces) - 1 for segment in pattern) > STARS_MAX:
        raise Flaw(field, f"{shown(text)} has more than {STARS_MAX} wildcards *")
    if any(length(piece) > SLOW_PIECE_MAX_CHARS for segment in pattern for piece in segment.middle if is_slow(piece)):
        raise Flaw(
            field,
            f"between two * of {shown(text)} is a ? or a variable and more than {SLOW_PIECE_MAX_CHARS} characters",
        )
    return pattern


def is_slow(piece: Tokens) -> bool:
    """Tell whether searching for `piece` costs more than one pass over the text: see `bounds.SLOW_SEARCHES_MAX`."""
    gaps = [place for place, token in enumerate(piece) if token is Wild.ONE]
    inner = bool(gaps) and gaps != list(range(len(piece) - len(gaps), len(piece)))
    return inner or any(isinstance(token, Variable) for token in piece)


def length(piece: Tokens) -> int:
    """Count its characters; a variable is none."""
    return sum(len(token) if isinstance(token, str) else token is Wild.ONE for token in piece)


def _tokens(field: str, text: str, *, wildcards: bool, variables: bool) -> Tokens:
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
