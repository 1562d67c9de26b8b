"""
Matching texts with many patterns, in a time that `bounds` can bound.

Between two `*` the leftmost place is always as good as any other, so nothing is ever tried twice. What stands there is
searched for by a regular expression without operators, which `re` does in one pass over the text (Knuth, Morris and
Pratt), where `str.find` may take text × piece steps.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from kmsq_worker.policy.access import Texts
from kmsq_worker.policy.patterns import ARN_PARTS, Pattern, Segment, Token, Variable, Wild

REMEMBERED_EXPRESSIONS: Final = 512  # those of policies that are in use, and of their callers' names

_compiled = lru_cache(REMEMBERED_EXPRESSIONS)(re.compile)


@dataclass(frozen=True, slots=True)
class Glob:
    """A segment, its variables filled in: `head`, what to search for after it, `tail`. Each matches one length."""

    head: str
    middle: tuple[re.Pattern[str], ...]
    tail: str | None
    head_expression: re.Pattern[str] | None
    tail_expression: re.Pattern[str] | None
    least: int

    @classmethod
    def of(cls, segment: Segment, principal: str) -> Self:
        """Fill in the variables."""
        head, *rest = segment.pieces
        tail = rest[-1] if rest else None
        texts = _text(head, principal), None if tail is None else _text(tail, principal)
        return cls(
            head=texts[0],
            middle=tuple(_compiled(_expression(piece, principal), re.DOTALL) for piece in segment.middle),
            tail=texts[1],
            head_expression=_gapped(head, principal),
            tail_expression=_gapped(tail or (), principal),
            least=len(texts[0]) + len(texts[1] or "") + sum(len(_text(piece, principal)) for piece in segment.middle),
        )

    def matches(self, text: str) -> bool:
        """Tell whether all of `text` matches."""
        size = len(text)
        if size < self.least or (self.tail is None and size != self.least):
            return False
        place, end = len(self.head), size - len(self.tail or "")
        if not (self.head_expression.match(text) if self.head_expression else text.startswith(self.head)):
            return False
        if self.tail and not (
            self.tail_expression.match(text, end) if self.tail_expression else text.endswith(self.tail)
        ):
            return False
        for expression in self.middle:
            found = expression.search(text, place, end)
            if found is None:
                return False
            place = found.end()
        return True


@dataclass(frozen=True, slots=True)
class ArnGlob:
    """An ARN's segments."""

    globs: tuple[Glob, ...]

    def matches(self, text: str) -> bool:
        """Tell whether each part matches its segment."""
        parts = text.split(":", ARN_PARTS - 1)
        if len(parts) != len(self.globs):
            return False
        return all(glob.matches(part) for glob, part in zip(self.globs, parts, strict=True))


def _prepared(pattern: Pattern) -> tuple[Glob | Segment, ...]:
    return tuple(segment if segment.varies else Glob.of(segment, "") for segment in pattern)


def _glob(prepared: Iterable[Glob | Segment], principal: str) -> Glob | ArnGlob:
    globs = tuple(part if isinstance(part, Glob) else Glob.of(part, principal) for part in prepared)
    return globs[0] if len(globs) == 1 else ArnGlob(globs)


def _text(piece: Iterable[Token], principal: str) -> str:
    return "".join(token.of(principal) if isinstance(token, Variable) else str(_character(token)) for token in piece)


def _character(token: str | Wild) -> str:
    return token.value if isinstance(token, Wild) else token


def _expression(piece: Iterable[Token], principal: str) -> str:
    return "".join("." if token is Wild.ONE else re.escape(_text((token,), principal)) for token in piece)


def _gapped(piece: tuple[Token, ...], principal: str) -> re.Pattern[str] | None:
    return _compiled(_expression(piece, principal), re.DOTALL) if Wild.ONE in piece else None


@dataclass(frozen=True, slots=True)
class Matcher:
    """
    Whether a text matches one of several patterns. What most policies use is a set look-up.

    `patterns` are those that need more than that, for `bounds`.
    """

    everything: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    globs: tuple[Glob | ArnGlob, ...]
    varying: tuple[tuple[Glob | Segment, ...], ...]
    patterns: frozenset[Pattern]
    folds: bool

    @classmethod
    def of(cls, patterns: Iterable[Pattern], *, folds: bool = False) -> Self:
        """Sort the patterns by how cheaply they can be matched. `folds` tells that texts come without case."""
        everything, exact, prefixes, globs, varying, kept = False, set(), [], [], [], []
        for pattern in dict.fromkeys(patterns):
            if any(segment.varies for segment in pattern):
                varying.append(_prepared(pattern))
            elif all(segment.is_literal for segment in pattern):
                exact.add(_literal(pattern))
                continue
            elif len(pattern) == 1 and pattern[0].is_prefix and not pattern[0].pieces[0]:
                everything = True
                continue
            elif pattern[-1].is_prefix and all(segment.is_literal for segment in pattern[:-1]):
                prefixes.append(_literal(pattern))
            else:
                globs.append(_glob(_prepared(pattern), ""))
            kept.append(pattern)
        return cls(
            everything=everything,
            exact=frozenset(exact),
            prefixes=tuple(prefixes),
            globs=tuple(globs),
            varying=tuple(varying),
            patterns=frozenset() if everything else frozenset(kept),
            folds=folds,
        )

    def matches(self, text: str, principal: str = "") -> bool:
        """Tell whether `text` matches; `principal` fills the variables."""
        if self.everything or text in self.exact:
            return True
        if self.prefixes and text.startswith(self.prefixes):
            return True
        if self.globs and any(glob.matches(text) for glob in self.globs):
            return True
        return bool(self.varying) and any(_glob(pattern, principal).matches(text) for pattern in self.varying)

    def count(self, texts: Texts, principal: str) -> int:
        """Count the `texts` that match."""
        if self.everything:
            return len(texts)
        count = len(self.exact & texts.all)
        if not self.patterns:
            return count
        matched = texts.matched.get(self.patterns)
        if matched is None:
            matched = texts.matched[self.patterns] = self._matched(texts.all, principal)
        return count + len(matched) - len(self.exact & matched)

    def _matched(self, texts: frozenset[str], principal: str) -> frozenset[str]:
        rest = [text for text in texts if not text.startswith(self.prefixes)] if self.prefixes else list(texts)
        for glob in (*self.globs, *self._varied(principal)):
            rest = [text for text in rest if not glob.matches(text)]
        return texts.difference(rest)

    def _varied(self, principal: str) -> list[Glob | ArnGlob]:
        if not self.varying:
            return []
        principal = principal.casefold() if self.folds else principal
        return [_glob(pattern, principal) for pattern in self.varying]


def _literal(pattern: Pattern) -> str:
    return ":".join(_text(segment.pieces[0], "") for segment in pattern)
