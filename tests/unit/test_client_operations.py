"""The client's methods, held against the contract."""

import inspect
import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest

from kmsq import Client, errors
from kmsq.errors import ClientClosed, InvalidReply, InvalidRequest, ServiceError
from kmsq.testing import FakeKms
from kmsq_schemas.errors import RETRYABLE, ErrorCode
from kmsq_schemas.models import (
    CreateGrantReply,
    DescribeKeyReply,
    GrantConstraints,
    GrantListEntry,
    ListGrantsReply,
    ListGrantsRequest,
    ListRetirableGrantsReply,
    ListRetirableGrantsRequest,
    Reply,
    Request,
)
from kmsq_schemas.operations import SPECS, Operation, OperationSpec

ARGUMENTS_OF_THE_CALL = {"self", "timeout_seconds"}


def method_name(operation: Operation) -> str:
    """`ReEncrypt` → `re_encrypt`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation.value).lower()


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.operation.value)
def test_each_operation_has_a_method_with_the_fields_of_its_request(spec: OperationSpec) -> None:
    method = getattr(Client, method_name(spec.operation))
    parameters = inspect.signature(method).parameters
    assert set(parameters) - ARGUMENTS_OF_THE_CALL == set(spec.request.model_fields)
    assert parameters["timeout_seconds"].default is None
    for name, field in spec.request.model_fields.items():
        is_required = parameters[name].default is inspect.Parameter.empty
        assert is_required == field.is_required(), name
        assert (parameters[name].kind is inspect.Parameter.KEYWORD_ONLY) == (not field.is_required()), name
    assert get_type_hints(method)["return"] is spec.reply
    assert inspect.getdoc(method)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_each_error_code_has_an_exception_of_its_name(code: ErrorCode) -> None:
    error = errors.service_error(code.value, "why", message_id="m")
    assert type(error) is getattr(errors, code.value)
    assert type(error) is not ServiceError
    assert (error.code, error.message, error.message_id) == (code, "why", "m")
    assert str(error) == f"{code.value}: why"
    assert error.is_retryable == (code in RETRYABLE)
    assert inspect.getdoc(type(error)) != inspect.getdoc(ServiceError)


def test_an_unknown_error_code_is_a_plain_service_error() -> None:
    error = errors.service_error("NewerException", "why")
    assert type(error) is ServiceError
    assert str(error) == "NewerException: why"
    assert not error.is_retryable


async def test_wrong_arguments_are_refused_without_their_values() -> None:
    async with FakeKms().client() as client:
        with pytest.raises(InvalidRequest, match="plaintext") as caught:
            await client.encrypt("alias/x", b"canary" * 1000)
        assert "canary" not in repr(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        with pytest.raises(InvalidRequest, match="number of bytes or key spec"):
            await client.generate_data_key("alias/x")


async def test_tags_may_be_a_map_and_are_checked_like_a_list() -> None:
    async with FakeKms().client() as client:
        for tags in ({"canary" * 30: "x"}, {"x": "canary" * 50}):
            with pytest.raises(InvalidRequest, match=r"tags\.1\.member") as caught:
                await client.create_key(tags=tags)
            assert "canary" not in repr(caught.value)
            with pytest.raises(InvalidRequest):
                await client.tag_resource("k", tags)


async def test_constraints_of_a_grant_may_be_a_map() -> None:
    kms = FakeKms()
    kms.answer_with("CreateGrant", remember := Remember(CreateGrantReply(grant_token="t", grant_id="g")))
    async with kms.client() as client:
        pairs = {"team": "billing"}
        for constraints in ({"EncryptionContextSubset": pairs}, GrantConstraints(encryption_context_subset=pairs)):
            await client.create_grant("k", ["Decrypt"], grantee_principal="p", constraints=constraints)
            assert remember.request.constraints == GrantConstraints(encryption_context_subset=pairs)
        with pytest.raises(InvalidRequest, match="NoSuchConstraint"):
            await client.create_grant("k", ["Decrypt"], grantee_principal="p", constraints={"NoSuchConstraint": pairs})


async def test_contexts_of_a_batch_may_be_any_maps_and_are_one_for_each_value() -> None:
    async with FakeKms().client() as client:
        key_id = (await client.create_key()).key_metadata.key_id
        contexts = (MappingProxyType({"row": "1"}), None)
        sealed = await client.batch_encrypt(key_id, (b"a", b"b"), encryption_contexts=contexts)
        blobs = [blob for blob in sealed.ciphertext_blobs if blob is not None]
        assert (await client.batch_decrypt(blobs, encryption_contexts=contexts)).plaintexts == [b"a", b"b"]
        with pytest.raises(InvalidRequest, match="one entry for each item"):
            await client.batch_encrypt(key_id, [b"canary"], encryption_contexts=contexts)


class Remember:
    """Answers always the same, and keeps the last request."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __call__(self, request: Any) -> Reply:
        self.request = request
        return self._reply


async def test_a_client_outside_its_block_says_so() -> None:
    client = FakeKms().client()
    with pytest.raises(ClientClosed, match="async with"):
        await client.list_keys()
    async with client:
        await client.list_keys()
    with pytest.raises(ClientClosed):
        await client.list_keys()


async def test_a_reply_of_another_operation_is_invalid() -> None:
    class Confused:
        async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:  # noqa: ARG002
            return SPECS[Operation.DISABLE_KEY].reply()

    async with FakeKms().client() as client:
        client._transport = Confused()
        with pytest.raises(InvalidReply):
            await client.describe_key("alias/x")


async def test_paginators_go_through_all_pages() -> None:
    async with FakeKms().client() as client:
        created = [(await client.create_key()).key_metadata.key_id for _ in range(7)]
        for number in range(3):
            await client.create_alias(f"alias/n{number}", created[0])
            await client.rotate_key_on_demand(created[0])
        assert [key.key_id async for key in client.iter_keys(page_size=2)] == sorted(created)
        names = [alias.alias_name async for alias in client.iter_aliases(key_id=created[0], page_size=1)]
        assert names == ["alias/n0", "alias/n1", "alias/n2"]
        assert len([rotation async for rotation in client.iter_key_rotations(created[0], page_size=2)]) == 3


async def test_grants_come_in_pages() -> None:
    def page(request: ListGrantsRequest | ListRetirableGrantsRequest) -> ListGrantsReply:
        place = int(request.marker or 0)
        return ListGrantsReply(
            grants=[grant(f"g{place}")], next_marker=str(place + 1) if place < 2 else None, truncated=place < 2
        )

    kms = FakeKms()
    kms.answer_with("ListGrants", page)
    kms.answer_with("ListRetirableGrants", lambda request: ListRetirableGrantsReply(**dict(page(request))))
    async with kms.client() as client:
        assert [entry.grant_id async for entry in client.iter_grants("k", page_size=1)] == ["g0", "g1", "g2"]
        assert [entry.grant_id async for entry in client.iter_retirable_grants("p")] == ["g0", "g1", "g2"]


def grant(grant_id: str) -> GrantListEntry:
    return GrantListEntry(
        key_id="k", grant_id=grant_id, creation_date=datetime.now(UTC), issuing_account="a", operations=[]
    )


async def test_call_serves_tools_that_go_by_the_table() -> None:
    async with FakeKms().client() as client:
        key = (await client.create_key()).key_metadata
        request = SPECS[Operation.DESCRIBE_KEY].request.model_validate({"key_id": key.key_id})
        reply = await client.call(Operation.DESCRIBE_KEY, request)
        assert isinstance(reply, DescribeKeyReply)
