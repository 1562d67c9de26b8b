"""The fake's aliases and policies."""

import json

from kmsq.errors import (
    AlreadyExistsException,
    InvalidAliasNameException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    NotFoundException,
)
from kmsq.testing.world import FakeAlias, World, page
from kmsq_schemas import limits, models

POLICY_NAME = "default"
RESERVED_PREFIX = "alias/aws/"


def create_alias(world: World, request: models.CreateAliasRequest) -> models.CreateAliasReply:
    """Point a new alias at a key."""
    if request.alias_name.startswith(RESERVED_PREFIX):
        message = f"Aliases that begin with {RESERVED_PREFIX} are reserved."
        raise InvalidAliasNameException(message)
    key = world.locate_by_id(request.target_key_id)
    key.require_kept()
    now = world.now()
    alias = FakeAlias(request.alias_name, key.key_id, now, now)
    if alias.name in world.aliases:
        message = f"An alias with the name {alias.arn} already exists"
        raise AlreadyExistsException(message)
    world.aliases[alias.name] = alias
    return models.CreateAliasReply()


def update_alias(world: World, request: models.UpdateAliasRequest) -> models.UpdateAliasReply:
    """Point an alias at another key."""
    alias = world.locate_alias(request.alias_name)
    key = world.locate_by_id(request.target_key_id)
    key.require_kept()
    alias.key_id, alias.updated_at = key.key_id, world.now()
    return models.UpdateAliasReply()


def delete_alias(world: World, request: models.DeleteAliasRequest) -> models.DeleteAliasReply:
    """Remove an alias."""
    del world.aliases[world.locate_alias(request.alias_name).name]
    return models.DeleteAliasReply()


def list_aliases(world: World, request: models.ListAliasesRequest) -> models.ListAliasesReply:
    """List one page of aliases."""
    key_id = None if request.key_id is None else world.locate_by_id(request.key_id).key_id
    everything = [alias for _, alias in sorted(world.aliases.items()) if key_id in (None, alias.key_id)]
    aliases, next_marker = page(everything, request.marker, request.limit or limits.ALIASES_PAGE_DEFAULT)
    return models.ListAliasesReply(
        aliases=[
            models.AliasListEntry(
                alias_name=alias.name,
                alias_arn=alias.arn,
                target_key_id=alias.key_id,
                creation_date=alias.created_at,
                last_updated_date=alias.updated_at,
            )
            for alias in aliases
        ],
        next_marker=next_marker,
        truncated=next_marker is not None,
    )


def get_key_policy(world: World, request: models.GetKeyPolicyRequest) -> models.GetKeyPolicyReply:
    """Return a key's policy."""
    _require_default(request.policy_name)
    return models.GetKeyPolicyReply(policy=world.locate_by_id(request.key_id).policy, policy_name=POLICY_NAME)


def put_key_policy(world: World, request: models.PutKeyPolicyRequest) -> models.PutKeyPolicyReply:
    """Store a key's policy; nothing heeds it."""
    _require_default(request.policy_name)
    world.locate_by_id(request.key_id).policy = _checked(request.policy)
    return models.PutKeyPolicyReply()


def list_key_policies(world: World, request: models.ListKeyPoliciesRequest) -> models.ListKeyPoliciesReply:
    """List the names of a key's policies."""
    world.locate_by_id(request.key_id)
    names, next_marker = page([POLICY_NAME], request.marker, request.limit or limits.POLICIES_PAGE_DEFAULT)
    return models.ListKeyPoliciesReply(
        policy_names=list(names), next_marker=next_marker, truncated=next_marker is not None
    )


def get_account_policy(world: World, _request: models.GetAccountPolicyRequest) -> models.GetAccountPolicyReply:
    """Return the account policy."""
    return models.GetAccountPolicyReply(policy=world.account_policy)


def put_account_policy(world: World, request: models.PutAccountPolicyRequest) -> models.PutAccountPolicyReply:
    """Store the account policy; nothing heeds it."""
    world.account_policy = _checked(request.policy)
    return models.PutAccountPolicyReply()


def _require_default(policy_name: str | None) -> None:
    if policy_name not in (None, POLICY_NAME):
        raise NotFoundException("No such policy exists")


def _checked(policy: str) -> str:
    if len(policy.encode()) > limits.POLICY_MAX_BYTES:
        raise LimitExceededException("The policy is too long.")
    try:
        document = json.loads(policy)
    except ValueError as error:
        raise MalformedPolicyDocumentException("The policy is not JSON.") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise MalformedPolicyDocumentException("The policy has no Statement.")
    return policy
