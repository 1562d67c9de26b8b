"""For any message both codecs give back what they were given; for anything else they say so, and nothing of it."""

import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kmsq_schemas.codec import ContentType, MalformedBody, decode, encode
from kmsq_schemas.models import (
    BatchRequest,
    CreateGrantRequest,
    CreateKeyRequest,
    ErrorReply,
    ExpirationModel,
    ImportKeyMaterialRequest,
    ImportType,
    KeySpec,
    ListRetirableGrantsRequest,
    RetireGrantRequest,
)
from kmsq_schemas.models.types import BlobField, BlobsField
from kmsq_schemas.operations import SPECS, Operation

JSON, CBOR = ContentType.JSON, ContentType.CBOR
MODELS: Sequence[type[BaseModel]] = [model for spec in SPECS.values() for model in (spec.request, spec.reply)] + [
    ErrorReply
]
REQUESTS: Sequence[type[BaseModel]] = [spec.request for spec in SPECS.values()]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS = st.integers(0, (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1))
CANARY = "CaNaRy-5ecret"
# Of each pair a request has one at most, and these requests have one for certain.
PRINCIPALS = (("grantee_principal", "grantee_service_principal"), ("retiring_principal", "retiring_service_principal"))
NEEDED_PRINCIPAL = {CreateGrantRequest: "grantee_principal", ListRetirableGrantsRequest: "retiring_principal"}


def limits_of(metadata: tuple[object, ...]) -> dict[str, Any]:
    """The constraints that pydantic holds for a field, whatever they are wrapped in."""
    found: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):
            found |= limits_of(tuple(item.metadata))
        elif isinstance(item, annotated_types.MinLen):
            found["min"] = item.min_length
        elif isinstance(item, annotated_types.MaxLen):
            found["max"] = item.max_length
        elif isinstance(item, annotated_types.Ge):
            found["ge"] = item.ge
        elif isinstance(item, annotated_types.Le):
            found["le"] = item.le
        elif getattr(item, "pattern", None):
            found["pattern"] = item.pattern  # type: ignore[attr-defined]
        elif isinstance(item, BlobField):
            found |= {"min": item.min_bytes, "max": item.max_bytes}
        elif isinstance(item, BlobsField):
            found["min"] = 1
    return found


def texts(constraint: Mapping[str, Any]) -> st.SearchStrategy[str]:
    shortest, longest = constraint.get("min", 0), constraint.get("max", 40)
    pattern = constraint.get("pattern")
    if pattern is None:
        return st.text(min_size=shortest, max_size=min(longest, max(40, shortest)))
    if pattern[1] == "[" and pattern[-3] == "]":
        alphabet = st.from_regex(pattern[1:-2], fullmatch=True)
        return st.text(alphabet, min_size=max(shortest, 1), max_size=min(longest, max(40, shortest)))
    return st.from_regex(pattern.removesuffix("$"), fullmatch=True).filter(
        lambda text: shortest <= len(text) <= longest
    )


