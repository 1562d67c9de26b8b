"""
A policy document, read into what `evaluate` needs.

Stricter than AWS where a lenient reading would hide a mistake: unknown elements, condition keys and variables are
refused, and every statement needs a principal, an action and a resource.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kmsq_worker.errors import LimitExceededException, MalformedPolicyDocumentException
from kmsq_worker.policy import bounds
from kmsq_worker.policy.flaw import MESSAGE_LENGTH, Flaw, shown
from kmsq_worker.policy.statement import Effect, Statement, read_statement
from kmsq_worker.policy.strict_json import loads

MAX_BYTES: Final = 32_768  # of UTF-8: AWS KMS quota "key policy document size"

_VERSION_WITH_VARIABLES: Final = "2012-10-17"
_VERSION_BY_DEFAULT: Final = "2008-10-17"
_VERSIONS: Final = (_VERSION_WITH_VARIABLES, _VERSION_BY_DEFAULT)
_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})


@dataclass(frozen=True, slots=True)
class Policy:
    """
    A policy, ready to be evaluated.

    `condition_keys` are the names in `Access.values` that it may ask for: others need not be supplied. `reads_context`
    tells whether any decision can depend on the encryption context.
    """

    denies: tuple[Statement, ...]
    allows: tuple[Statement, ...]
    condition_keys: frozenset[str]
    reads_context: bool

    @classmethod
    def of(cls, statements: Iterable[Statement]) -> "Policy":
        """Put the statements where the evaluation wants them; their order never matters."""
        statements = tuple(statements)
        keys = [condition.key for statement in statements for condition in statement.conditions]
        return cls(
            denies=tuple(statement for statement in statements if statement.effect is Effect.DENY),
            allows=tuple(statement for statement in statements if statement.effect is Effect.ALLOW),
            condition_keys=frozenset(key.supplied for key in keys if key.supplied),
            reads_context=any(key.reads_context for key in keys),
        )


def parse(text: str) -> Policy:
    """
    Read a policy document.

    Raises `LimitExceededException` above 32,768 bytes or what `bounds` allows, and `MalformedPolicyDocumentException`, whose message names the
    statement and the element.
    """
    size = len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        message = f"The policy has {size} bytes; at most {MAX_BYTES} are allowed."
        raise LimitExceededException(message)
    try:
        return _policy(loads(text))
    except Flaw as flaw:
        message = str(flaw)
        if len(message) > MESSAGE_LENGTH:
            message = message[: MESSAGE_LENGTH - 1] + "…"
        raise MalformedPolicyDocumentException(message) from flaw


def _policy(document: object) -> Policy:
    if not isinstance(document, dict):
        raise Flaw("Policy", f"an object is needed, not {shown(document)}")
    for name in document:
        if name not in _ELEMENTS:
            raise Flaw(shown(name), "unknown element")
    version = document.get("Version", _VERSION_BY_DEFAULT)
    if version not in _VERSIONS:
        raise Flaw("Version", f"2012-10-17 or 2008-10-17 is needed, not {shown(version)}")
    if not isinstance(document.get("Id", ""), str):
        raise Flaw("Id", "a string is needed")
    elements = document.get("Statement")
    elements = elements if isinstance(elements, list) else [elements]
    if not elements:
        raise Flaw("Statement", "the list is empty")
    variables = version == _VERSION_WITH_VARIABLES
    statements = [_numbered(number, element, variables=variables) for number, element in enumerate(elements, 1)]
    _refuse_repeated_sids(statements)
    bounds.check(statements)
    return Policy.of(statements)


def _numbered(number: int, element: object, *, variables: bool) -> Statement:
    try:
        return read_statement(element, variables=variables)
    except Flaw as flaw:
        sid = element.get("Sid") if isinstance(element, dict) else None
        place = f"Statement {number} ({shown(sid)})" if sid else f"Statement {number}"
        raise Flaw(place, str(flaw)) from flaw


def _refuse_repeated_sids(statements: Iterable[Statement]) -> None:
    for sid, times in Counter(statement.sid for statement in statements).items():
        if sid and times > 1:
            raise Flaw("Sid", f"{shown(sid)} names {times} statements")
