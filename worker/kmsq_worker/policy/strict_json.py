"""JSON as a policy may use it: nothing twice, nothing after the value, no surrogates, no NaN."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import NoReturn

from kmsq_worker.policy.flaw import Flaw, shown

_FIELD = "JSON"


def loads(text: str) -> object:
    """Read `text`. Numbers with a point become `Decimal`. Raises `Flaw`."""
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=Decimal,
        )
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise Flaw(_FIELD, "nested too deeply") from None
    except UnicodeEncodeError:
        raise Flaw(_FIELD, "a character is half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise Flaw(_FIELD, f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        raise Flaw(_FIELD, "a number is too long") from None
    return value


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise Flaw(_FIELD, f"{shown(key)} appears twice in an object")
        members[key] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise Flaw(_FIELD, f"{name} is not JSON")
