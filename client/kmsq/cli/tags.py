"""`kmsq tag …`."""

import click

from kmsq.cli.data import pairs
from kmsq.cli.output import say, show_list
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import TagListEntry

COLUMNS = {"tag_key": "TAG", "tag_value": "VALUE"}


@click.group()
def tag() -> None:
    r"""
    Note on keys what they belong to. Policies can ask for tags; they are not secret.

    \b
    Examples:
      kmsq tag add 1234abcd-… team=billing stage=test
      kmsq tag list 1234abcd-…
    """


@tag.command()
@click.argument("key_id", metavar="KEY")
@click.argument("tags", metavar="NAME=VALUE...", nargs=-1, required=True, callback=pairs)
@pass_session
def add(session: Session, *, key_id: str, tags: dict[str, str]) -> None:
    r"""
    Add tags to a key, or give those that are there new values.

    \b
    Example:
      kmsq tag add 1234abcd-… team=billing stage=test
    """
    session.run(lambda client: client.tag_resource(key_id, tags))
    say(session, "added")


@tag.command()
@click.argument("key_id", metavar="KEY")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_session
def remove(session: Session, *, key_id: str, names: tuple[str, ...]) -> None:
    r"""
    Remove tags from a key; those that are not there are passed over.

    \b
    Example:
      kmsq tag remove 1234abcd-… stage
    """
    session.run(lambda client: client.untag_resource(key_id, names))
    say(session, "removed")


@tag.command("list")
@click.argument("key_id", metavar="KEY")
@pass_session
def list_(session: Session, *, key_id: str) -> None:
    r"""
    List the tags of a key.

    \b
    Example:
      kmsq tag list 1234abcd-…
    """

    async def task(client: Client) -> list[TagListEntry]:
        return [entry async for entry in client.iter_resource_tags(key_id)]

    show_list(session, "Tags", session.run(task), COLUMNS, empty="The key has no tags.")
