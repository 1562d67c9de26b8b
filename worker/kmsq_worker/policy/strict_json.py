"""JSON as a policy may use it: no key twice, nothing after the value, no half surrogate pairs, no NaN, not deep."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NoReturn

from kmsq_worker.policy.flaw import Flaw, shown

MAX_DEPTH: Final = 8  # a list of values in a condition, the deepest that a policy has, is at 6

_FIELD: Final = "JSON"


def loads(text: str) -> object:
    """Read `text`. Numbers with a point become `Decimal`. Raises `Flaw`."""
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=Decimal,
        )
        _refuse_deeper(value, MAX_DEPTH)
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise Flaw(_FIELD, "nested too deeply") from None
    except UnicodeEncodeError:
        raise Flaw(_FIELD, "a character is half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise Flaw(_FIELD, f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except (ValueError, ArithmeticError):
        raise Flaw(_FIELD, "a number is too long or too large") from None
    return value


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise Flaw(_FIELD, f"{shown(key)} appears twice in an object")
        members[key] = value
    return members


def _refuse_deeper(value: object, levels: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if levels == 0:
        raise RecursionError
    for member in value.values() if isinstance(value, dict) else value:
        _refuse_deeper(member, levels - 1)


def _refuse_constant(name: str) -> NoReturn:
    raise Flaw(_FIELD, f"{name} is not JSON")
