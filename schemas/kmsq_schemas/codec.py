"""Bodies to models and back. Strict in both encodings (DESIGN.md §5): what is not exactly a message is refused."""

from typing import TypeVar

import cbor2
from pydantic import BaseModel, ValidationError

from kmsq_schemas.constraints import explain
from kmsq_schemas.content import ContentType, MalformedBody, read

__all__ = ["ContentType", "MalformedBody", "decode", "encode"]

M = TypeVar("M", bound=BaseModel)


def decode(model: type[M], body: bytes, content_type: ContentType) -> M:
    """
    Read `body` as a `model`, by its wire names only.

    Raises `MalformedBody`, whose text never holds a value of the body.
    """
    value = read(body, content_type)
    try:
        # What model_validate does, without its per-call checks of arguments.
        message: M = model.__pydantic_validator__.validate_python(
            value, context=content_type, by_alias=True, by_name=False
        )
    except ValidationError as error:
        reason = explain(error, model)
    else:
        return message
    # Raised outside the handler: the validation error carries the input (see MalformedBody).
    raise MalformedBody(reason)


def encode(message: BaseModel, content_type: ContentType) -> bytes:
    """Write `message` by its wire names; members that are None are left out."""
    serializer = type(message).__pydantic_serializer__
    if content_type is ContentType.JSON:
        return serializer.to_json(message, by_alias=True, exclude_none=True)
    return cbor2.dumps(serializer.to_python(message, by_alias=True, exclude_none=True))
