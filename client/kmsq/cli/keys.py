"""`kmsq key …`."""

import click

from kmsq.cli.creation import create
from kmsq.cli.importing import delete_material
from kmsq.cli.output import say, show_list, show_model
from kmsq.cli.rotation import list_ as rotations
from kmsq.cli.rotation import now
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import KeyListEntry, KeyMetadata


@click.group()
def key() -> None:
    r"""
    Create, inspect, rotate and retire keys.

    Except for `show`, which takes aliases, too, these commands take a key id or key ARN.

    \b
    Examples:
      kmsq key create --alias alias/orders
      kmsq key show alias/orders
      kmsq key disable 1234abcd-…
    """


key.add_command(create)
key.add_command(delete_material)
key.add_command(now, "rotate")
key.add_command(rotations, "rotations")


@key.command("list")
@pass_session
def list_(session: Session) -> None:
    r"""
    List all keys.

    \b
    Example:
      kmsq --output json key list | jq -r .Keys[].KeyId
    """

    async def task(client: Client) -> list[KeyListEntry]:
        return [entry async for entry in client.iter_keys()]

    columns = {"key_id": "KEY ID", "key_arn": "ARN"}
    show_list(session, "Keys", session.run(task), columns, empty="There are no keys yet: `kmsq key create` makes one.")


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def show(session: Session, *, key_id: str) -> None:
    r"""
    Describe a key, named by id, ARN or alias.

    \b
    Example:
      kmsq key show alias/orders
    """

    async def task(client: Client) -> KeyMetadata:
        return (await client.describe_key(key_id)).key_metadata

    show_model(session, session.run(task))


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def enable(session: Session, *, key_id: str) -> None:
    r"""
    Let a disabled key be used again.

    \b
    Example:
      kmsq key enable 1234abcd-…
    """
    session.run(lambda client: client.enable_key(key_id))
    say(session, "enabled")


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def disable(session: Session, *, key_id: str) -> None:
    r"""
    Stop all use of a key, everywhere, from the moment this returns.

    \b
    Example:
      kmsq key disable 1234abcd-…
    """
    session.run(lambda client: client.disable_key(key_id))
    say(session, "disabled")


@key.command("last-used")
@click.argument("key_id", metavar="KEY")
@pass_session
def last_used(session: Session, *, key_id: str) -> None:
    r"""
    Tell when a key was last used, and for what, before you disable or delete it. Up to a minute late.

    \b
    Example:
      kmsq key last-used 1234abcd-…
    """
    show_model(session, session.run(lambda client: client.get_key_last_usage(key_id)))


@key.command("update-description")
@click.argument("key_id", metavar="KEY")
@click.argument("description")
@pass_session
def update_description(session: Session, *, key_id: str, description: str) -> None:
    r"""
    Replace what a key says it is for.

    \b
    Example:
      kmsq key update-description 1234abcd-… "orders until 2027"
    """
    session.run(lambda client: client.update_key_description(key_id, description))
    say(session, "updated")


@key.command("schedule-deletion")
@click.argument("key_id", metavar="KEY")
@click.option("--days", type=click.IntRange(7, 30), default=30, help="How long it can still be kept.")
@pass_session
def schedule_deletion(session: Session, *, key_id: str, days: int) -> None:
    r"""
    Stop all use of a key at once, and delete it after some days.

    Deleting a key makes everything that was encrypted under it unreadable, forever. Until then `kmsq key
    cancel-deletion` keeps it.

    \b
    Example:
      kmsq key schedule-deletion 1234abcd-… --days 7
    """
    reply = session.run(lambda client: client.schedule_key_deletion(key_id, pending_window_in_days=days))
    show_model(session, reply)


@key.command("cancel-deletion")
@click.argument("key_id", metavar="KEY")
@pass_session
def cancel_deletion(session: Session, *, key_id: str) -> None:
    r"""
    Keep a key that waits for its deletion. It comes back disabled: `kmsq key enable` follows.

    \b
    Example:
      kmsq key cancel-deletion 1234abcd-…
    """
    session.run(lambda client: client.cancel_key_deletion(key_id))
    say(session, "kept, and disabled: `kmsq key enable` lets it be used again")
