"""`kmsq data-key`."""

import click

from kmsq.cli.data import CONTEXT
from kmsq.cli.files import on_terminal, refuse_existing, write_new_private
from kmsq.cli.output import plain, show_json
from kmsq.cli.session import Failure, Session, pass_session
from kmsq.client import Client
from kmsq_schemas.limits import RANDOM_MAX_BYTES
from kmsq_schemas.models import DataKeySpec, GenerateDataKeyReply, GenerateDataKeyWithoutPlaintextReply

Reply = GenerateDataKeyReply | GenerateDataKeyWithoutPlaintextReply


@click.command("data-key")
@click.argument("key_id", metavar="KEY")
@CONTEXT
@click.option("--spec", type=click.Choice([spec.value for spec in DataKeySpec]), help="The kind of data key.")
@click.option("--bytes", "count", type=click.IntRange(1, RANDOM_MAX_BYTES), help="Its length, instead of --spec.")
@click.option("--plaintext-out", metavar="FILE", help="Write the key to a new file that only you can read.")
@click.option("--ciphertext-out", metavar="FILE", help="Write the wrapped key to a new file.")
@click.option("--without-plaintext", is_flag=True, help="Have the wrapped key only.")
@click.option("--show-plaintext", is_flag=True, help="Print the key even on a terminal.")
@pass_session
def data_key(
    session: Session,
    *,
    key_id: str,
    context: dict[str, str],
    spec: str | None,
    count: int | None,
    plaintext_out: str | None,
    ciphertext_out: str | None,
    without_plaintext: bool,
    show_plaintext: bool,
) -> None:
    r"""
    Make a key to encrypt data with on your side, and its form wrapped under KEY to keep beside the data.

    An AES_256 key unless told otherwise. Prints JSON, with what is not written to files in base64.

    \b
    Example:
      kmsq data-key alias/orders --plaintext-out key --ciphertext-out key.wrapped
      … encrypt with key, then delete it; later:
      kmsq decrypt --in key.wrapped --out key
    """
    if spec is not None and count is not None:
        raise click.UsageError("give --spec or --bytes, not both")
    if without_plaintext and (plaintext_out is not None or show_plaintext):
        raise click.UsageError("--without-plaintext leaves no plaintext to write or show")
    if plaintext_out is None and not without_plaintext and not show_plaintext and on_terminal():
        raise Failure(
            "the plaintext key would be printed on the terminal",
            hint="Use --plaintext-out FILE, a pipe, --without-plaintext or --show-plaintext.",
        )
    for path in filter(None, (plaintext_out, ciphertext_out)):
        refuse_existing(path)

    async def task(client: Client) -> Reply:
        make = client.generate_data_key_without_plaintext if without_plaintext else client.generate_data_key
        kind = None if count is not None else spec or DataKeySpec.AES_256
        return await make(key_id, encryption_context=context or None, number_of_bytes=count, key_spec=kind)

    _deliver(session.run(task), plaintext_out=plaintext_out, ciphertext_out=ciphertext_out)


def _deliver(reply: Reply, *, plaintext_out: str | None, ciphertext_out: str | None) -> None:
    values = plain(reply)
    # The wrapped key first: a plaintext key whose wrapped form could not be written must not be used.
    if ciphertext_out is not None:
        write_new_private(ciphertext_out, reply.ciphertext_blob)
        del values["CiphertextBlob"]
    if plaintext_out is not None and isinstance(reply, GenerateDataKeyReply):
        write_new_private(plaintext_out, reply.plaintext)
        del values["Plaintext"]
    show_json(values)
