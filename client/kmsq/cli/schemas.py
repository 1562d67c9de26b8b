"""`kmsq schemas …`."""

import click

from kmsq_schemas import export as documents


@click.group()
def schemas() -> None:
    r"""
    Work with the message contract.

    \b
    Example:
      kmsq schemas export /tmp/kmsq-schemas
    """


@schemas.command()
@click.argument("folder", required=False)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the files in FOLDER are not up to date.")
@click.pass_context
def export(context: click.Context, *, folder: str | None, check: bool) -> None:
    r"""
    Write a JSON Schema for each message, and an AsyncAPI document, to FOLDER (schemas/generated).

    \b
    Example:
      kmsq schemas export /tmp/kmsq-schemas
    """
    context.exit(documents.main([*(["--check"] if check else []), *([folder] if folder else [])]))
