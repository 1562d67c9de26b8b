"""GetKeyLastUsage."""

from kmsq_schemas.models import GetKeyLastUsageReply, GetKeyLastUsageRequest, KeyLastUsageData
from kmsq_schemas.models.enums import KeyLastUsageTrackingOperation
from kmsq_worker.execution import TurnExecution


async def get_key_last_usage(execution: TurnExecution, request: GetKeyLastUsageRequest) -> GetKeyLastUsageReply:
    """Tell what a key was last used for, as far as it is on record: `last_use` says how far that is."""
    key = execution.locate_by_id(request.key_id)
    execution.authorize("kms:GetKeyLastUsage", key)
    use = await execution.reader.last_use(key.key_id)
    data = KeyLastUsageData()
    if use is not None:
        data = KeyLastUsageData(
            operation=KeyLastUsageTrackingOperation(use.operation),
            timestamp=use.used_at,
            kms_request_id=use.request_id,
        )
    return GetKeyLastUsageReply(
        key_id=key.arn,
        key_last_usage=data,
        tracking_start_date=max(key.row.creation_date, await execution.reader.usage_tracked_since()),
        key_creation_date=key.row.creation_date,
    )
