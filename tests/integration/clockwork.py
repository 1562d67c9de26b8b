"""A scheduler whose time a test sets, on the real database and under the real roles."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from integration.evidence import audit_records
from kmsq_worker.arn import Account
from kmsq_worker.custody import Custody
from kmsq_worker.keyring import Revisions
from kmsq_worker.rootkey import load_root_key_file
from kmsq_worker.scheduler import Scheduler
from kmsq_worker.store import chains
from kmsq_worker.store.changes import Changes
from kmsq_worker.store.connection import connected, pooled
from kmsq_worker.store.due import Due
from kmsq_worker.store.reader import Reader
from kmsq_worker.telemetry import Telemetry
from services.stack import ACCOUNT, CHANGE, CRYPTO, REGION, PrivateStack


class Clockwork:
    """A scheduler whose time the test sets."""

    def __init__(self, due: Due, changes: Changes, custody: Custody) -> None:
        self.due = due
        self.custody = custody
        self._changes = changes

    async def tick(self, now: datetime) -> None:
        async def clock() -> datetime:
            return now

        async def open_changes() -> Changes:
            return self._changes

        scheduler = Scheduler(
            due=self.due,
            open_changes=open_changes,
            custody=self.custody,
            revisions=Revisions(),
            telemetry=Telemetry(),
            reached=lambda _step: None,
            interval_seconds=1,
            now=clock,
        )
        await scheduler.tick(self._changes)


@asynccontextmanager
async def clockwork(stack: PrivateStack) -> AsyncGenerator[Clockwork]:
    """Hold what a worker would give its scheduler, on the real database and under the real roles."""
    root_key = load_root_key_file(stack.root_key_file)
    async with pooled(stack.database_url(CRYPTO)) as pool, connected(stack.database_url(CHANGE)) as connection:
        account = Account(region=REGION, account_id=ACCOUNT)
        custody = Custody(account=account, root_key=root_key, load=Reader(pool=pool).domain_keys)
        await custody.unlock()
        registry = await chains.registry(connection)
        chain = await chains.open_chain(
            connection,
            domain_key=custody.current,
            registry_key=custody.domain_key(registry.domain_key_id),
            lane="scheduler",
            worker="test",
        )
        yield Clockwork(Due(connection=connection), Changes(connection=connection, chain=chain), custody)


async def events(stack: PrivateStack, event: str, key: str) -> Sequence[str]:
    """Return the outcomes of a job on a key."""
    records = [record.facts for record in await audit_records(stack)]
    return [facts["outcome"] for facts in records if facts.get("event") == event and facts["keys"] == [key]]
