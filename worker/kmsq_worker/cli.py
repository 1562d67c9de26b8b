"""The commands of `kmsq-worker`. Exit codes: 0, or 1 with one line that says what to do; `audit verify`: 2 if unsound."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import ParamSpec

import click

from kmsq_schemas.operations import Operation
from kmsq_schemas.topology import administrator_access, producer_access, worker_access
from kmsq_worker import app, supervisor, topology
from kmsq_worker.arn import Account
from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.errors import Unavailable
from kmsq_worker.initialise import initialise
from kmsq_worker.rootkey import RootKeyError, create_root_key_file, load_root_key_file
from kmsq_worker.settings import SettingsError, Source, load
from kmsq_worker.store import schema
from kmsq_worker.store.auditor import Auditor
from kmsq_worker.store.connection import connected, pooled
from kmsq_worker.store.reader import Reader
from kmsq_worker.store.schema import WrongDatabase
from kmsq_worker.telemetry import configure_logging
from kmsq_worker.verification import Report, Verification

P = ParamSpec("P")
PROCESSES_MAX = 64


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what an operator can mend into one line and exit code 1."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (SettingsError, RootKeyError, WrongDatabase, Tampered) as error:
            raise click.ClickException(str(error)) from error
        except Unavailable as error:
            cause = error.__cause__
            message = f"{error}: {cause}" if cause is not None else str(error)
            raise click.ClickException(message) from error

    return wrapper


def _run(coroutine: Coroutine[object, object, None]) -> None:
    asyncio.run(coroutine)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("kmsq"), prog_name="kmsq-worker")
def cli() -> None:
    """
    Run and set up kmsq's workers.

    Settings are environment variables (see `kmsq-worker settings --help`). The first start, in order:

    \b
      kmsq-worker root-key create /etc/kmsq/root.key
      dbmate --migrations-dir migrations up
      kmsq-worker init --account 000000000000 --region local
      kmsq-worker topology declare
      kmsq-worker topology permissions --worker kmsq-worker
      kmsq-worker run
    """  # noqa: D301  # \b is click's mark for text that keeps its lines


@cli.command()
@click.option(
    "--processes", type=click.IntRange(1, PROCESSES_MAX), default=1, show_default=True, help="Workers to run."
)
@click.option("--process", type=int, default=0, hidden=True, help="This worker's number among several.")
@explained
def run(processes: int, process: int) -> None:
    """
    Serve requests until SIGTERM.

    SIGTERM stops new deliveries, finishes what is in flight (at most KMSQ_DRAIN_SECONDS) and exits. A lost broker or
    database is waited for. With several processes, each serves health and metrics on its own port: KMSQ_HEALTH_PORT
    plus its number.
    """
    settings = load()
    configure_logging(settings.log_level)
    if processes > 1:
        sys.exit(asyncio.run(supervisor.supervise(processes)))
    app.run(settings, process=process)


@cli.command()
@explained
def settings() -> None:
    """
    Print the settings that `run` would use, without passwords.

    \b
    KMSQ_AMQP_URL              amqp://kmsq-worker:…@host/      the broker, as the worker's user
    KMSQ_DATABASE_URL          postgresql://kmsq_crypto:…@…    the database, as a member of kmsq_crypto
    KMSQ_CHANGES_DATABASE_URL  postgresql://kmsq_change:…@…    as a member of kmsq_change, for the admin queue
    KMSQ_ROOT_KEY_FILE         made by `kmsq-worker root-key create`
    KMSQ_ADMINISTRATORS        broker users, separated by commas
    KMSQ_QUEUES                crypto,read,admin (default: all)
    KMSQ_TURN_MAX              256      requests a turn
    KMSQ_PRINCIPAL_MAX         500      waiting requests of one principal before it is throttled
    KMSQ_DRAIN_SECONDS         20       what SIGTERM waits for
    KMSQ_HEALTH_HOST, _PORT    127.0.0.1, 8080: /livez /readyz /metrics; port 0: none
    KMSQ_LOG_LEVEL             INFO

    Each can be given as KMSQ_…_FILE, the path of a file that holds the value.
    """  # noqa: D301  # as above
    for name, value in load().redacted().items():
        click.echo(f"{name}={'' if value is None else value}")


@cli.command()
@click.option("--account", required=True, help="12 digits; part of every ARN.")
@click.option("--region", required=True, help="A name like eu-central-1 or local; part of every ARN.")
@explained
def init(account: str, region: str) -> None:
    """
    Initialise a migrated, empty database: account, domain key, account policy, audit registry.

    Needs KMSQ_DATABASE_URL of the database's owner, KMSQ_ROOT_KEY_FILE and KMSQ_ADMINISTRATORS. Does nothing if the
    database is that account already.
    """
    source = Source()
    administrators = source.administrators()
    if not administrators:
        raise click.ClickException("KMSQ_ADMINISTRATORS must name at least one broker user")
    try:
        wanted = Account(region=region, account_id=account)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    _run(_init(source, wanted, administrators))


async def _init(source: Source, wanted: Account, administrators: tuple[str, ...]) -> None:
    root_key = load_root_key_file(source.root_key_file())
    async with connected(source.database_url()) as connection:
        await schema.require_schema(connection)
        try:
            found = await schema.require_account(connection)
        except WrongDatabase:
            await initialise(connection, account=wanted, root_key=root_key, administrators=administrators)
            click.echo(f"initialised account {wanted.account_id} in region {wanted.region}", err=True)
            return
    if found != wanted:
        message = f"the database is account {found.account_id} in region {found.region} and stays that"
        raise click.ClickException(message)
    click.echo("initialised already", err=True)


@cli.group("root-key")
def root_key_group() -> None:
    """Make the root key, which wraps everything and is never in the database."""


@root_key_group.command("create")
@click.argument("path", type=click.Path(path_type=Path))
@explained
def root_key_create(path: Path) -> None:
    """
    Create a root key file, readable by its owner alone.

    Keep a copy where the database's backups are not: without the file every key is lost, and whoever has both has
    every key.
    """
    key_id = create_root_key_file(path)
    click.echo(f"root key {key_id} created", err=True)


@cli.group("topology")
def topology_group() -> None:
    """Set up the broker: exchanges, queues, bindings, permissions."""


@topology_group.command("declare")
@explained
def topology_declare() -> None:
    """Declare exchanges, queues and bindings (KMSQ_AMQP_URL of a user who may configure them). Safe to repeat."""
    _run(topology.declare(Source().amqp_url()))
    click.echo("topology declared", err=True)


@topology_group.command("permissions")
@click.option("--worker", metavar="USER", help="Permissions of the workers' user.")
@click.option("--administrator", metavar="USER", help="Permissions of a producer of all operations.")
@click.option("--producer", metavar="USER", help="Permissions of a producer; name its operations.")
@click.option(
    "--operation",
    "operations",
    multiple=True,
    type=click.Choice([operation.value for operation in Operation]),
    help="An operation that --producer may ask for; repeatable.",
)
@click.option("--vhost", default="/", show_default=True)
@explained
def topology_permissions(
    worker: str | None, administrator: str | None, producer: str | None, operations: tuple[str, ...], vhost: str
) -> None:
    """
    Print the rabbitmqctl calls that give a user its permissions, one a line.

    \b
      kmsq-worker topology permissions --producer alice --operation Encrypt --operation GenerateDataKey |
          xargs -L1 rabbitmqctl
    """  # noqa: D301  # as above
    if producer and not operations:
        raise click.ClickException("--producer needs at least one --operation")
    if [worker, administrator, producer].count(None) != 2:  # noqa: PLR2004  # exactly one of the three
        raise click.ClickException("name one of --worker, --administrator, --producer")
    if worker:
        user, access = worker, worker_access()
    elif administrator:
        user, access = administrator, administrator_access(administrator)
    else:
        user = producer or ""
        access = producer_access(user, [Operation(name) for name in operations])
    for line in topology.permission_commands(user, access, vhost=vhost):
        click.echo(line)


@cli.group("audit")
def audit_group() -> None:
    """Read and verify the audit log (KMSQ_DATABASE_URL of a member of kmsq_auditor)."""


@audit_group.command("tail")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Records to print.")
@explained
def audit_tail(count: int) -> None:
    """Print the last audit records, one JSON object a line."""
    _run(_tail(Source(), count))


async def _tail(source: Source, count: int) -> None:
    async with connected(source.database_url()) as connection:
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
    async with connected(url) as connection, pooled(url) as pool:
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
