"""What the API shows of a key."""

from kmsq_schemas.models import CustomerMasterKeySpec, KeyMetadata
from kmsq_schemas.models.enums import ExpirationModel, KeyManager, KeySpec, KeyState, KeyUsage, Origin
from kmsq_worker import keyspecs
from kmsq_worker.arn import Account
from kmsq_worker.store.rows import KeyRow


def metadata(account: Account, row: KeyRow, material_id: str | None) -> KeyMetadata:
    """Describe a key; `material_id` is that of its current material, if it has any."""
    spec, usage = KeySpec(row.key_spec), KeyUsage(row.key_usage)
    algorithms = keyspecs.algorithms(spec, usage)
    return KeyMetadata(
        aws_account_id=account.account_id,
        key_id=row.key_id,
        arn=account.key_arn(row.key_id),
        creation_date=row.creation_date,
        enabled=row.key_state == KeyState.ENABLED,
        description=row.description,
        key_usage=usage,
        key_state=KeyState(row.key_state),
        # The window in days is shown of multi-Region keys alone, while they wait for the deletion of their replicas.
        deletion_date=row.deletion_date,
        valid_to=row.valid_to,
        expiration_model=ExpirationModel(row.expiration_model) if row.expiration_model else None,
        origin=Origin(row.origin),
        key_manager=KeyManager.CUSTOMER,
        customer_master_key_spec=old_spec(spec),
        key_spec=spec,
        encryption_algorithms=list(algorithms.encryption) or None,
        signing_algorithms=list(algorithms.signing) or None,
        key_agreement_algorithms=list(algorithms.key_agreement) or None,
        encapsulation_algorithms=list(algorithms.encapsulation) or None,
        mac_algorithms=list(algorithms.mac) or None,
        multi_region=row.multi_region,
        current_key_material_id=material_id if spec is KeySpec.SYMMETRIC_DEFAULT else None,
    )


def old_spec(spec: KeySpec) -> CustomerMasterKeySpec | None:
    """Return the spec under its deprecated name, which never learned the newer ones."""
    return CustomerMasterKeySpec(spec) if spec.name in CustomerMasterKeySpec.__members__ else None
