"""The command's root: global options and the groups below it."""

from importlib.metadata import version
from typing import Any

import click
from click.exceptions import Exit
from typing_extensions import override

from kmsq.cli.agreement import decapsulate, derive_shared_secret, encapsulate
from kmsq.cli.aliases import alias
from kmsq.cli.column import column
from kmsq.cli.data import decrypt, encrypt, random, reencrypt
from kmsq.cli.data_key import data_key, data_key_pair
from kmsq.cli.doctor import doctor
from kmsq.cli.file import file
from kmsq.cli.files import on_terminal
from kmsq.cli.grants import grant
from kmsq.cli.importing import import_
from kmsq.cli.keys import key
from kmsq.cli.mac import mac
from kmsq.cli.policies import policy
from kmsq.cli.public_key import public_key
from kmsq.cli.rotation import rotation
from kmsq.cli.schemas import schemas
from kmsq.cli.session import LOCAL_ERROR, Output, Session, Settings, connect
from kmsq.cli.signing import sign, verify
from kmsq.cli.tags import tag
from kmsq.client import TIMEOUT_SECONDS, WORKER_USER


class Root(click.Group):
    """Usage errors exit with 1, like every error that arises here; click's 2 is for what the service answered."""

    @override
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except click.UsageError as error:
            error.show()
            raise Exit(LOCAL_ERROR) from error

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.show()
            raise Exit(LOCAL_ERROR) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--amqp-url",
    envvar="KMSQ_AMQP_URL",
    metavar="URL",
    help="amqp://user:password@host:5672/ or amqps://…; the user is the principal. Better set KMSQ_AMQP_URL: "
    "arguments are visible in `ps`.",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=TIMEOUT_SECONDS, help="Seconds for each request.")
@click.option(
    "--output",
    type=click.Choice([kind.value for kind in Output]),
    default=None,
    show_default="table on a terminal, json elsewhere",
    help="How results are printed.",
)
@click.option("--worker-user", envvar="KMSQ_WORKER_USER", default=WORKER_USER, help="Whose replies to believe.")
@click.version_option(version("kmsq"), prog_name="kmsq")
@click.pass_context
def root(context: click.Context, *, amqp_url: str | None, timeout: float, output: str | None, worker_user: str) -> None:
    r"""
    Manage and use the keys of a kmsq, through its message broker.

    \b
    Examples:
      export KMSQ_AMQP_URL=amqp://alice:…@localhost:5672/
      kmsq doctor                                          is everything there?
      kmsq key create --alias alias/orders                 make a key
      kmsq encrypt alias/orders --context order=17 < in > sealed
      kmsq decrypt --context order=17 < sealed
      kmsq --output json key list | jq .

    Exit codes: 0 done, 1 an error on this side, 2 an error that the service answered.
    """
    kind = Output(output) if output else (Output.TABLE if on_terminal() else Output.JSON)
    settings = Settings(amqp_url=amqp_url, timeout_seconds=timeout, worker_user=worker_user, output=kind)
    # Tests hand in another way to connect.
    context.obj = Session(settings, connect=context.obj or connect)


COMMANDS = (
    key,
    alias,
    tag,
    policy,
    grant,
    rotation,
    import_,
    encrypt,
    decrypt,
    reencrypt,
    file,
    column,
    data_key,
    data_key_pair,
    random,
    public_key,
    sign,
    verify,
    derive_shared_secret,
    encapsulate,
    decapsulate,
    mac,
    schemas,
    doctor,
)


def _keep_lines(command: click.Command) -> None:
    """
    Let click print paragraphs after a backslash-b as they are written, here and below.

    It looks for the control character; docstrings are raw, as all with a backslash should be, and hold two characters.
    """
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _keep_lines(below)


for top in COMMANDS:
    root.add_command(top)
_keep_lines(root)
