"""`kmsq key …`."""

import click

from kmsq.cli.output import say, show_list, show_model
from kmsq.cli.policies import read_policy
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import KeyListEntry, KeyMetadata, KeySpec, KeyUsage, RotationsListEntry

ROTATIONS = {
    "key_material_id": "MATERIAL",
    "key_material_state": "STATE",
    "rotation_date": "ROTATED",
    "rotation_type": "TYPE",
}


@click.group()
def key() -> None:
    """
    Create, inspect, rotate and retire keys.

    Except for `show`, which takes aliases, too, these commands take a key id or key ARN.
    """


@key.command()
@click.option("--description", help="What the key is for.")
@click.option("--alias", "alias_name", metavar="alias/NAME", help="Create this alias for it, too.")
@click.option("--spec", type=click.Choice([spec.value for spec in KeySpec]), help="The kind of key.")
@click.option("--usage", type=click.Choice([usage.value for usage in KeyUsage]), help="What it may be used for.")
@click.option("--policy", "policy_file", metavar="FILE", help="Its policy, from a file or - for standard input.")
@pass_session
def create(
    session: Session,
    *,
    description: str | None,
    alias_name: str | None,
    spec: str | None,
    usage: str | None,
    policy_file: str | None,
) -> None:
    r"""
    Create a key: symmetric, for encryption, unless told otherwise.

    \b
    Example:
      kmsq key create --alias alias/orders --description "what customers ordered"
    """
    policy = None if policy_file is None else read_policy(policy_file)

    async def task(client: Client) -> KeyMetadata:
        reply = await client.create_key(description=description, key_spec=spec, key_usage=usage, policy=policy)
        if alias_name is not None:
            # Printed before the alias is tried: a key that nobody has heard of would be lost.
            click.echo(f"created {reply.key_metadata.key_id}", err=True)
            await client.create_alias(alias_name, reply.key_metadata.key_id)
        return reply.key_metadata

    show_model(session, session.run(task))


@key.command("list")
@pass_session
def list_(session: Session) -> None:
    """List all keys."""

    async def task(client: Client) -> list[KeyListEntry]:
        return [entry async for entry in client.iter_keys()]

    columns = {"key_id": "KEY ID", "key_arn": "ARN"}
    show_list(session, "Keys", session.run(task), columns, empty="There are no keys yet: `kmsq key create` makes one.")


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def show(session: Session, *, key_id: str) -> None:
    """Describe a key, named by id, ARN or alias."""

    async def task(client: Client) -> KeyMetadata:
        return (await client.describe_key(key_id)).key_metadata

    show_model(session, session.run(task))


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def enable(session: Session, *, key_id: str) -> None:
    """Let a disabled key be used again."""
    session.run(lambda client: client.enable_key(key_id))
    say(session, "enabled")


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def disable(session: Session, *, key_id: str) -> None:
    """Stop all use of a key, everywhere, from the moment this returns."""
    session.run(lambda client: client.disable_key(key_id))
    say(session, "disabled")


@key.command("update-description")
@click.argument("key_id", metavar="KEY")
@click.argument("description")
@pass_session
def update_description(session: Session, *, key_id: str, description: str) -> None:
    """Replace what a key says it is for."""
    session.run(lambda client: client.update_key_description(key_id, description))
    say(session, "updated")


@key.command()
@click.argument("key_id", metavar="KEY")
@pass_session
def rotate(session: Session, *, key_id: str) -> None:
    """
    Give a key new material, at once.

    What was encrypted before still opens; `kmsq reencrypt` moves it to the new material.
    """
    session.run(lambda client: client.rotate_key_on_demand(key_id))
    say(session, "rotated")


@key.command()
@click.argument("key_id", metavar="KEY")
@click.option("--all-material", is_flag=True, help="Show the first material, too, which no rotation made.")
@pass_session
def rotations(session: Session, *, key_id: str, all_material: bool) -> None:
    """List the rotations of a key."""
    include = "ALL_KEY_MATERIAL" if all_material else None

    async def task(client: Client) -> list[RotationsListEntry]:
        return [entry async for entry in client.iter_key_rotations(key_id, include_key_material=include)]

    show_list(session, "Rotations", session.run(task), ROTATIONS, empty="The key was never rotated.")


@key.command("schedule-deletion")
@click.argument("key_id", metavar="KEY")
@click.option("--days", type=click.IntRange(7, 30), default=30, help="How long it can still be kept.")
@pass_session
def schedule_deletion(session: Session, *, key_id: str, days: int) -> None:
    """
    Stop all use of a key at once, and delete it after some days.

    Deleting a key makes everything that was encrypted under it unreadable, forever. Until then `kmsq key
    cancel-deletion` keeps it.
    """
    reply = session.run(lambda client: client.schedule_key_deletion(key_id, pending_window_in_days=days))
    show_model(session, reply)


@key.command("cancel-deletion")
@click.argument("key_id", metavar="KEY")
@pass_session
def cancel_deletion(session: Session, *, key_id: str) -> None:
    """Keep a key that waits for its deletion. It comes back disabled: `kmsq key enable` follows."""
    session.run(lambda client: client.cancel_key_deletion(key_id))
    say(session, "kept, and disabled: `kmsq key enable` lets it be used again")
