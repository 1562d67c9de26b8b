"""
A run, from the order to the finished file.

(1) lock the journal and read what an earlier run did  (2) look at the input, and plan  (3) hold both against the journal
(4) read a part, (5) do its columns, (6) keep it, and so on  (7) give the output its name
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from time import monotonic

from kmsq.client import Client
from kmsq.column.ciphers import Cipher, cipher_for
from kmsq.column.ciphers.base import Done
from kmsq.column.counted import CountedClient
from kmsq.column.errors import CannotWrite, InputChanged, PlanRefused
from kmsq.column.formats import format_of, open_table
from kmsq.column.identity import input_facts
from kmsq.column.journal import Header
from kmsq.column.pipeline import Step, in_order, in_thread, unless
from kmsq.column.plan import OnError, Order, Plan, Verb, make_plan, options_of, part_rows_of
from kmsq.column.progress import Progress, Summary, Watch, unwatched
from kmsq.column.settle import checked, settle
from kmsq.column.table import Rows, Table
from kmsq.column.workspace import Paths, Start, Workspace, open_workspace


async def run(
    order: Order,
    client: Client,
    *,
    start: Start = Start.NEW,
    watch: Watch = unwatched,
    stop: asyncio.Event | None = None,
) -> Summary:
    """
    Encrypt, decrypt or rewrap columns of a table into another.

    Whatever ends it, a crash included, leaves a state from which `Start.RESUME` goes on, and never half an output. Setting
    `stop` ends it with `Interrupted`. Raises `ColumnError`, and what the service answered.
    """
    paths = paths_of(order)
    if start is not Start.RESUME:
        refuse_to_overwrite(order, paths)
        make_plan(order, look_at(order).layout)  # before there is a journal that would be in the way of the next try
    began = monotonic()
    with open_workspace(paths, start) as workspace:  # (1)
        counted = CountedClient(client)
        try:
            run_ = _Run(order, counted, workspace, watch)
            await run_.go(stop)
        except OSError as error:
            message = f"cannot write beside {paths.target}: {error.strerror or error}"
            raise CannotWrite(message) from error
        return Summary(
            tally=workspace.tally,
            seconds=monotonic() - began,
            requests=counted.requests,
            resumed_from=run_.resumed.rows if start is Start.RESUME else None,
            output=paths.target,
            quarantine=paths.quarantine if workspace.has_quarantine else None,
        )


class _Run:
    """One run, whose workspace is open."""

    def __init__(self, order: Order, client: CountedClient, workspace: Workspace, watch: Watch) -> None:
        self._order = order
        self._client = client
        self._workspace = workspace
        self._watch = watch
        self.resumed = workspace.tally

    async def go(self, stop: asyncio.Event | None) -> None:
        """Do what is left to do; once all parts are done, `stop` comes too late."""
        source = self._order.source
        facts = await in_thread(lambda: input_facts(source))  # before it is opened, so that no change is missed
        table = await in_thread(lambda: look_at(self._order))
        if not self._workspace.is_written:
            plan = make_plan(self._order, table.layout)  # (2)
            header = Header(facts, options_of(self._order, plan))
            await in_thread(lambda: self._workspace.begin(header))  # (3)
            self.resumed = self._workspace.tally
            await unless(stop, self._parts(table, plan))
            if await in_thread(lambda: input_facts(source)) != facts:  # in place, what was added would be lost
                message = f"{source} was changed while it was read: --restart begins anew"
                raise InputChanged(message)
        await in_thread(lambda: self._workspace.finish(table, replace=self._order.replace))  # (7)

    async def _parts(self, table: Table, plan: Plan) -> None:
        workspace, order = self._workspace, self._order
        do = verb_of(plan, cipher_for(self._client, plan))
        reader = table.reader(workspace.position)
        self._tell(table)
        steps = in_order(
            reader,
            do,
            rows_done=workspace.tally.rows,
            part_rows=part_rows_of(order, plan),
            part_bytes=order.part_bytes,
        )  # (4), (5)
        try:
            async with aclosing(steps):
                async for step in steps:
                    await in_thread(_keeping(workspace, plan, step, order.on_error))  # (6)
                    self._tell(table)
        finally:
            reader.close()
        if workspace.is_empty:  # a table without rows has columns all the same
            nothing = Step(table.empty(), 1, workspace.position, await do(table.empty()))
            await in_thread(_keeping(workspace, plan, nothing, order.on_error))

    def _tell(self, table: Table) -> None:
        self._watch(
            Progress(
                tally=self._workspace.tally,
                resumed=self.resumed,
                position=self._workspace.position,
                size=table.size,
                requests=self._client.requests,
            )
        )


def paths_of(order: Order) -> Paths:
    """Return where a run writes: where the target is, if it is a link."""
    return Paths(order.target.resolve())


def look_at(order: Order, path: Path | None = None) -> Table:
    """Open the input, or another table of its kind. Raises `ColumnError`."""
    source = path or order.source
    # What another table is held against was never sealed.
    like = order.like if path is None else None
    return open_table(source, format_of(source, order.format), delimiter=order.delimiter, null=order.null, like=like)


def refuse_to_overwrite(order: Order, paths: Paths) -> None:
    """Raise `PlanRefused` if there is an output already, that is not to be replaced, or it would be of another format."""
    if format_of(order.source, order.format) is not format_of(order.target, order.format):
        raise PlanRefused("input and output must be of one format")
    if paths.target.exists() and not order.replace:
        message = f"{paths.target} exists: --force overwrites it"
        raise PlanRefused(message)
    if paths.target.exists() and not paths.target.is_file():
        message = f"{paths.target} is not a file that can be replaced"
        raise PlanRefused(message)
    if order.on_error is OnError.QUARANTINE and paths.quarantine.exists():
        message = f"{paths.quarantine} exists, and is never overwritten: move it away"
        raise PlanRefused(message)


def verb_of(plan: Plan, cipher: Cipher) -> Callable[[Rows], Awaitable[Done]]:
    """Return what a plan does with some rows."""
    match plan.verb:
        case Verb.ENCRYPT:
            work = cipher.seal
        case Verb.REWRAP:
            work = cipher.rewrap
        case Verb.DECRYPT | Verb.VERIFY:
            work = cipher.open

    async def do(rows: Rows) -> Done:
        return checked(plan, rows, await work(rows))

    return do


def _keeping(workspace: Workspace, plan: Plan, step: Step[Done], on_error: OnError) -> Callable[[], None]:
    def keep() -> None:
        settled = settle(plan, step.rows, step.result, on_error=on_error, first_row=step.first_row)
        workspace.commit(step.position, settled.rows, settled.quarantined, settled.tally)

    return keep
