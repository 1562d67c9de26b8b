"""The command `kmsq`, for operators and producers. It speaks AMQP only, under the same permissions as anyone."""

import sys
from importlib.util import find_spec

NEEDED = ("click", "rich")


def main() -> None:
    """Run the command, or say what to install."""
    if any(find_spec(name) is None for name in NEEDED):
        print("kmsq: the command needs more packages: pip install 'kmsq[cli]'", file=sys.stderr)
        sys.exit(1)
    from kmsq.cli.app import root  # noqa: PLC0415  it needs those packages

    root(prog_name="kmsq")
