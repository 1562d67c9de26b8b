"""`kmsq data-key`, `data-key-pair`."""

import click

from kmsq.cli.choices import choice
from kmsq.cli.data import CONTEXT
from kmsq.cli.parts import Part, deliver, refuse_existing_files, refuse_secret_on_terminal
from kmsq.cli.pem import FORMS, PRIVATE_KEY, PUBLIC_KEY, Form
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.limits import RANDOM_MAX_BYTES
from kmsq_schemas.models import (
    DataKeyPairSpec,
    DataKeySpec,
    GenerateDataKeyPairReply,
    GenerateDataKeyPairWithoutPlaintextReply,
    GenerateDataKeyReply,
    GenerateDataKeyWithoutPlaintextReply,
)

DataKey = GenerateDataKeyReply | GenerateDataKeyWithoutPlaintextReply
DataKeyPair = GenerateDataKeyPairReply | GenerateDataKeyPairWithoutPlaintextReply

CIPHERTEXT_OUT = click.option("--ciphertext-out", metavar="FILE", help="Write the wrapped key to a new file.")
WITHOUT_PLAINTEXT = click.option("--without-plaintext", is_flag=True, help="Have the wrapped key only.")
SHOW_PLAINTEXT = click.option("--show-plaintext", is_flag=True, help="Print the key even on a terminal.")


@click.command("data-key")
@click.argument("key_id", metavar="KEY")
@CONTEXT
@click.option("--spec", type=choice(DataKeySpec), help="The kind of data key.")
@click.option("--bytes", "count", type=click.IntRange(1, RANDOM_MAX_BYTES), help="Its length, instead of --spec.")
@click.option("--plaintext-out", metavar="FILE", help="Write the key to a new file that only you can read.")
@CIPHERTEXT_OUT
@WITHOUT_PLAINTEXT
@SHOW_PLAINTEXT
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
    _check(plaintext_out, "--plaintext-out", without_plaintext=without_plaintext, show_plaintext=show_plaintext)
    refuse_existing_files(plaintext_out, ciphertext_out)

    async def task(client: Client) -> DataKey:
        make = client.generate_data_key_without_plaintext if without_plaintext else client.generate_data_key
        kind = None if count is not None else spec or DataKeySpec.AES_256
        return await make(key_id, encryption_context=context or None, number_of_bytes=count, key_spec=kind)

    deliver(session.run(task), [Part("ciphertext_blob", ciphertext_out), Part("plaintext", plaintext_out)])


@click.command("data-key-pair")
@click.argument("key_id", metavar="KEY")
@click.option("--spec", type=choice(DataKeyPairSpec), required=True, help="The kind of key pair.")
@CONTEXT
@click.option("--private-key-out", metavar="FILE", help="Write the private key to a new file that only you can read.")
@click.option("--public-key-out", metavar="FILE", help="Write the public key to a new file.")
@CIPHERTEXT_OUT
@click.option("--format", "form", type=FORMS, default=Form.PEM.value, help="Of the keys in files.")
@WITHOUT_PLAINTEXT
@SHOW_PLAINTEXT
@pass_session
def data_key_pair(
    session: Session,
    *,
    key_id: str,
    spec: str,
    context: dict[str, str],
    private_key_out: str | None,
    public_key_out: str | None,
    ciphertext_out: str | None,
    form: str,
    without_plaintext: bool,
    show_plaintext: bool,
) -> None:
    r"""
    Make a key pair to use on your side, and its private key wrapped under KEY to keep.

    Prints JSON, with what is not written to files in base64. The wrapped form holds the private key in DER (PKCS #8).

    \b
    Example:
      kmsq data-key-pair alias/devices --spec ECC_NIST_P256 --ciphertext-out 17.wrapped --public-key-out 17.pem \
        --private-key-out 17.key
      … use the private key, then delete it; later:
      kmsq decrypt --in 17.wrapped | openssl pkey -inform DER -out 17.key
    """
    _check(private_key_out, "--private-key-out", without_plaintext=without_plaintext, show_plaintext=show_plaintext)
    refuse_existing_files(private_key_out, public_key_out, ciphertext_out)

    async def task(client: Client) -> DataKeyPair:
        make = client.generate_data_key_pair_without_plaintext if without_plaintext else client.generate_data_key_pair
        return await make(key_id, spec, encryption_context=context or None)

    parts = [
        Part("private_key_ciphertext_blob", ciphertext_out),
        Part("public_key", public_key_out, lambda der: Form(form).write(PUBLIC_KEY, der)),
        Part("private_key_plaintext", private_key_out, lambda der: Form(form).write(PRIVATE_KEY, der)),
    ]
    deliver(session.run(task), parts)


def _check(path: str | None, option: str, *, without_plaintext: bool, show_plaintext: bool) -> None:
    if without_plaintext and (path is not None or show_plaintext):
        raise click.UsageError("--without-plaintext leaves no plaintext to write or show")
    if path is None and not without_plaintext and not show_plaintext:
        refuse_secret_on_terminal(
            "the plaintext key", f"Use {option} FILE, a pipe, --without-plaintext or --show-plaintext."
        )
