"""`kmsq rotation …`. `kmsq key rotate` and `kmsq key rotations` are two of its commands under older names."""

import click

from kmsq.cli.output import say, show_list, show_model
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.limits import ROTATION_PERIOD_DEFAULT_DAYS, ROTATION_PERIOD_MAX_DAYS, ROTATION_PERIOD_MIN_DAYS
from kmsq_schemas.models import RotationsListEntry

COLUMNS = {
    "key_material_id": "MATERIAL",
    "key_material_state": "STATE",
    "rotation_date": "ROTATED",
    "rotation_type": "TYPE",
}


@click.group()
def rotation() -> None:
    r"""
    Give symmetric keys new material, on a schedule or at once. What was encrypted before still opens.

    \b
    Examples:
      kmsq rotation enable 1234abcd-… --days 180
      kmsq rotation now 1234abcd-…
    """


@rotation.command()
@click.argument("key_id", metavar="KEY")
@click.option(
    "--days",
    type=click.IntRange(ROTATION_PERIOD_MIN_DAYS, ROTATION_PERIOD_MAX_DAYS),
    default=ROTATION_PERIOD_DEFAULT_DAYS,
    help="Days between two rotations.",
)
@pass_session
def enable(session: Session, *, key_id: str, days: int) -> None:
    r"""
    Rotate a key on a schedule.

    \b
    Example:
      kmsq rotation enable 1234abcd-… --days 180
    """
    session.run(lambda client: client.enable_key_rotation(key_id, rotation_period_in_days=days))
    say(session, "enabled")


@rotation.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def disable(session: Session, *, key_id: str) -> None:
    r"""
    End a key's schedule; all its material stays.

    \b
    Example:
      kmsq rotation disable 1234abcd-…
    """
    session.run(lambda client: client.disable_key_rotation(key_id))
    say(session, "disabled")


@rotation.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def status(session: Session, *, key_id: str) -> None:
    r"""
    Tell whether a key rotates on a schedule, and when next.

    \b
    Example:
      kmsq rotation status 1234abcd-…
    """
    show_model(session, session.run(lambda client: client.get_key_rotation_status(key_id)))


@rotation.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def now(session: Session, *, key_id: str) -> None:
    r"""
    Give a key new material, at once. A key with imported material takes what `kmsq import --new-material` brought.

    What was encrypted before still opens; `kmsq reencrypt` moves it to the new material.

    \b
    Example:
      kmsq rotation now 1234abcd-…
    """
    session.run(lambda client: client.rotate_key_on_demand(key_id))
    say(session, "rotated")


@rotation.command("list")
@click.argument("key_id", metavar="KEY")
@click.option("--all-material", is_flag=True, help="Show material that no rotation made, too.")
@pass_session
def list_(session: Session, *, key_id: str, all_material: bool) -> None:
    r"""
    List the rotations of a key.

    \b
    Example:
      kmsq rotation list 1234abcd-… --all-material
    """
    include = "ALL_KEY_MATERIAL" if all_material else None

    async def task(client: Client) -> list[RotationsListEntry]:
        return [entry async for entry in client.iter_key_rotations(key_id, include_key_material=include)]

    show_list(session, "Rotations", session.run(task), COLUMNS, empty="The key was never rotated.")
