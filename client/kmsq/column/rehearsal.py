"""What a run would do, found out without writing anything."""

from collections.abc import Awaitable
from dataclasses import dataclass

from kmsq.client import Client
from kmsq.column.binding import table_context
from kmsq.column.engine import look_at, paths_of, refuse_to_overwrite
from kmsq.column.pipeline import in_thread
from kmsq.column.plan import Order, Plan, Verb, make_plan
from kmsq.column.table import Mode
from kmsq.errors import DryRunOperationException
from kmsq_schemas.models import DataKeySpec


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would be done."""

    plan: Plan
    size: int
    """Rows of a Parquet file, bytes of a text file."""
    permission_checked: bool
    """Whether the service said that it would encrypt; only a ciphertext shows whether it would decrypt."""


async def rehearse(order: Order, client: Client) -> Rehearsal:
    """Check columns, types, output and, where no ciphertext is needed, the permission. Raises what a run would."""
    table = await in_thread(lambda: look_at(order))
    plan = make_plan(order, table.layout)
    refuse_to_overwrite(order, paths_of(order))
    if plan.verb is Verb.ENCRYPT:
        try:
            await _ask(client, plan)
        except DryRunOperationException:
            return Rehearsal(plan, table.size, permission_checked=True)
    return Rehearsal(plan, table.size, permission_checked=False)


def _ask(client: Client, plan: Plan) -> Awaitable[object]:
    key_id = plan.key_id or ""
    if plan.seal.mode is Mode.ENVELOPE:
        context = table_context(plan.seal.table)
        return client.generate_data_key(key_id, encryption_context=context, key_spec=DataKeySpec.AES_256, dry_run=True)
    return client.encrypt(key_id, b"\x01", encryption_context=plan.bindings[0].context(), dry_run=True)
