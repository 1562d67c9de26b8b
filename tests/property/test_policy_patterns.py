"""Wildcards against the simplest matcher one can write."""

from functools import cache

from hypothesis import example, given
from hypothesis import strategies as st

from kmsq_worker.policy.matcher import Matcher
from kmsq_worker.policy.patterns import arn_glob, glob, plain

TEXTS = st.text("ab:.\n", max_size=12)
GLOBS = st.text("ab:.*?\n", max_size=8)


def naive(pattern: str, text: str, barrier: str = "") -> bool:
    """Match by trying everything; wildcards do not cross `barrier`."""

    @cache
    def match(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(text)
        passable = j < len(text) and text[j] != barrier
        if pattern[i] == "*":
            return match(i + 1, j) or (passable and match(i, j + 1))
        if pattern[i] == "?":
            return passable and match(i + 1, j + 1)
        return j < len(text) and pattern[i] == text[j] and match(i + 1, j + 1)

    return match(0, 0)


@given(GLOBS, TEXTS)
@example("*ab*b", "aabb")
@example("a*?b", "ab")
@example("*a?*", "a\n")
def test_wildcards_agree_with_a_naive_matcher(pattern: str, text: str) -> None:
    assert Matcher.of([glob("x", pattern, variables=True)]).matches(text) is naive(pattern, text)


@given(st.lists(GLOBS, max_size=4), TEXTS)
def test_several_patterns_match_when_one_does(patterns: list[str], text: str) -> None:
    matcher = Matcher.of(glob("x", pattern, variables=False) for pattern in patterns)
    assert matcher.matches(text) is any(naive(pattern, text) for pattern in patterns)


@given(st.lists(st.text("ab*?", max_size=3), min_size=5, max_size=5), st.lists(st.text("ab", max_size=3), min_size=5))
@example(["*"] * 5, ["a", "b", "a", "b", "a", "b"])
def test_in_an_arn_wildcards_stay_in_their_part(pattern: list[str], text: list[str]) -> None:
    matcher = Matcher.of([arn_glob("x", ":".join(["arn", *pattern]), variables=False)])
    head, last = text[:4], ":".join(text[4:])
    expected = all(map(naive, pattern[:4], head)) and naive(pattern[4], last)
    assert matcher.matches(":".join(["arn", *text])) is expected


@given(st.text("ab*?$", max_size=8), TEXTS)
def test_plain_text_matches_itself_only(pattern: str, text: str) -> None:
    matcher = Matcher.of([plain("x", pattern, variables=False)])
    assert matcher.matches(pattern)
    assert matcher.matches(text) is (text == pattern)


@given(st.text("ab*?.", max_size=4), st.text("ab*", max_size=3), TEXTS)
def test_a_variable_is_what_the_request_says_and_no_wildcard(pattern: str, name: str, text: str) -> None:
    matcher = Matcher.of([glob("x", pattern + "${aws:username}", variables=True)])
    principal = f"arn:kmsq:iam::111122223333:user/{name}"
    escaped = name.replace("*", "\0")
    assert matcher.matches(text + name, principal) is naive(pattern + escaped, text + escaped)
