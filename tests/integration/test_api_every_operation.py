"""Each operation of AWS KMS once, over both clients; of what kmsq has not, the answer."""

from collections import Counter
from typing import Any

import pytest
from botocore.session import Session

from integration.api import BOTO3, Api, SharedKeys, Ways
from integration.api_requests import TABLES, request_for
from kmsq_schemas.unsupported import UNSUPPORTED_OPERATIONS

SERVICE = Session().get_service_model("kms")
SERVED = sorted(set(SERVICE.operation_names) - UNSUPPORTED_OPERATIONS.keys())


def minimal(shape: Any) -> dict[str, str]:
    """Fill the required members of a structure, all of them texts."""
    assert all(shape.members[name].type_name == "string" for name in shape.required_members)
    return {
        name: (shape.members[name].enum or ["x" * max(1, shape.members[name].metadata.get("min", 1))])[0]
        for name in shape.required_members
    }


def test_the_tables_have_a_request_of_each_operation_that_is_served() -> None:
    assert Counter(name for table in TABLES for name in table) == dict.fromkeys(SERVED, 1)
    assert len(SERVED) == 48


@pytest.mark.parametrize("operation", SERVED)
async def test_an_operation_takes_a_valid_request_and_replies_in_its_shape(
    api: Api, shared_keys: SharedKeys, operation: str
) -> None:
    request = await request_for(operation, api, shared_keys)
    reply = await api(operation, **request)
    shape = SERVICE.operation_model(operation).output_shape
    assert reply.keys() <= (shape.members if shape else {}).keys()
    assert reply or not shape


@pytest.mark.parametrize("operation", UNSUPPORTED_OPERATIONS)
async def test_what_kmsq_has_not_is_unsupported_and_says_why(ways: Ways, operation: str) -> None:
    request = minimal(SERVICE.operation_model(operation).input_shape)
    error = await ways.api(BOTO3, "admin").error(operation, **request)
    assert error.code == "UnsupportedOperationException"
    assert UNSUPPORTED_OPERATIONS[operation] in error.message
