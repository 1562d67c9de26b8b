"""What kmsq does not serve: complete against the service model, and true of our own models."""

import re
from typing import Any

import pytest
from botocore.loaders import Loader

from kmsq_schemas.api_page import OWN_OPERATIONS, api_page, operations_with
from kmsq_schemas.models.base import Request
from kmsq_schemas.operations import SPECS, Operation
from kmsq_schemas.unsupported import UNSUPPORTED_MEMBERS, UNSUPPORTED_OPERATIONS, Unsupported

SERVICE_OPERATIONS = set(Loader().load_service_model("kms", "service-2", "2014-11-01")["operations"])
PAGE = api_page()


def test_every_operation_of_aws_is_served_or_named_as_not_served() -> None:
    served = {operation.value for operation in SPECS}
    assert served | UNSUPPORTED_OPERATIONS.keys() == SERVICE_OPERATIONS | {own.value for own in OWN_OPERATIONS}
    assert not served & UNSUPPORTED_OPERATIONS.keys()
    assert not OWN_OPERATIONS & SERVICE_OPERATIONS


def test_every_reason_is_one_line() -> None:
    reasons = [*UNSUPPORTED_OPERATIONS.values(), *(unsupported.reason for unsupported in UNSUPPORTED_MEMBERS)]
    for reason in reasons:
        assert reason
        assert not set("\n|") & set(reason)


def member_schema(request: type[Request], dotted: str) -> dict[str, Any]:
    """The schema of a member, through structures and options, with references followed."""
    root: dict[str, Any] = request.model_json_schema(by_alias=True)
    schema = root
    for name in dotted.split("."):
        schema = schema["properties"][name]
        schema = next((option for option in schema.get("anyOf", []) if option != {"type": "null"}), schema)
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


@pytest.mark.parametrize("unsupported", UNSUPPORTED_MEMBERS, ids=lambda item: "-".join((item.member, *item.values)))
def test_every_unsupported_value_is_one_that_a_request_takes(unsupported: Unsupported) -> None:
    operations = operations_with(unsupported)
    assert operations
    for operation in operations:
        schema = member_schema(SPECS[operation].request, unsupported.member)
        known = schema.get("enum", ["true", "false"] if schema.get("type") == "boolean" else [])
        assert set(unsupported.values) <= set(known)
    assert len(set(unsupported.values)) == len(unsupported.values)


def test_values_are_named_for_the_operations_that_know_them() -> None:
    assert operations_with(Unsupported("KeySpec", "", ("SM2",))) == (Operation.CREATE_KEY,)
    assert Operation.GENERATE_DATA_KEY in operations_with(Unsupported("KeySpec", ""))
    assert operations_with(Unsupported("Constraints.SourceArn", "")) == (Operation.CREATE_GRANT,)
    assert operations_with(Unsupported("NoSuchMember", "")) == ()


def rows(page: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| [`A-Z]", line)]


def test_the_page_has_a_row_for_every_operation_and_every_unsupported_member() -> None:
    found = rows(PAGE)
    names = sorted(SERVICE_OPERATIONS | {own.value for own in OWN_OPERATIONS})
    assert [row[0] for row in found[: len(names)]] == names
    assert [row[0] for row in found[len(names) :]] == [f"`{unsupported.member}`" for unsupported in UNSUPPORTED_MEMBERS]
    assert {len(row) for row in found} == {4}


def test_the_page_tells_queue_and_change() -> None:
    found = {row[0]: row[1:] for row in rows(PAGE)}
    assert found["Sign"] == ["yes", "`kmsq.slow`", "no"]
    assert found["CreateGrant"] == ["yes", "`kmsq.admin`", "yes"]
    assert found["GetAccountPolicy"] == ["yes, kmsq's own", "`kmsq.read`", "no"]
    assert found["BatchDecrypt"] == ["yes, kmsq's own", "`kmsq.batch`", "no"]
    assert found["ReplicateKey"] == [f"no: {UNSUPPORTED_OPERATIONS['ReplicateKey']}", "–", "–"]
    assert "48 of AWS KMS's 56 operations are served; 8 more are kmsq's own." in PAGE
