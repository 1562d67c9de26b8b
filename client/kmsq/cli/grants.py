"""`kmsq grant …`."""

import click

from kmsq.cli.choices import choice
from kmsq.cli.data import pairs
from kmsq.cli.output import say, show_list, show_model
from kmsq.cli.session import Failure, Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import CreateGrantReply, GrantListEntry, GrantOperation

COLUMNS = {"grant_id": "GRANT ID", "name": "NAME", "grantee_principal": "GRANTEE", "operations": "OPERATIONS"}
RETIRABLE_COLUMNS = {"key_id": "KEY", **COLUMNS}


@click.group()
def grant() -> None:
    r"""
    Let somebody use a key, without a change of its policy. Grants only ever add, and count at once.

    Principals are ARNs, or names of broker users, for which the key is described to find the account.

    \b
    Examples:
      kmsq grant create 1234abcd-… --to bob --operation Decrypt
      kmsq grant list 1234abcd-…
      kmsq grant revoke 1234abcd-… 0c23…
    """


@grant.command()
@click.argument("key_id", metavar="KEY")
@click.option("--to", "grantee", metavar="PRINCIPAL", required=True, help="Who may do it.")
@click.option(
    "--operation", "operations", type=choice(GrantOperation), multiple=True, required=True, help="What. Repeatable."
)
@click.option("--retiring", metavar="PRINCIPAL", help="Who may retire the grant.")
@click.option("--name", help="Makes a repeated command find the grant that is there.")
@click.option(
    "--context", multiple=True, metavar="NAME=VALUE", callback=pairs, help="The encryption context must have this pair."
)
@click.option(
    "--context-equals",
    multiple=True,
    metavar="NAME=VALUE",
    callback=pairs,
    help="The encryption context must be these pairs and no others.",
)
@pass_session
def create(
    session: Session,
    *,
    key_id: str,
    grantee: str,
    operations: tuple[str, ...],
    retiring: str | None,
    name: str | None,
    context: dict[str, str],
    context_equals: dict[str, str],
) -> None:
    r"""
    Let a principal do some operations with a key.

    \b
    Example:
      kmsq grant create 1234abcd-… --to bob --operation Encrypt --operation Decrypt --context team=billing
    """
    kinds = {"EncryptionContextSubset": context, "EncryptionContextEquals": context_equals}
    constraints = {kind: demanded for kind, demanded in kinds.items() if demanded}

    async def task(client: Client) -> CreateGrantReply:
        return await client.create_grant(
            key_id,
            operations,
            grantee_principal=await _principal(client, key_id, grantee),
            retiring_principal=None if retiring is None else await _principal(client, key_id, retiring),
            constraints=constraints or None,
            name=name,
        )

    show_model(session, session.run(task))


@grant.command("list")
@click.argument("key_id", metavar="KEY")
@click.option("--to", "grantee", metavar="PRINCIPAL", help="Only what this principal may do.")
@pass_session
def list_(session: Session, *, key_id: str, grantee: str | None) -> None:
    r"""
    List the grants of a key.

    \b
    Example:
      kmsq grant list 1234abcd-… --to bob
    """

    async def task(client: Client) -> list[GrantListEntry]:
        principal = None if grantee is None else await _principal(client, key_id, grantee)
        return [entry async for entry in client.iter_grants(key_id, grantee_principal=principal)]

    show_list(session, "Grants", session.run(task), COLUMNS, empty="There are no such grants.")


@grant.command("list-retirable")
@click.argument("principal", metavar="ARN")
@pass_session
def list_retirable(session: Session, *, principal: str) -> None:
    r"""
    List the grants, of all keys, that a principal may retire.

    \b
    Example:
      kmsq grant list-retirable arn:kmsq:iam::111122223333:user/alice
    """
    if not principal.startswith("arn:"):
        message = f"{principal} is not an ARN: arn:kmsq:iam::ACCOUNT:user/{principal}"
        raise Failure(message, hint="`kmsq key show KEY` prints the account, as AWSAccountId.")

    async def task(client: Client) -> list[GrantListEntry]:
        return [entry async for entry in client.iter_retirable_grants(principal)]

    show_list(session, "Grants", session.run(task), RETIRABLE_COLUMNS, empty="There are no such grants.")


@grant.command()
@click.argument("key_id", metavar="[KEY]", required=False)
@click.argument("grant_id", metavar="[GRANT_ID]", required=False)
@click.option("--token", metavar="TOKEN", help="The grant's token, instead of KEY and GRANT_ID.")
@pass_session
def retire(session: Session, *, key_id: str | None, grant_id: str | None, token: str | None) -> None:
    r"""
    Give a grant back that was given to you, or that names you to retire it.

    \b
    Example:
      kmsq grant retire 1234abcd-… 0c23…
    """
    if (token is None) != (key_id is not None and grant_id is not None) or (token is not None and key_id is not None):
        raise click.UsageError("give either KEY and GRANT_ID or --token")
    session.run(lambda client: client.retire_grant(grant_token=token, key_id=key_id, grant_id=grant_id))
    say(session, "retired")


@grant.command()
@click.argument("key_id", metavar="KEY")
@click.argument("grant_id", metavar="GRANT_ID")
@pass_session
def revoke(session: Session, *, key_id: str, grant_id: str) -> None:
    r"""
    Take a grant away. Once this returns, nothing sent later succeeds by it.

    \b
    Example:
      kmsq grant revoke 1234abcd-… 0c23…
    """
    session.run(lambda client: client.revoke_grant(key_id, grant_id))
    say(session, "revoked")


async def _principal(client: Client, key_id: str, name: str) -> str:
    if name.startswith("arn:"):
        return name
    key = (await client.describe_key(key_id)).key_metadata
    return f"arn:kmsq:iam::{key.aws_account_id}:user/{name}"
