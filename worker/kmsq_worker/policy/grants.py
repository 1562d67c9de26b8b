"""
Grants: what one key lets one user do, apart from all policies.

A grant only ever adds; it is asked after the policies (`evaluate.authorize_key`), whose denies it cannot touch. A grant
that allows CreateGrant allows grants within itself alone (`is_within`), one that allows RetireGrant its own retirement.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kmsq_worker.policy.access import Access, Value
from kmsq_worker.policy.keys import ConditionKey

CREATE_GRANT: Final = "CreateGrant"
RETIRE_GRANT: Final = "RetireGrant"

# Operations that have no encryption context: constraints do not bind them. An operation that is not named here is bound.
UNCONSTRAINED_OPERATIONS: Final = frozenset(
    {
        CREATE_GRANT,
        RETIRE_GRANT,
        "Decapsulate",
        "DeriveSharedSecret",
        "DescribeKey",
        "Encapsulate",
        "GenerateMac",
        "GetPublicKey",
        "Sign",
        "Verify",
        "VerifyMac",
    },
)

_ACTION_PREFIX: Final = "kms:"


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What `grantee` may do with one key.

    `grantee` and `retiring` are ARNs of users, met by exactly that user; the account's root is nobody who calls.
    `operations` are names as the API spells them (`GrantOperation`). `equals` and `subset` are the constraints on the
    encryption context: these pairs and no others, at least these pairs. Where both are given, both must hold. Case
    matters in them, in keys as in values.
    """

    grant_id: str
    key_id: str
    grantee: str
    operations: frozenset[str]
    retiring: str | None = None
    equals: Mapping[str, str] | None = None
    subset: Mapping[str, str] | None = None

    @property
    def context(self) -> Mapping[str, str]:
        """The pairs of its constraints, which conditions on CreateGrant see as its encryption context."""
        return {**(self.subset or {}), **(self.equals or {})}

    @property
    def conditions(self) -> Mapping[str, Value]:
        """What policies may ask about it when it is to be created."""
        constraints = {"EncryptionContextEquals": self.equals, "EncryptionContextSubset": self.subset}
        values: dict[str, Value] = {
            ConditionKey.GRANTEE_PRINCIPAL: self.grantee,
            ConditionKey.GRANT_OPERATIONS: tuple(sorted(self.operations)),
            ConditionKey.GRANT_CONSTRAINT_TYPE: tuple(name for name, pairs in constraints.items() if pairs is not None),
        }
        if self.retiring is not None:
            values[ConditionKey.RETIRING_PRINCIPAL] = self.retiring
        return values


def permitting(access: Access, grants: Iterable[Grant], target: Grant | None = None) -> Grant | None:
    """
    Return the first of `grants` that permits `access`, or None.

    `target` is the grant that a CreateGrant would make or a RetireGrant would end. RetireGrant asks nothing but it.
    """
    if access.action == _ACTION_PREFIX + RETIRE_GRANT:
        grants = () if target is None else (target,)
    return next((grant for grant in grants if permits(grant, access, target)), None)


def permits(grant: Grant, access: Access, target: Grant | None = None) -> bool:
    """Tell whether `grant` permits `access`; without `target` it permits neither CreateGrant nor RetireGrant."""
    if access.resource.rpartition(":key/")[2] != grant.key_id:
        return False
    operation = access.action.removeprefix(_ACTION_PREFIX)
    given = access.principal == grant.grantee and operation in grant.operations
    if operation == RETIRE_GRANT:
        return target == grant and (given or access.principal == grant.retiring)
    if not given:
        return False
    if operation == CREATE_GRANT:
        return target is not None and is_within(target, grant)
    return operation in UNCONSTRAINED_OPERATIONS or _holds(grant, access.context)


def is_within(child: Grant, parent: Grant) -> bool:
    """
    Tell whether `child` allows nothing that `parent` does not, whoever their grantees are.

    Same key, no other operations, and constraints as strict or stricter: an `equals` stays as it is, a `subset` keeps
    all its pairs and may get more, or becomes an `equals` that has them.
    """
    if child.key_id != parent.key_id or not child.operations <= parent.operations:
        return False
    if parent.equals is not None and (child.equals is None or child.equals.items() != parent.equals.items()):
        return False
    if parent.subset is None:
        return True
    stricter = (pairs for pairs in (child.equals, child.subset) if pairs is not None)
    return any(parent.subset.items() <= pairs.items() for pairs in stricter)


def _holds(grant: Grant, context: Mapping[str, str]) -> bool:
    if grant.equals is not None and grant.equals.items() != context.items():
        return False
    return grant.subset is None or grant.subset.items() <= context.items()
