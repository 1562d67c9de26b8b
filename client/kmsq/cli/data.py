"""`kmsq encrypt`, `decrypt`, `reencrypt`, `random`: raw bytes in, raw bytes out."""

import click

from kmsq.cli.files import STANDARD, read_bytes, refuse_terminal, write_bytes
from kmsq.cli.session import Failure, Session, pass_session
from kmsq_schemas.limits import PLAINTEXT_MAX_BYTES, RANDOM_MAX_BYTES


def pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Make an encryption context of `name=value` options."""
    found: dict[str, str] = {}
    for text in values:
        name, sign, value = text.partition("=")
        if not sign or not name or name in found:
            message = "give each name once, as name=value"
            raise click.BadParameter(message, param=parameter)
        found[name] = value
    return found


SOURCE = click.option("--in", "source", metavar="FILE", default=STANDARD, help="Where to read; - is standard input.")
TARGET = click.option("--out", "target", metavar="FILE", default=STANDARD, help="Where to write; - is standard output.")
CONTEXT = click.option(
    "--context",
    multiple=True,
    metavar="NAME=VALUE",
    callback=pairs,
    help="A pair of the encryption context. Not secret, and needed again to decrypt. Repeatable.",
)


@click.command()
@click.argument("key_id", metavar="KEY")
@CONTEXT
@SOURCE
@TARGET
@pass_session
def encrypt(session: Session, *, key_id: str, context: dict[str, str], source: str, target: str) -> None:
    r"""
    Encrypt up to 4,096 bytes under KEY: an id, ARN or alias.

    For more, take a `kmsq data-key` and encrypt on your side.

    \b
    Example:
      kmsq encrypt alias/orders --context order=17 --in order.txt --out order.sealed
    """
    refuse_terminal(target, "the ciphertext")
    plaintext = read_bytes(source)
    if not 1 <= len(plaintext) <= PLAINTEXT_MAX_BYTES:
        message = f"there are {len(plaintext):,} bytes to encrypt; it must be 1 to {PLAINTEXT_MAX_BYTES:,}"
        raise Failure(message, hint="For more, take a `kmsq data-key` and encrypt on your side.")
    reply = session.run(lambda client: client.encrypt(key_id, plaintext, encryption_context=context or None))
    write_bytes(target, reply.ciphertext_blob)


@click.command()
@CONTEXT
@click.option("--key", "key_id", metavar="KEY", help="Insist that it was encrypted under this key.")
@SOURCE
@TARGET
@pass_session
def decrypt(session: Session, *, context: dict[str, str], key_id: str | None, source: str, target: str) -> None:
    r"""
    Decrypt what `kmsq encrypt` wrote, or the wrapped key of `kmsq data-key`. It knows its key.

    \b
    Example:
      kmsq decrypt --context order=17 --in order.sealed
    """
    blob = read_bytes(source)
    reply = session.run(lambda client: client.decrypt(blob, key_id=key_id, encryption_context=context or None))
    write_bytes(target, reply.plaintext)


@click.command()
@click.argument("key_id", metavar="KEY")
@click.option(
    "--from-context", multiple=True, metavar="NAME=VALUE", callback=pairs, help="The context it has. Repeatable."
)
@CONTEXT
@SOURCE
@TARGET
@pass_session
def reencrypt(
    session: Session,
    *,
    key_id: str,
    from_context: dict[str, str],
    context: dict[str, str],
    source: str,
    target: str,
) -> None:
    r"""
    Move a ciphertext to another key, context or newer material. The plaintext stays in the worker.

    \b
    Example:
      kmsq reencrypt alias/archive --from-context order=17 --context order=17 < old > new
    """
    refuse_terminal(target, "the ciphertext")
    blob = read_bytes(source)
    reply = session.run(
        lambda client: client.re_encrypt(
            blob,
            key_id,
            source_encryption_context=from_context or None,
            destination_encryption_context=context or None,
        )
    )
    write_bytes(target, reply.ciphertext_blob)


@click.command()
@click.argument("count", metavar="BYTES", type=click.IntRange(1, RANDOM_MAX_BYTES))
@TARGET
@pass_session
def random(session: Session, *, count: int, target: str) -> None:
    """Write 1 to 1,024 random bytes."""
    refuse_terminal(target, "random bytes")
    reply = session.run(lambda client: client.generate_random(count))
    write_bytes(target, reply.plaintext)
