"""`kmsq-worker run` and `kmsq-worker settings`."""

import asyncio
import sys

import click

from kmsq_worker import app, supervisor
from kmsq_worker.cli.explained import explained
from kmsq_worker.settings import load
from kmsq_worker.telemetry import configure_logging

PROCESSES_MAX = 64


@click.command()
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


@click.command()
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
    KMSQ_QUEUES                crypto,slow,batch,read,admin (default: all)
    KMSQ_TURN_MAX              256      requests a turn
    KMSQ_PRINCIPAL_MAX         500      waiting requests of one principal before it is throttled
    KMSQ_ON_DEMAND_ROTATIONS   25       of one key, at most
    KMSQ_SCHEDULER_SECONDS     10       between two looks for what is due (deletion, rotation, expiry)
    KMSQ_DRAIN_SECONDS         20       what SIGTERM waits for
    KMSQ_HEALTH_HOST, _PORT    127.0.0.1, 8080: /livez /readyz /metrics; port 0: none
    KMSQ_LOG_LEVEL             INFO

    Each can be given as KMSQ_…_FILE, the path of a file that holds the value.
    """  # noqa: D301  # as above
    for name, value in load().redacted().items():
        click.echo(f"{name}={'' if value is None else value}")
