"""`kmsq-worker init`: from an empty, migrated database to an account that workers can serve."""

from datetime import UTC, datetime
from uuid import uuid4

from kmsq_worker import audit
from kmsq_worker.arn import Account
from kmsq_worker.audit import Chain, StoredRecord
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, authenticate
from kmsq_worker.policy.defaults import initial_account_policy
from kmsq_worker.rootkey import RootKey
from kmsq_worker.store import setup
from kmsq_worker.store.connection import Connection
from kmsq_worker.store.rows import AccountPolicyRow, ChainRow, DomainKeyRow
from kmsq_worker.wrapping import DomainKey


async def initialise(
    connection: Connection, *, account: Account, root_key: RootKey, administrators: tuple[str, ...]
) -> None:
    """
    Make the first domain key, the account policy of `administrators` (at least one), and the registry chain.

    Raises `Unavailable`, `ValueError` without administrators.
    """
    now = datetime.now(UTC)
    domain_key = DomainKey.generate()
    wrapped = root_key.wrap(domain_key.key, domain_key.id)
    policy = authenticate(
        domain_key,
        AccountPolicyRow(policy=initial_account_policy(map(account.user_arn, administrators)), revision=0),
    )
    chain = Chain.begin(domain_key=domain_key, chain_id=uuid4())
    record = audit.encode_record(
        {
            "event": audit.INITIALISED,
            "epoch": 0,
            "region": account.region,
            "account": account.account_id,
            "administrators": administrators,
            "wrote": {ACCOUNT_POLICY_SUBJECT: policy.mac.hex()},
        },
    )
    first = chain.extend([record])
    chain.advance(first)
    await setup.initialise(
        connection,
        account=account,
        domain_key=DomainKeyRow(domain_key_id=domain_key.id, root_key_id=root_key.id, wrapped=wrapped, created_at=now),
        policy=policy,
        registry=ChainRow(
            chain_id=chain.chain_id,
            lane=audit.REGISTRY_LANE,
            month=None,
            domain_key_id=domain_key.id,
            opened_at=now,
            head_sequence=chain.sequence,
            head_mac=chain.mac,
            head_seal=chain.seal,
        ),
        record=StoredRecord(sequence=1, record=record, mac=chain.mac),
    )
