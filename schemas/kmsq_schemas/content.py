"""The two encodings of a body, and the strict readers that turn a body into plain Python values."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from io import BytesIO
from typing import NoReturn

import cbor2
from pydantic_core import from_json

CBOR_MAX_DEPTH = 8  # DESIGN.md §5
INT_MIN = -(2**63)  # 64-bit integers, RFC 8949 §3.1, and what Postgres can hold
INT_MAX = 2**64 - 1
INT_MAX_CHARS = 20  # decimal digits of 2**64 - 1, sign included for -(2**63)


_JSON_SPACE = " \t\n\r"  # RFC 8259 §2


class ContentType(StrEnum):
    """`content_type` of a message."""

    JSON = "application/json"
    CBOR = "application/cbor"


class MalformedBody(ValueError):
    """
    A body that is not a valid message of its type.

    Its text names the place and the rule and is safe to send and to log: it never holds a value of the body. It has
    neither cause nor context, because the exceptions of the parsers below carry the whole body with them.
    """


class _Refused(ValueError):
    """What a parser's hook found. Its text is fixed."""


def read(body: bytes, content_type: ContentType) -> object:
    """
    Parse `body` into dicts, lists and scalars; blobs are still base64 text in JSON.

    Raises `MalformedBody`.
    """
    return _read_json(body) if content_type is ContentType.JSON else _read_cbor(body)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "Body is not valid JSON: an object holds the same name twice"
        raise _Refused(message)
    return members


def _integer(digits: str) -> int:
    # The length is looked at first: int() takes time quadratic in the number of digits.
    if len(digits) <= INT_MAX_CHARS and INT_MIN <= (value := int(digits)) <= INT_MAX:
        return value
    message = "Body is not valid JSON: an integer needs more than 64 bits"
    raise _Refused(message)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        message = "Body is not valid JSON: a number is out of range"
        raise _Refused(message)
    return value


def _constant(_name: str) -> NoReturn:
    message = "Body is not valid JSON: NaN and Infinity are not JSON"
    raise _Refused(message)


_json = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_constant)


def _read_json(body: bytes) -> object:
    # The refusal is raised after the handlers have been left, so that it carries no context: see MalformedBody.
    try:
        return _parse_json(body)
    except _Refused as refusal:
        reason = str(refusal)
    except json.JSONDecodeError as error:
        reason = f"Body is not valid JSON: error at character {error.pos}"
    except UnicodeDecodeError as error:
        reason = f"Body is not valid JSON: no UTF-8 at byte {error.start}"
    except ValueError:
        reason = "Body is not valid JSON: a lone surrogate"
    except RecursionError:
        reason = "Body is not valid JSON: nested too deeply"
    raise MalformedBody(reason)


def _parse_json(body: bytes) -> object:
    text = body.decode().strip(_JSON_SPACE)
    value: object
    value, end = _json.raw_decode(text)
    if end != len(text):
        message = "Body is not valid JSON: something follows the value"
        raise _Refused(message)
    if "\\u" in text:
        from_json(text)  # the standard library lets lone surrogates pass; this parser does not
    return value


def _refuse_tag(*_: object) -> NoReturn:
    message = "tag"
    raise _Refused(message)


class _EveryTag(Mapping[int, Callable[..., NoReturn]]):
    """A decoder for every tag there is, so that none of cbor2's own (regular expressions, cycles, bignums) runs."""

    def __getitem__(self, tag: int) -> Callable[..., NoReturn]:
        return _refuse_tag

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[int]:
        return iter(())


_EVERY_TAG = _EveryTag()


def _text_keys(members: Mapping[object, object], _immutable: object = None) -> Mapping[object, object]:
    for key in members:
        if type(key) is not str:
            message = "key"
            raise _Refused(message)
    return members


def _read_cbor(body: bytes) -> object:
    stream = BytesIO(body)
    decoder = cbor2.CBORDecoder(
        stream,
        read_size=len(body) or 1,
        semantic_decoders=_EVERY_TAG,
        tag_hook=_refuse_tag,
        object_hook=_text_keys,
        max_depth=CBOR_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        value: object = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        reason = (
            "Body is not valid CBOR: it must be one item of definite lengths, without tags, with unique text keys, "
            f"at most {CBOR_MAX_DEPTH} levels deep"
        )
    else:
        # The decoder reads ahead and seeks back to the end of the item.
        if stream.tell() == len(body):
            return value
        reason = "Body is not valid CBOR: bytes follow the item"
    raise MalformedBody(reason)
