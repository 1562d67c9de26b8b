"""The commands of `kmsq-worker`. Exit codes: 0, or 1 with one line that says what to do; `audit verify`: 2 if unsound."""

from importlib.metadata import version

import click

from kmsq_worker.cli.audit import audit_group
from kmsq_worker.cli.service import run, settings
from kmsq_worker.cli.setup import init, root_key_group, topology_group


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


for command in (run, settings, init, root_key_group, topology_group, audit_group):
    cli.add_command(command)
