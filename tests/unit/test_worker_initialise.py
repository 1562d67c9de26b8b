"""What a database begins with."""

from typing import Any, cast

import pytest

from fakes.database import ACCOUNT
from kmsq_worker.audit import ChainVerifier, StoredRecord
from kmsq_worker.custody import ACCOUNT_POLICY_SUBJECT, Custody
from kmsq_worker.initialise import initialise
from kmsq_worker.policy.defaults import initial_account_policy
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.store import setup
from kmsq_worker.store.connection import Connection
from kmsq_worker.store.rows import AccountPolicyRow, ChainRow, DomainKeyRow

NO_CONNECTION = cast("Connection", None)


async def test_it_begins_with_a_policy_a_chain_and_a_domain_key_that_vouch_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: dict[str, Any] = {}

    async def insert(_connection: Connection, **given: Any) -> None:
        rows.update(given)

    monkeypatch.setattr(setup, "initialise", insert)
    root_key = MemoryRootKey(Secret.random(32))
    await initialise(NO_CONNECTION, account=ACCOUNT, root_key=root_key, administrators=("bob", "alice"))
    domain_key: DomainKeyRow = rows["domain_key"]
    policy: AccountPolicyRow = rows["policy"]
    registry: ChainRow = rows["registry"]
    record: StoredRecord = rows["record"]

    async def load(_ids: object) -> list[DomainKeyRow]:
        return [domain_key]

    custody = Custody(account=ACCOUNT, root_key=root_key, load=load)
    await custody.unlock()
    custody.verify(policy, ACCOUNT_POLICY_SUBJECT)
    assert policy.policy == initial_account_policy(map(ACCOUNT.user_arn, ["alice", "bob"]))
    assert (rows["account"], registry.lane, registry.month) == (ACCOUNT, "registry", None)
    verifier = ChainVerifier(domain_key=custody.current, chain_id=registry.chain_id)
    verifier.feed([record])
    verifier.finish(head_sequence=registry.head_sequence, head_mac=registry.head_mac, seal=registry.head_seal)
    assert policy.mac.hex().encode() in record.record


async def test_an_account_without_administrators_is_not_begun() -> None:
    root_key = MemoryRootKey(Secret.random(32))
    with pytest.raises(ValueError, match="at least one administrator"):
        await initialise(NO_CONNECTION, account=ACCOUNT, root_key=root_key, administrators=())
