"""GetKeyPolicy, PutKeyPolicy, GetAccountPolicy, PutAccountPolicy."""

from dataclasses import replace

from kmsq_schemas.models import (
    GetAccountPolicyReply,
    GetAccountPolicyRequest,
    GetKeyPolicyReply,
    GetKeyPolicyRequest,
    ListKeyPoliciesReply,
    ListKeyPoliciesRequest,
    PutAccountPolicyReply,
    PutAccountPolicyRequest,
    PutKeyPolicyReply,
    PutKeyPolicyRequest,
)
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.errors import NotFoundException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.pages import position_of
from kmsq_worker.policy.document import parse
from kmsq_worker.policy.evaluate import check_account_lockout, check_lockout
from kmsq_worker.policy.keys import ConditionKey

POLICY_NAME = "default"  # the only one there is: AWS_KMS_SEMANTICS


def get_key_policy(execution: TurnExecution, request: GetKeyPolicyRequest) -> GetKeyPolicyReply:
    """Return a key's policy as it was put."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:GetKeyPolicy", key)
    _require_default(request.policy_name)
    return GetKeyPolicyReply(policy=key.row.policy, policy_name=POLICY_NAME)


async def put_key_policy(execution: ChangeExecution, request: PutKeyPolicyRequest, _: None) -> PutKeyPolicyReply:
    """Replace a key's policy, unless that would lock the caller out."""
    bypass = bool(request.bypass_policy_lockout_safety_check)
    key = await execution.locate(request.key_id)
    values: Values = {ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: bypass}
    execution.authorize("kms:PutKeyPolicy", key, values=values)
    _require_default(request.policy_name)
    policy = checked_key_policy(execution, key.arn, request.policy, {**key.conditions, **values})
    await execution.save_key(replace(key.row, policy=policy))
    return PutKeyPolicyReply()


def checked_key_policy(execution: ChangeExecution, key_arn: str, text: str, conditions: Values) -> str:
    """
    Return the policy's text if it may become a key's; `conditions` are those of the request that puts it.

    Raises `MalformedPolicyDocumentException` for what does not parse, or locks the caller out although the bypass is
    not set; `LimitExceededException` above 32,768 bytes.
    """
    policy = parse(text)
    if not conditions[ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK]:
        access = execution.key_access("kms:PutKeyPolicy", key_arn, conditions)
        check_lockout(access, policy, execution.account.root_arn)
    return text


def list_key_policies(execution: TurnExecution, request: ListKeyPoliciesRequest) -> ListKeyPoliciesReply:
    """Name a key's policies: there is one."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:ListKeyPolicies", key)
    position_of(execution.custody, f"ListKeyPolicies {key.key_id}", request.marker)  # none was ever made
    return ListKeyPoliciesReply(policy_names=[POLICY_NAME], truncated=False)


def get_account_policy(execution: TurnExecution, _request: GetAccountPolicyRequest) -> GetAccountPolicyReply:
    """Return the account policy as it was put."""
    execution.authorize_account("kms:GetAccountPolicy")
    return GetAccountPolicyReply(policy=execution.account_policy_text())


async def put_account_policy(
    execution: ChangeExecution, request: PutAccountPolicyRequest, _: None
) -> PutAccountPolicyReply:
    """
    Replace the account policy, unless that would lock the caller out.

    The bootstrap administrators of the worker's settings always may: a policy that lost everybody, or was edited in
    the database, can be put right.
    """
    bypass = bool(request.bypass_policy_lockout_safety_check)
    if not execution.is_administrator:
        values: Values = {ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: bypass}
        execution.authorize_account("kms:PutAccountPolicy", values)
    policy = parse(request.policy)
    if not bypass and not execution.is_administrator:
        check_account_lockout(execution.account_access("kms:PutAccountPolicy"), policy)
    await execution.save_account_policy(request.policy)
    return PutAccountPolicyReply()


def _require_default(policy_name: str | None) -> None:
    if policy_name not in (None, POLICY_NAME):
        raise NotFoundException("No such policy exists")
