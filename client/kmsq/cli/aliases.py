"""`kmsq alias …`."""

import click

from kmsq.cli.output import say, show_list
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import AliasListEntry

COLUMNS = {"alias_name": "ALIAS", "target_key_id": "KEY ID", "last_updated_date": "UPDATED"}


@click.group()
def alias() -> None:
    r"""
    Give keys names: alias/orders instead of a key id.

    \b
    Examples:
      kmsq alias create alias/orders 1234abcd-…
      kmsq alias update alias/orders 9876fedc-…
    """


@alias.command()
@click.argument("alias_name", metavar="alias/NAME")
@click.argument("key_id", metavar="KEY")
@pass_session
def create(session: Session, *, alias_name: str, key_id: str) -> None:
    r"""
    Point a new alias at a key.

    \b
    Example:
      kmsq alias create alias/orders 1234abcd-…
    """
    session.run(lambda client: client.create_alias(alias_name, key_id))
    say(session, "created")


@alias.command()
@click.argument("alias_name", metavar="alias/NAME")
@click.argument("key_id", metavar="KEY")
@pass_session
def update(session: Session, *, alias_name: str, key_id: str) -> None:
    r"""
    Point an alias at another key of the same kind.

    \b
    Example:
      kmsq alias update alias/orders 9876fedc-…
    """
    session.run(lambda client: client.update_alias(alias_name, key_id))
    say(session, "updated")


@alias.command()
@click.argument("alias_name", metavar="alias/NAME")
@pass_session
def delete(session: Session, *, alias_name: str) -> None:
    r"""
    Remove an alias; its key stays.

    \b
    Example:
      kmsq alias delete alias/orders
    """
    session.run(lambda client: client.delete_alias(alias_name))
    say(session, "deleted")


@alias.command("list")
@click.option("--key", "key_id", metavar="KEY", help="Only the aliases of this key.")
@pass_session
def list_(session: Session, *, key_id: str | None) -> None:
    r"""
    List aliases, of one key or of all.

    \b
    Example:
      kmsq alias list --key 1234abcd-…
    """

    async def task(client: Client) -> list[AliasListEntry]:
        return [entry async for entry in client.iter_aliases(key_id=key_id)]

    show_list(session, "Aliases", session.run(task), COLUMNS, empty="There are no aliases.")
