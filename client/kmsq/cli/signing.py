"""`kmsq sign`, `verify`."""

import click

from kmsq.cli.algorithms import signing_algorithm
from kmsq.cli.choices import choice
from kmsq.cli.data import TARGET
from kmsq.cli.files import STANDARD, read_bytes, refuse_terminal, write_bytes
from kmsq.cli.messages import condense, require_message
from kmsq.cli.output import say_or_show
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import MessageType, SigningAlgorithm, SignReply, VerifyReply

FILE = click.argument("source", metavar="[FILE]", default=STANDARD)
ALGORITHM = click.option(
    "--algorithm",
    type=choice(SigningAlgorithm),
    help="Needed to verify, too. Without it: the only one of the key, or RSASSA_PSS_SHA_256.",
)
MESSAGE_TYPE = click.option(
    "--message-type",
    type=choice(MessageType),
    help="What FILE holds, if it is not the message: its digest in bytes, or ML-DSA's μ.",
)


@click.command()
@click.argument("key_id", metavar="KEY")
@FILE
@ALGORITHM
@MESSAGE_TYPE
@TARGET
@pass_session
def sign(
    session: Session, *, key_id: str, source: str, algorithm: str | None, message_type: str | None, target: str
) -> None:
    r"""
    Sign FILE, or standard input, and write the signature: bytes, for ECDSA in DER.

    Of more than 4,096 bytes the digest is computed here and signed: the signature is the same. Ed25519 has no digest.

    \b
    Example:
      kmsq sign alias/releases kmsq-1.0.tar.gz --out kmsq-1.0.tar.gz.sig
    """
    refuse_terminal(target, "the signature")
    message = read_bytes(source)

    async def task(client: Client) -> SignReply:
        signed_with = await signing_algorithm(client, key_id, algorithm)
        sent, kind = await _prepared(client, key_id, message, signed_with, message_type)
        return await client.sign(key_id, sent, signed_with, message_type=kind)

    write_bytes(target, session.run(task).signature)


@click.command()
@click.argument("key_id", metavar="KEY")
@FILE
@click.option("--signature", "signature_file", metavar="FILE", required=True, help="What `kmsq sign` wrote.")
@ALGORITHM
@MESSAGE_TYPE
@pass_session
def verify(
    session: Session,
    *,
    key_id: str,
    source: str,
    signature_file: str,
    algorithm: str | None,
    message_type: str | None,
) -> None:
    r"""
    Check the signature of FILE, or of standard input. Exits with 0 if it is valid and with 2 if it is not.

    `kmsq public-key` has what others need to do so without kmsq.

    \b
    Example:
      kmsq verify alias/releases kmsq-1.0.tar.gz --signature kmsq-1.0.tar.gz.sig
    """
    if source == signature_file == STANDARD:
        raise click.UsageError("the message and its signature cannot both come from standard input")
    message, signature = read_bytes(source), read_bytes(signature_file)

    async def task(client: Client) -> VerifyReply:
        signed_with = await signing_algorithm(client, key_id, algorithm)
        sent, kind = await _prepared(client, key_id, message, signed_with, message_type)
        return await client.verify(key_id, sent, signature, signed_with, message_type=kind)

    say_or_show(session, "the signature is valid", session.run(task))


async def _prepared(
    client: Client, key_id: str, message: bytes, algorithm: SigningAlgorithm, message_type: str | None
) -> tuple[bytes, MessageType]:
    if message_type is None:
        return await condense(client, key_id, message, algorithm)
    require_message(message)
    return message, MessageType(message_type)
