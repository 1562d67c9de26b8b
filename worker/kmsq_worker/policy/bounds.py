"""
What a policy may cost.

Every request asks a policy, and whoever may put one may send an encryption context of 8 KB with it. With these bounds
no policy takes more than about two milliseconds of a worker, whatever the context; without them 32 KB could take
hundreds. They are far from what policies need.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from kmsq_worker.errors import LimitExceededException
from kmsq_worker.policy.conditions import Condition
from kmsq_worker.policy.keys import ENCRYPTION_CONTEXT_KEYS
from kmsq_worker.policy.matcher import Matcher
from kmsq_worker.policy.patterns import Pattern, is_slow
from kmsq_worker.policy.statement import Statement

STATEMENTS_MAX: Final = 100  # half a microsecond each
CONDITIONS_MAX: Final = 256  # operator and key; a microsecond each
TARGET_PATTERNS_MAX: Final = 64  # in actions and resources; up to 7 µs each, since their texts are short
PATTERNS_MAX: Final = 64  # in conditions; up to 4 µs each, 14 on 50 aws:TagKeys: what tags has no encryption context
VARIABLES_MAX: Final = 16  # resources and condition values with variables; up to 30 µs each to fill them in
KEY_PATTERNS_MAX: Final = 3  # on kms:EncryptionContextKeys; 0.3 ms each for a context of 800 keys
SEARCHES_MAX: Final = 16  # in conditions, values with text between two `*`; 25 µs each for 8 KB of context
SLOW_SEARCHES_MAX: Final = 1  # of those, with a `?` or a variable in that text; 0.5 ms each for 8 KB of context


def check(statements: Sequence[Statement]) -> None:
    """Raise `LimitExceededException` for a policy that could cost too much."""
    conditions = [condition for statement in statements for condition in statement.conditions]
    targets = [target for statement in statements for target in (statement.actions, statement.resources)]
    patterns = _patterns(conditions)
    searches = [pattern for pattern in patterns if any(segment.middle for segment in pattern)]
    names = [condition for condition in conditions if condition.key.name == ENCRYPTION_CONTEXT_KEYS]
    _check("statements", len(statements), STATEMENTS_MAX)
    _check("conditions", len(conditions), CONDITIONS_MAX)
    _check(
        "actions and resources with wildcards other than one * at the end, or with variables",
        sum(len(target.matcher.globs) + len(target.matcher.varying) for target in targets),
        TARGET_PATTERNS_MAX,
    )
    _check("different condition values with wildcards or variables", len(patterns), PATTERNS_MAX)
    _check(
        "resources and different condition values with variables",
        sum(len(target.matcher.varying) for target in targets)
        + sum(any(segment.varies for segment in pattern) for pattern in patterns),
        VARIABLES_MAX,
    )
    _check(
        f"different values with wildcards or variables for {ENCRYPTION_CONTEXT_KEYS}",
        len(_patterns(names)),
        KEY_PATTERNS_MAX,
    )
    _check("different condition values with text between two *", len(searches), SEARCHES_MAX)
    _check(
        "condition texts between two * with a ? or a variable",
        sum(is_slow(piece) for pattern in searches for segment in pattern for piece in segment.middle),
        SLOW_SEARCHES_MAX,
    )


def _patterns(conditions: Iterable[Condition]) -> list[Pattern]:
    """List what has to be matched: the same values for the same key cost once, however many statements have them."""
    tests = {
        (condition.key.name.casefold(), condition.test.folds, condition.test.patterns)
        for condition in conditions
        if isinstance(condition.test, Matcher)
    }
    return [pattern for _, _, patterns in tests for pattern in patterns]


def _check(what: str, number: int, most: int) -> None:
    if number > most:
        message = f"The policy has {number} {what}; at most {most} are allowed."
        raise LimitExceededException(message)
