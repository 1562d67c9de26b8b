"""`kmsq doctor`."""

import asyncio

import click

from kmsq.amqp.address import Address
from kmsq.cli.checkup import Check, check_up
from kmsq.cli.output import show_json, show_table
from kmsq.cli.session import LOCAL_ERROR, Failure, Output, Session, pass_session, quiet, require_url
from kmsq.errors import InvalidAddress

MARKS = {True: "✓", False: "✗", None: "–"}


@click.command()
@pass_session
@click.pass_context
def doctor(context: click.Context, session: Session) -> None:
    r"""
    Find out whether everything is there: broker, login, topology, permissions, a worker, clocks.

    Nothing is changed. A worker that answers writes the question to its audit log.

    \b
    Example:
      kmsq doctor
    """
    quiet()
    try:
        address = Address.parse(require_url(session.settings))
    except InvalidAddress as error:
        raise Failure.of(error) from error
    checks = asyncio.run(check_up(session.settings, address))
    _show(session, checks)
    codes = {check.exit_code for check in checks if check.ok is False}
    context.exit(LOCAL_ERROR if LOCAL_ERROR in codes else max(codes, default=0))


def _show(session: Session, checks: list[Check]) -> None:
    if session.settings.output is Output.JSON:
        show_json(
            [
                {"Check": check.name, "Ok": check.ok, "Finding": check.finding, "Advice": check.advice}
                for check in checks
            ]
        )
        return
    show_table(
        ("", "CHECK", "FINDING"),
        [(MARKS[check.ok], check.name, "\n".join(filter(None, (check.finding, check.advice)))) for check in checks],
    )
