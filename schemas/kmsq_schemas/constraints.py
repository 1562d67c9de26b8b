"""Turns pydantic's errors into the texts of AWS KMS, without a single value of the input."""

from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ValidationError

UNKNOWN_NAME_MAX_CHARS = 64
LISTED_ERRORS = 5  # a batch may hold ten thousand

CONSTRAINT = "kmsq_constraint"
"""Error type of our own validators of one member; the message is a fixed text."""
RULE = "kmsq_rule"
"""Error type of our own validators of a whole model; the message is a fixed text."""

_TEXTS = {
    "missing": "Member must not be null",
    "extra_forbidden": "Member is not known",
    "string_too_short": "Member must have length greater than or equal to {min_length}",
    "string_too_long": "Member must have length less than or equal to {max_length}",
    "bytes_too_short": "Member must have length greater than or equal to {min_length}",
    "bytes_too_long": "Member must have length less than or equal to {max_length}",
    "too_short": "Member must have length greater than or equal to {min_length}",
    "too_long": "Member must have length less than or equal to {max_length}",
    "greater_than_equal": "Member must have value greater than or equal to {ge}",
    "less_than_equal": "Member must have value less than or equal to {le}",
    "string_pattern_mismatch": "Member must satisfy regular expression pattern: {pattern}",
    "string_type": "Member must be a string",
    "string_unicode": "Member must be a string without lone surrogates",
    "bytes_type": "Member must be a byte string",
    "int_type": "Member must be an integer",
    "bool_type": "Member must be a boolean",
    "list_type": "Member must be a list",
    "dict_type": "Member must be a map",
    "model_type": "Member must be a structure",
    "model_attributes_type": "Member must be a structure",
}
_OTHER = "Member has the wrong type"


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """
    Describe what is wrong with a body, in AWS's words: `1 validation error detected: Value at 'plaintext' …`.

    A rule that stands beside the service model is described by its own text alone.
    """
    # The context is read for the limits named in _TEXTS only: numbers, patterns and enumerations of the models.
    found = error.errors(include_input=False, include_context=True, include_url=False)
    parts = [
        _explain(item["type"], item["loc"], item["msg"], item.get("ctx", {}), model) for item in found[:LISTED_ERRORS]
    ]
    if len(found) == 1 and found[0]["type"] == RULE:  # AWS counts what its service model finds, and not these
        return parts[0]
    noun = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {noun} detected: {'; '.join(parts)}"


def _explain(
    kind: str, location: tuple[int | str, ...], message: str, context: Mapping[str, object], model: type[BaseModel]
) -> str:
    if kind == RULE:
        return message
    text = message if kind == CONSTRAINT else _TEXTS.get(kind, _OTHER).format_map(context)
    return f"Value at '{_path(kind, location, model)}' failed to satisfy constraint: {text}"


def _path(kind: str, location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Name the place as AWS does: lower camel case, list positions from 1. Keys of maps are input and left out."""
    names = _wire_names(model)
    steps: list[str] = []
    for part in location:
        if isinstance(part, int):
            steps += [str(part + 1), "member"]
        elif part in names:
            steps.append(part[:1].lower() + part[1:])
        else:
            # Either a field nobody knows, whose name helps to find it, or a key of a map, which stays unnamed.
            if kind == "extra_forbidden":
                steps.append(ascii(part[:UNKNOWN_NAME_MAX_CHARS])[1:-1][:UNKNOWN_NAME_MAX_CHARS])
            break
    return ".".join(steps) or "body"


@cache
def _wire_names(model: type[BaseModel]) -> frozenset[str]:
    schema = model.model_json_schema(by_alias=True)
    structures = [schema, *schema.get("$defs", {}).values()]
    return frozenset(name for structure in structures for name in structure.get("properties", {}))
