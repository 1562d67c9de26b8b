"""`kmsq-worker audit`: read and verify the audit log."""

import asyncio
import json
import sys

import click

from kmsq_worker.cli.explained import explained
from kmsq_worker.custody import Custody
from kmsq_worker.rootkey import load_root_key_file
from kmsq_worker.settings import Source
from kmsq_worker.store import schema
from kmsq_worker.store.auditor import Auditor
from kmsq_worker.store.connection import connected, pooled
from kmsq_worker.store.reader import Reader
from kmsq_worker.verification import Report, Verification


@click.group("audit")
def audit_group() -> None:
    """Read and verify the audit log (KMSQ_DATABASE_URL of a member of kmsq_auditor)."""


@audit_group.command("tail")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Records to print.")
@explained
def audit_tail(count: int) -> None:
    """Print the last audit records, one JSON object a line."""
    asyncio.run(_tail(Source(), count))


async def _tail(source: Source, count: int) -> None:
    async with connected(source.database_url(), unhurried=True) as connection:
        await schema.require_schema(connection)
        for record in await Auditor(connection=connection).tail(count):
            click.echo(json.dumps(record))


@audit_group.command("verify")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@explained
def audit_verify(output: str) -> None:
    """
    Verify every chain of the audit log, and that keys, aliases and policy are what it says.

    Needs KMSQ_ROOT_KEY_FILE. Exit code 2 if anything was removed, edited, reordered or rolled back.
    """
    report = asyncio.run(_verify(Source()))
    if output == "json":
        click.echo(
            json.dumps(
                {
                    "sound": not report.problems,
                    "chains": report.chains,
                    "records": report.records,
                    "rows": report.rows,
                    "dropped_months": sorted(report.dropped_months),
                    "problems": report.problems,
                },
            ),
        )
    else:
        _print_report(report)
    sys.exit(2 if report.problems else 0)


async def _verify(source: Source) -> Report:
    root_key = load_root_key_file(source.root_key_file())
    url = source.database_url()
    async with connected(url, unhurried=True) as connection, pooled(url) as pool:
        await schema.require_schema(connection)
        account = await schema.require_account(connection)
        custody = Custody(account=account, root_key=root_key, load=Reader(pool=pool).domain_keys)
        await custody.unlock()
        return await Verification(
            auditor=Auditor(connection=connection), custody=custody, progress=_show_progress
        ).run()


def _show_progress(chain: int, chains: int, records: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rchain {chain} of {chains}, {records} records ", nl=chain == chains, err=True)


def _print_report(report: Report) -> None:
    for problem in report.problems:
        click.echo(f"✗ {problem}")
    for month in sorted(report.dropped_months):
        click.echo(f"- the records of {month} were dropped with their partition")
    verdict = f"{len(report.problems)} problems" if report.problems else "sound"
    click.echo(f"{report.chains} chains, {report.records} records, {report.rows} rows: {verdict}")
