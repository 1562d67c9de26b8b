"""The rules across members of the messages for grants and imported key material."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from kmsq_schemas import limits
from kmsq_schemas.codec import ContentType, MalformedBody, decode
from kmsq_schemas.models import (
    CreateGrantRequest,
    EnableKeyRotationRequest,
    ExpirationModel,
    GrantListEntry,
    GrantOperation,
    ImportKeyMaterialRequest,
    ImportType,
    ListGrantsRequest,
    ListResourceTagsReply,
    ListRetirableGrantsRequest,
    RetireGrantRequest,
    TagResourceRequest,
)

SERVICE = "service.example.com"
SOON = datetime(2026, 12, 1, tzinfo=UTC)
EXPIRES, STAYS = ExpirationModel


def grant(**members: Any) -> CreateGrantRequest:
    return CreateGrantRequest(key_id="k", operations=[GrantOperation.DECRYPT], **members)


def imported(**members: Any) -> ImportKeyMaterialRequest:
    return ImportKeyMaterialRequest(key_id="k", import_token=b"t", encrypted_key_material=b"m", **members)


def test_a_grant_has_one_grantee() -> None:
    assert grant(grantee_principal="alice").grantee_principal == "alice"
    assert grant(grantee_service_principal=SERVICE).grantee_service_principal == SERVICE
    with pytest.raises(ValidationError, match="either GranteePrincipal or GranteeServicePrincipal"):
        grant()
    with pytest.raises(ValidationError, match="either GranteePrincipal or GranteeServicePrincipal"):
        grant(grantee_principal="alice", grantee_service_principal=SERVICE)


def test_a_grant_is_retired_by_one_principal_at_most() -> None:
    assert grant(grantee_principal="alice", retiring_principal="bob").retiring_principal == "bob"
    with pytest.raises(ValidationError, match="cannot both be given"):
        grant(grantee_principal="alice", retiring_principal="bob", retiring_service_principal=SERVICE)


@pytest.mark.parametrize(
    ("context", "accepted"),
    [
        ({"a": "v" * limits.GRANT_CONTEXT_VALUE_MAX_CHARS}, True),
        ({"a": "v" * (limits.GRANT_CONTEXT_VALUE_MAX_CHARS + 1)}, False),
        ({str(number): "v" for number in range(limits.GRANT_CONTEXT_MAX_PAIRS)}, True),
        ({str(number): "v" for number in range(limits.GRANT_CONTEXT_MAX_PAIRS + 1)}, False),
    ],
)
@pytest.mark.parametrize("constraint", ["encryption_context_subset", "encryption_context_equals"])
def test_a_constraint_has_eight_pairs_of_384_characters(
    constraint: str, context: dict[str, str], *, accepted: bool
) -> None:
    constraints = {constraint: context}
    if accepted:
        assert getattr(grant(grantee_principal="alice", constraints=constraints).constraints, constraint) == context
    else:
        with pytest.raises(ValidationError):
            grant(grantee_principal="alice", constraints=constraints)


@pytest.mark.parametrize("principal", ["", "al ice", "alice\n", "älice", "a" * 257])
def test_a_principal_is_a_name_in_ascii(principal: str) -> None:
    with pytest.raises(ValidationError):
        grant(grantee_principal=principal)


def test_grants_are_listed_for_one_kind_of_principal() -> None:
    assert ListGrantsRequest(key_id="k").grantee_principal is None
    assert ListRetirableGrantsRequest(retiring_principal="bob").retiring_principal == "bob"
    with pytest.raises(ValidationError, match="cannot both be given"):
        ListGrantsRequest(key_id="k", grantee_principal="alice", grantee_service_principal=SERVICE)
    with pytest.raises(ValidationError, match="either RetiringPrincipal or RetiringServicePrincipal"):
        ListRetirableGrantsRequest()
    with pytest.raises(ValidationError, match="either RetiringPrincipal or RetiringServicePrincipal"):
        ListRetirableGrantsRequest(retiring_principal="bob", retiring_service_principal=SERVICE)


@pytest.mark.parametrize("body", ['{"GrantToken":"t"}', '{"KeyId":"k","GrantId":"g"}'])
def test_a_grant_is_retired_by_token_or_by_key_and_id(body: str) -> None:
    request = decode(RetireGrantRequest, body.encode(), ContentType.JSON)
    assert (request.grant_token is None) is (request.grant_id is not None)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"KeyId":"k"}',
        '{"GrantId":"g"}',
        '{"GrantToken":"t","KeyId":"k"}',
        '{"GrantToken":"t","GrantId":"g"}',
        '{"GrantToken":"t","KeyId":"k","GrantId":"g"}',
    ],
)
def test_any_other_name_of_a_grant_is_refused(body: str) -> None:
    with pytest.raises(MalformedBody, match="either GrantToken or both KeyId and GrantId"):
        decode(RetireGrantRequest, body.encode(), ContentType.JSON)


def test_imported_material_expires_unless_it_is_said_to_stay() -> None:
    assert imported(valid_to=SOON).expires
    assert imported(valid_to=SOON, expiration_model=EXPIRES).expires
    assert not imported(expiration_model=STAYS).expires


@pytest.mark.parametrize("members", [{}, {"expiration_model": EXPIRES}, {"valid_to": SOON, "expiration_model": STAYS}])
def test_material_has_an_end_exactly_if_it_expires(members: dict[str, Any]) -> None:
    with pytest.raises(
        ValidationError, match=r"A validTo date must (not )?be set if the ExpirationModel is KEY_MATERIAL_"
    ):
        imported(**members)


def test_new_material_has_no_id_yet() -> None:
    known = "a" * limits.KEY_MATERIAL_ID_CHARS
    existing = imported(valid_to=SOON, key_material_id=known, import_type=ImportType.EXISTING_KEY_MATERIAL)
    assert existing.key_material_id == known
    with pytest.raises(ValidationError, match="KeyMaterialId must not be set"):
        imported(valid_to=SOON, key_material_id=known, import_type=ImportType.NEW_KEY_MATERIAL)


@pytest.mark.parametrize(("days", "accepted"), [(89, False), (90, True), (2560, True), (2561, False)])
def test_a_rotation_period_is_90_to_2560_days(days: int, *, accepted: bool) -> None:
    if accepted:
        assert EnableKeyRotationRequest(key_id="k", rotation_period_in_days=days).rotation_period_in_days == days
    else:
        with pytest.raises(ValidationError):
            EnableKeyRotationRequest(key_id="k", rotation_period_in_days=days)


def test_what_requests_refuse_inside_a_structure_replies_ignore() -> None:
    younger = b'{"KeyId":"k","Tags":[{"TagKey":"a","TagValue":"b","Younger":1}],"Truncated":false}'
    assert decode(ListResourceTagsReply, younger, ContentType.JSON).tags[0].tag_key == "a"
    with pytest.raises(MalformedBody, match="Younger"):
        decode(
            TagResourceRequest, b'{"KeyId":"k","Tags":[{"TagKey":"a","TagValue":"b","Younger":1}]}', ContentType.JSON
        )
    entry = (
        b'{"KeyId":"k","GrantId":"g","CreationDate":0,"IssuingAccount":"a","Operations":["Sign"],'
        b'"Constraints":{"Younger":1}}'
    )
    assert decode(GrantListEntry, entry, ContentType.JSON).constraints is not None
