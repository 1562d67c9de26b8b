"""`kmsq encrypt`, `decrypt`, `reencrypt`, `random`: raw bytes in, raw bytes out."""

import click

from kmsq.cli.choices import choice
from kmsq.cli.files import STANDARD, read_bytes, refuse_terminal, write_bytes
from kmsq.cli.session import Failure, Session, pass_session
from kmsq_schemas.limits import PLAINTEXT_MAX_BYTES, RANDOM_MAX_BYTES
from kmsq_schemas.models import EncryptionAlgorithm


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
ALGORITHM = click.option("--algorithm", type=choice(EncryptionAlgorithm), help="An RSA key needs it.")


@click.command()
@click.argument("key_id", metavar="KEY")
@CONTEXT
@ALGORITHM
@SOURCE
@TARGET
@pass_session
def encrypt(
    session: Session, *, key_id: str, context: dict[str, str], algorithm: str | None, source: str, target: str
) -> None:
    r"""
    Encrypt up to 4,096 bytes under KEY: an id, ARN or alias. An RSA key takes fewer, and no context.

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
    reply = session.run(
        lambda client: client.encrypt(
            key_id, plaintext, encryption_context=context or None, encryption_algorithm=algorithm
        )
    )
    write_bytes(target, reply.ciphertext_blob)


@click.command()
@CONTEXT
@click.option("--key", "key_id", metavar="KEY", help="Insist that it was encrypted under this key.")
@ALGORITHM
@SOURCE
@TARGET
@pass_session
def decrypt(
    session: Session,
    *,
    context: dict[str, str],
    key_id: str | None,
    algorithm: str | None,
    source: str,
    target: str,
) -> None:
    r"""
    Decrypt what `kmsq encrypt` wrote, or the wrapped key of `kmsq data-key`. It knows its key.

    What was encrypted under an RSA key does not: give --key and --algorithm.

    \b
    Example:
      kmsq decrypt --context order=17 --in order.sealed
    """
    blob = read_bytes(source)
    reply = session.run(
        lambda client: client.decrypt(
            blob, key_id=key_id, encryption_context=context or None, encryption_algorithm=algorithm
        )
    )
    write_bytes(target, reply.plaintext)


@click.command()
@click.argument("key_id", metavar="KEY")
@click.option(
    "--from-context", multiple=True, metavar="NAME=VALUE", callback=pairs, help="The context it has. Repeatable."
)
@click.option("--from-key", metavar="KEY", help="The key it is under: needed if that is an RSA key.")
@click.option("--from-algorithm", type=choice(EncryptionAlgorithm), help="The algorithm, for an RSA key.")
@CONTEXT
@ALGORITHM
@SOURCE
@TARGET
@pass_session
def reencrypt(
    session: Session,
    *,
    key_id: str,
    from_context: dict[str, str],
    from_key: str | None,
    from_algorithm: str | None,
    context: dict[str, str],
    algorithm: str | None,
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
            source_key_id=from_key,
            source_encryption_algorithm=from_algorithm,
            destination_encryption_context=context or None,
            destination_encryption_algorithm=algorithm,
        )
    )
    write_bytes(target, reply.ciphertext_blob)


@click.command()
@click.argument("count", metavar="BYTES", type=click.IntRange(1, RANDOM_MAX_BYTES))
@TARGET
@pass_session
def random(session: Session, *, count: int, target: str) -> None:
    r"""
    Write 1 to 1,024 random bytes.

    \b
    Example:
      kmsq random 32 --out seed
    """
    refuse_terminal(target, "random bytes")
    reply = session.run(lambda client: client.generate_random(count))
    write_bytes(target, reply.plaintext)
