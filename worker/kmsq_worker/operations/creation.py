"""CreateKey."""

from dataclasses import dataclass
from uuid import uuid4

from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest
from kmsq_schemas.models.enums import KeyState, KeyUsage, Origin
from kmsq_worker import aliased, keyspecs
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Custody
from kmsq_worker.errors import UnsupportedOperationException, ValidationException
from kmsq_worker.execution import Values
from kmsq_worker.operations.materials import FIRST_MATERIAL, generate, new_material
from kmsq_worker.operations.metadata import metadata
from kmsq_worker.operations.policies import checked_key_policy
from kmsq_worker.operations.tags import checked_tags, encode_tags, tag_values
from kmsq_worker.policy.defaults import default_key_policy
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import KeyRow


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key id and its material, generated before the transaction begins; no material if it is to be imported."""

    key_id: str
    usage: KeyUsage
    origin: Origin
    tags: str
    material: Secret | None


async def prepare_key(_custody: Custody, request: CreateKeyRequest) -> NewKey:
    """
    Generate what CreateKey inserts.

    Raises `UnsupportedOperationException`, `ValidationException`, `TagException`, `LimitExceededException`.
    """
    _refuse_unsupported(request)
    usage = request.key_usage or KeyUsage.ENCRYPT_DECRYPT
    if usage not in keyspecs.usages(request.spec):
        message = f"KeyUsage {usage} is not compatible with KeySpec {request.spec}"
        raise ValidationException(message)
    origin = request.origin or Origin.AWS_KMS
    tags = encode_tags(checked_tags(request.tags or ()))
    material = None if origin is Origin.EXTERNAL else await generate(request.spec)
    return NewKey(str(uuid4()), usage, origin, tags, material)


async def create_key(execution: ChangeExecution, request: CreateKeyRequest, new: NewKey) -> CreateKeyReply:
    """Create a key, with fresh material or waiting for its import."""
    key_arn = execution.account.key_arn(new.key_id)
    conditions: Values = {
        ConditionKey.KEY_SPEC: request.spec,
        ConditionKey.KEY_USAGE: new.usage,
        ConditionKey.KEY_ORIGIN: new.origin,
        ConditionKey.MULTI_REGION: False,
        ConditionKey.BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: bool(request.bypass_policy_lockout_safety_check),
        **tag_values(request.tags or ()),
    }
    execution.authorize_account("kms:CreateKey", conditions)
    if request.policy is None:
        policy = default_key_policy(execution.arn, execution.rules.administrators)
    else:
        of_key: Values = {
            **conditions,
            ConditionKey.RESOURCE_TAG: conditions[ConditionKey.REQUEST_TAG],
            ConditionKey.RESOURCE_ALIASES: (),
        }
        policy = checked_key_policy(execution, key_arn, request.policy, of_key)
    row = KeyRow(
        key_id=new.key_id,
        key_spec=request.spec,
        key_usage=new.usage,
        origin=new.origin,
        key_state=KeyState.PENDING_IMPORT if new.material is None else KeyState.ENABLED,
        description=request.description or "",
        policy=policy,
        creation_date=execution.moment,
        current_material=0 if new.material is None else FIRST_MATERIAL,
        tags=new.tags,
        aliases_digest=aliased.digest(()),
        revision=execution.epoch - 1,  # CreateKey makes no epoch: the account's is the newest that it may have seen
    )
    material = None if new.material is None else new_material(execution, row, FIRST_MATERIAL, new.material)
    await execution.create_key(row, material)
    execution.touched.keys.append(new.key_id)
    if material is not None:
        execution.touched.materials.append(FIRST_MATERIAL)
    return CreateKeyReply(
        key_metadata=metadata(execution.account, row, None if material is None else material.material_id)
    )


def _refuse_unsupported(request: CreateKeyRequest) -> None:
    refused = {
        f"KeySpec {request.spec}": not keyspecs.is_supported(request.spec),
        f"Origin {request.origin}": request.origin not in (None, Origin.AWS_KMS, Origin.EXTERNAL),
        "MultiRegion": bool(request.multi_region),
        "CustomKeyStoreId": request.custom_key_store_id is not None,
        "XksKeyId": request.xks_key_id is not None,
    }
    for what, asked in refused.items():
        if asked:
            message = f"{what} is not supported."
            raise UnsupportedOperationException(message)
