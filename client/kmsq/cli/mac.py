"""`kmsq mac …`."""

import click

from kmsq.cli.algorithms import mac_algorithm
from kmsq.cli.choices import choice
from kmsq.cli.data import TARGET
from kmsq.cli.files import STANDARD, read_bytes, refuse_terminal, write_bytes
from kmsq.cli.messages import require_message
from kmsq.cli.output import say_or_show
from kmsq.cli.session import Failure, Session, pass_session
from kmsq.client import Client
from kmsq_schemas.limits import SIGNED_MESSAGE_MAX_BYTES
from kmsq_schemas.models import GenerateMacReply, MacAlgorithm, VerifyMacReply

FILE = click.argument("source", metavar="[FILE]", default=STANDARD)
ALGORITHM = click.option("--algorithm", type=choice(MacAlgorithm), help="Without it, the key's only one.")


@click.group()
def mac() -> None:
    r"""
    Make and check message authentication codes: signatures that only holders of the key can check.

    \b
    Examples:
      kmsq key create --spec HMAC_256 --alias alias/cookies
      kmsq mac generate alias/cookies cookie --out cookie.mac
      kmsq mac verify alias/cookies cookie --mac cookie.mac
    """


@mac.command()
@click.argument("key_id", metavar="KEY")
@FILE
@ALGORITHM
@TARGET
@pass_session
def generate(session: Session, *, key_id: str, source: str, algorithm: str | None, target: str) -> None:
    r"""
    Make the code of up to 4,096 bytes, of FILE or standard input, and write it: as many bytes as the hash has.

    \b
    Example:
      kmsq mac generate alias/cookies cookie --out cookie.mac
    """
    refuse_terminal(target, "the code")
    message = _message(source)

    async def task(client: Client) -> GenerateMacReply:
        return await client.generate_mac(key_id, message, await mac_algorithm(client, key_id, algorithm))

    write_bytes(target, session.run(task).mac)


@mac.command()
@click.argument("key_id", metavar="KEY")
@FILE
@click.option("--mac", "mac_file", metavar="FILE", required=True, help="What `kmsq mac generate` wrote.")
@ALGORITHM
@pass_session
def verify(session: Session, *, key_id: str, source: str, mac_file: str, algorithm: str | None) -> None:
    r"""
    Check the code of FILE, or of standard input. Exits with 0 if it is valid and with 2 if it is not.

    \b
    Example:
      kmsq mac verify alias/cookies cookie --mac cookie.mac
    """
    if source == mac_file == STANDARD:
        raise click.UsageError("the message and its code cannot both come from standard input")
    message, code = _message(source), read_bytes(mac_file)

    async def task(client: Client) -> VerifyMacReply:
        return await client.verify_mac(key_id, message, code, await mac_algorithm(client, key_id, algorithm))

    say_or_show(session, "the code is valid", session.run(task))


def _message(source: str) -> bytes:
    message = read_bytes(source)
    require_message(message)
    if len(message) > SIGNED_MESSAGE_MAX_BYTES:
        text = f"there are {len(message):,} bytes; a code is made of up to {SIGNED_MESSAGE_MAX_BYTES:,}"
        raise Failure(text, hint="Make it of the digest: `openssl dgst -sha512 -binary FILE | kmsq mac generate KEY`.")
    return message
