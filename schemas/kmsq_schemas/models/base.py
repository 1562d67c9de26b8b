"""What every message has in common."""

from functools import cache
from typing import NoReturn

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

_IRREGULAR = {"aws_account_id": "AWSAccountId"}


@cache  # asked for each argument of each call; there are as many answers as there are fields
def wire_name(field: str) -> str:
    """`key_id` → `KeyId`."""
    return _IRREGULAR.get(field) or to_pascal(field)


# Python callers use the snake_case names; the codec accepts the wire names alone.
_COMMON = ConfigDict(
    strict=True,
    frozen=True,
    hide_input_in_errors=True,
    alias_generator=wire_name,
    validate_by_alias=True,
    validate_by_name=True,
)


class Request(BaseModel):
    """A request: unknown fields are refused, so that a misspelt option is never silently without effect."""

    model_config = ConfigDict(**_COMMON, extra="forbid")


class Reply(BaseModel):
    """A reply, or a structure inside one: unknown fields are ignored, so that versions can roll."""

    model_config = ConfigDict(**_COMMON, extra="ignore")


class Unpicklable:
    """Marks a model that bears a secret: pickles end up in files, caches and other processes."""

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        message = f"{type(self).__name__} bears a secret and cannot be pickled"
        raise TypeError(message)


class ErrorReply(Reply):
    """The body of a reply of type `Error`. `code` is text, so that a client understands codes younger than itself."""

    code: str
    message: str
