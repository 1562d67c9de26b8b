"""`kmsq-worker init`, `root-key` and `topology`: what a first start needs."""

import asyncio
from pathlib import Path

import click

from kmsq_schemas.access import administrator_access, producer_access, topology_access, worker_access
from kmsq_schemas.operations import Operation
from kmsq_worker import topology
from kmsq_worker.arn import Account
from kmsq_worker.cli.explained import explained
from kmsq_worker.initialise import initialise
from kmsq_worker.rootkey import create_root_key_file, load_root_key_file
from kmsq_worker.settings import Source
from kmsq_worker.store import schema
from kmsq_worker.store.connection import connected
from kmsq_worker.store.schema import WrongDatabase


@click.command()
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
    asyncio.run(_init(source, wanted, administrators))


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


@click.group("root-key")
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


@click.group("topology")
def topology_group() -> None:
    """Set up the broker: exchanges, queues, bindings, permissions."""


@topology_group.command("declare")
@explained
def topology_declare() -> None:
    """Declare exchanges, queues and bindings (KMSQ_AMQP_URL of a user who may configure them). Safe to repeat."""
    asyncio.run(topology.declare(Source().amqp_url()))
    click.echo("topology declared", err=True)


@topology_group.command("permissions")
@click.option("--worker", metavar="USER", help="Permissions of the workers' user.")
@click.option("--topology", "declarer", metavar="USER", help="Permissions of who runs `topology declare`.")
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
    *,
    worker: str | None,
    declarer: str | None,
    administrator: str | None,
    producer: str | None,
    operations: tuple[str, ...],
    vhost: str,
) -> None:
    """
    Print the rabbitmqctl calls that give a user its permissions, one a line.

    \b
      kmsq-worker topology permissions --producer alice --operation Encrypt --operation GenerateDataKey |
          xargs -L1 rabbitmqctl
    """  # noqa: D301  # as above
    if producer and not operations:
        raise click.ClickException("--producer needs at least one --operation")
    if [worker, declarer, administrator, producer].count(None) != 3:  # noqa: PLR2004  # exactly one of the four
        raise click.ClickException("name one of --worker, --topology, --administrator, --producer")
    if worker:
        user, access = worker, worker_access()
    elif declarer:
        user, access = declarer, topology_access()
    elif administrator:
        user, access = administrator, administrator_access(administrator)
    else:
        user = producer or ""
        access = producer_access(user, [Operation(name) for name in operations])
    for line in topology.permission_commands(user, access, vhost=vhost):
        click.echo(line)
