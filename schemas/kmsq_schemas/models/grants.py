"""Grants: permissions on one key that its users hand on and give back."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kmsq_schemas import limits
from kmsq_schemas.constraints import RULE
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import GrantOperation
from kmsq_schemas.models.types import EncryptionContext, GrantToken, GrantTokens, KeyId, Marker, Timestamp

_GrantId = Annotated[str, Field(min_length=1, max_length=limits.GRANT_ID_MAX_CHARS)]
_GrantName = Annotated[str, Field(min_length=1, max_length=limits.GRANT_NAME_MAX_CHARS, pattern="^[a-zA-Z0-9:/_-]+$")]
_PrincipalId = Annotated[
    str, Field(min_length=1, max_length=limits.PRINCIPAL_ID_MAX_CHARS, pattern="^[a-zA-Z0-9_+=,.@:/-]+$")
]
_ServicePrincipal = Annotated[
    str,
    Field(
        min_length=1,
        max_length=limits.SERVICE_PRINCIPAL_MAX_CHARS,
        pattern=r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$",
    ),
]
_SourceArn = Annotated[
    str,
    Field(
        min_length=limits.ARN_MIN_CHARS,
        max_length=limits.SOURCE_ARN_MAX_CHARS,
        pattern="^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
    ),
]
_ConstraintContext = Annotated[
    dict[str, Annotated[str, Field(max_length=limits.GRANT_CONTEXT_VALUE_MAX_CHARS)]],
    Field(max_length=limits.GRANT_CONTEXT_MAX_PAIRS),
]
_GrantsLimit = Annotated[int, Field(ge=1, le=limits.GRANTS_PAGE_MAX)]


class GrantConstraints(Request):
    """When a grant applies: to requests with at least, or with exactly, these pairs in their encryption context."""

    encryption_context_subset: _ConstraintContext | None = None
    encryption_context_equals: _ConstraintContext | None = None
    source_arn: _SourceArn | None = None


class CreateGrantRequest(Request):
    """Permit a principal some operations on a key. Service principals are answered with an error."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["GranteePrincipal"]}, {"required": ["GranteeServicePrincipal"]}],
            "not": {"required": ["RetiringPrincipal", "RetiringServicePrincipal"]},
        }
    )

    key_id: KeyId
    grantee_principal: _PrincipalId | None = None
    retiring_principal: _PrincipalId | None = None
    operations: list[GrantOperation]
    constraints: GrantConstraints | None = None
    grant_tokens: GrantTokens | None = None
    name: _GrantName | None = None
    dry_run: bool | None = None
    grantee_service_principal: _ServicePrincipal | None = None
    retiring_service_principal: _ServicePrincipal | None = None

    @model_validator(mode="after")
    def _one_grantee_and_at_most_one_to_retire(self) -> Self:
        if (self.grantee_principal is None) == (self.grantee_service_principal is None):
            raise PydanticCustomError(RULE, "Please specify either GranteePrincipal or GranteeServicePrincipal")
        if self.retiring_principal is not None and self.retiring_service_principal is not None:
            raise PydanticCustomError(RULE, "RetiringPrincipal and RetiringServicePrincipal cannot both be given")
        return self


class CreateGrantReply(Reply):
    grant_token: GrantToken
    grant_id: _GrantId


class ListGrantsRequest(Request):
    """List a key's grants, all or one's, a page at a time."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["GranteePrincipal", "GranteeServicePrincipal"]}})

    limit: _GrantsLimit | None = None
    marker: Marker | None = None
    key_id: KeyId
    grant_id: _GrantId | None = None
    grantee_principal: _PrincipalId | None = None
    grantee_service_principal: _ServicePrincipal | None = None

    @model_validator(mode="after")
    def _at_most_one_grantee(self) -> Self:
        if self.grantee_principal is not None and self.grantee_service_principal is not None:
            raise PydanticCustomError(RULE, "GranteePrincipal and GranteeServicePrincipal cannot both be given")
        return self


class GrantListConstraints(Reply):
    """`GrantConstraints` as replies show them."""

    encryption_context_subset: EncryptionContext | None = None
    encryption_context_equals: EncryptionContext | None = None
    source_arn: _SourceArn | None = None


class GrantListEntry(Reply):
    key_id: KeyId
    grant_id: _GrantId
    name: _GrantName | None = None
    creation_date: Timestamp
    grantee_principal: _PrincipalId | None = None
    retiring_principal: _PrincipalId | None = None
    issuing_account: _PrincipalId
    operations: list[GrantOperation]
    constraints: GrantListConstraints | None = None
    grantee_service_principal: _ServicePrincipal | None = None
    retiring_service_principal: _ServicePrincipal | None = None


class ListGrantsReply(Reply):
    grants: list[GrantListEntry]
    next_marker: Marker | None = None
    truncated: bool


class ListRetirableGrantsRequest(Request):
    """List the grants of all keys that a principal may retire, a page at a time."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["RetiringPrincipal"]}, {"required": ["RetiringServicePrincipal"]}]}
    )

    limit: _GrantsLimit | None = None
    marker: Marker | None = None
    retiring_principal: _PrincipalId | None = None
    retiring_service_principal: _ServicePrincipal | None = None

    @model_validator(mode="after")
    def _one_to_retire(self) -> Self:
        if (self.retiring_principal is None) == (self.retiring_service_principal is None):
            raise PydanticCustomError(RULE, "Please specify either RetiringPrincipal or RetiringServicePrincipal")
        return self


class ListRetirableGrantsReply(Reply):
    grants: list[GrantListEntry]
    next_marker: Marker | None = None
    truncated: bool


class RetireGrantRequest(Request):
    """Give a grant back, named by its token or by key and grant id."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["GrantToken"], "not": {"anyOf": [{"required": ["KeyId"]}, {"required": ["GrantId"]}]}},
                {"required": ["KeyId", "GrantId"], "not": {"required": ["GrantToken"]}},
            ]
        }
    )

    grant_token: GrantToken | None = None
    key_id: KeyId | None = None
    grant_id: _GrantId | None = None
    dry_run: bool | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        by_id = self.key_id is not None and self.grant_id is not None
        by_token = self.grant_token is not None and self.key_id is None and self.grant_id is None
        if not by_token and not (by_id and self.grant_token is None):
            raise PydanticCustomError(RULE, "Please specify either GrantToken or both KeyId and GrantId")
        return self


class RetireGrantReply(Reply):
    pass


class RevokeGrantRequest(Request):
    """Take a grant away."""

    key_id: KeyId
    grant_id: _GrantId
    dry_run: bool | None = None


class RevokeGrantReply(Reply):
    pass
