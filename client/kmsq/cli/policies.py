"""`kmsq policy …`."""

import json

import click

from kmsq.cli.files import read_bytes
from kmsq.cli.output import say, show_json, show_table
from kmsq.cli.session import Failure, Output, Session, pass_session
from kmsq.client import Client

ACCOUNT = click.option("--account", is_flag=True, help="The account policy instead of a key's.")


@click.group()
def policy() -> None:
    r"""
    Read and replace policies: who may do what with a key, and in the account.

    \b
    Examples:
      kmsq policy get 1234abcd-… > policy.json
      kmsq policy put 1234abcd-… policy.json
      kmsq policy get --account | kmsq policy put --account
    """


@policy.command()
@click.argument("key_id", metavar="[KEY]", required=False)
@ACCOUNT
@pass_session
def get(session: Session, *, key_id: str | None, account: bool) -> None:
    r"""
    Print the policy of a key, or of the account, as it was put (indented, on a terminal).

    \b
    Example:
      kmsq policy get 1234abcd-… > policy.json
    """
    _one_of(key_id, account=account)

    async def task(client: Client) -> str:
        if key_id is None:
            return (await client.get_account_policy()).policy
        return (await client.get_key_policy(key_id)).policy

    text = session.run(task)
    click.echo(_indented(text) if session.settings.output is Output.TABLE else text)


@policy.command()
@click.argument("arguments", metavar="[KEY] [FILE]", nargs=-1)
@ACCOUNT
@click.option("--bypass-lockout-check", is_flag=True, help="Put it even if you may then not change it any more.")
@pass_session
def put(session: Session, *, arguments: tuple[str, ...], account: bool, bypass_lockout_check: bool) -> None:
    r"""
    Replace the policy of a key, or of the account, with FILE or standard input.

    \b
    Example:
      kmsq policy put 1234abcd-… policy.json
    """
    key_id, file = _targets(arguments, account=account)
    text = read_policy(file)
    bypass = bypass_lockout_check or None

    async def task(client: Client) -> None:
        if key_id is None:
            await client.put_account_policy(text, bypass_policy_lockout_safety_check=bypass)
        else:
            await client.put_key_policy(key_id, text, bypass_policy_lockout_safety_check=bypass)

    session.run(task)
    say(session, "put")


@policy.command("list")
@click.argument("key_id", metavar="KEY")
@pass_session
def list_(session: Session, *, key_id: str) -> None:
    r"""
    List the names of a key's policies. It has one: default.

    \b
    Example:
      kmsq policy list 1234abcd-…
    """

    async def task(client: Client) -> list[str]:
        return [name async for name in client.iter_key_policies(key_id)]

    names = session.run(task)
    if session.settings.output is Output.JSON:
        show_json({"PolicyNames": names})
    else:
        show_table(["POLICY"], [[name] for name in names])


def read_policy(file: str) -> str:
    """Read a policy from a file, or standard input for `-`. Raises `Failure`."""
    try:
        return read_bytes(file).decode().strip()
    except UnicodeDecodeError as error:
        message = f"{file} is not text in UTF-8"
        raise Failure(message) from error


def _targets(arguments: tuple[str, ...], *, account: bool) -> tuple[str | None, str]:
    keys, files = (arguments[:0], arguments) if account else (arguments[:1], arguments[1:])
    if len(files) > 1 or (not account and not keys):
        raise click.UsageError("give a KEY or --account, and at most one FILE")
    return (keys[0] if keys else None), (files[0] if files else "-")


def _one_of(key_id: str | None, *, account: bool) -> None:
    if (key_id is None) != account:
        raise click.UsageError("give either a KEY or --account")


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
