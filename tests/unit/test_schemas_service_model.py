"""Every message against botocore's service model of AWS KMS: members, required ones, lengths, ranges, patterns, enums."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import Loader

from kmsq_schemas.api_page import OWN_OPERATIONS
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.operations import SPECS, Operation

SERVICE = Loader().load_service_model("kms", "service-2", "2014-11-01")
SHAPES: dict[str, dict[str, Any]] = SERVICE["shapes"]

SHARED_OPERATIONS = [operation for operation in Operation if operation not in OWN_OPERATIONS]

# Where kmsq says more than the service model does, because the API reference does. Anything else is a mistake.
STRICTER = {
    "DecryptRequest.CiphertextBlob: required": "only a DryRun of AWS works without",
    "ReEncryptRequest.CiphertextBlob: required": "only a DryRun of AWS works without",
    "GenerateRandomRequest.NumberOfBytes: required": "AWS refuses a request without it",
    "ListAliasesRequest.Limit: maximum 100, not 1000": "API reference, ListAliases",
    "ListGrantsRequest.Limit: maximum 100, not 1000": "API reference, ListGrants",
    "ListRetirableGrantsRequest.Limit: maximum 100, not 1000": "API reference, ListRetirableGrants",
    "ListResourceTagsRequest.Limit: maximum 50, not 1000": "API reference, ListResourceTags",
    "CreateGrantRequest.Constraints.EncryptionContextEquals{}: maxLength 384, not None": "API reference, CreateGrant",
    "CreateGrantRequest.Constraints.EncryptionContextSubset{}: maxLength 384, not None": "API reference, CreateGrant",
    "ScheduleKeyDeletionRequest.PendingWindowInDays: minimum 7, not 1": "API reference, ScheduleKeyDeletion",
    "ScheduleKeyDeletionRequest.PendingWindowInDays: maximum 30, not 365": "API reference, ScheduleKeyDeletion",
}
# The same languages, written so that Rust's, Python's and ECMAScript's engines agree on them.
REWRITTEN_PATTERNS = {
    r"[\w]+": "^[a-zA-Z0-9_]+$",
    r"^[a-zA-Z0-9:/_\s.-]+$": r"^[a-zA-Z0-9:/_ \t\n\v\f\r.-]+$",
    r"^[\w+=,.@:/-]+$": "^[a-zA-Z0-9_+=,.@:/-]+$",
    r"^([a-z]+-){2,3}\d+$": "^([a-z]+-){2,3}[0-9]+$",
}
SCALARS = {"blob": "string", "string": "string", "integer": "integer", "boolean": "boolean", "timestamp": "number"}


def described(model: type[Request | Reply]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def expected_pattern(shape: dict[str, Any]) -> str | None:
    pattern: str | None = shape.get("pattern")
    if pattern is None:
        return None
    return REWRITTEN_PATTERNS.get(pattern, f"^{pattern.removeprefix('^').removesuffix('$')}$")


def expected_facets(shape: dict[str, Any]) -> dict[str, Any]:
    """What JSON Schema says of a scalar shape."""
    kind = shape["type"]
    facets: dict[str, Any] = {"type": SCALARS[kind]}
    if "enum" in shape:
        return facets | {"enum": sorted(shape["enum"])}
    if kind == "integer":
        return facets | {"minimum": shape["min"], "maximum": shape["max"]}
    if kind == "blob":
        return facets | {"minLength": -(-shape["min"] // 3) * 4, "maxLength": -(-shape["max"] // 3) * 4}
    if kind == "string":
        lengths = {"minLength": shape.get("min") or None, "maxLength": shape.get("max")}
        facets |= lengths | {"pattern": expected_pattern(shape)}
    return {name: value for name, value in facets.items() if value is not None}


def differences(
    place: str, ours: dict[str, Any], shape_name: str, root: dict[str, Any], *, reply: bool
) -> Iterator[str]:
    """Compare one of our schemas with a shape, all the way down."""
    ours = next((option for option in ours.get("anyOf", []) if option != {"type": "null"}), ours)
    if "$ref" in ours:
        ours = root["$defs"][ours["$ref"].removeprefix("#/$defs/")]
    shape = SHAPES[shape_name]
    match shape["type"]:
        case "structure":
            yield from structure_differences(place, ours, shape, root, reply=reply)
        case "list":
            for facet, bound in (("minItems", "min"), ("maxItems", "max")):
                if ours.get(facet) != (shape.get(bound) or None):
                    yield f"{place}: {facet} {ours.get(facet)}, not {shape.get(bound)}"
            yield from differences(f"{place}[]", ours["items"], shape["member"]["shape"], root, reply=reply)
        case "map":
            values = ours["additionalProperties"]
            yield from differences(f"{place}{{}}", values, shape["value"]["shape"], root, reply=reply)
        case kind:
            expected = expected_facets(shape)
            seen = dict(ours, enum=sorted(ours["enum"])) if "enum" in ours else ours
            ignored = {"title", "description", "default", "contentEncoding"}
            ignored |= {"pattern"} if kind == "blob" else {"minimum", "maximum"} if kind == "timestamp" else set()
            for facet in sorted((expected.keys() | seen.keys()) - ignored):
                if expected.get(facet) != seen.get(facet):
                    yield f"{place}: {facet} {seen.get(facet)}, not {expected.get(facet)}"


def structure_differences(
    place: str, ours: dict[str, Any], shape: dict[str, Any], root: dict[str, Any], *, reply: bool
) -> Iterator[str]:
    members = shape["members"]
    properties = ours.get("properties", {})
    for name in sorted(members.keys() - properties.keys()):
        yield f"{place}.{name}: missing"
    for name in sorted(properties.keys() - members.keys()):
        yield f"{place}.{name}: unknown to AWS"
    required, theirs = set(ours.get("required", [])), set(shape.get("required", []))
    for name in sorted(theirs - required):
        yield f"{place}.{name}: optional"
    # What the service model leaves open in replies, kmsq's replies promise.
    for name in sorted(() if reply else required - theirs):
        yield f"{place}.{name}: required"
    for name in sorted(members.keys() & properties.keys()):
        yield from differences(f"{place}.{name}", properties[name], members[name]["shape"], root, reply=reply)


def operation_differences(operation: Operation) -> list[str]:
    spec, theirs = SPECS[operation], SERVICE["operations"][operation]
    request = described(spec.request)
    found = list(differences(spec.request.__name__, request, theirs["input"]["shape"], request, reply=False))
    reply = described(spec.reply)
    if "output" in theirs:
        found += differences(spec.reply.__name__, reply, theirs["output"]["shape"], reply, reply=True)
    elif reply.get("properties"):
        found.append(f"{spec.reply.__name__}: AWS answers nothing")
    return found


@pytest.mark.parametrize("operation", SHARED_OPERATIONS)
def test_a_message_has_the_shape_of_the_service_model(operation: Operation) -> None:
    assert set(operation_differences(operation)) <= STRICTER.keys()


def test_every_stated_difference_exists() -> None:
    found = {difference for operation in SHARED_OPERATIONS for difference in operation_differences(operation)}
    assert found == STRICTER.keys()


@pytest.mark.parametrize("operation", sorted(OWN_OPERATIONS))
def test_our_own_operations_take_no_name_of_aws(operation: Operation) -> None:
    assert operation not in SERVICE["operations"]


@pytest.mark.parametrize(
    ("place", "facet", "value"),
    [
        ("KeyId", "maxLength", 2047),
        ("KeyId", "minLength", 2),
        ("Plaintext", "maxLength", 4),
        ("DryRun", "type", "string"),
        ("EncryptionAlgorithm", "enum", ["SYMMETRIC_DEFAULT"]),
    ],
)
def test_the_comparison_sees_a_changed_facet(place: str, facet: str, value: object) -> None:
    schema = described(SPECS[Operation.ENCRYPT].request)
    member = schema["properties"][place]
    member = next((option for option in member.get("anyOf", []) if option != {"type": "null"}), member)
    if "$ref" in member:
        member = schema["$defs"][member["$ref"].removeprefix("#/$defs/")]
    member[facet] = value
    found = list(differences("EncryptRequest", schema, "EncryptRequest", schema, reply=False))
    assert any(difference.startswith(f"EncryptRequest.{place}: {facet} ") for difference in found)


def test_the_comparison_sees_a_missing_and_an_invented_member() -> None:
    schema = described(SPECS[Operation.ENCRYPT].request)
    schema["properties"]["Invented"] = schema["properties"].pop("KeyId")
    found = list(differences("EncryptRequest", schema, "EncryptRequest", schema, reply=False))
    assert found == ["EncryptRequest.KeyId: missing", "EncryptRequest.Invented: unknown to AWS"]
