"""When a key was last used."""

from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.models.enums import KeyLastUsageTrackingOperation
from kmsq_schemas.models.types import KeyId, Timestamp


class GetKeyLastUsageRequest(Request):
    """Tell when a key was last used, and for what."""

    key_id: KeyId


class KeyLastUsageData(Reply):
    """Empty for a key that was never used. kmsq has no CloudTrail and gives no id of its events."""

    operation: KeyLastUsageTrackingOperation | None = None
    timestamp: Timestamp | None = None
    cloud_trail_event_id: str | None = None
    kms_request_id: str | None = None


class GetKeyLastUsageReply(Reply):
    key_id: KeyId
    key_last_usage: KeyLastUsageData
    tracking_start_date: Timestamp
    key_creation_date: Timestamp
