"""
Names of keys, aliases and principals, as ARNs and as what a request may write for them.

    arn:kmsq:kms:<region>:<account>:key/<uuid>      arn:kmsq:iam::<account>:user/<name>
    arn:kmsq:kms:<region>:<account>:alias/<name>    arn:kmsq:iam::<account>:root

A deployment has one region and one account (DESIGN.md §5); every other ARN names nothing here.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from kmsq_worker.errors import InvalidArnException, NotFoundException

PARTITION = "kmsq"
ALIAS_PREFIX = "alias/"
USER_NAME = r"[a-z0-9][a-z0-9-]{0,63}"  # DESIGN.md §5: broker users, never escaped anywhere
ACCOUNT_ID = r"[0-9]{12}"
REGION = r"[a-z0-9-]{1,32}"

_KEY_PREFIX = "key/"
_ARN_PARTS = 6
# The second form is that of multi-Region keys: kmsq has none, so that such an id is well formed and names nothing.
_is_key_id = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}").fullmatch
_is_alias_name = re.compile(r"alias/[a-zA-Z0-9:/_-]{1,250}").fullmatch  # 256 characters, prefix included


class KeyReferenceKind(Enum):
    """What a request's `KeyId` turned out to be."""

    KEY_ID = auto()
    ALIAS = auto()


@dataclass(frozen=True, slots=True)
class KeyReference:
    """`value` is a key id (in lower case) or an alias name, `alias/` included."""

    kind: KeyReferenceKind
    value: str


@dataclass(frozen=True, slots=True)
class Account:
    """
    The one region and account of this deployment, and the ARNs inside it.

    Raises `ValueError` for a region or an account id (12 digits) that no ARN could hold.
    """

    region: str
    account_id: str
    root_arn: str = field(init=False, repr=False, compare=False)
    _kms: str = field(init=False, repr=False, compare=False)
    _users: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the prefixes once: ARNs are made for every request."""
        if not re.fullmatch(REGION, self.region) or not re.fullmatch(ACCOUNT_ID, self.account_id):
            message = f"not a region and a 12-digit account id: {self.region!r}, {self.account_id!r}"
            raise ValueError(message)
        object.__setattr__(self, "root_arn", f"arn:{PARTITION}:iam::{self.account_id}:root")
        object.__setattr__(self, "_kms", f"arn:{PARTITION}:kms:{self.region}:{self.account_id}:")
        object.__setattr__(self, "_users", f"arn:{PARTITION}:iam::{self.account_id}:user/")

    def key_arn(self, key_id: str) -> str:
        """Name a key by its id."""
        return f"{self._kms}{_KEY_PREFIX}{key_id}"

    def alias_arn(self, name: str) -> str:
        """Name an alias; `name` includes `alias/`."""
        return self._kms + name

    def arn_of(self, reference: KeyReference) -> str:
        """Name a key or an alias, whichever a request wrote."""
        is_key_id = reference.kind is KeyReferenceKind.KEY_ID
        return self.key_arn(reference.value) if is_key_id else self.alias_arn(reference.value)

    def user_arn(self, principal: str) -> str:
        """Name a broker user."""
        return self._users + principal

    def resource_of(self, arn: str) -> str:
        """
        Return what `arn` names here: `key/…` or `alias/…`.

        Raises `InvalidArnException` for what is no ARN of this service and `NotFoundException` for another region or
        account: both are what AWS answers.
        """
        if arn.startswith(self._kms):
            return arn[len(self._kms) :]
        parts = arn.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS or parts[:3] != ["arn", PARTITION, "kms"]:
            message = f"Invalid arn '{arn}'"
            raise InvalidArnException(message)
        message = f"Invalid arn {parts[3]}" if parts[3] != self.region else f"Invalid keyId '{arn}'"
        raise NotFoundException(message)


def parse_key_reference(text: str, account: Account) -> KeyReference:
    """
    Read a `KeyId`: key id, key ARN, alias name or alias ARN.

    Raises `InvalidArnException` for a malformed ARN, and `NotFoundException` for everything that cannot name a key
    here, an upper-case UUID included: AWS compares key ids exactly.
    """
    name = text
    if text.startswith("arn:"):
        resource = account.resource_of(text)
        if resource.startswith(_KEY_PREFIX):
            name = resource[len(_KEY_PREFIX) :]
            if _is_key_id(name):
                return KeyReference(KeyReferenceKind.KEY_ID, name)
        elif resource.startswith(ALIAS_PREFIX):
            if _is_alias_name(resource):
                return KeyReference(KeyReferenceKind.ALIAS, resource)
        else:
            message = f"Invalid arn '{text}'"
            raise InvalidArnException(message)
    elif _is_key_id(text):
        return KeyReference(KeyReferenceKind.KEY_ID, text)
    elif _is_alias_name(text):
        return KeyReference(KeyReferenceKind.ALIAS, text)
    message = f"Invalid keyId '{text}'"
    raise NotFoundException(message)
