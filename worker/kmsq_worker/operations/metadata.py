"""What the API shows of a key."""

from kmsq_schemas.models import CustomerMasterKeySpec, EncryptionAlgorithm, KeyMetadata
from kmsq_schemas.models.enums import KeyManager, KeySpec, KeyState, KeyUsage, Origin
from kmsq_worker.arn import Account
from kmsq_worker.store.rows import KeyRow


def metadata(account: Account, row: KeyRow, material_id: str | None) -> KeyMetadata:
    """Describe a key; `material_id` is that of its current material."""
    return KeyMetadata(
        aws_account_id=account.account_id,
        key_id=row.key_id,
        arn=account.key_arn(row.key_id),
        creation_date=row.creation_date,
        enabled=row.key_state == KeyState.ENABLED,
        description=row.description,
        key_usage=KeyUsage(row.key_usage),
        key_state=KeyState(row.key_state),
        # The service model shows the date only while the window runs.
        deletion_date=row.deletion_date,
        pending_deletion_window_in_days=row.pending_window_days,
        origin=Origin(row.origin),
        key_manager=KeyManager.CUSTOMER,
        customer_master_key_spec=CustomerMasterKeySpec(row.key_spec),
        key_spec=KeySpec(row.key_spec),
        encryption_algorithms=[EncryptionAlgorithm.SYMMETRIC_DEFAULT],
        multi_region=row.multi_region,
        current_key_material_id=material_id,
    )
