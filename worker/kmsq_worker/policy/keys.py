"""The condition keys that mean something here, and what their values are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from kmsq_worker.policy.access import NOTHING, Access, Scalar, Value
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
    REQUEST_TAG = "aws:RequestTag"
    RESOURCE_ALIASES = "kms:ResourceAliases"
    RESOURCE_TAG = "aws:ResourceTag"
    RETIRING_PRINCIPAL = "kms:RetiringPrincipal"
    ROTATION_PERIOD_IN_DAYS = "kms:RotationPeriodInDays"
    SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS = "kms:ScheduleKeyDeletionPendingWindowInDays"
    SIGNING_ALGORITHM = "kms:SigningAlgorithm"
    TAG_KEYS = "aws:TagKeys"
    VALID_TO = "kms:ValidTo"
    WRAPPING_ALGORITHM = "kms:WrappingAlgorithm"
    WRAPPING_KEY_SPEC = "kms:WrappingKeySpec"


ENCRYPTION_CONTEXT: Final = "kms:EncryptionContext:"
ENCRYPTION_CONTEXT_KEYS: Final = "kms:EncryptionContextKeys"
REQUEST_TAG: Final = "aws:RequestTag/"
RESOURCE_TAG: Final = "aws:ResourceTag/"
PAIRS: Final = (ENCRYPTION_CONTEXT, REQUEST_TAG, RESOURCE_TAG)  # what follows them names one pair
SPELLINGS_MAX: Final = 8  # spellings of one pair's key in one request; a client has one, an attacker hundreds

_TAGGING: Final = frozenset({"kms:createkey", "kms:tagresource"})
_NAMING_TAGS: Final = _TAGGING | {"kms:untagresource"}


class Kind(Enum):
    """What a value is, hence which operators fit."""

    TEXT = auto()
    ARN = auto()
    BOOL = auto()
    NUMBER = auto()
    MOMENT = auto()


Read = Callable[[Access], tuple[Scalar, ...] | None]


@dataclass(frozen=True, slots=True)
class Key:
    """
    A condition key. `supplied` is its name in `Access.values`, None when the rest of `Access` tells.

    `read` gives its values: an empty tuple when the request does not have it, None when they are not known: the worker
    did not say, although every such request has it, or the key of a pair is spelt in more than `SPELLINGS_MAX` ways.
    """

    name: str
    kinds: frozenset[Kind]
    read: Read
    supplied: str | None = None
    reads_context: bool = False


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
    for prefix in PAIRS:
        if folded.startswith(prefix.casefold()) and len(name) > len(prefix):
            return _pair(prefix, name[len(prefix) :])
    raise Flaw("Condition", f"unknown condition key {shown(name)}")


def _supplied(name: ConditionKey, kind: Kind) -> Key:
    def read(access: Access) -> tuple[Scalar, ...]:
        value = access.values.get(name)
        return () if value is None else _scalars(value)

    return Key(name, frozenset({kind}), read, supplied=name)


def _scalars(value: Value) -> tuple[Scalar, ...]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, (str, int)):
        return (value,)
    raise TypeError(value)


def _time(name: str, *kinds: Kind) -> Key:
    def read(access: Access) -> tuple[Scalar, ...] | None:
        value = access.values.get(ConditionKey.EPOCH_TIME)
        return None if value is None else _scalars(value)

    return Key(name, frozenset(kinds), read, supplied=ConditionKey.EPOCH_TIME)


def _aliases(access: Access) -> tuple[Scalar, ...] | None:
    value = access.values.get(ConditionKey.RESOURCE_ALIASES)
    if isinstance(value, tuple):
        return value
    return None if ":key/" in access.resource else ()


def _listed(name: ConditionKey, read: Read) -> Key:
    return Key(name, frozenset({Kind.TEXT}), read, supplied=name)


def _known(name: str, kind: Kind, read: Read, *, reads_context: bool = False) -> Key:
    return Key(name, frozenset({kind}), read, reads_context=reads_context)


def _pair(prefix: str, suffix: str) -> Key:
    folded = suffix.casefold()
    pairs, supplied = _SOURCES[prefix]

    def read(access: Access) -> tuple[Scalar, ...] | None:
        known = pairs(access)
        if known is None:
            return None
        values = access.spelt(prefix, known, folded)
        return tuple(values) if len(values) <= SPELLINGS_MAX else None

    return Key(prefix + suffix, frozenset({Kind.TEXT}), read, supplied, reads_context=prefix == ENCRYPTION_CONTEXT)


def _resource_tags(access: Access) -> Mapping[str, str] | None:
    return _tags(access, ConditionKey.RESOURCE_TAG, expected=":key/" in access.resource)


def _request_tags(access: Access) -> Mapping[str, str] | None:
    return _tags(access, ConditionKey.REQUEST_TAG, expected=access.action.lower() in _TAGGING)


def _tags(access: Access, name: ConditionKey, *, expected: bool) -> Mapping[str, str] | None:
    value = access.values.get(name)
    if value is None:
        return None if expected else NOTHING
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value


def _tag_keys(access: Access) -> tuple[Scalar, ...] | None:
    value = access.values.get(ConditionKey.TAG_KEYS)
    if value is None:
        return None if access.action.lower() in _NAMING_TAGS else ()
    if not isinstance(value, tuple):
        raise TypeError(value)
    return value


_SOURCES: Final[Mapping[str, tuple[Callable[[Access], Mapping[str, str] | None], ConditionKey | None]]] = {
    ENCRYPTION_CONTEXT: (lambda access: access.context, None),
    REQUEST_TAG: (_request_tags, ConditionKey.REQUEST_TAG),
    RESOURCE_TAG: (_resource_tags, ConditionKey.RESOURCE_TAG),
}

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

_SPECIAL: Final = {
    ConditionKey.EPOCH_TIME,
    ConditionKey.REQUEST_TAG,
    ConditionKey.RESOURCE_ALIASES,
    ConditionKey.RESOURCE_TAG,
    ConditionKey.TAG_KEYS,
}

_KEYS: Final = {
    key.name.casefold(): key
    for key in (
        *(_supplied(name, _KINDS.get(name, Kind.TEXT)) for name in ConditionKey if name not in _SPECIAL),
        _time("aws:CurrentTime", Kind.MOMENT),
        _listed(ConditionKey.RESOURCE_ALIASES, _aliases),
        _listed(ConditionKey.TAG_KEYS, _tag_keys),
        _time(ConditionKey.EPOCH_TIME, Kind.MOMENT, Kind.NUMBER),
        _known("aws:PrincipalArn", Kind.ARN, lambda access: (access.principal,)),
        _known("aws:PrincipalAccount", Kind.TEXT, lambda access: (access.principal.split(":")[4],)),
        _known("aws:PrincipalType", Kind.TEXT, lambda _: ("User",)),
        _known("aws:username", Kind.TEXT, lambda access: (access.principal.rpartition("/")[2],)),
        _known("kms:CallerAccount", Kind.TEXT, lambda access: (access.principal.split(":")[4],)),
        _known(ENCRYPTION_CONTEXT_KEYS, Kind.TEXT, lambda access: tuple(access.context), reads_context=True),
        # Policies made for AWS ask it to let AWS services create grants. There are none here, so it is always false.
        _known("kms:GrantIsForAWSResource", Kind.BOOL, lambda _: (False,)),
    )
}
