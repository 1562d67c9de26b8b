"""The condition keys that mean something here, and what their values are."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from kmsq_worker.policy.access import Access, Value
from kmsq_worker.policy.flaw import Flaw, shown


class ConditionKey(StrEnum):
    """Names of the values a request brings along in `Access.values`."""

    BYPASS_POLICY_LOCKOUT_SAFETY_CHECK = "kms:BypassPolicyLockoutSafetyCheck"
    DATA_KEY_PAIR_SPEC = "kms:DataKeyPairSpec"
    ENCRYPTION_ALGORITHM = "kms:EncryptionAlgorithm"
    EPOCH_TIME = "aws:EpochTime"
    EXPIRATION_MODEL = "kms:ExpirationModel"
    GRANTEE_PRINCIPAL = "kms:GranteePrincipal"
    GRANT_CONSTRAINT_TYPE = "kms:GrantConstraintType"
    GRANT_OPERATIONS = "kms:GrantOperations"
    KEY_AGREEMENT_ALGORITHM = "kms:KeyAgreementAlgorithm"
    KEY_ORIGIN = "kms:KeyOrigin"
    KEY_SPEC = "kms:KeySpec"
    KEY_USAGE = "kms:KeyUsage"
    MAC_ALGORITHM = "kms:MacAlgorithm"
    MESSAGE_TYPE = "kms:MessageType"
    MULTI_REGION = "kms:MultiRegion"
    REENCRYPT_ON_SAME_KEY = "kms:ReEncryptOnSameKey"
    REQUEST_ALIAS = "kms:RequestAlias"
    RESOURCE_ALIASES = "kms:ResourceAliases"
    RETIRING_PRINCIPAL = "kms:RetiringPrincipal"
    ROTATION_PERIOD_IN_DAYS = "kms:RotationPeriodInDays"
    SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS = "kms:ScheduleKeyDeletionPendingWindowInDays"
    SIGNING_ALGORITHM = "kms:SigningAlgorithm"
    VALID_TO = "kms:ValidTo"
    WRAPPING_ALGORITHM = "kms:WrappingAlgorithm"
    WRAPPING_KEY_SPEC = "kms:WrappingKeySpec"


ENCRYPTION_CONTEXT: Final = "kms:EncryptionContext:"
ENCRYPTION_CONTEXT_KEYS: Final = "kms:EncryptionContextKeys"
SPELLINGS_MAX: Final = 8  # spellings of one context key in one request; a client has one, an attacker hundreds


class Kind(Enum):
    """What a value is, hence which operators fit."""

    TEXT = auto()
    ARN = auto()
    BOOL = auto()
    NUMBER = auto()
    MOMENT = auto()


Read = Callable[[Access], tuple[Value, ...] | None]


@dataclass(frozen=True, slots=True)
class Key:
    """
    A condition key. `supplied` is its name in `Access.values`, None when the rest of `Access` tells.

    `read` gives its values: an empty tuple when the request does not have it, None when they are not known: the worker
    did not say, although every such request has it, or the request spells the key in more than `SPELLINGS_MAX` ways.
    """

    name: str
    kinds: frozenset[Kind]
    read: Read
    supplied: str | None = None


def find(name: str) -> Key:
    """
    Look a key up by its name in a policy. Case never matters, not even in the part that names a pair.

    Raises `Flaw` for a key that no request here can have.
    """
    folded = name.casefold()
    if "${" in name:
        raise Flaw("Condition", f"a condition key cannot hold a variable: {shown(name)}")
    if folded in _KEYS:
        return _KEYS[folded]
    if folded.startswith(ENCRYPTION_CONTEXT.casefold()) and len(name) > len(ENCRYPTION_CONTEXT):
        return _pair(name[len(ENCRYPTION_CONTEXT) :])
    raise Flaw("Condition", f"unknown condition key {shown(name)}")


def _supplied(name: ConditionKey, kind: Kind) -> Key:
    def read(access: Access) -> tuple[Value, ...]:
        value = access.values.get(name)
        if value is None:
            return ()
        return value if isinstance(value, tuple) else (value,)

    return Key(name, frozenset({kind}), read, supplied=name)


def _time(name: str, *kinds: Kind) -> Key:
    def read(access: Access) -> tuple[Value, ...] | None:
        value = access.values.get(ConditionKey.EPOCH_TIME)
        return None if value is None else (value,)

    return Key(name, frozenset(kinds), read, supplied=ConditionKey.EPOCH_TIME)


def _aliases(access: Access) -> tuple[Value, ...] | None:
    value = access.values.get(ConditionKey.RESOURCE_ALIASES)
    if isinstance(value, tuple):
        return value
    return None if ":key/" in access.resource else ()


def _known(name: str, kind: Kind, read: Read) -> Key:
    return Key(name, frozenset({kind}), read)


def _pair(suffix: str) -> Key:
    folded = suffix.casefold()

    def read(access: Access) -> tuple[Value, ...] | None:
        values = access.pairs(folded)
        return tuple(values) if len(values) <= SPELLINGS_MAX else None

    return _known(ENCRYPTION_CONTEXT + suffix, Kind.TEXT, read)


_KINDS: Final = {
    ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: Kind.BOOL,
    ConditionKey.GRANTEE_PRINCIPAL: Kind.ARN,
    ConditionKey.MULTI_REGION: Kind.BOOL,
    ConditionKey.REENCRYPT_ON_SAME_KEY: Kind.BOOL,
    ConditionKey.RETIRING_PRINCIPAL: Kind.ARN,
    ConditionKey.ROTATION_PERIOD_IN_DAYS: Kind.NUMBER,
    ConditionKey.SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS: Kind.NUMBER,
    ConditionKey.VALID_TO: Kind.MOMENT,
}

_SPECIAL: Final = {ConditionKey.EPOCH_TIME, ConditionKey.RESOURCE_ALIASES}

_KEYS: Final = {
    key.name.casefold(): key
    for key in (
        *(_supplied(name, _KINDS.get(name, Kind.TEXT)) for name in ConditionKey if name not in _SPECIAL),
        _time("aws:CurrentTime", Kind.MOMENT),
        Key(
            ConditionKey.RESOURCE_ALIASES,
            frozenset({Kind.TEXT}),
            _aliases,
            supplied=ConditionKey.RESOURCE_ALIASES,
        ),
        _time(ConditionKey.EPOCH_TIME, Kind.MOMENT, Kind.NUMBER),
        _known("aws:PrincipalArn", Kind.ARN, lambda access: (access.principal,)),
        _known("aws:PrincipalAccount", Kind.TEXT, lambda access: (access.principal.split(":")[4],)),
        _known("aws:PrincipalType", Kind.TEXT, lambda _: ("User",)),
        _known("aws:username", Kind.TEXT, lambda access: (access.principal.rpartition("/")[2],)),
        _known("kms:CallerAccount", Kind.TEXT, lambda access: (access.principal.split(":")[4],)),
        _known(ENCRYPTION_CONTEXT_KEYS, Kind.TEXT, lambda access: tuple(access.context)),
        # Policies made for AWS ask it to let AWS services create grants. There are none here, so it is always false.
        _known("kms:GrantIsForAWSResource", Kind.BOOL, lambda _: (False,)),
    )
}
