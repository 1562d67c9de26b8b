"""What is asked for, as policies see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Value: TypeAlias = str | bool | int | tuple[str, ...]

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Access:
    """
    One request: `principal` (the ARN of a user) asks to do `action` (`kms:Encrypt`) with `resource`.

    `resource` is a key ARN, or `*` for operations that have none. `context` is the request's encryption context.
    `values` holds the other condition keys, spelt as in `keys.ConditionKey`; moments are seconds since 1970. It need
    hold only what `Policy.condition_keys` of the policies at hand names. A condition on a value of the wrong type raises
    `TypeError`: better no answer than a deny that does not deny.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    values: Mapping[str, Value] = field(default_factory=lambda: NOTHING)
