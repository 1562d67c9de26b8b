"""One statement of a policy: whom it is about, what it covers, and how it is read."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from kmsq_worker.arn import ACCOUNT_ID, PARTITION, USER_NAME
from kmsq_worker.policy.access import Access
from kmsq_worker.policy.conditions import Condition, compile_conditions
from kmsq_worker.policy.flaw import Flaw, shown, texts
from kmsq_worker.policy.matcher import Matcher
from kmsq_worker.policy.patterns import Pattern, arn_glob, glob

REMEMBERED_LISTS: Final = 256  # the few lists that most policies share are read once and held once

_CHOICES: Final = (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource"))
_ELEMENTS: Final = frozenset({"Sid", "Effect", "Condition"}.union(*_CHOICES))

_is_account = re.compile(ACCOUNT_ID).fullmatch
_is_principal = re.compile(rf"arn:{PARTITION}:iam::{ACCOUNT_ID}:(?:user/{USER_NAME}|root)").fullmatch
_is_action = re.compile(r"kms:[a-zA-Z0-9*?]+", re.IGNORECASE | re.ASCII).fullmatch


class Effect(Enum):
    """What a statement does when it applies."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Principals:
    """
    Whom a statement is about: users and account roots.

    A root in an Allow is nobody who calls: it leaves the decision to the account policy (`Statement.delegates`). A
    root in a Deny's Principal is everyone in that account, kept in `accounts`. `inverted` is NotPrincipal.
    """

    everyone: bool
    arns: frozenset[str]
    accounts: frozenset[str]
    inverted: bool

    def include(self, principal: str) -> bool:
        """Tell whether the caller is meant."""
        if self.everyone or principal in self.arns:
            return not self.inverted
        if self.accounts and principal.split(":")[4] in self.accounts:
            return True
        return self.inverted


@dataclass(frozen=True, slots=True)
class Targets:
    """Actions or resources, or (inverted) all others."""

    matcher: Matcher
    inverted: bool

    def include(self, text: str, principal: str) -> bool:
        """Tell whether `text` is meant; `principal` fills the variables."""
        return self.matcher.matches(text, principal) is not self.inverted


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Its actions are in lower case: AWS compares them so."""

    sid: str
    effect: Effect
    principals: Principals
    actions: Targets
    resources: Targets
    conditions: tuple[Condition, ...]

    def applies(self, access: Access, action: str) -> bool:
        """Tell whether it speaks about `access`; `action` is its action in lower case."""
        return self.principals.include(access.principal) and self._covers(access, action)

    def delegates(self, access: Access, action: str, root_arn: str) -> bool:
        """Tell whether this Allow leaves `access` to the account policy."""
        return root_arn in self.principals.arns and self._covers(access, action)

    def _covers(self, access: Access, action: str) -> bool:
        principal = access.principal
        return (
            self.actions.include(action, principal)
            and self.resources.include(access.resource, principal)
            and (not self.conditions or all(condition.holds(access) for condition in self.conditions))
        )


def read_statement(element: object, *, variables: bool) -> Statement:
    """Read one member of `Statement`; `variables` tells whether the policy's version knows them. Raises `Flaw`."""
    if not isinstance(element, dict):
        raise Flaw("Statement", f"an object is needed, not {shown(element)}")
    for name in element:
        if name not in _ELEMENTS:
            raise Flaw(shown(name), "unknown element")
    sid = element.get("Sid", "")
    if not isinstance(sid, str):
        raise Flaw("Sid", f"a string is needed, not {shown(sid)}")
    effect = _effect(element.get("Effect"))
    (_, principal), (action_name, action), (resource_name, resource) = (
        _choice(element, *choice) for choice in _CHOICES
    )
    deny = effect is Effect.DENY
    return Statement(
        sid=sid,
        effect=effect,
        principals=_principals(principal, deny=deny, inverted="NotPrincipal" in element),
        actions=_actions(action_name, texts(action_name, action)),
        resources=_resources(resource_name, texts(resource_name, resource), variables=variables),
        conditions=compile_conditions(element.get("Condition", {}), deny=deny, variables=variables),
    )


def _effect(value: object) -> Effect:
    try:
        return Effect(value)
    except ValueError:
        raise Flaw("Effect", f"Allow or Deny is needed, not {shown(value)}") from None


def _choice(element: dict[str, object], name: str, negated: str) -> tuple[str, object]:
    found = [(key, element[key]) for key in (name, negated) if key in element]
    if len(found) != 1:
        raise Flaw(name, f"exactly one of {name} and {negated} is needed")
    return found[0]


@lru_cache(REMEMBERED_LISTS)
def _actions(name: str, entries: tuple[str, ...]) -> Targets:
    return _targets(name, [_action(name, entry) for entry in entries])


@lru_cache(REMEMBERED_LISTS)
def _resources(name: str, entries: tuple[str, ...], *, variables: bool) -> Targets:
    return _targets(name, [_resource(name, entry, variables=variables) for entry in entries])


def _targets(name: str, patterns: list[Pattern]) -> Targets:
    return Targets(Matcher.of(patterns), inverted=name.startswith("Not"))


def _action(name: str, text: str) -> Pattern:
    if text != "*" and not _is_action(text):
        raise Flaw(name, f"kms:… or * is needed, not {shown(text)}")
    return glob(name, text.lower(), variables=False)


def _resource(name: str, text: str, *, variables: bool) -> Pattern:
    return glob(name, text, variables=False) if text == "*" else arn_glob(name, text, variables=variables)


def _principals(element: object, *, deny: bool, inverted: bool) -> Principals:
    name = "NotPrincipal" if inverted else "Principal"
    if inverted and not deny:
        raise Flaw(name, "it can be used in a Deny only")
    if isinstance(element, dict):
        if set(element) != {"AWS"}:
            raise Flaw(name, f"only the type AWS is supported, not {shown(sorted(element))}")
        entries = texts(name, element["AWS"])
    elif element == "*":
        entries = ("*",)
    else:
        raise Flaw(name, f'"*" or an object with AWS is needed, not {shown(element)}')
    return _named(name, entries, spread=deny and not inverted, inverted=inverted)


@lru_cache(REMEMBERED_LISTS)
def _named(name: str, entries: tuple[str, ...], *, spread: bool, inverted: bool) -> Principals:
    """Read a list of principals; `spread` tells that a root means everyone in its account."""
    everyone = "*" in entries
    if everyone and inverted:
        raise Flaw(name, '"*" would except everyone')
    arns = frozenset(_principal(name, entry) for entry in entries if entry != "*")
    roots = (arn for arn in arns if arn.endswith(":root"))
    accounts = frozenset(arn.split(":")[4] for arn in roots) if spread else frozenset()
    return Principals(everyone, arns, accounts, inverted)


def _principal(name: str, text: str) -> str:
    """Read a user's ARN, an account's root ARN or a bare account id, which means the root."""
    if _is_account(text):
        return f"arn:{PARTITION}:iam::{text}:root"
    if not _is_principal(text):
        raise Flaw(name, f"{shown(text)} is not a principal: arn:{PARTITION}:iam::<account>:user/<name>, …:root or *")
    return text