def values(annotation: Any, metadata: tuple[object, ...] = ()) -> st.SearchStrategy[Any]:
    """Any value that a field of this annotation takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(arguments[0], metadata + arguments[1:])
    if origin in (Union, types.UnionType):
        return values(next(argument for argument in arguments if argument is not type(None)), metadata)
    constraint = limits_of(metadata)
    if origin is list:
        longest = min(constraint.get("max", 3), 3)
        return st.lists(entries(arguments[0]), min_size=constraint.get("min", 0), max_size=longest)
    if origin is dict:
        return st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4)
    return plain_values(annotation, constraint)


def entries(annotation: Any) -> st.SearchStrategy[Any]:
    """Any entry of a list, of which some may be null where the annotation says so."""
    return st.none() | values(annotation) if type(None) in get_args(annotation) else values(annotation)


def plain_values(annotation: type, constraint: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if issubclass(annotation, BaseModel):
        return messages(annotation)
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    simple: dict[type, Callable[[], st.SearchStrategy[Any]]] = {
        bool: st.booleans,
        int: lambda: st.integers(constraint.get("ge", 0), constraint.get("le", 2**32)),
        bytes: lambda: st.binary(min_size=constraint.get("min", 0), max_size=min(constraint.get("max", 200), 200)),
        str: lambda: texts(constraint),
        datetime: lambda: MILLISECONDS.map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    }
    return simple[annotation]()


def fitting(model: type[BaseModel], members: dict[str, Any]) -> dict[str, Any]:
    """Make members agree where the model has a rule across them."""
    for name in members.keys() & {"alias_name"}:
        members[name] = f"alias/{members[name]}"
    if {"number_of_bytes", "key_spec"} <= model.model_fields.keys():
        members.pop("number_of_bytes" if "key_spec" in members else "key_spec", None)
        if "key_spec" not in members:
            members.setdefault("number_of_bytes", 1)
    if model is CreateKeyRequest:
        members.pop("customer_master_key_spec" if "key_spec" in members else "key_spec", None)
        if "key_usage" not in members:
            members |= dict.fromkeys(members.keys() & {"key_spec"}, KeySpec.SYMMETRIC_DEFAULT)
            members.pop("customer_master_key_spec", None)
    if issubclass(model, BatchRequest):
        return one_context_each(members)
    if model is RetireGrantRequest:
        return one_name(members)
    if model is ImportKeyMaterialRequest:
        return one_end(members)
    return one_principal_each(model, members)


def one_context_each(members: dict[str, Any]) -> dict[str, Any]:
    """Let every list of contexts have one entry for each item."""
    blobs = members.get("plaintexts", members.get("ciphertext_blobs", []))
    count = len(blobs) or min(members.get("number_of_keys", 1), 3)
    members |= dict.fromkeys(members.keys() & {"number_of_keys"}, count)
    for name in members.keys() & {f"{of}encryption_contexts" for of in ("", "source_", "destination_")}:
        members[name] = (members[name] * count)[:count]
    return members


def one_principal_each(model: type[BaseModel], members: dict[str, Any]) -> dict[str, Any]:
    for ours, theirs in PRINCIPALS:
        if ours in members:
            members.pop(theirs, None)
        elif theirs not in members and NEEDED_PRINCIPAL.get(model) == ours:
            members[ours] = "p"
    return members


def one_name(members: dict[str, Any]) -> dict[str, Any]:
    """Name the grant by its token, or else by key and id."""
    others = {name: value for name, value in members.items() if name not in {"key_id", "grant_id"}}
    return others if "grant_token" in members else {"key_id": "k", "grant_id": "g"} | members


def one_end(members: dict[str, Any]) -> dict[str, Any]:
    """Let the material expire if there is a time for it, and keep an id for material that is known."""
    if "valid_to" not in members:
        members["expiration_model"] = ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE
    elif "expiration_model" in members:
        members["expiration_model"] = ExpirationModel.KEY_MATERIAL_EXPIRES
    if "key_material_id" in members and "import_type" in members:
        members["import_type"] = ImportType.EXISTING_KEY_MATERIAL
    return members


@cache
def messages(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {name: values(field.annotation, tuple(field.metadata)) for name, field in model.model_fields.items()}
    required = {name: fields[name] for name, field in model.model_fields.items() if field.is_required()}
    optional = {name: fields[name] for name in fields.keys() - required.keys()}
    members = st.fixed_dictionaries(required, optional={name: optional[name] for name in sorted(optional)})
    return members.map(lambda drawn: model(**fitting(model, drawn)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_both_codecs_give_back_the_same_message(model: type[BaseModel], data: st.DataObject) -> None:
    message = data.draw(messages(model))
    as_json, as_cbor = encode(message, JSON), encode(message, CBOR)
    assert decode(model, as_json, JSON) == message
    assert decode(model, as_cbor, CBOR) == message
    # The same members in both, so that a message can be read off the wire in either.
    assert json.loads(as_json).keys() == cbor2.loads(as_cbor).keys()
    assert encode(decode(model, as_cbor, CBOR), JSON) == as_json


def mutations(body: bytes) -> st.SearchStrategy[bytes]:
    """`body`, damaged in one place."""
    places = st.integers(0, len(body))
    return st.one_of(
        st.builds(lambda at, new: body[:at] + new + body[at:], places, st.binary(max_size=6)),
        st.builds(lambda at, new: body[:at] + new + body[at + len(new) :], places, st.binary(min_size=1, max_size=6)),
        st.builds(lambda start, length: body[:start] + body[start + length :], places, st.integers(1, 20)),
    )


@pytest.mark.parametrize("content_type", ContentType)
@settings(max_examples=300)
@given(data=st.data(), operation=st.sampled_from(Operation))
def test_a_damaged_body_is_refused_or_a_message(
    content_type: ContentType, data: st.DataObject, operation: Operation
) -> None:
    model = SPECS[operation].request
    body = data.draw(mutations(encode(data.draw(messages(model)), content_type)))
    with suppress(MalformedBody):
        message = decode(model, body, content_type)
        assert decode(model, encode(message, content_type), content_type) == message


@pytest.mark.parametrize("content_type", ContentType)
@settings(max_examples=500)
@given(body=st.binary(max_size=200), operation=st.sampled_from(Operation))
def test_arbitrary_bytes_raise_nothing_else(content_type: ContentType, body: bytes, operation: Operation) -> None:
    for model in (SPECS[operation].request, SPECS[operation].reply):
        with suppress(MalformedBody):
            decode(model, body, content_type)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.just(CANARY), st.text(max_size=8))
NAMES = sorted({info.alias or name for model in REQUESTS for name, info in model.model_fields.items()})
TREES = st.recursive(
    st.one_of(SCALARS, st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.just(CANARY)), inner, max_size=4),
    ),
    max_leaves=12,
)


def outcome(model: type[BaseModel], body: bytes, content_type: ContentType) -> BaseModel | str:
    try:
        return decode(model, body, content_type)
    except MalformedBody as refusal:
        return str(refusal)


@settings(max_examples=300)
@given(operation=st.sampled_from(Operation), members=st.dictionaries(st.sampled_from(NAMES), TREES, max_size=6))
def test_no_refusal_repeats_a_value(operation: Operation, members: dict[str, Any]) -> None:
    model = SPECS[operation].request
    for body, content_type in ((json.dumps(members).encode(), JSON), (cbor2.dumps(members), CBOR)):
        # The name of an unknown member is the one thing that may be quoted.
        quoted_name = f"{CANARY}' failed to satisfy constraint: Member is not known"
        assert CANARY not in str(outcome(model, body, content_type)).replace(quoted_name, "")


@settings(max_examples=300)
@given(value=TREES)
def test_json_and_cbor_agree_on_what_is_a_message(value: Any) -> None:
    """A value without blobs is the same in both encodings, so both take it or both refuse it."""
    for operation in (Operation.LIST_KEYS, Operation.CREATE_KEY, Operation.GET_ACCOUNT_POLICY):
        model = SPECS[operation].request
        as_json = outcome(model, json.dumps(value).encode(), JSON)
        as_cbor = outcome(model, cbor2.dumps(value), CBOR)
        assert as_json == as_cbor or "levels deep" in str(as_cbor)


@given(seconds=st.floats(0, 253_402_300_799, allow_nan=False))
def test_times_survive_as_the_nearest_millisecond(seconds: float) -> None:
    model = SPECS[Operation.SCHEDULE_KEY_DELETION].reply
    members = {"KeyId": "k", "DeletionDate": seconds, "KeyState": "PendingDeletion", "PendingWindowInDays": 7}
    message = decode(model, cbor2.dumps(members), CBOR)
    written = cbor2.loads(encode(message, CBOR))["DeletionDate"]
    # Half a millisecond, and the distance between doubles in the year 9999.
    assert math.isclose(written, seconds, rel_tol=0, abs_tol=0.00055)
    assert decode(model, encode(message, JSON), JSON) == message
