"""GenerateMac, VerifyMac."""

from kmsq_schemas.models import (
    BatchGenerateMacRequest,
    GenerateMacReply,
    GenerateMacRequest,
    VerifyMacReply,
    VerifyMacRequest,
)
from kmsq_schemas.models.enums import KeyUsage
from kmsq_worker.custody import Key
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.algorithms import require_algorithm
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.states import require_enabled, require_usage
from kmsq_worker.policy.keys import ConditionKey
from kmsq_worker.primitives import macs
from kmsq_worker.secret import Secret

_NamesMacKey = GenerateMacRequest | BatchGenerateMacRequest | VerifyMacRequest


def generate_mac(execution: TurnExecution, request: GenerateMacRequest) -> GenerateMacReply:
    """Make the MAC of up to 4,096 bytes."""
    key = usable_key(execution, request, "GenerateMac")
    stop_if_dry(request.dry_run)
    mac = macs.generate_mac(unlock(execution, key), request.mac_algorithm, request.message)
    return GenerateMacReply.model_construct(mac=mac, mac_algorithm=request.mac_algorithm, key_id=key.arn)


def verify_mac(execution: TurnExecution, request: VerifyMacRequest) -> VerifyMacReply:
    """Check a MAC, in a dry run, too. Raises `KMSInvalidMacException`."""
    key = usable_key(execution, request, "VerifyMac")
    macs.verify_mac(unlock(execution, key), request.mac_algorithm, request.message, request.mac)
    stop_if_dry(request.dry_run)
    return VerifyMacReply.model_construct(key_id=key.arn, mac_valid=True, mac_algorithm=request.mac_algorithm)


def usable_key(execution: TurnExecution, request: _NamesMacKey, operation: str) -> Key:
    """Locate the key, and authorise and check its use. Raises what both MAC operations do."""
    key = execution.locate(request.key_id)
    execution.authorize(f"kms:{operation}", key, values={ConditionKey.MAC_ALGORITHM: request.mac_algorithm})
    require_enabled(key)
    require_usage(key, KeyUsage.GENERATE_VERIFY_MAC, operation)
    require_algorithm(key, request.mac_algorithm)
    return key


def unlock(execution: TurnExecution, key: Key) -> Secret:
    """Unlock the current material: only after `usable_key`."""
    return execution.unlock(key, execution.material(key, key.row.current_material))
